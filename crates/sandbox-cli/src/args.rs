//! The words of the command line, as typed. What they mean together is [`crate::invocation`]'s.

use std::{ffi::OsString, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

/// Options in front of the program; the first word that is none ends them.
#[derive(Debug, Parser)]
#[command(
    name = "srt",
    version,
    about = "Runs a command with exactly the files and hosts that the settings name",
    override_usage = "srt [OPTIONS] <PROGRAM> [ARGS]...\n       srt [OPTIONS] -c <LINE> [ARGS]...\n       srt [OPTIONS] <settings|explain|learn|trust|plan|doctor|schema>",
    after_help = AFTER_HELP,
    term_width = 100
)]
#[expect(clippy::struct_excessive_bools, reason = "each flag is one")]
pub(crate) struct Args {
    /// Run a shell line instead of a program
    #[arg(short = 'c', value_name = "LINE", allow_hyphen_values = true)]
    pub(crate) line: Option<OsString>,

    /// Take the settings from this file instead of `~/.srt-settings.json`
    #[arg(short, long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// Let the project's own settings widen what the command may do, for this run
    #[arg(long)]
    pub(crate) trust_project: bool,

    /// Let the command write here
    #[arg(long, value_name = "PATH")]
    pub(crate) allow_write: Vec<OsString>,

    /// Don't let the command write here
    #[arg(long, value_name = "PATH")]
    pub(crate) deny_write: Vec<OsString>,

    /// Let the command read here, inside what is closed
    #[arg(long, value_name = "PATH")]
    pub(crate) allow_read: Vec<OsString>,

    /// Don't let the command read here
    #[arg(long, value_name = "PATH")]
    pub(crate) deny_read: Vec<OsString>,

    /// Let the command reach a host: `example.com`, `*.example.com`, `example.com:443`
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_domain: Vec<String>,

    /// Don't let the command reach a host
    #[arg(long, value_name = "HOST")]
    pub(crate) deny_domain: Vec<String>,

    /// Let the command see a variable that is closed: `NAME`, or a pattern such as `LC_*`
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_env: Vec<OsString>,

    /// Don't let the command see a variable
    #[arg(long, value_name = "NAME")]
    pub(crate) deny_env: Vec<OsString>,

    /// Give a variable a value inside
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<OsString>,

    /// Add a named set of rules: `workspace`, `secrets`, `cleanEnvironment`, `gpu`
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Vec<String>,

    /// Ask on the terminal about hosts that no rule names; no answer in SECONDS (60) is a no
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
        default_missing_value = "60", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) ask: Option<u32>,

    /// Read settings from this descriptor while the command runs, one JSON object a line; their rules
    /// about hosts hold from then on
    #[arg(long, value_name = "FD", value_parser = clap::value_parser!(i32).range(3..))]
    pub(crate) control_fd: Option<i32>,

    /// Judge every file by its name when it is opened: exact, and all refused reads are told
    #[arg(long)]
    pub(crate) strict_reads: bool,

    /// Let a server that the command starts appear on the host's loopback: `3000`, or `8080:3000`
    /// for another port of the host
    #[arg(short, long, value_name = "[OUTSIDE:]PORT")]
    pub(crate) publish: Vec<String>,

    /// Let the command use a device of the host: `/dev/kvm`
    #[arg(long, value_name = "PATH")]
    pub(crate) device: Vec<String>,

    /// Let the command debug and trace its own processes
    #[arg(long)]
    pub(crate) allow_ptrace: bool,

    /// Say what is done, on standard error (also by SRT_DEBUG=1)
    #[arg(short, long)]
    pub(crate) debug: bool,

    /// Add a JSON line to this file for each refusal, while the command runs
    #[arg(long, value_name = "FILE", conflicts_with = "violations_fd")]
    pub(crate) violations: Option<PathBuf>,

    /// Write a JSON line to this descriptor for each refusal, while the command runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) violations_fd: Option<i32>,

    /// Leave out notices and the list of what was refused
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// The program and its arguments, which are taken as they are
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, hide = true)]
    pub(crate) words: Vec<OsString>,
}

/// What stands in the program's place; `srt -- settings` runs a program of that name.
#[derive(Debug, Parser)]
#[command(name = "srt", disable_help_subcommand = true)]
pub(crate) struct ToolArgs {
    #[command(subcommand)]
    pub(crate) tool: Tool,
}

/// What `srt` can do besides running commands.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Tool {
    /// Print the effective settings with the place that each value comes from
    Settings {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of settings files
    Schema,
    /// Let this project's settings files, as they are now, widen what commands may do
    Trust {
        /// Print what would be trusted, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Print how the settings would be enforced here
    Plan,
    /// Say what this machine can do and which refusals can be seen on it
    ///
    /// Ends with status 0 if a sandbox works here, 1 if not.
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Run a command, and propose the settings by which it would have been refused less
    Learn {
        /// Add the proposed entries to the settings file
        #[arg(long)]
        write: bool,
        /// Let it do what it would be refused, in a copy of the files that is thrown away at its end;
        /// every host of the internet can be reached
        #[arg(long)]
        permissive: bool,
        /// The program and its arguments, which are taken as they are
        #[arg(value_name = "PROGRAM", trailing_var_arg = true, required = true)]
        words: Vec<OsString>,
    },
    /// Say whether the command could do something, and which rule decides
    ///
    /// Ends with status 0 if it could, 1 if it would be refused.
    Explain {
        /// What it would do
        #[arg(value_enum)]
        operation: Operation,
        /// A path for `read`, `write` and `socket`; a host for `connect` (`example.com`,
        /// `example.com:22`; port 443 where none is given); a name for `resolve`
        object: OsString,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What `srt explain` can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    /// Read a file, list a directory
    Read,
    /// Create, change or remove what is at a path
    Write,
    /// Connect to a host
    Connect,
    /// Look a name up
    Resolve,
    /// Connect to a Unix socket of the host
    Socket,
}

impl Tool {
    /// The words that name a tool.
    pub(crate) const NAMES: [&'static str; 7] = [
        "settings", "schema", "trust", "plan", "explain", "doctor", "learn",
    ];
}

const AFTER_HELP: &str = "\
Commands of srt itself, as the first word (`srt -- NAME` runs a program of that name):
  settings [--json]    Print the effective settings with the place that each value comes from
  explain <read|write|connect|resolve|socket> <OBJECT> [--json]
                       Say whether the command could do that, and which rule decides
  trust [--dry-run]    Let this project's settings, as they are now, widen what commands may do
  learn [--permissive] [--write] <PROGRAM> [ARGS]...
                       Run a command, and propose settings for what it was refused; or permit it,
                       with files changed in a copy that is thrown away, and hosts for real
  plan                 Print how the settings would be enforced here
  doctor [--json]      Say what this machine can do and which refusals can be seen on it
  schema               Print the JSON Schema of settings files

Exit status:
  the command's; 128+N if signal N killed it; 125 if the sandbox can't be set up or settings are
  wrong; 126 if the program can't be executed; 127 if it is not found; 2 for wrong usage.
  `srt explain` ends with 0 for allow and 1 for deny, `srt doctor` with 1 if no sandbox works here

Examples:
  srt npm test
  srt --allow-domain github.com git fetch
  srt -p 3000 npm start
  srt -c 'make -j4 2>&1 | tail'
  srt --deny-read ~/.ssh -- ./script.sh --its-own-option
  srt settings
  srt explain write /etc/hosts";
