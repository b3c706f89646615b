//! Threads that change what a name means while a call is being judged win nothing.

use sandbox_tests::{Bed, race_time, say, timeout};

use crate::driver::compile;
use crate::rules;

/// Runs a kind of race, and asserts that what is closed is as it was.
fn race(kind: &str) {
    let bed = Bed::new();
    let Some(program) = compile(&bed, "race", include_str!("driver/race.c")) else {
        sandbox_tests::skip!("no C compiler on this machine")
    };
    for name in [
        "shut/n",
        "shut/kept",
        "shut/.env",
        "open/.env",
        "open/n.locks",
    ] {
        let content = if name.ends_with("locks") {
            "locked"
        } else {
            "secret"
        };
        bed.file(format!("work/{name}"), content);
    }
    bed.file("work/open/kept", "open");
    let settings = rules(&["**/.env", "shut/n"], &[], &["."], &["shut", "**/*.locks"]);
    let closed = || {
        let changes = sandbox_tests::tree_hash(&bed.work().join("shut"));
        let files = ["open/.env", "open/n.locks", ".bashrc"]
            .map(|name| std::fs::read(bed.work().join(name)).ok());
        (changes, files)
    };
    let before = closed();
    let seconds = race_time();
    let output = bed
        .srt()
        .flat(&settings)
        .args([program.as_os_str()])
        .args([kind, &seconds.as_secs().to_string()])
        .within(seconds.as_secs_f64() + timeout(60.0).as_secs_f64())
        .run()
        .ok();
    let after = closed();
    assert_eq!(before.0.changes(&after.0), [""; 0], "{kind}\n{output}");
    assert_eq!(before.1, after.1, "{kind}\n{output}");
    let text = output.text();
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    let [tries, successes, seen, flips] = numbers.as_slice() else {
        panic!("{output}")
    };
    say(&format!(
        "race of `{kind}`: {tries} calls, {successes} of them done, {flips} flips"
    ));
    assert_eq!(*seen, 0, "{kind}: what is hidden was read\n{output}");
    assert!(*successes > 1000 && *successes < *tries, "{kind}\n{output}");
    assert!(*flips > 1000, "{kind}\n{output}");
}

#[test]
fn the_text_of_a_path() {
    race("path");
}

#[test]
fn the_meaning_of_a_descriptor() {
    race("descriptor");
}

#[test]
fn the_target_of_a_link() {
    race("link");
}

#[test]
fn the_directory_above() {
    race("renamed");
}

#[test]
fn the_file_itself() {
    race("file");
}
