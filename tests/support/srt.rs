//! One run of the binary under test: options, program, settings, environment, input.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::run::{Running, bare};
use crate::subject::{Subject, binary, subject, timeout};
use crate::{Bed, Output};

/// A run that is being put together.
#[derive(Debug)]
pub struct Srt<'b> {
    bed: &'b Bed,
    launcher: Vec<OsString>,
    options: Vec<OsString>,
    command: Vec<OsString>,
    directory: PathBuf,
    environment: Vec<(OsString, OsString)>,
    stdin: Option<Vec<u8>>,
    keep_stdin: bool,
    limit: Duration,
}

impl<'b> Srt<'b> {
    pub(crate) fn new(bed: &'b Bed) -> Self {
        Self {
            bed,
            launcher: Vec::new(),
            options: Vec::new(),
            command: Vec::new(),
            directory: bed.work().to_owned(),
            environment: Vec::new(),
            stdin: None,
            keep_stdin: false,
            limit: timeout(30.0),
        }
    }

    /// Options in front of the program.
    #[must_use]
    pub fn options<I: Into<OsString>>(mut self, options: impl IntoIterator<Item = I>) -> Self {
        self.options.extend(options.into_iter().map(Into::into));
        self
    }

    /// Words from the program on, given as they are.
    #[must_use]
    pub fn args<I: Into<OsString>>(mut self, words: impl IntoIterator<Item = I>) -> Self {
        self.command.extend(words.into_iter().map(Into::into));
        self
    }

    /// A word from the program on that need not be UTF-8.
    #[must_use]
    pub fn bytes(mut self, word: impl Into<Vec<u8>>) -> Self {
        self.command.push(OsString::from_vec(word.into()));
        self
    }

    /// `sh -c LINE` as the program: a shell of the sandbox, not of the tool.
    #[must_use]
    pub fn sh(self, line: &str) -> Self {
        self.args(["sh", "-c", line])
    }

    /// A Python program with arguments.
    #[must_use]
    pub fn py(self, python: &Path, program: &str, arguments: &[&str]) -> Self {
        // -S and -E keep the start short and free of the runner's own packages.
        let head = [
            python.as_os_str(),
            OsStr::new("-ES"),
            OsStr::new("-c"),
            OsStr::new(program),
        ];
        self.args(head).args(arguments.iter().copied())
    }

    /// Settings in the flat format, handed over with `--settings`.
    #[must_use]
    pub fn flat(self, settings: &Value) -> Self {
        let text = settings.to_string();
        self.settings_text(&text)
    }

    /// The text of a settings file, handed over with `--settings`.
    #[must_use]
    pub fn settings_text(self, text: &str) -> Self {
        let path = self.bed.file("settings.json", text);
        self.options([OsStr::new("--settings"), path.as_os_str()])
    }

    /// Another working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// A variable for the tool's environment, which is empty otherwise but for the basics.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Bytes for standard input; without them it is empty.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Leaves standard input open, to be taken from the running command.
    #[must_use]
    pub fn open_stdin(mut self) -> Self {
        self.keep_stdin = true;
        self
    }

    /// Words in front of the binary: a program that prepares something and executes the rest.
    #[must_use]
    pub fn under<I: Into<OsString>>(mut self, launcher: impl IntoIterator<Item = I>) -> Self {
        self.launcher.extend(launcher.into_iter().map(Into::into));
        self
    }

    /// Gives names addresses for this run alone, by a private hosts file.
    #[must_use]
    pub fn hosts(self, names: &[(&str, &str)]) -> Self {
        let launcher = crate::hosts_launcher(self.bed, names);
        self.under(launcher)
    }

    /// Another time limit, in seconds before scaling.
    #[must_use]
    pub fn within(mut self, seconds: f64) -> Self {
        self.limit = timeout(seconds);
        self
    }

    /// The whole argument vector.
    #[must_use]
    pub fn argv(&self) -> Vec<OsString> {
        let mut words = self.launcher.clone();
        words.push(binary().as_os_str().to_owned());
        words.extend(self.options.iter().cloned());
        let ended = self.command.is_empty() || self.options.iter().any(|option| option == "--");
        if subject() == Subject::Upstream && !ended {
            // Upstream takes its options from anywhere in front of this.
            words.push("--".into());
        }
        words.extend(self.command.iter().cloned());
        words
    }

    /// Runs it with nothing to read or write, and says how long that took.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn time(self) -> Duration {
        crate::run::time(&mut self.command())
    }

    /// Starts it and leaves it running.
    ///
    /// # Panics
    /// When the binary cannot be started.
    #[must_use]
    pub fn spawn(self) -> Running {
        let mut command = self.command();
        command.stdin(if self.keep_stdin {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        Running::start(command, self.stdin)
    }

    fn command(&self) -> Command {
        let argv = self.argv();
        let (program, rest) = argv.split_first().expect("a program");
        let mut command = bare(Path::new(program));
        command
            .args(rest)
            .current_dir(&self.directory)
            .env("HOME", self.bed.home())
            .env("SRT_TEST_MARK", self.bed.marker())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    #[track_caller]
    #[must_use]
    pub fn run(self) -> Output {
        let limit = self.limit;
        self.spawn().finish(limit)
    }
}
