//! Refused attempts: what, by whom, which rule decided, and what would allow it.
//!
//! Every refusal that somebody can see, whoever saw it, becomes one [`Violation`] in the sandbox's
//! [`ViolationStore`]. All texts in it are inert: names of files, hosts and programs are the command's
//! to choose.

mod json;
mod limit;
mod remedy;
mod report;
mod store;

use std::{fmt, sync::Arc, time::SystemTime};

use sandbox_policy::{DenialReason, Operation, Origin};

pub(crate) use remedy::is_protected;
pub use remedy::{Remedy, SettingEntry};
pub(crate) use report::Reporter;
pub(crate) use store::{Refused, Refusee};
pub use store::{Subscription, ViolationStore, ViolationStream};

/// A refused attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// When it was refused.
    pub time: SystemTime,
    /// The key of the command that it belongs to; its words, unless the host program gave another
    /// ([`crate::Command::key`]).
    pub command: Arc<str>,
    /// The process, as this process's pid namespace numbers it, where it was found.
    pub pid: Option<i32>,
    /// What the process calls itself.
    pub program: Option<String>,
    /// The file that it runs.
    pub executable: Option<String>,
    /// What it attempted.
    pub operation: Operation,
    /// The system call by which it did, as the kernel's table names it.
    pub call: Option<&'static str>,
    /// On what: a path, `host:port`, a name, a call. What would deceive a reader is escaped.
    pub object: String,
    /// Why it was refused.
    pub reason: DenialReason,
    /// The rule that decided, and where it was written; none where a default did.
    pub rule: Option<(String, Origin)>,
    /// The rule's author's own words, or what else there is to say.
    pub note: Option<String>,
    /// What would allow it; none where nothing does.
    pub remedy: Option<Remedy>,
    /// How many more of the same kind were counted and not told one by one: before this one, or, in
    /// [`Untold`], after the last one that was told. All violations with their repeats are as many as
    /// were refused.
    pub repeats: u64,
    /// Whether it went on all the same, as this is a permissive run
    /// ([`crate::SandboxBuilder::permissive`]).
    pub permitted: bool,
}

/// Refusals that were counted, but not told one by one, as they came too fast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Untold {
    /// For each kind of which one was told: that one once more, standing for those that came after it.
    /// As each violation does, it stands for one and its `repeats`.
    pub groups: Vec<Violation>,
    /// How many there were besides, of which nothing is known but their number.
    pub others: u64,
}

impl Untold {
    /// `others` as one JSON object with the keys of a violation, of which most are null; none where there
    /// are none.
    #[must_use]
    pub fn others_line(&self) -> Option<impl serde::Serialize> {
        let repeats = self.others.checked_sub(1)?;
        Some(json::Others { repeats })
    }
}

impl Violation {
    /// The one line that upstream's tools expect: `deny openat /etc/hosts (writing is not allowed)`.
    /// Nothing in it moves the cursor or looks like a tag.
    #[must_use]
    pub fn line(&self) -> String {
        let attempt = match (self.reason, self.call) {
            // The object says it all.
            (DenialReason::CallRefused, _) => String::new(),
            (_, None) => format!("{} ", self.operation.code()),
            (_, Some(call)) => format!("{call} "),
        };
        let why = match (&self.note, &self.rule) {
            (Some(note), _) => note.clone(),
            (None, Some((rule, origin))) => format!("{}: {rule} of {origin}", self.reason),
            (None, None) => self.reason.to_string(),
        };
        let verdict = if self.permitted { "would deny" } else { "deny" };
        sandbox_proxy::plain_text(&format!("{verdict} {attempt}{} ({why})", self.object))
    }

    /// Whether both tell a reader the same.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.operation == other.operation
            && self.object == other.object
            && self.reason == other.reason
            && self.rule == other.rule
            && self.note == other.note
    }
}

/// As [`sandbox_policy::Denial`] has it: reason, object, rule and origin, the author's note.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.note, self.reason) {
            (Some(note), DenialReason::DeciderRefused) => {
                return write!(f, "{note}: `{}`", self.object);
            }
            _ => write!(f, "{}: `{}`", self.reason, self.object)?,
        }
        if let Some((rule, origin)) = &self.rule {
            write!(f, " (rule `{rule}` of {origin})")?;
        }
        match &self.note {
            Some(note) => write!(f, ": {note}"),
            None => Ok(()),
        }
    }
}
