//! Skips that are seen: printed past libtest's capture, counted, and a failure on request.

use std::cell::Cell;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// Records a skip. With `SRT_EXPECT_ALL=1` it is a failure: a machine that promises to run
/// everything must not pass by running less.
pub fn count_skip(reason: &str) {
    let number = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    HERE.set(HERE.get() + 1);
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    // Straight to the descriptor: libtest hides what the print macros of a passing test say.
    writeln!(
        std::io::stderr().lock(),
        "skipped: {reason} [{name}, {number} in this suite]"
    )
    .ok();
    assert!(
        crate::subject::variable("SRT_EXPECT_ALL").as_deref() != Some("1"),
        "skipped although SRT_EXPECT_ALL is set: {reason}"
    );
}

/// Records that a case or a part of one has no meaning here, for this user or this architecture.
/// Unlike a skip it is never a failure: elsewhere in the matrix it runs.
pub fn note(reason: &str) {
    HERE.set(HERE.get() + 1);
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    writeln!(
        std::io::stderr().lock(),
        "not applicable: {reason} [{name}]"
    )
    .ok();
}

/// Tells a figure past libtest's capture, so that it can be copied from any run.
pub fn say(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// How many cases of this executable were skipped so far.
#[must_use]
pub fn skipped() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// How many cases of this thread were skipped so far.
pub(crate) fn skipped_here() -> usize {
    HERE.get()
}

/// Leaves the test with a reason that is printed and counted.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::count_skip(&::std::format!($($reason)+));
        return;
    }};
}

/// Leaves the test because it has no meaning for this user or this machine.
#[macro_export]
macro_rules! inapplicable {
    ($($reason:tt)+) => {{
        $crate::note(&::std::format!($($reason)+));
        return;
    }};
}

/// The path of a program, or a skip that names it.
#[macro_export]
macro_rules! need {
    ($program:expr) => {
        match $crate::tool($program) {
            Some(path) => path,
            None => $crate::skip!("no `{}` on this machine", $program),
        }
    };
}

/// The path of a Python that has the modules, or a skip that names them.
#[macro_export]
macro_rules! python {
    ($($module:literal),*) => {{
        let python = $crate::need!("python3");
        let modules: &[&str] = &[$($module),*];
        let import = ::std::format!("import sys, {}", ::std::iter::once("os").chain(modules.iter().copied()).collect::<::std::vec::Vec<_>>().join(", "));
        let found = $crate::host(&python, ["-c", import.as_str()]);
        if !found.succeeded() {
            $crate::skip!("this python lacks one of {modules:?}");
        }
        python
    }};
}

/// Leaves the test unless names can be given addresses for one command.
#[macro_export]
macro_rules! need_names {
    () => {
        if !$crate::names_can_be_set() {
            $crate::skip!("no mount namespace to put a private hosts file in");
        }
    };
}
