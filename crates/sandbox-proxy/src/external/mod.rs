//! The proxies by which permitted targets are reached: the user's own on this host, and those
//! between this host and the internet.
//!
//! They stand behind the gate, never in place of it: what they are asked for has been judged. A
//! *name* is handed to them as it is, so they look it up, and where it leads is theirs to judge:
//! the rules about resolved addresses can't apply. Address literals and `localhost` names, which
//! have an answer without any lookup elsewhere, are judged as always, and then asked for by the
//! address that was judged; so is every name where a SOCKS5 proxy is given addresses (`socks5://`).
//!
//! A proxy that fails is the end of the attempt: nothing is dialled in its place.

mod http;
mod route;
mod socks5;

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use sandbox_policy::{
    Host, ParentProtocol, ParentProxyError, Permit, Port, ResolvedTarget, Target,
};
use tokio::{net::TcpStream, time};

use crate::{
    config::ProxyConfig,
    resolve::Resolve,
    upstream::{self, ConnectError},
};

use route::Place;
pub(crate) use route::{Route, Way, is_anothers, way};

/// Proxies that listen on the host's `127.0.0.1`.
///
/// With one of them, everything goes through it. With both, what clients ask of the SOCKS5 front
/// end goes through the SOCKS proxy and the rest through the HTTP proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there are two kinds")]
pub struct ExternalProxies {
    /// Port of an HTTP proxy, which is asked for tunnels (CONNECT) only.
    pub http: Option<Port>,
    /// Port of a SOCKS5 proxy that wants no login.
    pub socks: Option<Port>,
}

/// What a proxy may be asked for: only what was judged can become one.
#[derive(Debug)]
pub(crate) enum Destination {
    /// The name of a permitted target.
    Named(Permit),
    /// The addresses of a target, judged too.
    Resolved(ResolvedTarget),
}

/// What a proxy is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// To open a tunnel.
    Tunnel,
    /// Nothing yet: the request that follows says it.
    Request,
}

/// A proxy did not open a tunnel.
#[derive(Debug, thiserror::Error)]
#[error("{proxy} opens no connection")]
struct ExternalProxyError {
    proxy: String,
    #[source]
    source: TunnelError,
}

/// Why a proxy did not open a tunnel.
#[derive(Debug, thiserror::Error)]
enum TunnelError {
    #[error("it can't be used: {0}")]
    Unusable(ParentProxyError),
    #[error("it is a published port, which leads back to the command")]
    Loop,
    #[error("its name can't be resolved")]
    Unknown(#[source] io::Error),
    #[error("nothing accepts there")]
    Unreachable(#[source] io::Error),
    #[error("the handshake broke off")]
    Exchange(#[from] io::Error),
    #[error("it took too long")]
    TimedOut,
    #[error("its answer is too long")]
    TooLong,
    #[error("its answer is malformed")]
    Malformed,
    #[error("it wants a login")]
    Login,
    #[error("it refuses the login")]
    LoginRefused,
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("it answered with reply {0}")]
    Reply(u8),
}

impl Destination {
    fn target(&self) -> &Target {
        match self {
            Self::Named(permit) => permit.target(),
            Self::Resolved(resolved) => resolved.target(),
        }
    }

    /// What the proxy is asked for, one after the other until one can be reached.
    fn spellings(&self) -> Vec<Target> {
        match self {
            Self::Named(permit) => vec![permit.target().clone()],
            Self::Resolved(resolved) => {
                let port = resolved.target().port;
                let literal =
                    |address: &std::net::SocketAddr| Target::new(Host::from_ip(address.ip()), port);
                resolved.addresses().iter().map(literal).collect()
            }
        }
    }
}

/// Has the proxy open a connection to the destination. The stream carries what follows the proxy's
/// answer, and nothing of the answer.
pub(crate) async fn open(
    route: Route<'_>,
    errand: Errand,
    destination: &Destination,
    resolver: &dyn Resolve,
    config: &ProxyConfig,
) -> Result<TcpStream, ConnectError> {
    let attempts = async {
        if errand == Errand::Request {
            return dial(&route, resolver, config).await;
        }
        let mut failure = TunnelError::Unreachable(io::ErrorKind::AddrNotAvailable.into());
        for target in destination.spellings() {
            match tunnel(&route, &target, resolver, config).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    };
    // The proxy looks up and dials before it answers, so its time is that of a dial.
    let opened = time::timeout(config.dial_timeout, attempts).await;
    opened
        .unwrap_or(Err(TunnelError::TimedOut))
        .map_err(|source| ConnectError {
            target: destination.target().clone(),
            source: source.seen_at(format!("the proxy at `{}`", route.place)),
        })
}

/// The failure to reach a target whose proxy can't be used.
pub(crate) fn blocked(target: Target, error: &ParentProxyError) -> ConnectError {
    ConnectError {
        target,
        source: TunnelError::Unusable(error.clone()).seen_at("the proxy on the way out".to_owned()),
    }
}

/// What a proxy on the way is to blame for, in words that name neither it nor its place: they are
/// for the command.
pub(crate) fn blame(error: &ConnectError) -> Option<String> {
    let inner = error.source.get_ref()?;
    let error = inner.downcast_ref::<ExternalProxyError>()?;
    Some(format!(
        "the proxy on the way out opens no connection: {}",
        error.source
    ))
}

async fn tunnel(
    route: &Route<'_>,
    target: &Target,
    resolver: &dyn Resolve,
    config: &ProxyConfig,
) -> Result<TcpStream, TunnelError> {
    let mut stream = dial(route, resolver, config).await?;
    match route.protocol {
        ParentProtocol::Http => http::connect(&mut stream, target, route.authorization()).await?,
        ParentProtocol::Socks5 | ParentProtocol::Socks5h => {
            socks5::connect(&mut stream, target, route.login).await?;
        }
    }
    Ok(stream)
}

async fn dial(
    route: &Route<'_>,
    resolver: &dyn Resolve,
    config: &ProxyConfig,
) -> Result<TcpStream, TunnelError> {
    let (addresses, port) = match route.place {
        Place::Own(port) => (vec![Ipv4Addr::LOCALHOST.into()], port),
        Place::Parent(Host::Ip(address), port) => (vec![*address], port),
        Place::Parent(Host::Name(name), port) => {
            let addresses = resolver.resolve(name).await;
            (addresses.map_err(TunnelError::Unknown)?, port)
        }
    };
    // Where no proxy listens the command would get what is meant for one, the login too.
    let is_here = |address: &IpAddr| {
        let address = address.to_canonical();
        address.is_loopback() || address.is_unspecified()
    };
    if config.inward_ports.contains(&port) && addresses.iter().any(is_here) {
        return Err(TunnelError::Loop);
    }
    let dialled = upstream::dial_proxy(&addresses, port, config).await;
    dialled.map_err(TunnelError::Unreachable)
}

impl TunnelError {
    /// As the failure to connect that it is for the front ends, which tell kinds apart.
    fn seen_at(self, proxy: String) -> io::Error {
        let kind = match &self {
            Self::Unreachable(error) | Self::Exchange(error) => error.kind(),
            Self::Unknown(_) => io::ErrorKind::HostUnreachable,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::TooLong | Self::Malformed => io::ErrorKind::InvalidData,
            Self::Login | Self::LoginRefused | Self::Loop | Self::Status(_) | Self::Unusable(_) => {
                io::ErrorKind::ConnectionRefused
            }
            Self::Reply(reply) => socks5::kind_of(*reply),
        };
        io::Error::new(
            kind,
            ExternalProxyError {
                proxy,
                source: self,
            },
        )
    }
}
