//! Settings: what is wrong is said and nothing runs; who may widen; what applies.
#![expect(
    clippy::unwrap_used,
    reason = "a broken bed ends the test, in helpers as well"
)]

mod environment;
mod errors;
mod explain;
mod homes;
mod meant;
mod report;
mod trust;

use sandbox_tests::{Bed, Output};

/// A command that leaves a trace when it runs.
const TOUCH: [&str; 2] = ["touch", "ran"];

/// Whether the traced command ran; the trace is removed.
fn ran(bed: &Bed) -> bool {
    std::fs::remove_file(bed.work().join("ran")).is_ok()
}

/// Asserts that the settings were refused and nothing ran.
#[track_caller]
fn refused(bed: &Bed, output: &Output, what: &str) {
    assert_eq!(output.code(), Some(125), "{what}\n{output}");
    assert!(output.stdout.is_empty(), "{what}\n{output}");
    assert!(!output.stderr.is_empty(), "{what}\n{output}");
    assert!(!ran(bed), "it ran in spite of {what}\n{output}");
}
