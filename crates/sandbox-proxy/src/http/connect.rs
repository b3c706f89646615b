//! CONNECT: the tunnel is opened upstream first, so the answer tells the truth.

use http::{Request, Response};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use sandbox_policy::Target;
use tokio::net::TcpStream;

use super::{
    respond::{Content, RequestError, tunnel_opened},
    wire::Wire,
};
use crate::{
    authorize::Connection,
    event::FrontEnd,
    lease::Lease,
    serve::Session,
    tunnel::{self, Leg},
};

/// Opens the tunnel and answers 200; the bytes flow once the client has that answer.
pub(crate) async fn connect(
    session: &Session,
    mut request: Request<Incoming>,
    target: Target,
) -> Result<Response<Content>, RequestError> {
    let shared = &session.shared;
    let Connection { stream, lease } = shared
        .gate
        .open(
            session.client,
            FrontEnd::HttpConnect,
            target,
            &shared.config,
        )
        .await?;
    let client = hyper::upgrade::on(&mut request);
    let upstream = Leg::new(stream, bytes::Bytes::new());
    let revoked = (lease, FrontEnd::HttpConnect);
    spawn_tunnel(session, client, async move { Some(upstream) }, revoked);
    Ok(tunnel_opened())
}

/// Relays between a client that is about to be upgraded and a server, until the proxy closes or the
/// lease is revoked.
pub(crate) fn spawn_tunnel(
    session: &Session,
    client: OnUpgrade,
    upstream: impl Future<Output = Option<Leg>> + Send + 'static,
    (lease, front_end): (Lease, FrontEnd),
) {
    let session = session.clone();
    tokio::spawn(async move {
        let shared = &session.shared;
        let relay = async {
            let (Some(client), Some(upstream)) =
                (client.await.ok().and_then(client_leg), upstream.await)
            else {
                return;
            };
            let idle = shared.config.tunnel_idle_timeout;
            let revoked = lease.revoked(&session, front_end);
            let relayed = tunnel::relay(client, upstream, &shared.tunnels, idle, revoked);
            if let Err(error) = relayed.await {
                tracing::debug!(%error, "tunnel ended early");
            }
        };
        tokio::select! {
            () = session.slot.closed() => {}
            () = relay => {}
        }
    });
}

/// The client's socket with what arrived before the tunnel was there: first what the HTTP library
/// read, then what the wire still held.
fn client_leg(upgraded: Upgraded) -> Option<Leg> {
    let parts = upgraded.downcast::<TokioIo<Wire>>().ok()?;
    let (stream, held) = parts.io.into_inner().into_parts();
    let early = if held.is_empty() {
        parts.read_buf
    } else {
        [parts.read_buf, held].concat().into()
    };
    Some(Leg::new(stream, early))
}

/// The server's socket, with what it sent right behind its answer.
pub(crate) fn upstream_leg(upgraded: Upgraded) -> Option<Leg> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some(Leg::new(parts.io.into_inner(), parts.read_buf))
}
