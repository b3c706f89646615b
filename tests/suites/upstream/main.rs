//! The black-box cases of upstream's own tests, for either subject.
//!
//! Each case is named as there, by section. `gates.json` lists those that wait for later work or
//! differ on purpose; a gated case that passes fails the run.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken bed ends the test, in helpers as well"
)]

mod command_line;
mod configuration;
mod denied_paths;
mod integration;
mod latest;

use sandbox_tests::{Bed, Gates, Srt};
use serde_json::{Value, json};

type Case = (&'static str, fn());

const GATES: &str = include_str!("gates.json");

/// Settings that the cases expect unless they say otherwise.
fn usual() -> Value {
    json!({
        "network": {"allowedDomains": ["example.com"], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
}

/// A run with those settings.
fn usually(bed: &Bed) -> Srt<'_> {
    bed.srt().flat(&usual()).within(60.0)
}

/// A run of a line with the tool's own option for it.
fn line<'b>(bed: &'b Bed, settings: &Value, text: &str) -> Srt<'b> {
    bed.srt().flat(settings).options(["-c", text]).within(60.0)
}

fn run(cases: &[Case]) {
    let gates = Gates::parse(GATES);
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(name, case)| gates.run(name, case).err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n\n")
    );
}

#[test]
fn command_line() {
    run(command_line::CASES);
}

#[test]
fn configuration() {
    run(configuration::CASES);
}

#[test]
fn integration() {
    run(integration::CASES);
}

#[test]
fn denied_paths() {
    run(denied_paths::CASES);
}

#[test]
fn latest() {
    run(latest::CASES);
}

#[test]
fn every_gate_belongs_to_a_case() {
    let lists = [
        command_line::CASES,
        configuration::CASES,
        integration::CASES,
        denied_paths::CASES,
        latest::CASES,
    ];
    let names: Vec<&str> = lists.into_iter().flatten().map(|(name, _)| *name).collect();
    let stray: Vec<String> = Gates::parse(GATES)
        .names()
        .filter(|gate| !names.contains(gate))
        .map(str::to_owned)
        .collect();
    assert!(stray.is_empty(), "{stray:?}");
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len(), "two cases have one name");
}
