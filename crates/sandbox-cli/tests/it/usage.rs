//! Wrong usage.

use crate::support::Place;

#[test]
fn no_command_is_said_so() {
    for words in [[].as_slice(), &["-d"], &["--"]] {
        let place = Place::new();
        let run = match words {
            [word] => place.srt([word]),
            _ => place.srt([]),
        };
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
        assert!(
            run.stderr.starts_with("Error: No command specified."),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn unknown_options_are_not_programs() {
    let run = Place::new().srt(["--allow-wirte", "x", "true"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("'--allow-write'"), "{}", run.stderr);
}

#[test]
fn tools_take_only_their_own_options() {
    for words in [
        ["settings", "--no"],
        ["schema", "x"],
        ["trust", "--json"],
        ["plan", "true"],
    ] {
        assert_eq!(Place::new().srt(words).code, Some(2), "{words:?}");
    }
}

#[test]
fn a_home_that_is_no_absolute_path_loses_no_rules() {
    let place = Place::new();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_srt"))
        .arg("true")
        .env("HOME", "home")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(125));
    assert!(
        output
            .stderr
            .starts_with(b"error: `HOME` is not an absolute path\n")
    );
    drop(place);
}
