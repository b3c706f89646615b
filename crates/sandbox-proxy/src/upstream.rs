//! Dials resolved targets, and servers inside: the only outgoing connects of the workspace.
//!
//! Addresses are tried in the resolver's order. An address that has not answered after a short head
//! start gets company by the next one, and the first to accept wins (RFC 8305 §5, without its
//! sorting).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use sandbox_policy::{Port, ResolvedTarget, Target};
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time,
};

use crate::{config::ProxyConfig, loopback};

/// A permitted target can't be reached.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to `{target}`")]
pub(crate) struct ConnectError {
    pub(crate) target: Target,
    #[source]
    pub(crate) source: io::Error,
}

/// Connects to the first address that accepts.
pub(crate) async fn dial(
    target: &ResolvedTarget,
    config: &ProxyConfig,
) -> Result<TcpStream, ConnectError> {
    let race = race(target.addresses(), config);
    let connected = time::timeout(config.dial_timeout, race)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
    connected.map_err(|source| ConnectError {
        target: target.target().clone(),
        source,
    })
}

/// Connects to a proxy that the user named, which may be anywhere.
pub(crate) async fn dial_proxy(
    addresses: &[IpAddr],
    port: Port,
    config: &ProxyConfig,
) -> io::Result<TcpStream> {
    let place = |address: &IpAddr| SocketAddr::new(*address, port.get());
    let addresses: Vec<_> = addresses.iter().map(place).collect();
    race(&addresses, config).await
}

/// Connects a socket of a sandbox's network to a server there.
pub(crate) async fn enter(
    socket: std::net::TcpStream,
    address: SocketAddr,
    config: &ProxyConfig,
) -> io::Result<TcpStream> {
    let connecting = TcpSocket::from_std_stream(socket).connect(address);
    let stream = time::timeout(config.connect_timeout, connecting)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    loopback::unpace(&stream);
    Ok(stream)
}

async fn race(addresses: &[SocketAddr], config: &ProxyConfig) -> io::Result<TcpStream> {
    // Dropping the set ends the attempts that lost.
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.iter().copied();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(attempt(address, config.connect_timeout));
        }
        let head_start = if waiting.len() == 0 {
            Duration::MAX
        } else {
            config.dial_stagger
        };
        match time::timeout(head_start, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => failure = error,
            Ok(Some(Err(error))) => failure = io::Error::other(error),
            Ok(None) => return Err(failure),
            Err(_head_start_over) => {}
        }
    }
}

async fn attempt(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place for outgoing connections"
    )]
    let connecting = TcpStream::connect(address);
    let stream = time::timeout(limit, connecting)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))?;
    // A relay must not hold back what the client meant to send now.
    stream.set_nodelay(true)?;
    if address.ip().to_canonical().is_loopback() {
        loopback::unpace(&stream);
    }
    Ok(stream)
}
