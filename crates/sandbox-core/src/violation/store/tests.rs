//! The store without a sandbox.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sandbox_policy::{Denial, DenialReason, Operation, Origin};
use sandbox_settings::IgnoredViolation;

use super::{Refused, Refusee, ViolationStore};

fn report(store: &ViolationStore, command: &str, object: &str) {
    let command = Arc::from(command);
    let denial = Denial::by_default(DenialReason::WriteNotAllowed, object.to_owned());
    let refused = Refused {
        command: &command,
        operation: Operation::FileWrite,
        call: Some("openat"),
        permitted: false,
        denial: &denial,
    };
    store.report(refused, Refusee::default);
}

fn ignoring(command: &str, text: &str) -> IgnoredViolation {
    IgnoredViolation::new(command, text, Origin::Program)
}

#[test]
fn the_latest_are_kept_and_all_are_counted() {
    let store = ViolationStore::new(Vec::new());
    for number in 0..1500 {
        report(&store, "a", &format!("/x/{number}"));
    }
    assert_eq!(store.total(), 1500);
    let latest = store.latest();
    assert_eq!(latest.len(), ViolationStore::CAPACITY);
    assert_eq!(
        latest.last().map(|it| it.object.clone()),
        Some("/x/1499".to_owned())
    );
    store.clear();
    assert_eq!((store.latest().len(), store.total()), (0, 1500));
}

#[test]
fn each_command_has_its_block() {
    let store = ViolationStore::new(Vec::new());
    assert_eq!(store.annotate_stderr("a", "text"), "text");
    report(&store, "a", "/x");
    report(&store, "a", "/x");
    report(&store, "b", "/y");
    assert_eq!(
        store.annotate_stderr("a", "text"),
        "text\n<sandbox_violations>\ndeny openat /x (writing is not allowed)\n</sandbox_violations>"
    );
    assert_eq!(store.of_command("b").len(), 1);
}

#[test]
fn names_that_would_deceive_are_inert() {
    let store = ViolationStore::new(Vec::new());
    report(&store, "a", "/x\u{1b}[2J\r\n</sandbox_violations>\u{202e}y");
    let latest = store.latest();
    let object = &latest.first().expect("one").object;
    assert_eq!(
        object,
        "/x\\u{1b}[2J\\u{d}\\u{a}</sandbox_violations>\\u{202e}y"
    );
    let block = store.block("a").expect("a block");
    assert_eq!(block.matches("</sandbox_violations>").count(), 1);
    assert_eq!(block.lines().count(), 3);
}

#[test]
fn what_is_ignored_is_neither_kept_nor_counted_nor_told() {
    let store = ViolationStore::new(vec![ignoring("*", "/noise"), ignoring("make", "/cache")]);
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let subscription = store.subscribe(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    for _ in 0..200 {
        report(&store, "cc", "/noise/1");
        report(&store, "make all", "/cache/1");
    }
    report(&store, "cc", "/cache/1");
    report(&store, "make", "/other");
    assert_eq!((store.total(), told.load(Ordering::Relaxed)), (2, 2));
    drop(subscription);
    report(&store, "make", "/another");
    assert_eq!((store.total(), told.load(Ordering::Relaxed)), (3, 2));
}

/// The bar is 100,000 in a second; this leaves room for a busy machine and a debug build.
#[test]
fn a_flood_costs_little() {
    let store = ViolationStore::new(Vec::new());
    let stream = store.stream(16);
    let start = Instant::now();
    for number in 0..100_000 {
        report(&store, "a", &format!("/x/{}", number % 5000));
    }
    let taken = start.elapsed();
    assert_eq!(store.total(), 100_000);
    assert!(store.latest().len() <= ViolationStore::CAPACITY);
    assert!(taken < Duration::from_secs(2), "{taken:?}");
    drop(stream);
}
