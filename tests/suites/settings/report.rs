//! `srt settings` and `srt schema`, and the two formats.

use sandbox_tests::{Bed, tool_path};
use serde_json::{Value, json};

use crate::{TOUCH, ran};

#[test]
fn the_effective_policy_is_printed_with_its_origins() {
    let bed = Bed::new();
    bed.file("home/.claude/settings.json", "{\n  \"permissions\": {\n    \"allow\": [\n      \"Edit(~/open)\",\n      \"WebFetch(domain:example.com)\"\n    ],\n    \"deny\": [\"Read(~/secret)\"]\n  }\n}\n");
    bed.file(
        "work/.claude/settings.json",
        json!({"permissions": {"deny": ["Edit(locked)"]}}).to_string(),
    );
    let output = bed.srt().args(["settings"]).run().ok();
    for part in [
        "example.com",
        "open",
        "secret",
        "locked",
        ".claude/settings.json",
        "settings.json:4",
    ] {
        assert!(output.text().contains(part), "no {part:?}\n{output}");
    }
}

#[test]
fn it_prints_errors_as_a_run_would() {
    let bed = Bed::new();
    bed.file(
        "home/.claude/settings.json",
        "{\"permissions\": {\"alow\": []}}",
    );
    let output = bed.srt().args(["settings"]).run();
    assert!(!output.succeeded(), "{output}");
    assert!(output.errors().contains("`allow`"), "{output}");
}

#[test]
fn the_schema_is_json_and_knows_both_formats() {
    let bed = Bed::new();
    let output = bed.srt().args(["schema"]).run().ok();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema.get("$schema").is_some(), "{output}");
    for key in [
        "allowedDomains",
        "denyRead",
        "allowWrite",
        "permissions",
        "excludedCommands",
        "allowUnixSockets",
        "ignoreViolations",
    ] {
        assert!(output.text().contains(&format!("\"{key}\"")), "no {key}");
    }
}

#[test]
fn subcommands_are_words_of_their_own() {
    let bed = Bed::new();
    bed.script("settings", "#!/bin/sh\necho a program\n");
    let path = format!("{}:{}", bed.work().display(), tool_path());
    bed.srt()
        .env("PATH", &path)
        .options(["--"])
        .args(["settings"])
        .run()
        .ok()
        .prints("a program\n");
    bed.srt()
        .env("PATH", &path)
        .args(["./settings"])
        .run()
        .ok()
        .prints("a program\n");
    let output = bed.srt().env("PATH", &path).args(["settings"]).run().ok();
    assert!(!output.text().contains("a program"), "{output}");
}

#[test]
fn the_default_flat_file_is_read() {
    let bed = Bed::new();
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []},
    });
    bed.srt().args(TOUCH).run().ok();
    assert!(ran(&bed));
    bed.file("home/.srt-settings.json", settings.to_string());
    bed.srt().args(TOUCH).run().refused();
    assert!(!ran(&bed));
}

#[test]
fn claude_settings_can_be_given_as_a_file() {
    let bed = Bed::new();
    let path = bed.outside().display().to_string();
    let settings =
        json!({"permissions": {"allow": [format!("Edit({path})")], "deny": ["Edit(locked)"]}});
    bed.file("work/locked", "old");
    let run = |line: &str| bed.srt().flat(&settings).env("O", &path).sh(line).run();
    run("echo x > $O/file && echo x > here").ok();
    run("echo x > locked").refused();
    assert!(bed.outside().join("file").symlink_metadata().is_ok());
}

#[test]
fn comments_and_trailing_commas_do_not_widen() {
    let bed = Bed::new();
    bed.file("work/secret", "hidden");
    let text = "{\n// a comment\n\"permissions\": {\"deny\": [\"Read(secret)\"]},\n}\n";
    bed.file("home/.claude/settings.json", text);
    // Read or refused: never ignored.
    let output = bed.srt().args(["cat", "secret"]).run();
    assert!(!output.succeeded() && output.stdout.is_empty(), "{output}");
}
