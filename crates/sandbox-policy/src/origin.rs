//! Where a rule came from.

use std::{fmt, path::PathBuf, sync::Arc};

/// The place that a rule was written in, for messages: `settings.json:12:7`, `--allow-write`, …
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Part of this software; the text says why.
    BuiltIn(&'static str),
    /// A settings file. Line and column start at 1; the column counts characters.
    File {
        /// The file as it was opened. Thousands of rules have this: it is one word.
        path: Arc<PathBuf>,
        /// Line of the rule's text.
        line: u32,
        /// Column of the rule's text.
        column: u32,
    },
    /// A command-line flag, as typed.
    Flag(Arc<str>),
    /// The host program, through the library.
    Program,
}

impl Origin {
    /// Closes what would tell the login of a parent proxy.
    pub const PROXY_LOGIN: Self = Self::BuiltIn("it holds the login of a proxy");
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(reason) => write!(f, "built in ({reason})"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Program => write!(f, "the host program"),
        }
    }
}
