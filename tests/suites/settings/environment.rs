//! Credentials: which variables a command sees, and which files the `secrets` preset closes.

use std::collections::BTreeMap;

use sandbox_tests::{Bed, Output};
use serde_json::{Value, json};

const SECRET: &str = "hunter2-sentinel";

fn flat(extra: &Value) -> Value {
    let mut settings = json!({
        "network": { "allowedDomains": [], "deniedDomains": [] },
        "filesystem": { "denyRead": [], "allowWrite": ["."], "denyWrite": [] },
    });
    for (key, value) in extra.as_object().unwrap() {
        settings
            .as_object_mut()
            .unwrap()
            .insert(key.clone(), value.clone());
    }
    settings
}

/// What `env -0` printed.
fn variables(output: &Output) -> BTreeMap<String, String> {
    let text = output.text();
    let entries = text.split('\0').filter_map(|entry| entry.split_once('='));
    entries
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The variables that a command sees under flat settings, of those that the caller has.
fn seen(bed: &Bed, extra: &Value, options: &[&str]) -> BTreeMap<String, String> {
    let run = bed.srt().flat(&flat(extra)).options(options);
    let run = run
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("GITHUB_TOKEN", SECRET)
        .env("AWS_REGION", "eu-west-1")
        .env("LD_LIBRARY_PATH", "/nowhere")
        .env("PLAIN", "plain")
        .env("LC_ALL", "C")
        .env("TERM", "dumb");
    variables(&run.args(["env", "-0"]).run().ok())
}

#[test]
fn everything_is_inherited_unless_settings_say_otherwise() {
    let bed = Bed::new();
    let all = seen(&bed, &json!({}), &[]);
    for name in [
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "AWS_REGION",
        "PLAIN",
        "LC_ALL",
    ] {
        assert!(all.contains_key(name), "{name}");
    }
}

#[test]
fn denied_variables_are_not_seen() {
    let bed = Bed::new();
    let some = seen(&bed, &json!({"environment": {"deny": ["AWS_*"]}}), &[]);
    assert!(!some.contains_key("AWS_SECRET_ACCESS_KEY"));
    assert!(!some.contains_key("AWS_REGION"));
    assert_eq!(some["GITHUB_TOKEN"], SECRET);
    let rules = json!({"environment": {"deny": ["AWS_*"], "allow": ["AWS_REGION"]}});
    let some = seen(&bed, &rules, &[]);
    assert!(!some.contains_key("AWS_SECRET_ACCESS_KEY"));
    assert_eq!(some["AWS_REGION"], "eu-west-1");
    let listed = json!({"environment": {"deny": ["*"], "allow": ["PATH", "LC_*"]}});
    let some = seen(&bed, &listed, &[]);
    assert_eq!(some["LC_ALL"], "C");
    assert!(some.contains_key("PATH"));
    for name in [
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "PLAIN",
        "HOME",
        "LD_LIBRARY_PATH",
    ] {
        assert!(!some.contains_key(name), "{name}");
    }
    // An empty list of what passes is no list of everything.
    let nothing = json!({"environment": {"deny": ["*"], "allow": []}});
    let some = seen(&bed, &nothing, &[]);
    assert!(!some.contains_key("PLAIN") && !some.contains_key("PATH"));
}

#[test]
fn what_is_taken_out_is_nowhere_inside() {
    let bed = Bed::new();
    // The arguments and variables of everything that can be seen, read as a thief would.
    let thief =
        "cat /proc/*/environ /proc/*/task/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'";
    let run = |settings: &Value| {
        let srt = bed.srt().flat(settings).env("GITHUB_TOKEN", SECRET);
        srt.sh(thief).run().text()
    };
    assert!(run(&flat(&json!({}))).contains(SECRET));
    let filtered = run(&flat(&json!({"presets": ["secrets"]})));
    assert!(!filtered.contains(SECRET), "{filtered}");
    assert!(filtered.contains("SANDBOX_RUNTIME"), "{filtered}");
}

#[test]
fn values_can_be_set() {
    let bed = Bed::new();
    let rules = json!({"environment": {"set": {"PLAIN": "other", "NEW": "a=b c"}}});
    let some = seen(&bed, &rules, &[]);
    assert_eq!(some["PLAIN"], "other");
    assert_eq!(some["NEW"], "a=b c");
}

#[test]
fn single_variables_on_the_command_line() {
    let bed = Bed::new();
    let none = json!({});
    let some = seen(&bed, &none, &["--deny-env", "AWS_*", "--env", "NEW=x=y"]);
    assert!(!some.contains_key("AWS_REGION"));
    assert_eq!(some["NEW"], "x=y");
    assert_eq!(some["PLAIN"], "plain");
    let some = seen(&bed, &none, &["--deny-env", "*", "--allow-env", "PATH"]);
    assert!(some.contains_key("PATH") && !some.contains_key("PLAIN"));
    let some = seen(
        &bed,
        &none,
        &["--preset", "secrets", "--allow-env", "GITHUB_TOKEN"],
    );
    assert_eq!(some["GITHUB_TOKEN"], SECRET);
    assert!(!some.contains_key("AWS_SECRET_ACCESS_KEY"));
    for (option, word) in [
        ("--deny-env", "A=B"),
        ("--allow-env", ""),
        ("--env", "NOVALUE"),
        ("--env", "A*=x"),
        ("--env", "=x"),
        ("--preset", "secret"),
    ] {
        let output = bed.srt().options([option, word]).args(super::TOUCH).run();
        super::refused(&bed, &output, word);
    }
}

#[test]
fn presets_of_variables() {
    let bed = Bed::new();
    let some = seen(&bed, &json!({"presets": ["secrets"]}), &[]);
    assert!(!some.contains_key("AWS_SECRET_ACCESS_KEY"));
    assert!(!some.contains_key("GITHUB_TOKEN"));
    assert_eq!(some["AWS_REGION"], "eu-west-1");
    assert_eq!(some["PLAIN"], "plain");
    let rules = json!({"presets": ["secrets"], "environment": {"allow": ["GITHUB_TOKEN"]}});
    let some = seen(&bed, &rules, &[]);
    assert_eq!(some["GITHUB_TOKEN"], SECRET);
    let some = seen(&bed, &json!({"presets": ["cleanEnvironment"]}), &[]);
    for name in ["AWS_REGION", "GITHUB_TOKEN", "PLAIN", "LD_LIBRARY_PATH"] {
        assert!(!some.contains_key(name), "{name}");
    }
    for name in [
        "PATH",
        "HOME",
        "LC_ALL",
        "TERM",
        "SANDBOX_RUNTIME",
        "HTTP_PROXY",
    ] {
        assert!(some.contains_key(name), "{name}");
    }
}

#[test]
fn credentials_as_others_write_them() {
    let bed = Bed::new();
    bed.file("home/token", SECRET);
    let rules = json!({
        "credentials": {
            "envVars": [{"name": "GITHUB_TOKEN", "mode": "deny"}],
            "files": [{"path": "~/token", "mode": "deny"}],
        },
        // Nothing of the same file re-opens a credential.
        "environment": {"allow": ["GITHUB_TOKEN"]},
    });
    let some = seen(&bed, &rules, &[]);
    assert!(!some.contains_key("GITHUB_TOKEN"));
    assert!(some.contains_key("AWS_SECRET_ACCESS_KEY"));
    let read = |settings: &Value| bed.srt().flat(settings).sh("cat ~/token").run();
    read(&flat(&json!({}))).ok().prints(SECRET);
    assert!(!read(&flat(&rules)).refused().text().contains(SECRET));
    for wrong in [
        json!({"envVars": [{"name": "A", "mode": "mask"}]}),
        json!({"envVars": [{"name": "A*", "mode": "deny"}]}),
        json!({"envVars": [{"name": "A"}]}),
        json!({"files": [{"path": "", "mode": "deny"}]}),
        json!({"files": [{"path": "~/x", "mode": "deny", "extract": "(.)"}]}),
        json!({"awsPairs": []}),
    ] {
        let settings = flat(&json!({"credentials": wrong}));
        let output = bed.srt().flat(&settings).args(super::TOUCH).run();
        super::refused(&bed, &output, &settings.to_string());
    }
}

#[test]
fn the_secrets_preset_closes_files() {
    let bed = Bed::new();
    let secrets = [
        ".ssh/id_ed25519",
        ".aws/credentials",
        ".gnupg/private-keys-v1.d/key",
        ".config/gcloud/credentials.db",
        ".kube/config",
        ".docker/config.json",
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".cargo/credentials.toml",
        ".git-credentials",
        ".config/google-chrome/Default/Login Data",
        ".mozilla/firefox/x.default/logins.json",
        "Library/Keychains/login.keychain-db",
        ".local/share/keyrings/login.keyring",
        ".password-store/x.gpg",
        ".bash_history",
    ];
    for path in secrets {
        bed.file(format!("home/{path}"), SECRET);
    }
    bed.file("home/.docker/daemon.json", "plain");
    bed.file("home/.cargo/config.toml", "plain");
    let read = |settings: &Value, path: &str| {
        let run = bed.srt().flat(settings);
        run.args(["cat", bed.home().join(path).to_str().unwrap()])
            .run()
    };
    let preset = flat(&json!({"presets": ["secrets"]}));
    read(&flat(&json!({})), secrets[0]).ok().prints(SECRET);
    let line = secrets.map(|path| format!("cat ~/'{path}'; ")).concat();
    let stolen = bed
        .srt()
        .flat(&preset)
        .sh(&format!("{line} true"))
        .run()
        .ok();
    assert!(!stolen.text().contains(SECRET), "{stolen}");
    let open = bed
        .srt()
        .flat(&flat(&json!({})))
        .sh(&format!("{line} true"))
        .run()
        .ok();
    assert_eq!(open.text().matches(SECRET).count(), secrets.len());
    for path in [".docker/daemon.json", ".cargo/config.toml"] {
        read(&preset, path).ok().prints("plain");
    }
    // Both presets at once: neither takes the other's rules away.
    let both = flat(&json!({"presets": ["workspace", "secrets"]}));
    read(&both, ".netrc").refused();
    read(&both, ".docker/daemon.json").refused();
    // One of them, and no more.
    let mut but_one = preset;
    but_one["filesystem"]["allowRead"] = json!(["~/.ssh/id_ed25519"]);
    read(&but_one, ".ssh/id_ed25519").ok().prints(SECRET);
    read(&but_one, ".netrc").refused();
}

#[test]
fn a_project_takes_variables_away_and_gives_none() {
    let bed = Bed::new();
    let project = |rules: &Value| {
        bed.file(
            "work/.claude/settings.json",
            json!({"sandbox": rules}).to_string(),
        );
    };
    let run = |options: &[&str]| {
        let run = bed.srt().options(options.iter().copied());
        let run = run.env("PLAIN", "plain").env("GITHUB_TOKEN", SECRET);
        run.args(["env", "-0"]).run().ok()
    };
    project(&json!({
        "presets": ["secrets"],
        "environment": {
            "deny": ["PLAIN"],
            "allow": ["GITHUB_TOKEN"],
            "set": {"LD_PRELOAD": "/nowhere.so", "BASH_ENV": "evil", "GIT_SSH_COMMAND": "evil"},
        },
    }));
    let output = run(&[]);
    let some = variables(&output);
    for name in [
        "PLAIN",
        "GITHUB_TOKEN",
        "LD_PRELOAD",
        "BASH_ENV",
        "GIT_SSH_COMMAND",
    ] {
        assert!(!some.contains_key(name), "{name}\n{output}");
    }
    assert!(output.errors().contains("srt trust"), "{output}");
    let listed = bed.srt().args(["trust", "--dry-run"]).run().ok();
    let text = format!("{}{}", listed.text(), listed.errors());
    assert!(
        text.contains("LD_PRELOAD") && text.contains("loader"),
        "{listed}"
    );
    let some = variables(&run(&["--trust-project"]));
    assert_eq!(some["BASH_ENV"], "evil");
    assert_eq!(some["GITHUB_TOKEN"], SECRET);
    // A project that names a weaker preset does not take a stronger one away.
    bed.file("home/secret", SECRET);
    let user = json!({"sandbox": {"presets": ["workspace"]}});
    bed.file("home/.claude/settings.json", user.to_string());
    let read = || bed.srt().sh("cat ~/secret").run();
    project(&json!({"presets": ["secrets", "cleanEnvironment"]}));
    assert!(!read().refused().text().contains(SECRET));
    std::fs::remove_file(bed.home().join(".claude/settings.json")).unwrap();
    read().ok().prints(SECRET);
}

#[test]
fn settings_say_where_a_rule_about_variables_comes_from() {
    let bed = Bed::new();
    let rules =
        json!({"environment": {"deny": ["AWS_*"], "set": {"A": "b"}}, "presets": ["secrets"]});
    let output = bed.srt().flat(&flat(&rules)).args(["settings"]).run().ok();
    let text = output.text();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start));
    assert!(
        line("environment.deny \"AWS_*\"")
            .unwrap()
            .contains("settings.json:1:")
    );
    assert!(line("environment.set \"A=b\"").is_some(), "{output}");
    assert!(
        line("environment.deny (default) \"*_TOKEN\"").is_some(),
        "{output}"
    );
    for (key, wrong) in [
        ("environment", json!({"deny": ["A=B"]})),
        ("environment", json!({"set": {"A*": "x"}})),
        ("environment", json!({"set": {"A": 1}})),
        ("environment", json!({"alow": []})),
        ("presets", json!(["secret"])),
        ("presets", json!("secrets")),
    ] {
        let settings = flat(&json!({key: wrong}));
        let output = bed.srt().flat(&settings).args(super::TOUCH).run();
        super::refused(&bed, &output, &settings.to_string());
    }
}
