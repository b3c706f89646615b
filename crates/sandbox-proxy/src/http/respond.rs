//! The one table from failures to answers.

use std::io;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, ext::ReasonPhrase};
use sandbox_policy::Denial;

use super::{fault::WireFault, request_target::TargetError};
use crate::{
    authorize::OpenError,
    explain::{full, header_text, phrase, plain_text},
    external,
};

/// Content of answers: a server's, streamed, or our own.
pub(crate) type Content = Either<Incoming, Full<Bytes>>;

/// Why a request gets an answer of our own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Wire(#[from] WireFault),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The content of the request can't be read in one way.
    #[error("the request content is malformed")]
    Content(#[source] hyper::Error),
    /// The server answered with something that is not HTTP, or left.
    #[error("no valid answer from the server")]
    Exchange(#[source] hyper::Error),
    /// The server switched protocols without being asked.
    #[error("the server switched protocols without being asked")]
    UnwantedUpgrade,
    /// The proxy that forwards the request wants a login, or another one.
    #[error("the proxy on the way out refuses the login, or wants one")]
    ParentLogin,
    /// The target has no form as part of a URI.
    #[error("the request can't be addressed to a proxy")]
    Address(#[source] http::Error),
}

/// Which kind of request is answered: CONNECT and forwarded ones differ in small ways that clients
/// have come to rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Forward,
}

/// The answer to a request that fails.
pub(crate) fn refuse(kind: Kind, error: &RequestError) -> Response<Content> {
    match error {
        RequestError::Wire(WireFault::HeadTooLarge) => {
            text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, error)
        }
        RequestError::Wire(WireFault::Version) => {
            text(StatusCode::HTTP_VERSION_NOT_SUPPORTED, error)
        }
        RequestError::Target(TargetError::HostMismatch) => {
            text(StatusCode::MISDIRECTED_REQUEST, error)
        }
        RequestError::Target(TargetError::MalformedHost(denial))
        | RequestError::Open(OpenError::Denied(denial)) => denied(kind, denial),
        RequestError::Target(TargetError::Stale(refused)) => denied(kind, &refused.1),
        RequestError::Open(OpenError::AddressDenied(denial)) => address_denied(denial),
        RequestError::Wire(_) | RequestError::Target(_) | RequestError::Content(_) => {
            text(StatusCode::BAD_REQUEST, error)
        }
        RequestError::Open(OpenError::Connect(failure)) => match external::blame(failure) {
            Some(blame) => proxy_failed(kind, failure.source.kind(), &blame),
            None => bad_gateway(kind),
        },
        RequestError::ParentLogin => {
            proxy_failed(kind, io::ErrorKind::ConnectionRefused, &error.to_string())
        }
        RequestError::Open(OpenError::Resolve { .. })
        | RequestError::Exchange(_)
        | RequestError::Address(_)
        | RequestError::UnwantedUpgrade => bad_gateway(kind),
    }
}

/// The answer that opens a tunnel.
pub(crate) fn tunnel_opened() -> Response<Content> {
    Response::new(content(""))
}

/// Refused by policy. The CONNECT form shows the reason in the status line: most clients print that
/// and nothing else.
fn denied(kind: Kind, denial: &Denial) -> Response<Content> {
    let mut response = match kind {
        Kind::Connect => Response::new(content(BLOCKED)),
        Kind::Forward => Response::new(content(&format!("{BLOCKED}\n"))),
    };
    *response.status_mut() = StatusCode::FORBIDDEN;
    if kind == Kind::Connect
        && let Ok(reason) = ReasonPhrase::try_from(header_text(phrase(denial)).into_bytes())
    {
        response.extensions_mut().insert(reason);
    }
    tag(&mut response, "blocked-by-allowlist", denial);
    close_after(kind, response)
}

/// The name is permitted, but leads to an address that is not: the class is told, the address is
/// not (it may be internal).
fn address_denied(denial: &Denial) -> Response<Content> {
    let host = plain_text(&denial.object);
    let reason = denial.reason.phrase();
    let mut response = Response::new(content(&format!("Connection to {host} blocked: {reason}")));
    *response.status_mut() = StatusCode::FORBIDDEN;
    tag(&mut response, "blocked-by-sandbox-runtime", denial);
    close_after(Kind::Connect, response)
}

fn tag(response: &mut Response<Content>, error: &'static str, denial: &Denial) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert("x-proxy-error", HeaderValue::from_static(error));
    if let Ok(reason) = HeaderValue::from_str(&header_text(&full(denial))) {
        headers.insert("x-sandbox-reason", reason);
    }
}

/// The proxy on the way out failed, which is told apart from a server that did: 502, or 504 where it
/// said nothing in time.
fn proxy_failed(kind: Kind, failure: io::ErrorKind, blame: &str) -> Response<Content> {
    let blame = header_text(blame);
    let mut response = Response::new(content(&format!("{blame}\n")));
    *response.status_mut() = if failure == io::ErrorKind::TimedOut {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::BAD_GATEWAY
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let error = HeaderValue::from_static("parent-proxy-failed");
    headers.insert("x-proxy-error", error);
    if let Ok(reason) = HeaderValue::from_str(&blame) {
        headers.insert("x-sandbox-reason", reason);
    }
    close_after(kind, response)
}

fn bad_gateway(kind: Kind) -> Response<Content> {
    let mut response = match kind {
        Kind::Connect => Response::new(content("")),
        Kind::Forward => Response::new(content("Bad Gateway")),
    };
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    if kind == Kind::Forward {
        let text = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
    }
    close_after(kind, response)
}

/// A plain answer after which the connection closes: its bytes can't be trusted any further.
fn text(status: StatusCode, error: &RequestError) -> Response<Content> {
    let mut response = Response::new(content(&format!("{error}\n")));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    close_after(Kind::Connect, response)
}

/// What a client sends after a refused CONNECT may be meant for the tunnel, so it is not read as a
/// request.
fn close_after(kind: Kind, mut response: Response<Content>) -> Response<Content> {
    if kind == Kind::Connect {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

fn content(text: &str) -> Content {
    Either::Right(Full::new(Bytes::copy_from_slice(text.as_bytes())))
}

const BLOCKED: &str = "Connection blocked by network allowlist";
