//! What a finished command left, and the first questions asked of it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

/// Status and streams of a finished command.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "read by the suites, built here only"
)]
pub struct Output {
    /// What was run, for messages.
    pub what: String,
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output, byte for byte.
    pub stdout: Vec<u8>,
    /// Standard error, byte for byte.
    pub stderr: Vec<u8>,
    /// From spawn to exit.
    pub elapsed: Duration,
}

/// Bytes for a message: text as it is, the rest escaped.
#[must_use]
pub fn show(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.escape_ascii().to_string(), str::to_owned)
}

impl Output {
    /// The exit code; none when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Whether it exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        show(&self.stdout)
    }

    /// Standard error as text.
    #[must_use]
    pub fn errors(&self) -> String {
        show(&self.stderr)
    }

    /// Standard error as text, but for what `srt` says about every run on an old kernel.
    #[must_use]
    pub fn complaints(&self) -> String {
        let errors = self.errors();
        let lines = errors.split_inclusive('\n');
        lines
            .filter(|line| !line.starts_with("srt: notice: the kernel"))
            .collect()
    }

    /// Asserts exit code 0 and hands the output on.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.succeeded(), "expected success\n{self}");
        self
    }

    /// Asserts that the program ran and failed by itself: not 0, and not our own 125.
    ///
    /// # Panics
    /// When it succeeded, or the sandbox was not set up.
    #[track_caller]
    pub fn refused(self) -> Self {
        assert!(!self.succeeded(), "expected a refusal\n{self}");
        assert!(
            self.code() != Some(125),
            "the sandbox was not set up\n{self}"
        );
        self
    }

    /// Asserts the exit code.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "\n{self}");
        self
    }

    /// Asserts that standard output is exactly this.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn prints(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = expected.as_ref();
        assert!(
            self.stdout == expected,
            "expected stdout {:?}\n{self}",
            show(expected)
        );
        self
    }

    /// Asserts that standard error holds this.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn says(self, expected: &str) -> Self {
        assert!(
            self.errors().contains(expected),
            "expected stderr to hold {expected:?}\n{self}"
        );
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = |bytes: &[u8]| {
            let text = show(bytes);
            if text.chars().count() > 4000 {
                text.chars().take(4000).collect::<String>() + "…"
            } else {
                text
            }
        };
        writeln!(out, "command: {}", self.what)?;
        writeln!(out, "status:  {} after {:?}", self.status, self.elapsed)?;
        writeln!(out, "stdout:  {}", short(&self.stdout))?;
        write!(out, "stderr:  {}", short(&self.stderr))
    }
}
