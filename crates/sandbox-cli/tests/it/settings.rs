//! Wrong settings, as they are shown.

use crate::support::Place;

#[track_caller]
fn shows(path: &str, text: &str, expected: &str) {
    let place = Place::new();
    place.file(path, text);
    let run = place.srt(["true"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""));
    assert_eq!(run.stderr, expected);
    // The tools read the same settings.
    for tool in ["settings", "trust", "plan"] {
        let run = place.srt([tool]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""));
        assert_eq!(run.stderr, expected);
    }
}

#[test]
fn the_line_is_drawn_and_underlined() {
    shows(
        "home/.claude/settings.json",
        "{\n  \"permissions\": {\n    \"alow\": []\n  }\n}\n",
        r#"sandbox::settings::unknown_key

  × unknown key `permissions.alow`
   ╭─[ROOT/home/.claude/settings.json:3:5]
 2 │   "permissions": {
 3 │     "alow": []
   ·     ──────
 4 │   }
   ╰────
  help: did you mean `allow`?
"#,
    );
}

#[test]
fn a_file_without_text_is_named_in_the_message() {
    shows(
        "project/.claude/settings.local.json",
        "",
        "sandbox::settings::empty

  × ROOT/project/.claude/settings.local.json: settings file is empty
  help: write settings into it, or remove it
",
    );
}

#[test]
fn a_line_too_long_to_draw_is_only_named() {
    let blank = " ".repeat(1000);
    shows(
        "home/.srt-settings.json",
        &format!("{{{blank}\"netwerk\": {{}}}}"),
        "sandbox::settings::unknown_key

  × ROOT/home/.srt-settings.json:1:1002: unknown key `netwerk`
  help: did you mean `network`?
",
    );
}

#[test]
fn a_wrong_option_is_drawn_like_a_line() {
    let run = Place::new().srt(["--allow-domain", "https://example.com", "true"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(125), ""));
    assert_eq!(
        run.stderr,
        "sandbox::settings::domain

  × bad domain pattern `https://example.com`
  ╰─▶ domain pattern `https://example.com` has a scheme: write only the host, `example.com`
   ╭─[command line:1:16]
 1 │ --allow-domain https://example.com
   ·                ───────────────────
   ╰────
"
    );
}

#[test]
fn escape_sequences_of_a_file_do_not_reach_the_terminal() {
    let place = Place::new();
    place.file(
        "project/.claude/settings.json",
        "{\"permissions\": \u{1b}[31m}",
    );
    let run = place.srt(["true"]);
    assert_eq!(run.code, Some(125));
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
}
