//! Forwards plain HTTP: one request at a time, streamed in both directions.
//!
//! Each request is judged by itself. The upstream connection of the previous request is kept for
//! the next one of the same client connection, if it has the same target and the same policy: its
//! address was judged when it was dialled.

use std::sync::Arc;

use http::{
    Request, Response, StatusCode, Uri, Version, header,
    uri::{PathAndQuery, Scheme},
};
use http_body_util::Either;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use sandbox_policy::{NetworkPolicy, Target};
use tokio::{net::TcpStream, sync::Mutex};

use super::{
    MAX_FIELDS,
    connect::{spawn_tunnel, upstream_leg},
    headers,
    respond::{Content, RequestError},
    wire::Upgraded,
};
use crate::{
    authorize::{Authorized, Connection, OpenError},
    event::{FrontEnd, Outcome},
    external::{self, Errand, Way},
    lease::Lease,
    serve::Session,
};

/// The upstream connection that a client connection keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Option<Upstream>>>);

#[derive(Debug)]
struct Upstream {
    target: Target,
    policy: Arc<NetworkPolicy>,
    lease: Lease,
    /// Whether the server is it, at the end of a tunnel at most, or a proxy that forwards.
    errand: Errand,
    sender: SendRequest<Incoming>,
}

/// Forwards a request and returns the server's answer.
pub(crate) async fn forward(
    session: &Session,
    kept: &Kept,
    switched: &Upgraded,
    mut request: Request<Incoming>,
    (target, path): (Target, PathAndQuery),
) -> Result<Response<Content>, RequestError> {
    let upgrade = headers::wanted_upgrade(request.version(), request.headers());
    let client_upgrade = hyper::upgrade::on(&mut request);
    headers::prepare_request(request.headers_mut(), &target, upgrade.clone());
    *request.version_mut() = Version::HTTP_11;
    let errand = address(session, &mut request, &target, path, upgrade.is_some())?;

    let (mut response, upstream) = exchange(session, kept, request, target, errand).await?;

    if errand == Errand::Request && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        // To the client it would be this proxy that wants a login.
        return Err(RequestError::ParentLogin);
    }
    *response.version_mut() = Version::HTTP_11;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if upgrade.is_none() {
            return Err(RequestError::UnwantedUpgrade);
        }
        let chosen = response.headers().get(header::UPGRADE).cloned();
        let upstream_upgrade = hyper::upgrade::on(&mut response);
        headers::prepare_response(response.headers_mut(), chosen);
        switched.set();
        let lease = (upstream.lease, FrontEnd::HttpForward);
        let upstream = async move { upstream_upgrade.await.ok().and_then(upstream_leg) };
        spawn_tunnel(session, client_upgrade, upstream, lease);
    } else {
        headers::prepare_response(response.headers_mut(), None);
        *kept.0.lock().await = Some(upstream);
    }
    Ok(response.map(Either::Left))
}

/// Writes where the request goes into it: the path alone, or the whole URI and the login for a proxy
/// that forwards it.
fn address(
    session: &Session,
    request: &mut Request<Incoming>,
    target: &Target,
    path: PathAndQuery,
    wants_upgrade: bool,
) -> Result<Errand, RequestError> {
    // Proxies forward no upgrades.
    let is_forwardable = !wants_upgrade && FORWARDED.contains(&request.method().as_str());
    let config = &session.shared.config;
    let Way::By(route) = external::way(config, FrontEnd::HttpForward, target) else {
        *request.uri_mut() = Uri::from(path);
        return Ok(Errand::Tunnel);
    };
    if !is_forwardable || !route.forwards() {
        *request.uri_mut() = Uri::from(path);
        return Ok(Errand::Tunnel);
    }
    let whole = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(headers::host_field(target))
        .path_and_query(path)
        .build();
    *request.uri_mut() = whole.map_err(RequestError::Address)?;
    if let Some(login) = route.authorization() {
        let fields = request.headers_mut();
        fields.insert(header::PROXY_AUTHORIZATION, login);
    }
    Ok(Errand::Request)
}

