//! Which binary is tried, and how patient the suites are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// Whose tool the binary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the suites match on both")]
pub enum Subject {
    /// The product of this workspace.
    Ours,
    /// The JavaScript tool whose behaviour the upstream suite records.
    Upstream,
}

#[expect(
    clippy::disallowed_methods,
    reason = "suites are configured by their environment"
)]
pub(crate) fn variable_os(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

pub(crate) fn variable(name: &str) -> Option<String> {
    variable_os(name).map(|value| {
        value
            .into_string()
            .expect("a setting of the suites is UTF-8")
    })
}

/// The directory of packages with `playwright-core` that `SRT_TEST_PLAYWRIGHT` names.
#[must_use]
pub fn playwright() -> Option<PathBuf> {
    variable_os("SRT_TEST_PLAYWRIGHT").map(PathBuf::from)
}

/// The subject named by `SRT_SUBJECT`.
#[must_use]
pub fn subject() -> Subject {
    match variable("SRT_SUBJECT").as_deref() {
        None | Some("" | "ours") => Subject::Ours,
        Some("upstream") => Subject::Upstream,
        Some(other) => panic!("SRT_SUBJECT is `{other}`: expected `ours` or `upstream`"),
    }
}

/// The binary under test.
///
/// # Panics
/// When there is none: a suite without a subject proves nothing.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = variable_os("SRT_UNDER_TEST") {
            return PathBuf::from(&named)
                .canonicalize()
                .unwrap_or_else(|error| panic!("SRT_UNDER_TEST is {named:?}: {error}"));
        }
        let own = std::env::current_exe().expect("the path of this executable");
        // target/<profile>/deps/<suite>: the binary lies one directory up.
        own.ancestors()
            .skip(1)
            .take(2)
            .map(|directory| directory.join("srt"))
            .find(|candidate| candidate.metadata().is_ok_and(|found| found.is_file()))
            .unwrap_or_else(|| {
                panic!(
                    "no `srt` near {}: build it (cargo build -p sandbox-cli) or set SRT_UNDER_TEST",
                    own.display()
                )
            })
    })
}

/// Whether the binary is an unoptimised build, of which no speed is asked.
#[must_use]
pub fn is_debug_build() -> bool {
    binary()
        .components()
        .any(|part| part.as_os_str() == "debug")
}

/// A `bwrap` to compare with.
#[must_use]
pub fn bwrap() -> Option<PathBuf> {
    variable_os("SRT_BWRAP")
        .map(PathBuf::from)
        .or_else(|| crate::tool("bwrap"))
}

/// Upstream's tool to compare with, where `SRT_UPSTREAM` names it.
#[must_use]
pub fn upstream() -> Option<PathBuf> {
    variable_os("SRT_UPSTREAM").map(PathBuf::from)
}

/// The factor of `SRT_TIME_SCALE`.
#[must_use]
pub fn time_scale() -> f64 {
    variable("SRT_TIME_SCALE").map_or(1.0, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("SRT_TIME_SCALE is `{text}`: {error}"))
    })
}

/// `seconds`, scaled.
#[must_use]
pub fn timeout(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds * time_scale())
}

/// How many connections the bench of ended ones makes.
///
/// # Panics
/// When the variable holds no number.
#[must_use]
pub fn connections() -> u64 {
    variable("SRT_TEST_CONNECTIONS").map_or(10_000, |text| {
        text.parse().expect("SRT_TEST_CONNECTIONS is a number")
    })
}
