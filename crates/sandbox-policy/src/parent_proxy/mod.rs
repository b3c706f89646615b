//! Proxies between this host and the internet, by which permitted targets are reached.
//!
//! An organisation's network may have no other way out than its proxy. Which one is asked for a
//! target is decided here, by the target and the list of exceptions; that the target is permitted was
//! decided before.

mod bypass;

use std::{ffi::OsStr, fmt};

use percent_encoding::{percent_decode, percent_decode_str};

pub use bypass::ProxyBypass;

use crate::host::{Host, HostError, Port, Target};

/// A proxy, as its URL names it: `http://user:password@proxy.example:3128`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParentProxy {
    /// What it speaks.
    pub protocol: ParentProtocol,
    /// Where it is.
    pub host: Host,
    /// At which port.
    pub port: Port,
    /// What it wants to see.
    pub login: Option<ProxyLogin>,
}

/// What a parent proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParentProtocol {
    /// HTTP (RFC 9110 §9.3.6, RFC 9112 §3.2.2): names are looked up by the proxy.
    Http,
    /// SOCKS5 (RFC 1928) with addresses: names are looked up here.
    Socks5,
    /// SOCKS5 with names: they are looked up by the proxy.
    Socks5h,
}

/// A user's name and password, percent-decoded. They are shown nowhere.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyLogin {
    /// The user.
    pub user: Vec<u8>,
    /// The password.
    pub password: Vec<u8>,
}

/// What stands where a proxy is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ParentChoice {
    /// No proxy, whatever is said elsewhere: targets are reached directly.
    Direct,
    /// This one.
    Proxy(ParentProxy),
    /// Something that is no proxy that can be used: what would go through it is not reached at all.
    Unusable(ParentProxyError),
}

/// The proxies between this host and the internet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParentProxies {
    /// For plain HTTP requests.
    pub http: ParentChoice,
    /// For everything else.
    pub https: ParentChoice,
    /// What is reached directly.
    pub bypass: ProxyBypass,
}

/// Why a text names no proxy. It never repeats the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParentProxyError {
    /// Another scheme.
    #[error("a proxy's URL begins with `http://`, `socks5://` or `socks5h://`")]
    Scheme,
    /// `https://`.
    #[error("a proxy that is spoken to by TLS (`https://`) is not supported: use `http://`")]
    Tls,
    /// More than a host and a port.
    #[error("a proxy's URL has no path, query or fragment")]
    Path,
    /// No host, or none that is one.
    #[error("the proxy's host is none")]
    Host(#[source] HostError),
    /// A port that is none.
    #[error("the proxy's port is not between 1 and 65535")]
    Port,
    /// A user's name that the protocol can't carry.
    #[error("the user's name has a colon in it, which HTTP can't carry (RFC 7617 §2)")]
    UserColon,
    /// SOCKS5 carries 1 to 255 bytes (RFC 1929 §2).
    #[error("name and password of a SOCKS5 proxy have 1 to 255 bytes each")]
    LoginLength,
    /// What is reached without a proxy has an entry that is none.
    #[error("entry {number} is neither a host nor an address nor a range of addresses")]
    Bypass {
        /// Which, from 1.
        number: usize,
    },
}

impl ParentProxies {
    /// No proxies.
    #[must_use]
    pub fn none() -> Self {
        Self {
            http: ParentChoice::Direct,
            https: ParentChoice::Direct,
            bypass: ProxyBypass::nothing(),
        }
    }

    /// The proxy for a target: `plain_http` where it is asked for by a plain HTTP request. The
    /// loopback is here and never behind a proxy.
    #[must_use]
    pub fn choose(&self, target: &Target, plain_http: bool) -> &ParentChoice {
        let choice = if plain_http { &self.http } else { &self.https };
        match choice {
            ParentChoice::Direct => choice,
            ParentChoice::Proxy(_) | ParentChoice::Unusable(_) if self.spares(target) => {
                &ParentChoice::Direct
            }
            ParentChoice::Proxy(_) | ParentChoice::Unusable(_) => choice,
        }
    }

    /// Whether any of them has a login.
    #[must_use]
    pub fn have_login(&self) -> bool {
        self.http.has_login() || self.https.has_login()
    }