/// Has the request judged and sent, on the kept connection if that one is good for it.
async fn exchange(
    session: &Session,
    kept: &Kept,
    request: Request<Incoming>,
    target: Target,
    errand: Errand,
) -> Result<(Response<Incoming>, Upstream), RequestError> {
    let shared = &session.shared;
    let gate = &shared.gate;
    let authorized = gate
        .authorize(target.clone(), &shared.config)
        .await
        .map_err(|denial| {
            let outcome = Outcome::Denied(denial.clone());
            gate.report(
                session.client,
                FrontEnd::HttpForward,
                Some(target.clone()),
                outcome,
            );
            OpenError::Denied(denial)
        })?;
    let previous = kept.0.lock().await.take();
    let mut request = request;
    if let Some(mut upstream) = previous.filter(|upstream| upstream.serves(&authorized, errand))
        && upstream.sender.ready().await.is_ok()
    {
        match upstream.sender.try_send_request(request).await {
            Ok(response) => {
                let outcome = authorized.outcome();
                gate.report(session.client, FrontEnd::HttpForward, Some(target), outcome);
                return Ok((response, upstream));
            }
            Err(mut failure) => match failure.take_message() {
                // The server closed the idle connection, and nothing of the request was sent.
                Some(unsent) => request = unsent,
                None => return Err(exchange_error(failure.into_error())),
            },
        }
    }
    let policy = Arc::clone(authorized.policy());
    let Connection { stream, lease } = gate
        .connect(
            session.client,
            FrontEnd::HttpForward,
            authorized,
            errand,
            &shared.config,
        )
        .await?;
    let mut sender = handshake(session, stream, lease.clone())
        .await
        .map_err(exchange_error)?;
    let response = sender.send_request(request).await.map_err(exchange_error)?;
    Ok((
        response,
        Upstream {
            target,
            policy,
            lease,
            errand,
            sender,
        },
    ))
}

/// Starts to speak HTTP on a connection, for as long as its lease lasts: an answer that is under way
/// when that is revoked breaks off.
async fn handshake(
    session: &Session,
    stream: TcpStream,
    mut lease: Lease,
) -> Result<SendRequest<Incoming>, hyper::Error> {
    let (sender, connection) = http1::Builder::new()
        .preserve_header_case(true)
        .title_case_headers(true)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream))
        .await?;
    let shared = Arc::clone(&session.shared);
    tokio::spawn(async move {
        tokio::select! {
            biased;
            ended = connection.with_upgrades() => if let Err(error) = ended {
                tracing::debug!(%error, "upstream connection ended early");
            },
            denial = lease.refusal(&shared.gate) => {
                tracing::debug!(%denial, "upstream connection is not permitted any more");
            }
        }
    });
    Ok(sender)
}

impl Upstream {
    fn serves(&self, authorized: &Authorized, errand: Errand) -> bool {
        self.errand == errand
            && self.target == *authorized.target()
            && Arc::ptr_eq(&self.policy, authorized.policy())
    }
}

/// A failed exchange is the server's fault, unless the client's content was malformed.
fn exchange_error(error: hyper::Error) -> RequestError {
    if error.is_user() {
        RequestError::Content(error)
    } else {
        RequestError::Exchange(error)
    }
}

/// The methods that a proxy gets with its login, as they are spelt (RFC 9110 §9, RFC 5789, and WebDAV's:
/// RFC 4918, 3253, 3648, 3744, 4791, 5323). What answers TRACE repeats the request, login and all
/// (RFC 9110 §9.3.8); servers have other names for it (`TRACK`) and read `trace` as it, so that
/// anything else goes through a tunnel.
const FORWARDED: &[&str] = &[
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "SEARCH",
    "REPORT",
    "VERSION-CONTROL",
    "CHECKOUT",
    "CHECKIN",
    "UNCHECKOUT",
    "MKWORKSPACE",
    "UPDATE",
    "LABEL",
    "MERGE",
    "BASELINE-CONTROL",
    "MKACTIVITY",
    "ORDERPATCH",
    "ACL",
    "MKCALENDAR",
];
