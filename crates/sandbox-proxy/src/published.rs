//! The other direction: from the host's loopback to servers inside.
//!
//! Nothing is judged here. Who publishes a port has said that whoever reaches the host's loopback may
//! talk to what listens at the port inside. The program that listens may do so on either loopback
//! address, and later than its clients come: while nobody listens, each gets a reset at once.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use sandbox_policy::Port;
use tokio::net::TcpStream;

use crate::{
    serve::Session,
    tunnel::{self, Leg},
    upstream,
};

/// The way into a sandbox's network.
pub trait Enter: Send + Sync {
    /// A non-blocking TCP socket in the sandbox's network that is not connected yet, for a connection
    /// to this address there. It must not wait.
    fn socket(&self, for_address: IpAddr) -> io::Result<std::net::TcpStream>;
}

/// Serves one connection.
pub(crate) async fn serve(
    session: Session,
    stream: TcpStream,
    entrance: Arc<dyn Enter>,
    inside: Port,
) {
    let slot = session.slot.clone();
    tokio::select! {
        () = slot.closed() => {}
        () = carry(&session, stream, &*entrance, inside) => {}
    }
}

async fn carry(session: &Session, stream: TcpStream, entrance: &dyn Enter, inside: Port) {
    let shared = &session.shared;
    let server = match open(session, &stream, entrance, inside).await {
        Ok(server) => server,
        Err(error) => {
            tracing::debug!(%error, %inside, "nobody accepts at a published port");
            return tunnel::reset(stream);
        }
    };
    let client = Leg::new(stream, Bytes::new());
    let server = Leg::new(server, Bytes::new());
    let idle = shared.config.tunnel_idle_timeout;
    // Who may connect from outside is no matter of the rules about hosts.
    let never = std::future::pending();
    if let Err(error) = tunnel::relay(client, server, &shared.tunnels, idle, never).await {
        tracing::debug!(%error, %inside, "tunnel ended early");
    }
}

/// Connects to the server, first in the family that the client came in.
async fn open(
    session: &Session,
    client: &TcpStream,
    entrance: &dyn Enter,
    inside: Port,
) -> io::Result<TcpStream> {
    let (v4, v6) = (
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    );
    let order = if client.local_addr()?.is_ipv4() {
        [v4, v6]
    } else {
        [v6, v4]
    };
    let mut failure = None;
    for address in order {
        let attempt = async {
            let socket = entrance.socket(address)?;
            let address = SocketAddr::new(address, inside.get());
            upstream::enter(socket, address, &session.shared.config).await
        };
        match attempt.await {
            Ok(server) => return Ok(server),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::ConnectionRefused.into()))
}
