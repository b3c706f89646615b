//! A terminal to run a command on, driven step by step.
//!
//! Opening a terminal and making it the controlling one takes calls that safe Rust has no name
//! for; a Python program does it on the host.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Bed, Srt, timeout, tool_path};

const DRIVER: &str = include_str!("pty.py");

/// A command on a terminal, with the steps to play.
#[derive(Debug)]
pub struct Terminal<'b> {
    bed: &'b Bed,
    argv: Vec<String>,
    steps: Vec<Value>,
}

/// What came of it.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "read by the suites")]
pub struct Session {
    /// The step that failed.
    pub failure: Option<String>,
    /// Everything the terminal showed.
    pub transcript: String,
    /// The exit code, negative for a signal; none when it had not ended.
    pub code: Option<i64>,
    /// Whether the terminal's modes are what they were before.
    pub modes_kept: bool,
}

impl<'b> Terminal<'b> {
    /// Any command of the host on the terminal.
    pub fn new<I: Into<String>>(bed: &'b Bed, argv: impl IntoIterator<Item = I>) -> Self {
        Self {
            bed,
            argv: argv.into_iter().map(Into::into).collect(),
            steps: Vec::new(),
        }
    }

    /// The tool on the terminal.
    ///
    /// # Panics
    /// When a word is not UTF-8.
    #[must_use]
    pub fn of(bed: &'b Bed, srt: &Srt<'_>) -> Self {
        Self::new(
            bed,
            srt.argv()
                .into_iter()
                .map(|word| word.into_string().expect("words on a terminal are UTF-8")),
        )
    }

    fn step(mut self, kind: &str, value: &Value) -> Self {
        self.steps.push(json!([kind, value]));
        self
    }

    /// Waits for text after what was expected before.
    #[must_use]
    pub fn expect(self, text: &str) -> Self {
        self.step("expect", &json!(text))
    }

    /// Types, with the code of the last question that was expected for `{code}`.
    #[must_use]
    pub fn send(self, text: &str) -> Self {
        self.step("send", &json!(text))
    }

    /// Changes the size of the window.
    #[must_use]
    pub fn resize(self, rows: u16, columns: u16) -> Self {
        self.step("resize", &json!([rows, columns]))
    }

    /// Lets some time pass, in seconds before scaling.
    #[must_use]
    pub fn pause(self, seconds: f64) -> Self {
        let scaled = timeout(seconds).as_secs_f64();
        self.step("pause", &json!(scaled))
    }

    /// Sends a signal to the command itself.
    #[must_use]
    pub fn signal(self, name: &str) -> Self {
        self.step("signal", &json!(name))
    }

    /// Waits for the end.
    #[must_use]
    pub fn end(self) -> Self {
        self.step("end", &Value::Null)
    }

    /// Plays the steps.
    ///
    /// # Panics
    /// When the driver itself fails.
    #[must_use]
    pub fn play(self, python: &Path) -> Session {
        let plan = json!({
            "argv": self.argv,
            "directory": self.bed.work().to_str(),
            "environment": {
                "PATH": tool_path(), "HOME": self.bed.home().to_str(), "LANG": "C.UTF-8", "TERM": "xterm",
                "SRT_TEST_MARK": self.bed.marker(), "PS1": "ready> ",
            },
            "steps": self.steps,
            "limit": timeout(20.0).as_secs_f64(),
        });
        let mut command = crate::run::bare(python);
        command.args(["-ES", "-c", DRIVER]);
        let output = crate::Running::start(command, Some(plan.to_string().into_bytes()))
            .finish(timeout(120.0))
            .ok();
        let found: Value = serde_json::from_slice(&output.stdout).expect("the driver prints JSON");
        let text = |name: &str| found.get(name).and_then(Value::as_str).map(str::to_owned);
        Session {
            failure: text("failure"),
            transcript: text("transcript").expect("a transcript"),
            code: found.get("code").and_then(Value::as_i64),
            modes_kept: found
                .get("modes_kept")
                .and_then(Value::as_bool)
                .expect("a verdict on the modes"),
        }
    }
}

impl Session {
    /// Asserts that every step was played.
    ///
    /// # Panics
    /// When one failed.
    #[track_caller]
    pub fn played(self) -> Self {
        assert!(
            self.failure.is_none(),
            "{:?}, code {:?}\n{}",
            self.failure,
            self.code,
            self.transcript
        );
        self
    }
}
