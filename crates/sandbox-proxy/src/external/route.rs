//! Which proxy a target is reached by: one of the user's own on this host, one between this host and
//! the internet, or none.

use std::fmt;

use http::HeaderValue;
use sandbox_policy::{
    Host, HostName, ParentChoice, ParentProtocol, ParentProxyError, Port, ProxyLogin, Target,
};

use crate::{config::ProxyConfig, event::FrontEnd};

/// How a target is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'c> {
    /// It is dialled.
    Direct,
    /// This proxy is asked for it.
    By(Route<'c>),
    /// Not at all: its proxy can't be used.
    Blocked(&'c ParentProxyError),
}

/// The proxy for one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'c> {
    pub(super) protocol: ParentProtocol,
    pub(super) place: Place<'c>,
    pub(super) login: Option<&'c ProxyLogin>,
}

/// Where a proxy listens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'c> {
    /// At a port of `127.0.0.1`.
    Own(Port),
    /// Elsewhere.
    Parent(&'c Host, Port),
}

/// The way for what came in by a front end. The host's loopback is here and not behind a proxy;
/// proxies of the user's own, who asked for them, stand before any other.
pub(crate) fn way<'c>(config: &'c ProxyConfig, front_end: FrontEnd, target: &Target) -> Way<'c> {
    if front_end == FrontEnd::HostPort {
        return Way::Direct;
    }
    let own = |protocol| {
        move |port| Route {
            protocol,
            place: Place::Own(port),
            login: None,
        }
    };
    let http = config.external.http.map(own(ParentProtocol::Http));
    let socks = config.external.socks.map(own(ParentProtocol::Socks5h));
    let own = match front_end {
        FrontEnd::Socks5 => socks.or(http),
        FrontEnd::HttpConnect
        | FrontEnd::HttpForward
        | FrontEnd::Transparent
        | FrontEnd::HostPort
        | FrontEnd::Dns => http.or(socks),
    };
    if let Some(route) = own {
        return Way::By(route);
    }
    let plain_http = front_end == FrontEnd::HttpForward;
    match config.parents.choose(target, plain_http) {
        ParentChoice::Direct => Way::Direct,
        ParentChoice::Proxy(proxy) => Way::By(Route {
            protocol: proxy.protocol,
            place: Place::Parent(&proxy.host, proxy.port),
            login: proxy.login.as_ref(),
        }),
        ParentChoice::Unusable(error) => Way::Blocked(error),
    }
}

/// Whether a name is known to a proxy only, so that nobody here is asked about it.
pub(crate) fn is_anothers(config: &ProxyConfig, name: &HostName) -> bool {
    let Some(https) = Port::new(HTTPS_PORT) else {
        return false;
    };
    let target = Target::new(Host::Name(name.clone()), https);
    match way(config, FrontEnd::Dns, &target) {
        Way::Direct => false,
        Way::By(route) => route.looks_up(&target.host),
        Way::Blocked(_) => true,
    }
}

impl Route<'_> {
    /// Whether the lookup of a target's host is left to the proxy.
    pub(crate) fn looks_up(&self, host: &Host) -> bool {
        let takes_names = match self.protocol {
            ParentProtocol::Http | ParentProtocol::Socks5h => true,
            ParentProtocol::Socks5 => false,
        };
        takes_names && matches!(host, Host::Name(_)) && !host.is_localhost()
    }

    /// Whether plain HTTP requests are handed to the proxy, which forwards them (RFC 9112 §3.2.2),
    /// instead of having it open a tunnel.
    pub(crate) fn forwards(&self) -> bool {
        matches!(self.place, Place::Parent(..)) && self.protocol == ParentProtocol::Http
    }

    /// The value of `Proxy-Authorization` (RFC 7617 §2), if the proxy wants one.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let login = self.login?;
        let pair = [&login.user[..], b":", &login.password[..]].concat();
        let value = format!("Basic {}", data_encoding::BASE64.encode(&pair));
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Host and port, never the login.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(port) => write!(f, "127.0.0.1:{port}"),
            Self::Parent(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// The port of a name that is looked up without any.
const HTTPS_PORT: u16 = 443;
