//! Violations: what is told of a refused attempt, to whom, and when; what the machine can see; what
//! could be learned from it.
#![expect(
    clippy::unwrap_used,
    reason = "a broken bed ends the test, in helpers as well"
)]

mod block;
mod flood;
mod kinds;
mod learn;
mod log;
mod permissive;
mod reads;
mod remedies;

use std::path::{Path, PathBuf};

use sandbox_tests::{Bed, Output, Srt};
use serde_json::{Value, json};

/// Makes each attempt of a table, notes when it had failed, and prints one JSON line for each.
const ATTEMPTS: &str = include_str!("attempts.py");

/// A file for violations, outside of what the command may write.
fn log(bed: &Bed) -> PathBuf {
    bed.outside().join("violations.jsonl")
}

/// A run that writes its violations there.
fn logged<'b>(bed: &'b Bed, settings: &Value) -> Srt<'b> {
    bed.srt()
        .flat(settings)
        .options(["--violations".into(), log(bed).into_os_string()])
}

/// The lines of a file of JSON objects.
fn events(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn settings(allow_write: &[&str], deny_write: &[&str], deny_read: &[&str]) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": ["denied.test"]},
        "filesystem": {"allowWrite": allow_write, "denyWrite": deny_write, "denyRead": deny_read},
    })
}

/// The origin of an event's rule as `file:line`, or as text.
fn origin(event: &Value) -> String {
    let place = &event["origin"];
    match place["file"].as_str() {
        Some(file) => format!("{file}:{}", place["line"]),
        None => place.to_string(),
    }
}

/// Lines of the standard error that summarise.
fn summary(output: &Output) -> Vec<String> {
    let errors = output.errors();
    let lines = errors
        .lines()
        .filter(|line| line.starts_with("srt: refused"));
    lines.map(str::to_owned).collect()
}
