//! Help and version, and the document that repeats them.

use crate::support::Place;

const DOCUMENT: &str = include_str!("../../../../docs/cli.md");

#[test]
fn the_document_holds_the_help_word_for_word() {
    let run = Place::new().srt(["--help"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(
        DOCUMENT.contains(&format!("```text\n{}```\n", run.stdout)),
        "docs/cli.md does not hold this:\n{}",
        run.stdout
    );
}

#[test]
fn the_document_explains_every_option() {
    let run = Place::new().srt(["-h"]);
    let (listed, _) = run
        .stdout
        .split_once("Commands of srt itself")
        .expect("the next section");
    let options: Vec<&str> = listed
        .split_whitespace()
        .filter(|word| word.starts_with("--") && word.len() > 2)
        // Without a value in brackets, which may be left out, and without a comma.
        .filter_map(|word| word.split('[').next())
        .map(|word| word.trim_end_matches(|end: char| !end.is_ascii_alphabetic()))
        .collect();
    assert!(options.len() > 10, "{options:?}");
    for option in options {
        // Once in the help, and once in its own words.
        assert!(
            DOCUMENT.matches(option).count() > 1,
            "{option} is not explained"
        );
    }
}

#[test]
fn the_version_is_the_crates() {
    for option in ["-V", "--version"] {
        let run = Place::new().srt([option]);
        assert_eq!(run.stdout, format!("srt {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn tools_have_help_of_their_own() {
    for tool in ["settings", "schema", "trust", "plan"] {
        let run = Place::new().srt([tool, "--help"]);
        assert_eq!(run.code, Some(0));
        assert!(
            run.stdout.contains(&format!("Usage: srt {tool}")),
            "{}",
            run.stdout
        );
    }
}
