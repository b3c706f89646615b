//! Request targets: what a request asks for, as one canonical target.

use http::{HeaderMap, Method, Uri, header, request, uri::PathAndQuery};
use sandbox_policy::{Denial, Host, Port, Target};

use crate::{authorize::malformed_host, dns::NameService};

/// What a request asks the proxy to do.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// CONNECT: a tunnel.
    Tunnel(Target),
    /// An absolute-form request: forward it.
    Forward(Target, PathAndQuery),
}

/// Why a request names no target.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("CONNECT wants `host:port`")]
    Authority,
    #[error(
        "this is a proxy: send absolute-form requests (`GET http://host/ HTTP/1.1`) or CONNECT"
    )]
    OriginForm,
    #[error("only `http://` can be forwarded: use CONNECT for anything else")]
    Scheme,
    #[error("a user name in the request target")]
    UserInfo,
    #[error("the port is not one")]
    Port,
    #[error("the Host field is malformed")]
    HostField,
    #[error("the Host field names another host than the request target")]
    HostMismatch,
    /// Refused by policy, before any rule: not a host.
    #[error("`{}` is not a host", .0.object)]
    MalformedHost(Denial),
    /// Refused by policy, before any rule: an address that the name service never gave a name.
    #[error("`{}` stands for no name", .0.1.object)]
    Stale(Box<(Target, Denial)>),
}

impl Wanted {
    /// Reads the target of a request and compares it with the Host field. An address that stands for
    /// a name is that name from here on.
    pub(crate) fn of(request: &request::Parts, dns: &NameService) -> Result<Self, TargetError> {
        let (asked, path) = if request.method == Method::CONNECT {
            (authority_form(&request.uri)?, None)
        } else {
            let (target, path) = absolute_form(&request.uri)?;
            (target, Some(path))
        };
        let meant = dns.meant(asked.clone());
        // The field may have the address, or the name that the client knows it by.
        let named = meant.as_ref().map_or(&asked.host, |target| &target.host);
        check_host_field(&request.headers, &asked.host, named)?;
        let target = meant.map_err(|denial| TargetError::Stale(Box::new((asked, denial))))?;
        Ok(match path {
            None => Self::Tunnel(target),
            Some(path) => Self::Forward(target, path),
        })
    }
}

/// `host:port` (RFC 9112 §3.2.3).
fn authority_form(uri: &Uri) -> Result<Target, TargetError> {
    let authority = match (uri.scheme(), uri.authority(), uri.path_and_query()) {
        (None, Some(authority), None) => authority.as_str(),
        _ => return Err(TargetError::Authority),
    };
    let (host, port) = split_authority(authority)?;
    let port = port.ok_or(TargetError::Authority)?;
    Ok(Target {
        host: parse_host(host)?,
        port,
    })
}

/// `http://host[:port]/path` (RFC 9112 §3.2.2).
fn absolute_form(uri: &Uri) -> Result<(Target, PathAndQuery), TargetError> {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(TargetError::OriginForm);
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(TargetError::Scheme);
    }
    let (host, port) = split_authority(authority.as_str())?;
    let port = match port {
        Some(port) => port,
        None => Port::new(HTTP_PORT).ok_or(TargetError::Port)?,
    };
    let path = uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    Ok((
        Target {
            host: parse_host(host)?,
            port,
        },
        path,
    ))
}

/// RFC 9112 §3.2.2 has a proxy ignore the Host field of an absolute-form request. A field that names
/// another host is an attempt to reach that one behind a permitted name, so it is refused.
fn check_host_field(headers: &HeaderMap, asked: &Host, named: &Host) -> Result<(), TargetError> {
    let Some(field) = headers.get(header::HOST) else {
        return Ok(());
    };
    let text = field
        .to_str()
        .map_err(|_not_ascii| TargetError::HostField)?;
    let (host, _port) = split_authority(text).map_err(|_malformed| TargetError::HostField)?;
    let host = Host::parse(host.as_bytes()).map_err(|_malformed| TargetError::HostField)?;
    if host != *asked && host != *named {
        return Err(TargetError::HostMismatch);
    }
    Ok(())
}

/// Splits `host[:port]`. A host with colons needs its brackets, which stay.
fn split_authority(authority: &str) -> Result<(&str, Option<Port>), TargetError> {
    if authority.contains('@') {
        return Err(TargetError::UserInfo);
    }
    let host_length = match authority.find(']') {
        Some(bracket) if authority.starts_with('[') => bracket + 1,
        _ => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority
        .split_at_checked(host_length)
        .ok_or(TargetError::Authority)?;
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        None => return Err(TargetError::Authority),
        // RFC 3986 §3.2.3: an empty port is the default one.
        Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number = digits.parse().map_err(|_too_big| TargetError::Port)?;
            Some(Port::new(number).ok_or(TargetError::Port)?)
        }
        Some(_) => return Err(TargetError::Port),
    };
    Ok((host, port))
}

fn parse_host(text: &str) -> Result<Host, TargetError> {
    Host::parse(text.as_bytes())
        .map_err(|_not_a_host| TargetError::MalformedHost(malformed_host(text.as_bytes())))
}

/// The default port of `http` (RFC 9110 §4.2.1).
pub(crate) const HTTP_PORT: u16 = 80;
