//! Patterns of allow and deny lists: hosts, wildcards, ports.

mod error;
mod parse;

use std::fmt;

use crate::host::{Host, HostName, Port, Target};

pub use error::DomainPatternError;

/// A pattern for hosts with an optional port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DomainPattern {
    /// The host part.
    pub host: HostPattern,
    /// Only this port; any port where none is given.
    pub port: Option<Port>,
}

/// The host part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `*`: deny lists only.
    Any,
    /// This host.
    Exact(Host),
    /// `*.x`: strict subdomains of x at any depth; never the apex, never an address.
    Subdomains(HostName),
}

impl DomainPattern {
    /// Reads an entry of an allow list.
    pub fn parse_allow(text: &str) -> Result<Self, DomainPatternError> {
        match parse::pattern(text)? {
            Self {
                host: HostPattern::Any,
                ..
            } => Err(DomainPatternError::AnyInAllowList {
                text: text.to_owned(),
            }),
            pattern => Ok(pattern),
        }
    }

    /// Reads an entry of a deny list, where `*` and `*:port` are legal.
    pub fn parse_deny(text: &str) -> Result<Self, DomainPatternError> {
        parse::pattern(text)
    }

    /// `localhost` at one port.
    #[must_use]
    pub fn localhost(port: Port) -> Self {
        Self {
            host: HostPattern::Exact(Host::localhost()),
            port: Some(port),
        }
    }

    /// Whether the target is named.
    #[must_use]
    pub fn matches(&self, target: &Target) -> bool {
        self.port.is_none_or(|port| port == target.port) && self.host.matches(&target.host)
    }
}

impl HostPattern {
    /// Whether the host is named.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            // A program that is told `localhost` connects to one of these, so they are the same host.
            (Self::Exact(named @ Host::Name(_)), Host::Ip(_)) => {
                *named == Host::localhost() && host.is_loopback()
            }
            (Self::Exact(named), host) => named == host,
            (Self::Subdomains(apex), Host::Name(name)) => {
                name.parents().any(|parent| parent == apex.as_str())
            }
            (Self::Subdomains(_), Host::Ip(_)) => false,
        }
    }
}

/// The canonical text; it parses to the same pattern.
impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(host) => host.fmt(f),
            Self::Subdomains(apex) => write!(f, "*.{apex}"),
        }
    }
}
