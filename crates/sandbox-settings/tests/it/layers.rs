//! How layers add up.

use sandbox_settings::Layer;

use crate::support::{FLAT, File, Machine, reaches};

/// Files that a Claude Code layer can be in.
const CLAUDE_FILES: [File; 6] = [
    File::User,
    File::Home,
    File::Project,
    File::Local,
    File::Flag,
    File::Managed,
];

fn with(machine: Machine, file: File, text: &str) -> Machine {
    if file == File::Flag {
        machine.with_flag(text)
    } else {
        machine.with(file, text)
    }
}

#[test]
fn lists_add_up() {
    let allow = |host: &str| {
        format!(
            r#"{{ "permissions": {{ "allow": ["WebFetch(domain:{host})", "WebFetch(domain:shared.example)"] }} }}"#
        )
    };
    let machine = Machine::new()
        .with(File::User, &allow("user.example"))
        .with(File::Home, &allow("home.example"))
        .with(File::Managed, &allow("managed.example"));
    let settings = machine.load();
    for host in [
        "user.example",
        "home.example",
        "managed.example",
        "shared.example",
    ] {
        assert!(reaches(&settings, host), "{host}");
    }
    assert_eq!(
        settings.policy.network.allowed().len(),
        4,
        "equal entries count once"
    );
    let layers: Vec<_> = settings.files.iter().map(|file| file.layer).collect();
    assert_eq!(layers, [Layer::User, Layer::Home, Layer::Managed]);
}

#[test]
fn a_refusal_of_any_layer_stands_against_all_others() {
    let deny = r#"{ "permissions": { "deny": ["WebFetch(domain:x.example)", "Edit(~/out)", "Read(~/in)"] } }"#;
    let ask = &deny.replace("deny", "ask");
    let lists = r#"{ "sandbox": { "network": { "deniedDomains": ["x.example"] },
        "filesystem": { "denyWrite": ["~/out"], "denyRead": ["~/in"] } } }"#;
    let allow = r#"{ "permissions": { "allow": ["WebFetch(domain:x.example)", "Edit(~/out/a)", "Edit(~/out)", "Read(~/in/a)", "Edit(~/in/a)"] } }"#;
    for refusing in CLAUDE_FILES {
        for granting in CLAUDE_FILES {
            for refusal in [deny, ask, lists] {
                if refusing == granting {
                    continue;
                }
                let mut machine = with(with(Machine::new(), granting, allow), refusing, refusal);
                machine.sources.trust = sandbox_settings::ProjectTrust::Granted;
                if refusing == File::Home || granting == File::Home {
                    // With `--settings` the file of the home directory is not a layer.
                    machine.sources.settings = None;
                }
                let loaded = machine.load();
                if loaded.files.len() < 2 {
                    continue;
                }
                let context = format!("{refusing:?} against {granting:?}");
                assert!(!reaches(&loaded, "x.example"), "{context}");
                assert!(!machine.writes(&loaded, "~/out/a"), "{context}");
                assert!(!machine.reads(&loaded, "~/in/a"), "{context}");
                assert!(!machine.writes(&loaded, "~/in/a"), "{context}");
            }
        }
    }
}

#[test]
fn a_single_value_is_the_highest_layers() {
    let switch =
        |value: bool| format!(r#"{{ "sandbox": {{ "allowUnsandboxedCommands": {value} }} }}"#);
    for (index, lower) in CLAUDE_FILES.iter().enumerate() {
        for higher in &CLAUDE_FILES[index + 1..] {
            if (*lower, *higher) == (File::Home, File::Flag) {
                continue;
            }
            for value in [true, false] {
                let mut machine = with(
                    with(Machine::new(), *lower, &switch(!value)),
                    *higher,
                    &switch(value),
                );
                machine.sources.trust = sandbox_settings::ProjectTrust::Granted;
                let chosen = machine.load().execution.allow_unsandboxed_commands;
                assert_eq!(chosen.value, value, "{higher:?} over {lower:?}");
                assert!(
                    chosen
                        .origin
                        .to_string()
                        .starts_with(machine.path(*higher).to_str().unwrap())
                        || *higher == File::Flag
                );
            }
        }
    }
}

#[test]
fn a_flat_file_decides_alone_and_others_narrow() {
    let user = r#"{ "permissions": { "allow": ["Edit(~/a)", "WebFetch(domain:x.example)"], "deny": ["Read(~/.ssh)"] },
        "sandbox": { "enabled": false, "excludedCommands": ["docker"], "autoAllowBashIfSandboxed": false } }"#;
    let machine = Machine::new()
        .with(File::User, user)
        .with(File::Local, user)
        .with(File::Home, FLAT);
    let settings = machine.load();
    assert!(settings.is_flat() && settings.held_back.is_empty());
    for path in ["x", "~/a/x"] {
        assert!(!machine.writes(&settings, path), "{path}");
    }
    assert!(!reaches(&settings, "x.example"));
    assert!(!machine.reads(&settings, "~/.ssh/id"));
    assert!(settings.execution.enabled.value && settings.execution.excluded_commands.is_empty());
    assert!(!settings.execution.auto_allow_bash_if_sandboxed.value);
    // The administrator's file counts as ever.
    let machine = machine.with(File::Managed, user);
    let settings = machine.load();
    assert!(machine.writes(&settings, "~/a/x") && !settings.execution.enabled.value);
}

