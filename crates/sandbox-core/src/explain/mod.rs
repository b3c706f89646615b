//! Verdicts with their reasons, without running anything.
//!
//! Every answer is taken from what enforces it: files from the policy as the platform has resolved
//! it for this host, and from what its plan shows at a path; hosts from the network policy that the
//! proxies judge by. What decides later, or elsewhere, is said in a remark: the modes and owners of
//! files, the addresses that a name leads to, what the kernel thinks of a file of `/proc`.

mod files;
mod hosts;
mod reason;
mod walk;

use std::path::PathBuf;

use sandbox_policy::{Denial, Operation, Origin, PROTECTED_PATHS, PathRule, Port, ProtectedPath};

pub use reason::{AllowReason, ExplainedReason, RefusalReason};

use crate::sandbox::Sandbox;

/// Something that a command could try.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attempt {
    /// To read a file or list a directory. Relative to the sandbox's working directory.
    Read(PathBuf),
    /// To create, change or remove what is at a path.
    Write(PathBuf),
    /// To connect to a host by its name or address.
    Connect {
        /// The host, as a client would send it.
        host: String,
        /// The port.
        port: Port,
    },
    /// To learn an address of a name.
    Resolve(String),
    /// To connect to a Unix socket of the host's.
    Socket(PathBuf),
}

impl Attempt {
    /// What kind of attempt it is.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Read(_) => Operation::FileRead,
            Self::Write(_) => Operation::FileWrite,
            Self::Connect { .. } => Operation::Connect,
            Self::Resolve(_) => Operation::Lookup,
            Self::Socket(_) => Operation::UnixSocket,
        }
    }
}

/// What would become of an [`Attempt`], and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The verb of the attempt: `read`, `write`, `connect`, `resolve`, `socket`.
    pub operation: &'static str,
    /// What was asked about, in canonical spelling.
    pub object: String,
    /// Where its symlinks lead, if that is another path.
    pub leads_to: Option<String>,
    /// The verdict with its reason.
    pub reason: ExplainedReason,
    /// The text of the rule that decided, and where it was written; none where a default decided.
    pub rule: Option<(String, Origin)>,
    /// The settings author's own words.
    pub note: Option<String>,
    /// What the reader should know besides.
    pub remarks: Vec<String>,
}

impl Explanation {
    /// Whether the attempt would be permitted.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        match self.reason {
            ExplainedReason::Allowed(_) => true,
            ExplainedReason::Refused(_) => false,
        }
    }

    /// The name of the protected path that refused a change, by which settings can open it.
    #[must_use]
    pub fn protected_path(&self) -> Option<&'static str> {
        let (text, Origin::BuiltIn(_)) = self.rule.as_ref()? else {
            return None;
        };
        let is_named = |row: &&ProtectedPath| row.path == text;
        let row = PROTECTED_PATHS.iter().find(is_named)?;
        (!self.is_allowed()).then_some(row.path)
    }

    pub(crate) fn new(operation: &'static str, object: String, reason: ExplainedReason) -> Self {
        Self {
            operation,
            object,
            leads_to: None,
            reason,
            rule: None,
            note: None,
            remarks: Vec::new(),
        }
    }

    fn refused_by(operation: &'static str, object: String, denial: Denial) -> Self {
        let reason = RefusalReason::Policy(denial.reason);
        let mut explanation = Self::new(operation, object, reason.into());
        explanation.rule = denial.rule;
        explanation.note = denial.note;
        explanation
    }

    fn with_rule(mut self, rule: &PathRule) -> Self {
        self.rule = Some((rule.pattern.to_string(), rule.origin.clone()));
        self
    }

    fn remark(mut self, text: impl Into<String>) -> Self {
        self.remarks.push(text.into());
        self
    }
}

/// What would become of an attempt in a sandbox.
pub(crate) fn explain(sandbox: &Sandbox, attempt: &Attempt) -> Explanation {
    match attempt {
        Attempt::Read(path) => files::read(sandbox, path),
        Attempt::Write(path) => files::write(sandbox, path),
        Attempt::Socket(path) => files::socket(sandbox, path),
        Attempt::Connect { host, port } => hosts::connect(sandbox, host, *port),
        Attempt::Resolve(name) => hosts::resolve(sandbox, name),
    }
}
