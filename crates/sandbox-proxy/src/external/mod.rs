//! The user's own proxies on this host, by which permitted targets are reached.
//!
//! They stand behind the gate, never in place of it: what they are asked for has been judged. A
//! *name* is handed to them as it is, so they look it up, and where it leads is theirs to judge:
//! the rules about resolved addresses can't apply. Address literals and `localhost` names, which
//! have an answer without any lookup elsewhere, are judged as always, and then asked for by the
//! address that was judged.

mod http;
mod socks5;

use std::io;

use sandbox_policy::{Host, Permit, Port, ResolvedTarget, Target};
use tokio::{net::TcpStream, time};

use crate::{
    config::ProxyConfig,
    event::FrontEnd,
    upstream::{self, ConnectError},
};

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

/// The proxy for one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Http(Port),
    Socks(Port),
}

/// What a proxy may be asked for: only what was judged can become one.
#[derive(Debug)]
pub(crate) enum Destination {
    /// The name of a permitted target.
    Named(Permit),
    /// The addresses of a target, judged too.
    Resolved(ResolvedTarget),
}

/// A proxy did not open a tunnel.
#[derive(Debug, thiserror::Error)]
#[error("the proxy at `127.0.0.1:{port}` opens no connection")]
struct ExternalProxyError {
    port: Port,
    #[source]
    source: TunnelError,
}

/// Why a proxy did not open a tunnel.
#[derive(Debug, thiserror::Error)]
enum TunnelError {
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
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("it answered with reply {0}")]
    Reply(u8),
}

impl ExternalProxies {
    /// Whether there is one.
    pub(crate) fn any(self) -> bool {
        self.http.or(self.socks).is_some()
    }

    /// The proxy for what came in by a front end; `None` where targets are dialled directly.
    pub(crate) fn route(self, front_end: FrontEnd) -> Option<Route> {
        let http = self.http.map(Route::Http);
        let socks = self.socks.map(Route::Socks);
        match front_end {
            FrontEnd::HostPort => None,
            FrontEnd::Socks5 => socks.or(http),
            FrontEnd::HttpConnect
            | FrontEnd::HttpForward
            | FrontEnd::Transparent
            | FrontEnd::Dns => http.or(socks),
        }
    }
}

impl Route {
    fn port(self) -> Port {
        match self {
            Self::Http(port) | Self::Socks(port) => port,
        }
    }
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

/// Whether the lookup of a target's host is left to a proxy.
pub(crate) fn looks_up(host: &Host) -> bool {
    matches!(host, Host::Name(_)) && !host.is_localhost()
}

/// Has the proxy open a connection to the destination. The stream carries what follows the proxy's
/// answer, and nothing of the answer.
pub(crate) async fn open(
    route: Route,
    destination: &Destination,
    config: &ProxyConfig,
) -> Result<TcpStream, ConnectError> {
    let attempts = async {
        let mut failure = TunnelError::Unreachable(io::ErrorKind::AddrNotAvailable.into());
        for target in destination.spellings() {
            match tunnel(route, &target, config).await {
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
            source: source.seen_at(route.port()),
        })
}

async fn tunnel(
    route: Route,
    target: &Target,
    config: &ProxyConfig,
) -> Result<TcpStream, TunnelError> {
    let mut stream = upstream::dial_loopback(route.port(), config)
        .await
        .map_err(TunnelError::Unreachable)?;
    match route {
        Route::Http(_) => http::connect(&mut stream, target).await?,
        Route::Socks(_) => socks5::connect(&mut stream, target).await?,
    }
    Ok(stream)
}

impl TunnelError {
    /// As the failure to connect that it is for the front ends, which tell kinds apart.
    fn seen_at(self, port: Port) -> io::Error {
        let kind = match &self {
            Self::Unreachable(error) | Self::Exchange(error) => error.kind(),
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::TooLong | Self::Malformed => io::ErrorKind::InvalidData,
            Self::Login | Self::Status(_) => io::ErrorKind::ConnectionRefused,
            Self::Reply(reply) => socks5::kind_of(*reply),
        };
        io::Error::new(kind, ExternalProxyError { port, source: self })
    }
}
