//! Refused reads: which are told, and how all of them are.

use sandbox_tests::Bed;

use crate::{events, log, logged, settings};

#[test]
fn a_pattern_that_closes_reads_is_told() {
    let bed = Bed::new();
    bed.file("work/a.secret", "hidden");
    logged(&bed, &settings(&["."], &[], &["*.secret"]))
        .args(["cat", "a.secret"])
        .run()
        .refused();
    let events = events(&log(&bed));
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["operation"], "file-read");
    assert_eq!(
        events[0]["rule"].as_str().map(|it| it.contains("*.secret")),
        Some(true)
    );
}
