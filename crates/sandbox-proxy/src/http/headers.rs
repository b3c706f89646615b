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
pub(crate) fn host_field(target: &Target) -> String {
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

#[cfg(test)]
mod tests {
    use sandbox_policy::{Host, Port};

    use super::*;

    #[test]
    fn the_host_field_is_the_canonical_target() {
        for (host, port, field) in [
            ("OK.Test.", 80, "ok.test"),
            ("ok.test", 8080, "ok.test:8080"),
            ("0x7f.1", 80, "127.0.0.1"),
            ("127.0.0.1", 443, "127.0.0.1:443"),
            ("[::1]", 80, "[::1]"),
            ("[0:0::1]", 81, "[::1]:81"),
        ] {
            let target = Target {
                host: Host::parse(host.as_bytes()).unwrap(),
                port: Port::new(port).unwrap(),
            };
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("whatever.test"));
            prepare_request(&mut headers, &target, None);
            assert_eq!(
                headers.get_all(header::HOST).iter().collect::<Vec<_>>(),
                [field]
            );
        }
    }

    #[test]
    fn the_connection_field_can_not_remove_what_frames_or_routes() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONNECTION,
            HeaderValue::from_static("content-length, host , ,X-Gone,close, not a name"),
        );
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("3"));
        headers.insert(header::HOST, HeaderValue::from_static("ok.test"));
        headers.insert("x-gone", HeaderValue::from_static("1"));
        headers.insert("x-kept", HeaderValue::from_static("1"));
        prepare_response(&mut headers, None);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "x-kept"]);
    }
}
