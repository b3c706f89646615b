//! No setting drops a layer it does not name: every mode, and every pair of them.

use sandbox_tests::Bed;
use serde_json::{Value, json};

/// Settings that loosen something, one at a time.
fn toggles() -> Vec<(&'static str, Value)> {
    vec![
        ("network.allowAllUnixSockets", json!(true)),
        ("network.allowLocalBinding", json!(true)),
        ("network.allowUnixSockets", json!(["/run/none.sock"])),
        (
            "network.allowedDomains",
            json!(["example.com", "*.example.org:443"]),
        ),
        ("filesystem.disabled", json!(true)),
        ("filesystem.allowGitConfig", json!(true)),
        ("filesystem.allowWrite", json!(["/"])),
        ("enableWeakerNestedSandbox", json!(true)),
        ("enableWeakerNetworkIsolation", json!(true)),
        ("allowPty", json!(true)),
    ]
}

fn settings(chosen: &[&(&str, Value)]) -> Value {
    let mut settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    });
    for (path, value) in chosen {
        let pointer = format!("/{}", path.replace('.', "/"));
        let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", path));
        let object = settings.pointer_mut(parent).and_then(Value::as_object_mut);
        object.into_iter().for_each(|object| {
            object.insert(key.to_owned(), value.clone());
        });
    }
    settings
}

const STATUS: &str =
    "grep -E '^(NoNewPrivs|Cap(Inh|Prm|Eff|Bnd|Amb)|Seccomp):' /proc/self/status | tr -d '\t '";

#[track_caller]
fn assert_confined(status: &str, mode: &str) {
    let mut seen = 0;
    for line in status.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let expected = match name {
            "NoNewPrivs" => "1",
            "Seccomp" => "2",
            _ => "0000000000000000",
        };
        assert_eq!(value, expected, "{name} with {mode}\n{status}");
        seen += 1;
    }
    assert_eq!(seen, 7, "with {mode}\n{status}");
}

#[test]
fn without_settings() {
    let bed = Bed::new();
    assert_confined(&bed.srt().sh(STATUS).run().ok().text(), "no settings");
    assert_confined(&bed.srt().options(["-c", STATUS]).run().ok().text(), "-c");
    bed.file(
        "home/.claude/settings.json",
        json!({"sandbox": {"enabled": true}}).to_string(),
    );
    assert_confined(
        &bed.srt().sh(STATUS).run().ok().text(),
        "Claude Code's settings",
    );
}

#[test]
fn with_each_setting_and_each_pair() {
    let bed = Bed::new();
    let toggles = toggles();
    for (index, first) in toggles.iter().enumerate() {
        let alone = bed.srt().flat(&settings(&[first])).sh(STATUS).run().ok();
        assert_confined(&alone.text(), first.0);
        for second in toggles.iter().skip(index + 1) {
            let mode = format!("{} and {}", first.0, second.0);
            let output = bed.srt().flat(&settings(&[first, second])).sh(STATUS).run();
            assert!(output.succeeded(), "{mode}\n{output}");
            assert_confined(&output.text(), &mode);
        }
    }
}

#[test]
fn with_each_setting_the_other_layers_stand() {
    let bed = Bed::new();
    let secret = bed.file("outside/secret", "secret");
    let witness = sandbox_tests::Listener::start();
    let connect = format!(
        "(echo > /dev/tcp/127.0.0.1/{}) 2>/dev/null && echo connected",
        witness.port()
    );
    for toggle in &toggles() {
        let mut settings = settings(&[toggle]);
        if !toggle.0.starts_with("filesystem.") {
            let line = format!("echo x > '{}'", secret.display());
            bed.srt().flat(&settings).sh(&line).run().refused();
            assert_eq!(
                std::fs::read(&secret).unwrap(),
                b"secret",
                "with {}",
                toggle.0
            );
        }
        if toggle.0 != "filesystem.disabled" {
            settings["filesystem"]["denyRead"] = json!([secret.to_str().unwrap()]);
            let output = bed
                .srt()
                .flat(&settings)
                .args(["cat", secret.to_str().unwrap()])
                .run()
                .refused();
            assert!(output.stdout.is_empty(), "with {}\n{output}", toggle.0);
        }
        bed.srt()
            .flat(&settings)
            .args(["bash", "-c", &connect])
            .run()
            .refused();
        bed.srt()
            .flat(&settings)
            .args(["unshare", "-Ur", "true"])
            .run()
            .refused();
        let kill = format!("kill -0 {}", std::process::id());
        bed.srt().flat(&settings).sh(&kill).run().refused();
    }
    assert_eq!(witness.accepted(), 0);
    sandbox_tests::host(&sandbox_tests::need!("bash"), ["-c", &connect]).ok();
    assert_eq!(witness.accepted(), 1);
}
