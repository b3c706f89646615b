//! What is meant by the words: every check across options is here.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Parser as _;
use sandbox_core::settings::{Overrides, ProjectTrust};

use crate::{
    args::{Args, Tool, ToolArgs},
    env::Environment,
    exit_code, message,
    violations::Destination,
};

/// A complete, checked invocation.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) options: Options,
    pub(crate) action: Action,
}

/// What holds for every action.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) settings: Option<PathBuf>,
    pub(crate) overrides: Overrides,
    pub(crate) trust: ProjectTrust,
    pub(crate) control_fd: Option<i32>,
    /// For how long.
    pub(crate) ask: Option<Duration>,
    pub(crate) debug: bool,
    pub(crate) quiet: bool,
    pub(crate) violations: Option<Destination>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    /// Run a command.
    Run(CommandWords),
    /// Something of our own.
    Tool(Tool),
}

/// The command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandWords {
    /// Name or path of the program.
    pub(crate) program: OsString,
    /// The word that it gets as its own name, if another.
    pub(crate) name: Option<OsString>,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// The shell line, if the program is a shell that was not named.
    pub(crate) line: Option<OsString>,
}

/// Why the words mean nothing.
#[derive(Debug)]
pub(crate) enum UsageError {
    /// There is nothing to run.
    NoCommand,
    /// A tool's words are wrong, or its help was asked for.
    Tool(clap::Error),
}

impl Invocation {
    /// `words` are those that `args` were parsed from.
    pub(crate) fn new(
        args: Args,
        words: &[OsString],
        environment: &Environment,
    ) -> Result<Self, UsageError> {
        let options_ended = ended_by_dashes(words, &args.words);
        let (options, line, words) = Options::new(args, environment);
        let action = match (line, words.as_slice()) {
            (Some(line), _) => Action::Run(CommandWords::shell(line, words)),
            (None, []) => return Err(UsageError::NoCommand),
            (None, [first, ..]) if !options_ended && is_tool(first) => {
                let words = [OsString::from("srt")].into_iter().chain(words);
                Action::Tool(
                    ToolArgs::try_parse_from(words)
                        .map_err(UsageError::Tool)?
                        .tool,
                )
            }
            (None, _) => Action::Run(CommandWords::new(words, environment)),
        };
        Ok(Self { options, action })
    }
}

impl Options {
    /// The options, the shell line, and the other words.
    fn new(args: Args, environment: &Environment) -> (Self, Option<OsString>, Vec<OsString>) {
        let Args {
            line,
            settings,
            trust_project,
            allow_write,
            deny_write,
            allow_read,
            deny_read,
            allow_domain,
            deny_domain,
            allow_env,
            deny_env,
            env,
            preset,
            ask,
            control_fd,
            strict_reads,
            publish,
            device,
            allow_ptrace,
            debug,
            violations,
            violations_fd,
            quiet,
            words,
        } = args;
        let overrides = Overrides {
            allow_write,
            deny_write,
            allow_read,
            deny_read,
            allow_domains: allow_domain,
            deny_domains: deny_domain,
            allow_variables: allow_env,
            deny_variables: deny_env,
            set_variables: env,
            presets: preset,
            strict_reads,
            publish,
            devices: device,
            allow_ptrace,
        };
        let trust = if trust_project {
            ProjectTrust::Granted
        } else {
            ProjectTrust::Recorded
        };
        let debug = debug || environment.debug;
        let violations = violations.map(Destination::File);
        let violations = violations.or_else(|| violations_fd.map(Destination::Descriptor));
        let options = Self {
            settings,
            overrides,
            trust,
            control_fd,
            ask: ask.map(|seconds| Duration::from_secs(seconds.into())),
            debug,
            quiet,
            violations,
        };
        (options, line, words)
    }
}

impl CommandWords {
    /// Words without options in front. A single one with white space is a line for the shell, unless
    /// there is a program of exactly that name.
    pub(crate) fn new(words: Vec<OsString>, environment: &Environment) -> Self {
        let mut words = words.into_iter();
        let program = words.next().unwrap_or_default();
        if words.len() == 0
            && has_white_space(&program)
            && program_outside(&program, environment).is_none()
        {
            return Self::shell(program, Vec::new());
        }
        Self {
            program,
            name: None,
            arguments: words.collect(),
            line: None,
        }
    }

    /// A line for the shell; further words are its `$0`, `$1`, ….
    fn shell(line: OsString, words: Vec<OsString>) -> Self {
        let (program, name) = if is_file(Path::new(BASH)) {
            (BASH, "bash")
        } else {
            (SH, "sh")
        };
        let arguments = [OsString::from("-c"), line.clone()]
            .into_iter()
            .chain(words);
        Self {
            program: program.into(),
            name: Some(name.into()),
            arguments: arguments.collect(),
            line: Some(line),
        }
    }

    /// The command as one line for people: the shell line, or the words with spaces between.
    pub(crate) fn display(&self) -> String {
        if let Some(line) = &self.line {
            return line.display().to_string();
        }
        let words = [&self.program].into_iter().chain(&self.arguments);
        words
            .map(|word| word.display().to_string())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl UsageError {
    /// Says it, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::NoCommand => {
                message::say(format_args!(
                    "Error: No command specified. Name a program, or give a shell line with -c."
                ));
                message::say(format_args!("For more information, try '--help'."));
                ExitCode::from(exit_code::USAGE)
            }
            Self::Tool(error) => message::usage(&error),
        }
    }
}

/// Whether `--` stands in front of the command's words: no option takes `--` as its value but `-c`,
/// beside which no word is a tool's name.
fn ended_by_dashes(words: &[OsString], command: &[OsString]) -> bool {
    let before = words.len().saturating_sub(command.len());
    words
        .get(..before)
        .and_then(<[_]>::last)
        .is_some_and(|word| word == "--")
}

/// Whether what is asked for is the same in any directory.
pub(crate) fn is_placeless(args: &Args, words: &[OsString]) -> bool {
    let first = args.words.first().filter(|_| args.line.is_none());
    first.is_some_and(|word| word == "doctor" || word == "schema")
        && !ended_by_dashes(words, &args.words)
}

fn is_tool(word: &OsStr) -> bool {
    Tool::NAMES.iter().any(|name| word == *name)
}

fn has_white_space(word: &OsStr) -> bool {
    word.as_bytes().iter().any(u8::is_ascii_whitespace)
}

/// The program that a word names outside.
pub(crate) fn program_outside(word: &OsStr, environment: &Environment) -> Option<PathBuf> {
    let is_path = word.as_bytes().contains(&b'/');
    let here = environment.working_directory.as_path().to_owned();
    let here = is_path.then_some(here).into_iter();
    let search = std::env::split_paths(&environment.search_path);
    let mut found = here.chain(search.filter(|_| !is_path));
    found.find_map(|directory| Some(directory.join(word)).filter(|path| is_executable(path)))
}

// An unreadable directory holds no program for us: the answers are the same as for "no such file".
fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

const BASH: &str = "/bin/bash";
const SH: &str = "/bin/sh";