#[test]
fn the_settings_option_replaces_the_home_file() {
    let open = FLAT.replace(r#""allowWrite": []"#, r#""allowWrite": ["~/open"]"#);
    let machine = Machine::new().with(File::Home, &open).with_flag(FLAT);
    let settings = machine.load();
    assert!(settings.is_flat() && !machine.writes(&settings, "~/open/x"));
    assert_eq!(settings.files.len(), 1);
    let machine = Machine::new()
        .with(File::Home, FLAT)
        .with_flag(r#"{ "permissions": {} }"#);
    let settings = machine.load();
    assert!(!settings.is_flat() && machine.writes(&settings, "x"));
}

#[test]
fn a_projects_flat_file_does_not_change_the_defaults() {
    let machine = Machine::new().with(File::Project, FLAT);
    let settings = machine.load();
    assert!(!settings.is_flat() && machine.writes(&settings, "x"));
}

#[test]
fn options_add_rules() {
    let mut machine = Machine::new().with(File::Home, FLAT);
    machine.sources.overrides.allow_write = vec!["~/out".into()];
    machine.sources.overrides.deny_write = vec!["~/out/no".into()];
    machine.sources.overrides.deny_read = vec!["~/in".into()];
    machine.sources.overrides.allow_read = vec!["~/in/sub".into()];
    machine.sources.overrides.allow_domains = vec!["*.example.com".to_owned()];
    machine.sources.overrides.deny_domains = vec!["no.example.com".to_owned()];
    let settings = machine.load();
    assert!(machine.writes(&settings, "~/out/x") && !machine.writes(&settings, "~/out/no/x"));
    assert!(!machine.reads(&settings, "~/in/x"));
    assert!(reaches(&settings, "a.example.com") && !reaches(&settings, "no.example.com"));
    let rule = &settings.policy.network.allowed()[0];
    assert_eq!(rule.origin.to_string(), "--allow-domain *.example.com");
}

/// The author of a project's file chooses its size and shape.
#[test]
fn a_large_file_of_one_line_is_read_in_reasonable_time() {
    let rules: Vec<_> = (0..60_000)
        .map(|number| format!("\"Edit(a{number}/b)\""))
        .collect();
    let keys: Vec<_> = (0..60_000)
        .map(|number| format!("\"key{number}\": 0"))
        .collect();
    let text = format!(
        r#"{{ "permissions": {{ "deny": [{}] }}, {} }}"#,
        rules.join(","),
        keys.join(",")
    );
    let machine = Machine::new().with(File::Project, &text);
    let start = std::time::Instant::now();
    let settings = machine.load();
    assert_eq!(settings.policy.filesystem.deny_write.len(), 60_000);
    assert!(
        start.elapsed() < std::time::Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn protected_paths_are_opened_by_name() {
    let writes = |machine: &Machine, text: &str| {
        let settings = machine.load();
        let path = machine.sources.working_directory.as_path().join(text);
        let path = sandbox_policy::AbsolutePath::new(path).unwrap();
        crate::support::host_files(&settings)
            .judge_write(&path)
            .is_allowed()
    };
    let plain = Machine::new();
    for text in [
        ".vscode/tasks.json",
        "a/.git/config",
        "a/.git/hooks/x",
        "b/.bashrc",
    ] {
        assert!(!writes(&plain, text), "{text}");
    }
    let claude = r#"{ "sandbox": { "filesystem": { "unprotect": [".vscode"] } } }"#;
    let named = Machine::new().with(File::User, claude);
    assert!(writes(&named, "a/.vscode/tasks.json") && !writes(&named, ".idea/x"));
    let shown = sandbox_settings::describe_lines(&named.load()).join("\n");
    assert!(
        shown.contains("filesystem.unprotect \".vscode\" (") && shown.contains("settings.json:1:"),
        "{shown}"
    );
    let flat = |key: &str| {
        let flat = FLAT.replace(r#""allowWrite": []"#, r#""allowWrite": ["."]"#);
        let text = flat.replace(r#""denyWrite": []"#, &format!(r#""denyWrite": [], {key}"#));
        Machine::new().with(File::Home, &text)
    };
    let git = flat(r#""allowGitConfig": true"#);
    for text in [
        ".git/config",
        "a/.git/config.worktree",
        ".git/modules/a/b/config",
        ".git/worktrees/x/config.worktree",
    ] {
        assert!(writes(&git, text), "{text}");
    }
    assert!(!writes(&git, ".git/hooks/x") && !writes(&git, ".gitconfig"));
    let hooks = flat(r#""unprotect": [".git/hooks", ".envrc"]"#);
    assert!(writes(&hooks, ".git/hooks/x") && writes(&hooks, "a/.envrc"));
    assert!(!writes(&hooks, ".git/config"));
    let disabled = flat(r#""disabled": true"#);
    assert!(writes(&disabled, ".git/hooks/x") && writes(&disabled, "a/.bashrc"));
}

#[test]
fn unknown_names_of_protected_paths_are_errors() {
    for (name, near) in [
        ("bashrc", Some(".bashrc")),
        (".vsode", Some(".vscode")),
        (".git/hook", Some(".git/hooks")),
        (".VSCODE", Some(".vscode")),
        ("nothing like it at all", None),
    ] {
        let text = format!(r#"{{ "sandbox": {{ "filesystem": {{ "unprotect": ["{name}"] }} }} }}"#);
        let errors = Machine::new().with(File::User, &text).errors();
        let said = errors.to_string();
        assert!(
            said.contains(&format!("must be a known name, not `{name}`")),
            "{said}"
        );
        match near {
            Some(near) => assert!(said.contains(&format!("did you mean `{near}`?")), "{said}"),
            None => assert!(said.contains("the schema lists the names"), "{said}"),
        }
    }
}
