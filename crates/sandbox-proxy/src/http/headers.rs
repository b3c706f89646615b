//! Fields that concern one connection only (RFC 9110 §7.6.1) and what a proxy does with them.

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use sandbox_policy::Target;

use super::request_target::HTTP_PORT;

/// The protocol that a request asks to switch to; `None` where it is none, or one that can't be
/// tunnelled.
pub(crate) fn wanted_upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    if version != Version::HTTP_11 || !connection_names(headers).any(|name| name == "upgrade") {
        return None;
    }
    let mut values = headers.get_all(header::UPGRADE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let text = value.to_str().ok()?;
    // A tunnel of HTTP/2 would carry further requests, for any authority, that nobody judges.
    let is_http = text.split(',').map(str::trim).any(|protocol| {
        protocol.eq_ignore_ascii_case("h2c") || protocol.to_ascii_lowercase().starts_with("http")
    });
    (!is_http).then(|| value.clone())
}

/// Turns a client's fields into those of the request to the server.
pub(crate) fn prepare_request(
    headers: &mut HeaderMap,
    target: &Target,
    upgrade: Option<HeaderValue>,
) {
    let wants_trailers = headers
        .get_all(header::TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"));
    remove_connection_fields(headers);
    headers.remove(header::PROXY_AUTHORIZATION);
    headers.remove("http2-settings");
    if let Ok(host) = HeaderValue::from_str(&host_field(target)) {
        headers.insert(header::HOST, host);
    }
    if wants_trailers {
        // RFC 9110 §10.1.4: TE goes with its own connection option.
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.append(header::CONNECTION, HeaderValue::from_static("TE"));
    }
    if let Some(upgrade) = upgrade {
        restore_upgrade(headers, upgrade);
    }
}

/// Turns a server's fields into those of the answer to the client.
pub(crate) fn prepare_response(headers: &mut HeaderMap, upgrade: Option<HeaderValue>) {
    remove_connection_fields(headers);
    headers.remove(header::PROXY_AUTHENTICATE);
    if let Some(upgrade) = upgrade {
        restore_upgrade(headers, upgrade);
    }
}

fn restore_upgrade(headers: &mut HeaderMap, upgrade: HeaderValue) {
    headers.insert(header::UPGRADE, upgrade);
    headers.append(header::CONNECTION, HeaderValue::from_static("Upgrade"));
}

/// "Intermediaries MUST parse a received Connection header field before a message is forwarded and,
/// for each connection-option in this field, remove any header or trailer field(s) from the message
/// with the same name as the connection-option, and then remove the Connection header field itself."
fn remove_connection_fields(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = connection_names(headers)
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        // These frame or route the message; who lists them wants to confuse the next hop.
        .filter(|name| *name != header::CONTENT_LENGTH && *name != header::HOST)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
}

fn connection_names(headers: &HeaderMap) -> impl Iterator<Item = String> + '_ {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
}

/// The Host field of a target: without the port where it is the default one.
fn host_field(target: &Target) -> String {
    if target.port.get() == HTTP_PORT {
        match &target.host {
            sandbox_policy::Host::Ip(std::net::IpAddr::V6(address)) => format!("[{address}]"),
            host @ (sandbox_policy::Host::Ip(std::net::IpAddr::V4(_))
            | sandbox_policy::Host::Name(_)) => host.to_string(),
        }
    } else {
        target.to_string()
    }
}
