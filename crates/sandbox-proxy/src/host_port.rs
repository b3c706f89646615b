//! The front end for single ports of the host's loopback.
//!
//! Such a port has a listener at the sandbox's loopback, where a program that knows nothing of
//! proxies finds it, and the listener's address is the target that is judged. The same server is
//! meant by `127.0.0.1` and `::1`, as a program takes either for `localhost`: where nothing accepts
//! at one of them, the other is tried, if the policy permits it as well.
//!
//! The user's own proxies have no part in this: the host's loopback is here, not behind them.
//!
//! The program's `connect` has succeeded by then, so a refusal, and a server that is not there, is a
//! reset.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use sandbox_policy::{Host, Port, Target};
use tokio::net::TcpStream;

use crate::{
    authorize::{Connection, OpenError},
    event::FrontEnd,
    external::Errand,
    serve::Session,
    tunnel::{self, Leg},
};

/// Serves one connection.
pub(crate) async fn serve(session: Session, stream: TcpStream) {
    let slot = session.slot.clone();
    tokio::select! {
        () = slot.closed() => {}
        () = carry(&session, stream) => {}
    }
}

async fn carry(session: &Session, stream: TcpStream) {
    let shared = &session.shared;
    // Without an address or a port the connection is none any more.
    let Some(target) = stream.local_addr().ok().and_then(target) else {
        return tunnel::reset(stream);
    };
    let Ok(Connection {
        stream: upstream,
        lease,
    }) = open(session, target).await
    else {
        return tunnel::reset(stream);
    };
    let client = Leg::new(stream, Bytes::new());
    let upstream = Leg::new(upstream, Bytes::new());
    let idle = shared.config.tunnel_idle_timeout;
    let revoked = lease.revoked(session, FrontEnd::HostPort);
    if let Err(error) = tunnel::relay(client, upstream, &shared.tunnels, idle, revoked).await {
        tracing::debug!(%error, "tunnel ended early");
    }
}

async fn open(session: &Session, target: Target) -> Result<Connection, OpenError> {
    let (gate, config) = (&session.shared.gate, &session.shared.config);
    let front_end = FrontEnd::HostPort;
    let authorized = match gate.authorize(target.clone(), config).await {
        Ok(authorized) => authorized,
        Err(denial) => return Err(gate.refuse(session.client, front_end, target, denial)),
    };
    let allowed = authorized.outcome();
    let other = authorized.also(sibling(&target));
    let mut opened = gate
        .reach(front_end, authorized, Errand::Tunnel, config)
        .await;
    if let (Err(OpenError::Connect(_)), Some(other)) = (&opened, other) {
        // What became of the address that was asked for is what is told.
        if let Ok(connection) = gate.reach(front_end, other, Errand::Tunnel, config).await {
            opened = Ok(connection);
        }
    }
    gate.report_opened(session.client, front_end, target, allowed, &opened);
    opened
}

fn target(destination: SocketAddr) -> Option<Target> {
    let port = Port::new(destination.port())?;
    Some(Target::new(Host::from_ip(destination.ip()), port))
}

/// The same port of the other family's loopback address.
fn sibling(target: &Target) -> Target {
    let address = if target.host == Host::Ip(Ipv4Addr::LOCALHOST.into()) {
        IpAddr::from(Ipv6Addr::LOCALHOST)
    } else {
        IpAddr::from(Ipv4Addr::LOCALHOST)
    };
    Target::new(Host::Ip(address), target.port)
}
