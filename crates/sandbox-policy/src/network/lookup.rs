//! Judging the look-up of a name, when nobody knows yet which port it is for.

use super::NetworkPolicy;
use crate::host::HostName;
use crate::verdict::{Denial, DenialReason};

/// The answer to "may the command learn an address of this name?".
///
/// It promises nothing about a connection, which is judged by itself once its port is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum LookupVerdict {
    /// Some port of the name may be permitted.
    Allow,
    /// No port of it is.
    Deny(Denial),
    /// No rule decides: the host program may, once the port is known.
    Ask,
}

impl NetworkPolicy {
    /// May the command learn an address of this name?
    ///
    /// No, if a deny rule names it on all ports; yes, if an allow rule names it on any port; else
    /// it depends on the host program, unless the allowlist is strict.
    pub fn judge_lookup(&self, name: &HostName) -> LookupVerdict {
        if let Some(rule) = self.denied.find_name(name, true) {
            return LookupVerdict::Deny(Denial {
                reason: DenialReason::HostDenied,
                object: name.to_string(),
                rule: Some((rule.pattern.to_string(), rule.origin.clone())),
                note: rule.note.clone(),
            });
        }
        if self.allowed.find_name(name, false).is_some() {
            return LookupVerdict::Allow;
        }
        if self.strict {
            return LookupVerdict::Deny(Denial::by_default(
                DenialReason::HostNotAllowed,
                name.to_string(),
            ));
        }
        LookupVerdict::Ask
    }
}
