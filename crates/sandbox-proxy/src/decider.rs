//! The host program's say in targets that no rule decides.

use sandbox_policy::Target;

use crate::BoxFuture;

/// Decides targets that no rule decides: a prompt, a service, a log.
///
/// An answer that takes longer than [`decision_timeout`](crate::ProxyConfig::decision_timeout), and
/// a panic (in a program whose panics unwind), count as a refusal.
pub trait Decide: Send + Sync + 'static {
    /// May the command connect to this target?
    fn decide<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Decision>;
}

/// A decider's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an answer is yes or no, and a third one must break every match"
)]
pub enum Decision {
    /// Yes, for this connection or request.
    Approve,
    /// No, with the reason that the command is told.
    Refuse(Option<String>),
}
