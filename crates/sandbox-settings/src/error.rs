//! What can be wrong with settings, with the place in the file. Nothing is rendered here: a caller
//! that draws source lines has the text and the byte range, others have `Display`.

use std::{
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use sandbox_policy::{
    DomainPatternError, ParentProxyError, PatternError, PortMappingError, VariablePatternError,
};

use crate::finding::shown;

/// One mistake in one settings file (or in one command-line option).
#[derive(Debug)]
#[non_exhaustive]
pub struct SettingsError {
    /// The file as it was opened; `command line` for an option.
    pub file: Arc<PathBuf>,
    /// The file's text as it was parsed, with the logins in it covered by `*`: empty where it could not
    /// be read.
    pub source_text: Arc<str>,
    /// The bytes of `source_text` that are wrong.
    pub span: Range<usize>,
    /// Line of the span's start, from 1.
    pub line: u32,
    /// Column of the span's start in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub kind: SettingsErrorKind,
    /// What to do about it.
    pub help: Option<String>,
}

/// The ways in which settings can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsErrorKind {
    /// The file can't be opened or read. A missing file is an error only where it was named.
    #[error("cannot read the settings file")]
    Unreadable {
        /// What the operating system said.
        source: io::Error,
    },
    /// Larger than any settings file needs to be.
    #[error("settings file is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A project's file is a symbolic link, and what it leads to is no settings file. It is not
    /// quoted: the author of a link must not learn what the user can read.
    #[error("settings file of the project is a symbolic link to something else")]
    LinkedElsewhere,
    /// The bytes are no UTF-8 text (RFC 8259 §8.1).
    #[error("settings file is not UTF-8 text")]
    NotUtf8 {
        /// Where the text ends.
        source: std::string::FromUtf8Error,
    },
    /// Nothing but white space.
    #[error("settings file is empty")]
    Empty,
    /// Not JSON (RFC 8259: no comments, no trailing commas).
    #[error("not JSON: {}", shown(message))]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A key that occurs twice in one object: which of them counts differs between readers.
    #[error("key `{}` occurs twice", shown(key))]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// The file's value is no object.
    #[error("settings must be a JSON object, not {found}")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A value of another type than the key takes.
    #[error("`{}` must be {expected}, not {found}", shown(key))]
    WrongType {
        /// The key, with its namespaces.
        key: String,
        /// What it takes.
        expected: String,
        /// What it is.
        found: &'static str,
    },
    /// A key that the format does not have.
    #[error("unknown key `{}`", shown(key))]
    UnknownKey {
        /// The key, with its namespaces.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A required key is not there.
    #[error("missing key `{key}`")]
    MissingKey {
        /// The key, with its namespaces.
        key: String,
    },
    /// A value outside the range or the set that the key takes.
    #[error("`{}` must be {expected}, not `{}`", shown(key), shown(found))]
    OutOfRange {
        /// The key, with its namespaces.
        key: String,
        /// What it takes.
        expected: String,
        /// What it is.
        found: String,
    },
    /// An entry that is no domain pattern.
    #[error("bad domain pattern `{}`", shown(text))]
    Domain {
        /// The entry.
        text: String,
        /// Why.
        source: DomainPatternError,
    },
    /// An entry that is neither an address nor a range of addresses.
    #[error("bad address or range `{}`", shown(text))]
    Address {
        /// The entry.
        text: String,
    },
    /// An entry that names no port to publish.
    #[error("bad published port `{}`", shown(text))]
    PublishedPort {
        /// The entry.
        text: String,
        /// Why.
        source: PortMappingError,
    },
    /// An entry that is no path.
    #[error("bad path `{}`", shown(text))]
    Path {
        /// The entry.
        text: String,
        /// Why.
        source: PatternError,
    },
    /// An entry that names no variable.
    #[error("bad variable `{}`", shown(text))]
    Variable {
        /// The entry.
        text: String,
        /// Why.
        source: VariablePatternError,
    },
    /// An entry that names no device.
    #[error("`{}` is no path below `/dev`", shown(text))]
    Device {
        /// The entry.
        text: String,
    },
    /// A text that names no proxy that can be used. It is not repeated: it may hold a password.
    #[error("bad proxy")]
    ParentProxy {
        /// Why.
        source: ParentProxyError,
    },
    /// A permission rule of ours that can't be read.
    #[error("bad permission rule `{}`: {reason}", shown(text))]
    PermissionRule {
        /// The rule.
        text: String,
        /// Why.
        reason: &'static str,
    },
    /// Keys of both formats in one file.
    #[error("`{flat}` and `{claude}` belong to different settings formats")]
    MixedFormats {
        /// A key of the flat format.
        flat: String,
        /// A key of Claude Code's format.
        claude: String,
    },
    /// A key whose feature is not there; ignoring it would change what is protected.
    #[error("`{key}` is not supported yet")]
    Unsupported {
        /// The key, with its namespaces.
        key: String,
    },
    /// A value that passed every check and still can't be used: a fault of this software.
    #[error("settings cannot be used: {}", shown(message))]
    Internal {
        /// What happened.
        message: String,
    },
}

/// Everything that is wrong in all settings files. Never empty.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain list of errors")]
pub struct SettingsErrors(pub Vec<SettingsError>);

/// Why content could not be recorded as trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The directory of the store can't be made.
    #[error("cannot create the trust store `{}`", path.display())]
    CreateStore {
        /// The directory.
        path: Arc<Path>,
        /// What the operating system said.
        source: io::Error,
    },
    /// The record can't be written.
    #[error("cannot record trust in `{}`", path.display())]
    WriteRecord {
        /// The record.
        path: Arc<Path>,
        /// What the operating system said.
        source: io::Error,
    },
}

impl SettingsErrorKind {
    /// A stable code for the kind, such as `unknown_key`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::TooLarge { .. } => "too_large",
            Self::LinkedElsewhere => "linked_elsewhere",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::Empty => "empty",
            Self::Syntax { .. } => "syntax",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::NotAnObject { .. } => "not_an_object",
            Self::WrongType { .. } => "wrong_type",
            Self::UnknownKey { .. } => "unknown_key",
            Self::MissingKey { .. } => "missing_key",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Domain { .. } => "domain",
            Self::Address { .. } => "address",
            Self::PublishedPort { .. } => "published_port",
            Self::Path { .. } => "path",
            Self::Variable { .. } => "variable",
            Self::Device { .. } => "device",
            Self::ParentProxy { .. } => "parent_proxy",
            Self::PermissionRule { .. } => "permission_rule",
            Self::MixedFormats { .. } => "mixed_formats",
            Self::Unsupported { .. } => "unsupported",
            Self::Internal { .. } => "internal",
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source_text.is_empty() {
            write!(f, "{}: {}", self.file.display(), self.kind)
        } else {
            write!(
                f,
                "{}:{}:{}: {}",
                self.file.display(),
                self.line,
                self.column,
                self.kind
            )
        }
    }
}

impl std::error::Error for SettingsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
            let mut cause = std::error::Error::source(error);
            while let Some(source) = cause {
                write!(f, ": {}", shown(&source.to_string()))?;
                cause = source.source();
            }
            if let Some(help) = &error.help {
                write!(f, " ({})", shown(help))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for SettingsErrors {}
