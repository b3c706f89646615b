//! `srt settings`, `srt schema` and `srt trust`.

use serde_json::Value;

use crate::support::Place;

const WIDENING: &str = r#"{"permissions": {"allow": ["Edit(~/open)"]}}"#;

#[test]
fn settings_are_printed_for_programs_too() {
    let place = Place::new();
    let run = place.srt(["--allow-domain", "example.com", "settings", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let printed: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let values = printed
        .get("values")
        .and_then(Value::as_array)
        .expect("values");
    assert!(
        values.iter().any(
            |value| value.get("value") == Some(&Value::from("example.com"))
                && value.get("origin") == Some(&Value::from("--allow-domain example.com"))
        ),
        "{}",
        run.stdout
    );
}

#[test]
fn the_schema_is_the_one_that_is_checked_in() {
    let run = Place::new().srt(["schema"]);
    assert_eq!(
        run.stdout,
        include_str!("../../../../docs/settings.schema.json")
    );
}

#[test]
fn trust_says_what_it_trusts_and_is_recorded() {
    let place = Place::new();
    place.file("project/.claude/settings.json", WIDENING);
    let listed = "  line 1: `permissions.allow`: `Edit(~/open)`\n";
    let run = place.srt(["trust", "--dry-run"]);
    assert_eq!(
        run.stdout,
        format!("Would trust ROOT/project/.claude/settings.json\n{listed}")
    );
    assert!(place.srt(["settings"]).stdout.contains("held back"));
    let run = place.srt(["trust"]);
    assert_eq!(
        run.stdout,
        format!("Trusted ROOT/project/.claude/settings.json\n{listed}")
    );
    assert!(!place.srt(["settings"]).stdout.contains("held back"));
    let run = place.srt(["trust"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.starts_with("Nothing to trust"), "{}", run.stdout);
}

#[test]
fn rules_on_the_command_line_are_not_lost_without_a_sandbox() {
    let place = Place::new();
    place.file(
        "home/.claude/settings.json",
        r#"{"sandbox": {"enabled": false}}"#,
    );
    let run = place.srt(["echo", "outside"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "outside\n"));
    assert_eq!(
        run.stderr,
        "srt: notice: running without a sandbox, because of `enabled` (ROOT/home/.claude/settings.json:1:25)\n"
    );
    let run = place.srt(["--deny-read", "secret", "echo", "outside"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""));
    assert!(
        run.stderr
            .starts_with("error: rules on the command line need a sandbox"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_excluded_command_needs_the_permission_to_run_outside() {
    let place = Place::new();
    place.file(
        "home/.claude/settings.json",
        r#"{"sandbox": {"excludedCommands": ["echo"], "allowUnsandboxedCommands": false}}"#,
    );
    let run = place.srt(["echo", "outside"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""));
    assert!(
        run.stderr.contains("`allowUnsandboxedCommands` is off"),
        "{}",
        run.stderr
    );
}
