//! The HTTP front end: one service for each client connection.

mod connect;
mod fault;
mod forward;
mod framing;
mod headers;
mod request_target;
mod respond;
mod wire;

use std::{convert::Infallible, pin::pin};

use http::{Method, Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::{
    event::{FrontEnd, Outcome},
    serve::Session,
};

use fault::WireFault;
use forward::Kept;
use request_target::{TargetError, Wanted};
use respond::{Content, Kind, RequestError, refuse};
use wire::{Upgraded, Wire};

/// Serves one connection.
pub(crate) async fn serve(session: Session, stream: TcpStream) {
    let config = session.shared.config.clone();
    let slot = session.slot.clone();
    let switched = Upgraded::default();
    let kept = Kept::default();
    let wire = Wire::new(stream, config.max_head_bytes, switched.clone());
    let service = service_fn(move |request| {
        let (session, kept, switched) = (session.clone(), kept.clone(), switched.clone());
        async move { Ok::<_, Infallible>(answer(&session, &kept, &switched, request).await) }
    });
    let connection = http1::Builder::new()
        // A client may close its writing half after its request and still wait for the answer.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .preserve_header_case(true)
        .title_case_headers(true)
        .auto_date_header(false)
        .max_headers(MAX_FIELDS)
        .max_buf_size(config.max_head_bytes.max(SMALLEST_BUFFER))
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = slot.draining() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = slot.closed() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "client connection ended early");
    }
}

/// Answers one request.
async fn answer(
    session: &Session,
    kept: &Kept,
    switched: &Upgraded,
    request: Request<Incoming>,
) -> Response<Content> {
    let kind = if request.method() == Method::CONNECT {
        Kind::Connect
    } else {
        Kind::Forward
    };
    match carry_out(session, kept, switched, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(%error, ?kind, "request refused");
            refuse(kind, &error)
        }
    }
}

async fn carry_out(
    session: &Session,
    kept: &Kept,
    switched: &Upgraded,
    request: Request<Incoming>,
) -> Result<Response<Content>, RequestError> {
    if let Some(fault) = WireFault::of_stand_in(request.method(), request.uri().path()) {
        return Err(fault.into());
    }
    // A refused request's content is not read here: the wire drops it when the connection closes.
    let (parts, body) = request.into_parts();
    let shared = &session.shared;
    let wanted = match Wanted::of(&parts, &shared.dns) {
        Ok(wanted) => wanted,
        Err(error) => {
            let refused = match &error {
                TargetError::MalformedHost(denial) => Some((None, denial)),
                TargetError::Stale(refused) => Some((Some(refused.0.clone()), &refused.1)),
                TargetError::Authority
                | TargetError::OriginForm
                | TargetError::Scheme
                | TargetError::UserInfo
                | TargetError::Port
                | TargetError::HostField
                | TargetError::HostMismatch => None,
            };
            if let Some((target, denial)) = refused {
                let front_end = front_end_of(&parts.method);
                let outcome = Outcome::Denied(denial.clone());
                let gate = &shared.gate;
                gate.report(session.client, front_end, target, outcome);
            }
            return Err(error.into());
        }
    };
    let request = Request::from_parts(parts, body);
    match wanted {
        Wanted::Tunnel(target) => connect::connect(session, request, target).await,
        Wanted::Forward(target, path) => {
            forward::forward(session, kept, switched, request, (target, path)).await
        }
    }
}

fn front_end_of(method: &Method) -> FrontEnd {
    if method == Method::CONNECT {
        FrontEnd::HttpConnect
    } else {
        FrontEnd::HttpForward
    }
}

/// Fields of a request or an answer.
const MAX_FIELDS: usize = 200;
/// The HTTP library insists on this much.
const SMALLEST_BUFFER: usize = 8 * 1024;
