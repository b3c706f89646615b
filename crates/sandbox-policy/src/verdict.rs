//! Verdicts: permits that can't be forged, denials that explain themselves.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::address::{AddressClass, OwnAddresses};
use crate::filesystem::PathRule;
use crate::host::{Host, Target};
use crate::network::{DomainRule, NetworkPolicy};
use crate::origin::Origin;
use crate::protected::ProtectedPath;

/// The answer to "may the command connect to this target?".
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    /// Yes.
    Allow(Permit),
    /// No.
    Deny(Denial),
    /// No rule decides: the host program may.
    Ask(Question),
}

/// Proof that a target was permitted. Only [`NetworkPolicy::judge`] and [`Question::approve`] make one.
#[derive(Clone, Debug)]
pub struct Permit {
    target: Target,
    rule: Option<DomainRule>,
}

/// A target that no rule decides.
#[derive(Debug)]
pub struct Question {
    target: Target,
}

/// A permitted target with addresses that were judged.
#[derive(Clone, Debug)]
pub struct ResolvedTarget {
    target: Target,
    addresses: Vec<SocketAddr>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Stable code of the reason.
    pub reason: DenialReason,
    /// What was asked for, as it may be shown (host:port or path; not yet sanitised).
    pub object: String,
    /// The rule's text and origin; `None` where the default decided.
    pub rule: Option<(String, Origin)>,
    /// The settings author's own words (`deniedDomainReasons`).
    pub note: Option<String>,
}

/// Why something was refused. Codes are API: see [`DenialReason::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenialReason {
    /// A deny rule names the host.
    HostDenied,
    /// No allow rule names the host.
    HostNotAllowed,
    /// The host is not a host.
    MalformedHost,
    /// The name leads to an address that names must not lead to.
    AddressDenied(AddressClass),
    /// `localhost` or a name below it leads to an address that is not loopback.
    LocalhostElsewhere,
    /// The decider said no (or said nothing in time).
    DeciderRefused,
    /// A `denyRead` rule (or a preset) closes the path.
    ReadDenied,
    /// A `denyWrite` rule or a protected path.
    WriteDenied,
    /// No `allowWrite` rule opens the path.
    WriteNotAllowed,
    /// No `allowUnixSockets` entry names the socket, and nothing inside made it.
    SocketNotListed,
    /// The sandbox has no such system call, or not with these arguments.
    CallRefused,
}

impl Permit {
    pub(crate) fn by_rule(target: Target, rule: DomainRule) -> Self {
        Self {
            target,
            rule: Some(rule),
        }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The rule that permitted it; `None` where a decider approved.
    #[must_use]
    pub fn rule(&self) -> Option<&DomainRule> {
        self.rule.as_ref()
    }

    /// Judges what a name resolved to: refused addresses are dropped, and if none is left the
    /// denial names the first one's class. For an address target `addresses` is that address (any
    /// other is ignored), which its own listing permits; where only a decider approved it, it must
    /// be an ordinary address as well.
    pub fn resolve(
        self,
        policy: &NetworkPolicy,
        addresses: &[IpAddr],
        own: &OwnAddresses,
    ) -> Result<ResolvedTarget, Denial> {
        // An address target is judged like any other address: its own listing is the carve-out,
        // and a rule that permits it without naming it is not enough.
        let addresses = match &self.target.host {
            Host::Ip(address) => policy.judge_addresses(&self.target, &[*address], own)?,
            Host::Name(_) => policy.judge_addresses(&self.target, addresses, own)?,
        };
        Ok(ResolvedTarget {
            target: self.target,
            addresses,
        })
    }
}

impl Question {
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The host program said yes.
    #[must_use]
    pub fn approve(self) -> Permit {
        Permit {
            target: self.target,
            rule: None,
        }
    }

    /// The host program said no, with its reason if it has one.
    #[must_use]
    pub fn refuse(self, note: Option<String>) -> Denial {
        Denial {
            note,
            ..Denial::by_default(DenialReason::DeciderRefused, self.target.to_string())
        }
    }

