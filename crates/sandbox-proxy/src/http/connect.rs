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
    event::FrontEnd,
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
    let upstream = shared
        .gate
        .open(
            session.client,
            FrontEnd::HttpConnect,
            target,
            &shared.config,
        )
        .await?;
    let client = hyper::upgrade::on(&mut request);
    let upstream = Leg::new(upstream, bytes::Bytes::new());
    spawn_tunnel(session, client, async move { Some(upstream) });
    Ok(tunnel_opened())
}

/// Relays between a client that is about to be upgraded and a server, until the proxy closes.
pub(crate) fn spawn_tunnel(
    session: &Session,
    client: OnUpgrade,
    upstream: impl Future<Output = Option<Leg>> + Send + 'static,
) {
    let shared = session.shared.clone();
    let slot = session.slot.clone();
    tokio::spawn(async move {
        let relay = async {
            let (Some(client), Some(upstream)) =
                (client.await.ok().and_then(client_leg), upstream.await)
            else {
                return;
            };
            let idle = shared.config.tunnel_idle_timeout;
            if let Err(error) = tunnel::relay(client, upstream, &shared.tunnels, idle).await {
                tracing::debug!(%error, "tunnel ended early");
            }
        };
        tokio::select! {
            () = slot.closed() => {}
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
