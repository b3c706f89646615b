//! The loopback of the host and that of the sandbox, port by port.
//!
//! The two are strangers. A *host port* is one whose server on the host's loopback appears on the
//! sandbox's: what an allow rule for `localhost`, `127.0.0.1` or `[::1]` with a port means, so it is
//! judged like any target. A *published port* is the other direction: a server inside appears on
//! the host's loopback, and on no other address of the host.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::domain::HostPattern;
use crate::host::{Host, Port, Target};
use crate::network::NetworkPolicy;
use crate::origin::Origin;
use crate::policy::Policy;
use crate::verdict::Verdict;

/// A port of the host's loopback that is there inside too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there are two families")]
pub struct HostPort {
    /// The port, on both sides.
    pub port: Port,
    /// Whether `127.0.0.1` leads there.
    pub v4: bool,
    /// Whether `::1` leads there.
    pub v6: bool,
}

/// A server inside that appears on the host's loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a mapping and its place")]
pub struct PublishedPort {
    /// Which port becomes which.
    pub mapping: PortMapping,
    /// Where it was written.
    pub origin: Origin,
}

/// `outside:inside`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a mapping has two ends")]
pub struct PortMapping {
    /// The port on the host's loopback.
    pub outside: Port,
    /// The port that the server inside listens on.
    pub inside: Port,
}

/// Why a text is no mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortMappingError {
    /// A part that is no port.
    #[error("`{part}` is no port: a port is a number from 1 to 65535")]
    Port {
        /// The part.
        part: String,
    },
    /// An address, or more parts than two.
    #[error("write `PORT` or `OUTSIDE:INSIDE`: ports are published on the host's loopback only")]
    Shape,
}

/// Ports that can't all be had at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortConflict {
    /// One port outside for two inside.
    #[error(
        "port {outside} can't be published twice: for {first} ({first_origin}) and for {second} ({second_origin})"
    )]
    Twice {
        /// The port on the host's loopback.
        outside: Port,
        /// The first port inside.
        first: Port,
        /// Where it was written.
        first_origin: String,
        /// The second port inside.
        second: Port,
        /// Where it was written.
        second_origin: String,
    },
    /// A port inside that belongs to the host's server of the same number.
    #[error(
        "port {inside} can't be published ({origin}): inside it is the host's own port, which the allow rules list"
    )]
    HostPort {
        /// The port inside.
        inside: Port,
        /// Where the mapping was written.
        origin: String,
    },
}

impl PortMapping {
    /// The same port on both sides.
    #[must_use]
    pub fn same(port: Port) -> Self {
        Self {
            outside: port,
            inside: port,
        }
    }

    /// Reads `3000` or `8080:3000`.
    pub fn parse(text: &str) -> Result<Self, PortMappingError> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(port), None, None) => parse_port(port).map(Self::same),
            (Some(outside), Some(inside), None) => Ok(Self {
                outside: parse_port(outside)?,
                inside: parse_port(inside)?,
            }),
            _ => Err(PortMappingError::Shape),
        }
    }
}

fn parse_port(text: &str) -> Result<Port, PortMappingError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = if plain { text.parse().ok() } else { None };
    number
        .and_then(Port::new)
        .ok_or_else(|| PortMappingError::Port {
            part: text.to_owned(),
        })
}

/// `outside:inside`; it parses to the same mapping.
impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.outside, self.inside)
    }
}

impl HostPort {
    /// Whether the address, which is the sandbox's loopback, leads to the host's.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        (self.v4 && address == Ipv4Addr::LOCALHOST) || (self.v6 && address == Ipv6Addr::LOCALHOST)
    }
}

impl NetworkPolicy {
    /// The ports of the host's loopback that allow rules name and no deny rule refuses, ascending.
    /// A rule for all ports of the loopback is none of them: it holds for the proxies alone.
    #[must_use]
    pub fn host_ports(&self) -> Vec<HostPort> {
        let mut ports = BTreeMap::new();
        for rule in self.allowed() {
            if let (Some(port), HostPattern::Exact(host)) = (rule.pattern.port, &rule.pattern.host)
                && host.is_loopback()
            {
                ports.entry(port).or_insert_with(|| self.host_port(port));
            }
        }
        ports.into_values().flatten().collect()
    }

    fn host_port(&self, port: Port) -> Option<HostPort> {
        let may = |address: IpAddr| {
            let target = Target::new(Host::Ip(address), port);
            matches!(self.judge(target), Verdict::Allow(_))
        };
        let (v4, v6) = (
            may(Ipv4Addr::LOCALHOST.into()),
            may(Ipv6Addr::LOCALHOST.into()),
        );
        (v4 || v6).then_some(HostPort { port, v4, v6 })
    }
}

impl Policy {
    /// Finds ports that can't all be had at once.
    pub fn check_ports(&self) -> Result<(), PortConflict> {
        let mut taken: BTreeMap<Port, &PublishedPort> = BTreeMap::new();
        let host_ports = if self.published_ports.is_empty() {
            Vec::new()
        } else {
            self.network.host_ports()
        };
        for published in &self.published_ports {
            let PortMapping { outside, inside } = published.mapping;
            if host_ports.iter().any(|host| host.port == inside) {
                return Err(PortConflict::HostPort {
                    inside,
                    origin: published.origin.to_string(),
                });
            }
            let first = taken.entry(outside).or_insert(published);
            if first.mapping != published.mapping {
                return Err(PortConflict::Twice {
                    outside,
                    first: first.mapping.inside,
                    first_origin: first.origin.to_string(),
                    second: inside,
                    second_origin: published.origin.to_string(),
                });
            }
        }
        Ok(())
    }
}