    /// There is no host program to ask: no rule allows the target, so it is refused.
    #[must_use]
    pub fn unanswered(self) -> Denial {
        Denial::by_default(DenialReason::HostNotAllowed, self.target.to_string())
    }
}

impl ResolvedTarget {
    /// The target that was asked for.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Addresses to dial, in the resolver's order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Denial {
    /// A refusal that no rule caused.
    #[must_use]
    pub fn by_default(reason: DenialReason, object: String) -> Self {
        Self {
            reason,
            object,
            rule: None,
            note: None,
        }
    }

    pub(crate) fn by_domain_rule(reason: DenialReason, target: &Target, rule: &DomainRule) -> Self {
        Self {
            reason,
            object: target.to_string(),
            rule: Some((rule.pattern.to_string(), rule.origin.clone())),
            note: rule.note.clone(),
        }
    }

    pub(crate) fn by_protection(object: String, row: &ProtectedPath) -> Self {
        Self {
            reason: DenialReason::WriteDenied,
            object,
            rule: Some((row.path.to_owned(), Origin::BuiltIn(row.reason))),
            note: None,
        }
    }

    pub(crate) fn by_path_rule(reason: DenialReason, object: String, rule: &PathRule) -> Self {
        Self {
            reason,
            object,
            rule: Some((rule.pattern.to_string(), rule.origin.clone())),
            note: None,
        }
    }
}

/// One line: reason, object, rule and origin, the author's note.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who said no has said why, and need not be a user.
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

impl DenialReason {
    /// The stable code, such as `host_not_allowed`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::HostDenied => "host_denied",
            Self::HostNotAllowed => "host_not_allowed",
            Self::MalformedHost => "malformed_host",
            Self::AddressDenied(AddressClass::Loopback) => "address_loopback",
            Self::AddressDenied(AddressClass::Unspecified) => "address_unspecified",
            Self::AddressDenied(AddressClass::LinkLocal) => "address_link_local",
            Self::AddressDenied(AddressClass::Multicast) => "address_multicast",
            Self::AddressDenied(AddressClass::Broadcast) => "address_broadcast",
            Self::AddressDenied(AddressClass::Metadata) => "address_metadata",
            Self::AddressDenied(AddressClass::OwnHost) => "address_own_host",
            Self::AddressDenied(AddressClass::Listed) => "address_denied",
            Self::LocalhostElsewhere => "localhost_elsewhere",
            Self::DeciderRefused => "decider_refused",
            Self::ReadDenied => "read_denied",
            Self::WriteDenied => "write_denied",
            Self::WriteNotAllowed => "write_not_allowed",
            Self::SocketNotListed => "socket_not_listed",
            Self::CallRefused => "call_refused",
        }
    }

    /// The phrase for people, such as `host is not on the allow list` (phrases that upstream has are kept word for word).
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::HostDenied => "host is on the deny list",
            Self::HostNotAllowed => "host is not on the allow list",
            Self::MalformedHost => "malformed host",
            Self::AddressDenied(AddressClass::Loopback) => "resolved to a loopback address",
            Self::AddressDenied(AddressClass::Unspecified) => "resolved to an unspecified address",
            Self::AddressDenied(AddressClass::LinkLocal) => "resolved to a link-local address",
            Self::AddressDenied(AddressClass::Multicast) => "resolved to a multicast address",
            Self::AddressDenied(AddressClass::Broadcast) => "resolved to the broadcast address",
            Self::AddressDenied(AddressClass::Metadata) => "resolved to a cloud metadata address",
            Self::AddressDenied(AddressClass::OwnHost) => "resolved to an address of this host",
            Self::AddressDenied(AddressClass::Listed) => "resolved to a denied address",
            Self::LocalhostElsewhere => "localhost resolved to an address that is not loopback",
            Self::DeciderRefused => "user denied",
            Self::ReadDenied => "reading is denied",
            Self::WriteDenied => "writing is denied",
            Self::WriteNotAllowed => "writing is not allowed",
            Self::SocketNotListed => "socket of the host is not listed",
            Self::CallRefused => "the system call is refused",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phrase())
    }
}
