//! What is reached without the parent proxy: the entries of `NO_PROXY`, as most programs read them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::ParentProxyError;
use crate::host::{Host, Port, Target};

/// Hosts that are reached directly.
///
/// Entries stand between commas or white space. `example.com`, `.example.com` and `*.example.com` are
/// that name and every name below it; an address or a range of addresses is about targets that are
/// addresses; `*` is everything; each may have a port at its end, and then is about that port only.
/// Entries that are none of this match nothing: the list only ever takes targets away from the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProxyBypass {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    hosts: Hosts,
    port: Option<Port>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Hosts {
    All,
    /// The name and those below it.
    Below(Host),
    Range(IpNet),
}

impl ProxyBypass {
    /// No entries.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Reads a list, without the entries that are none.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self {
            entries: words(text).filter_map(Entry::parse).collect(),
        }
    }

    /// Reads a list whose entries all have a meaning.
    ///
    /// # Errors
    /// [`ParentProxyError::Bypass`] for the first entry that has none.
    pub fn read(text: &str) -> Result<Self, ParentProxyError> {
        let entries = words(text).zip(1..).map(|(word, number)| {
            let entry = Entry::parse(word);
            entry.ok_or(ParentProxyError::Bypass { number })
        });
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a target is reached directly.
    #[must_use]
    pub fn matches(&self, target: &Target) -> bool {
        self.entries.iter().any(|entry| entry.matches(target))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|character: char| character == ',' || character.is_whitespace());
    words.filter(|word| !word.is_empty())
}

impl Entry {
    fn parse(word: &str) -> Option<Self> {
        if let Ok(range) = word.parse::<IpNet>() {
            return Some(Self::range(range, None));
        }
        // An IPv6 address has colons of its own.
        if let Ok(address) = word.parse::<IpAddr>() {
            return Some(Self::range(address.to_canonical().into(), None));
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, digits)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(Port::new(digits.parse().ok()?)?))
            }
            _ => (word, None),
        };
        if host == "*" {
            return Some(Self {
                hosts: Hosts::All,
                port,
            });
        }
        let bare = host.strip_prefix('*').unwrap_or(host);
        let bare = bare.strip_prefix('.').unwrap_or(bare);
        match Host::parse(bare.as_bytes()).ok()? {
            Host::Ip(address) => Some(Self::range(address.into(), port)),
            name @ Host::Name(_) => Some(Self {
                hosts: Hosts::Below(name),
                port,
            }),
        }
    }

    fn range(range: IpNet, port: Option<Port>) -> Self {
        let hosts = Hosts::Range(range.trunc());
        Self { hosts, port }
    }

    fn matches(&self, target: &Target) -> bool {
        if self.port.is_some_and(|port| port != target.port) {
            return false;
        }
        match (&self.hosts, &target.host) {
            (Hosts::All, _) => true,
            (Hosts::Below(name), host @ Host::Name(below)) => {
                let Host::Name(base) = name else {
                    return false;
                };
                host == name || below.parents().any(|parent| parent == base.as_str())
            }
            (Hosts::Range(range), Host::Ip(address)) => range.contains(&address.to_canonical()),
            (Hosts::Below(_), Host::Ip(_)) | (Hosts::Range(_), Host::Name(_)) => false,
        }
    }
}

impl fmt::Display for ProxyBypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match &entry.hosts {
                Hosts::All => f.write_str("*")?,
                Hosts::Below(name) => name.fmt(f)?,
                Hosts::Range(range) if range.prefix_len() == range.max_prefix_len() => {
                    Host::Ip(range.addr()).fmt(f)?;
                }
                Hosts::Range(range) => range.fmt(f)?,
            }
            if let Some(port) = entry.port {
                write!(f, ":{port}")?;
            }
        }
        Ok(())
    }
}
