//! Which hosts may be reached.
//!
//! Order: denied rules, allowed rules, then (unless the allowlist is strict) a question to the host
//! program, else no. An empty policy permits nothing.

mod index;
mod lookup;
mod resolved;

use crate::address::AddressRule;
use crate::domain::DomainPattern;
use crate::host::{Host, Target};
use crate::origin::Origin;
use crate::verdict::{Denial, DenialReason, Permit, Question, Verdict};
use index::{AddressIndex, HostIndex};

pub use lookup::LookupVerdict;

/// One entry of an allow or deny list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRule {
    /// What it names.
    pub pattern: DomainPattern,
    /// Where it was written.
    pub origin: Origin,
    /// Text for the refusal (`deniedDomainReasons`).
    pub note: Option<String>,
}

/// The network half of a policy. Lookup cost does not grow with the number of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPolicy {
    allowed: HostIndex,
    denied: HostIndex,
    denied_addresses: AddressIndex,
    strict: bool,
}

impl NetworkPolicy {
    /// A policy out of its rules. Where several rules name a target, verdicts name the first.
    #[must_use]
    pub fn new(
        allowed: Vec<DomainRule>,
        denied: Vec<DomainRule>,
        denied_addresses: Vec<AddressRule>,
    ) -> Self {
        Self {
            allowed: HostIndex::new(allowed),
            denied: HostIndex::new(denied),
            denied_addresses: AddressIndex::new(denied_addresses),
            strict: false,
        }
    }

    /// No network at all: no rules, and nobody is asked.
    #[must_use]
    pub fn blocked() -> Self {
        Self::new(Vec::new(), Vec::new(), Vec::new()).strict(true)
    }

    /// With a strict allowlist nobody is asked about what no rule names.
    #[must_use]
    pub fn strict(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// With one more allow rule, at the end of the list.
    #[must_use]
    pub fn with_allowed(mut self, rule: DomainRule) -> Self {
        self.allowed = self.allowed.with(rule);
        self
    }

    /// With one more deny rule, at the end of the list.
    #[must_use]
    pub fn with_denied(mut self, rule: DomainRule) -> Self {
        self.denied = self.denied.with(rule);
        self
    }

    /// The allow rules.
    #[must_use]
    pub fn allowed(&self) -> &[DomainRule] {
        self.allowed.rules()
    }

    /// The deny rules.
    #[must_use]
    pub fn denied(&self) -> &[DomainRule] {
        self.denied.rules()
    }

    /// The address rules.
    #[must_use]
    pub fn denied_addresses(&self) -> &[AddressRule] {
        self.denied_addresses.rules()
    }

    /// Whether nobody is asked about what no rule names.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Whether no target at all can be permitted, so that no proxy is needed.
    #[must_use]
    pub fn permits_nothing(&self) -> bool {
        self.strict && self.allowed().is_empty()
    }

    /// May the command connect to this target?
    pub fn judge(&self, target: Target) -> Verdict {
        let target = match target.host {
            // `Host::Ip` can be built by hand: no spelling may get around a rule.
            Host::Ip(address) => Target {
                host: Host::from_ip(address),
                ..target
            },
            Host::Name(_) => target,
        };
        if let Some(rule) = self.denied.find(&target) {
            return Verdict::Deny(Denial::by_domain_rule(
                DenialReason::HostDenied,
                &target,
                rule,
            ));
        }
        match self.allowed.find(&target) {
            Some(rule) => Verdict::Allow(Permit::by_rule(target, rule.clone())),
            None if self.strict => Verdict::Deny(Denial::by_default(
                DenialReason::HostNotAllowed,
                target.to_string(),
            )),
            None => Verdict::Ask(Question::new(target)),
        }
    }
}