    /// Whether a text has one of their logins in it, as URLs have it.
    #[must_use]
    pub fn are_told_by(&self, text: &OsStr) -> bool {
        let pairs: Vec<_> = [&self.http, &self.https]
            .into_iter()
            .filter_map(ParentChoice::login)
            .map(|login| [&login.user[..], b":", &login.password].concat())
            .collect();
        // No longer than with every byte as an escape.
        let longest = pairs.iter().map(Vec::len).max().unwrap_or(0) * "%00".len();
        let bytes = text.as_encoded_bytes();
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'@');
        ends.into_iter().any(|(end, _)| {
            let before = bytes.get(end.saturating_sub(longest)..end);
            let before: Vec<u8> = percent_decode(before.unwrap_or_default()).collect();
            pairs.iter().any(|pair| before.ends_with(pair))
        })
    }

    fn spares(&self, target: &Target) -> bool {
        let is_loopback = match &target.host {
            Host::Name(_) => target.host.is_localhost(),
            Host::Ip(address) => address.is_loopback() || address.is_unspecified(),
        };
        is_loopback || self.bypass.matches(target)
    }
}

impl ParentChoice {
    /// The proxy that a text names; an empty text is none.
    #[must_use]
    pub fn read(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Direct;
        }
        match ParentProxy::parse(text) {
            Ok(proxy) => Self::Proxy(proxy),
            Err(error) => Self::Unusable(error),
        }
    }

    /// Whether a login is part of it.
    #[must_use]
    pub fn has_login(&self) -> bool {
        self.login().is_some()
    }

    fn login(&self) -> Option<&ProxyLogin> {
        match self {
            Self::Proxy(proxy) => proxy.login.as_ref(),
            Self::Direct | Self::Unusable(_) => None,
        }
    }
}

impl ParentProxy {
    /// Parses a URL. Without a scheme it is an HTTP proxy's `host[:port]`, as other programs have it.
    pub fn parse(text: &str) -> Result<Self, ParentProxyError> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "http" => ParentProtocol::Http,
            "socks5" => ParentProtocol::Socks5,
            "socks5h" => ParentProtocol::Socks5h,
            "https" => return Err(ParentProxyError::Tls),
            _ => return Err(ParentProxyError::Scheme),
        };
        // The last `@`: people leave those of passwords as they are.
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, rest),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains(['/', '?', '#']) {
            return Err(ParentProxyError::Path);
        }
        let (host, port) = split(authority, protocol)?;
        let login = login.filter(|login| !login.is_empty());
        let login = login.map(|text| ProxyLogin::parse(text, protocol));
        Ok(Self {
            protocol,
            host,
            port,
            login: login.transpose()?,
        })
    }

    /// Whether names are handed to the proxy as they are, so that it decides where they lead.
    #[must_use]
    pub fn looks_up(&self) -> bool {
        match self.protocol {
            ParentProtocol::Http | ParentProtocol::Socks5h => true,
            ParentProtocol::Socks5 => false,
        }
    }
}

impl ParentProtocol {
    /// The port where the URL has none: a URL's of this scheme, or the registered one (RFC 1928 §3).
    fn default_port(self) -> Option<Port> {
        Port::new(match self {
            Self::Http => 80,
            Self::Socks5 | Self::Socks5h => 1080,
        })
    }
}

impl ProxyLogin {
    fn parse(text: &str, protocol: ParentProtocol) -> Result<Self, ParentProxyError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
        let login = Self {
            user: decoded(user),
            password: decoded(password),
        };
        match protocol {
            ParentProtocol::Http if login.user.contains(&b':') => Err(ParentProxyError::UserColon),
            ParentProtocol::Http => Ok(login),
            ParentProtocol::Socks5 | ParentProtocol::Socks5h => {
                let fits = |part: &[u8]| (1..=255).contains(&part.len());
                if fits(&login.user) && fits(&login.password) {
                    Ok(login)
                } else {
                    Err(ParentProxyError::LoginLength)
                }
            }
        }
    }
}

/// Host and port of `host[:port]`. A host with colons needs its brackets.
fn split(authority: &str, protocol: ParentProtocol) -> Result<(Host, Port), ParentProxyError> {
    let host_length = match authority.find(']') {
        Some(bracket) if authority.starts_with('[') => bracket + 1,
        _ => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(host_length);
    let host = Host::parse(host.as_bytes()).map_err(ParentProxyError::Host)?;
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => protocol.default_port(),
        Some("") => protocol.default_port(),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().and_then(Port::new)
        }
        None | Some(_) => None,
    };
    Ok((host, port.ok_or(ParentProxyError::Port)?))
}

impl fmt::Debug for ProxyLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyLogin(…)")
    }
}

/// The URL without the login.
impl fmt::Display for ParentProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            ParentProtocol::Http => "http",
            ParentProtocol::Socks5 => "socks5",
            ParentProtocol::Socks5h => "socks5h",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// As settings are shown: never with a login.
impl fmt::Display for ParentChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("none"),
            Self::Proxy(proxy) if proxy.login.is_some() => write!(f, "{proxy} (with a login)"),
            Self::Proxy(proxy) => proxy.fmt(f),
            Self::Unusable(error) => write!(f, "unusable: {error}"),
        }
    }
}

#[cfg(test)]
mod tests;
