//! Asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6).

use http::{HeaderName, HeaderValue, StatusCode};
use sandbox_policy::Target;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::TunnelError;

pub(super) async fn connect(
    stream: &mut TcpStream,
    target: &Target,
    authorization: Option<HeaderValue>,
) -> Result<(), TunnelError> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(value) = &authorization {
        request.extend(b"Proxy-Authorization: ");
        request.extend(value.as_bytes());
        request.extend(b"\r\n");
    }
    request.extend(b"\r\n");
    stream.write_all(&request).await?;
    match read_status(stream).await? {
        // Any of these opens the tunnel, whatever the fields say.
        200..=299 => Ok(()),
        407 if authorization.is_some() => Err(TunnelError::LoginRefused),
        407 => Err(TunnelError::Login),
        status => Err(TunnelError::Status(status)),
    }
}

/// Reads the answer's head and not a byte more: a server that speaks first may have spoken already,
/// and what it said belongs to the tunnel.
async fn read_status(stream: &mut TcpStream) -> Result<u16, TunnelError> {
    let mut head = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let waiting = stream.peek(&mut chunk).await?;
        if waiting == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        let taken = head.len();
        head.extend_from_slice(chunk.get(..waiting).unwrap_or_default());
        let parsed = parse(&head)?;
        let length = parsed.map_or(head.len(), |(_, length)| length);
        if length > LONGEST_HEAD {
            return Err(TunnelError::TooLong);
        }
        let part = chunk
            .get_mut(..length.saturating_sub(taken))
            .ok_or(TunnelError::Malformed)?;
        stream.read_exact(part).await?;
        if let Some((status, _)) = parsed {
            return Ok(status);
        }
    }
}

/// Status and length of a head, once it is whole (RFC 9112 §4, §5).
fn parse(bytes: &[u8]) -> Result<Option<(u16, usize)>, TunnelError> {
    let Some(end) = bytes.windows(END.len()).position(|window| window == END) else {
        return Ok(None);
    };
    let head = bytes.get(..end).unwrap_or_default();
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines
        .next()
        .map(without_return)
        .and_then(status)
        .ok_or(TunnelError::Malformed)?;
    if lines.map(without_return).all(is_field) {
        Ok(Some((status, end + END.len())))
    } else {
        Err(TunnelError::Malformed)
    }
}

/// A line without the carriage return at its end; any other one makes the line malformed.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn status(line: &[u8]) -> Option<u16> {
    let rest = [b"HTTP/1.1 ", b"HTTP/1.0 "]
        .iter()
        .find_map(|version| line.strip_prefix(*version))?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let has_reason = reason.is_empty() || reason.starts_with(b" ");
    // A reason has the characters of a field's value.
    if !has_reason || HeaderValue::from_bytes(reason).is_err() {
        return None;
    }
    StatusCode::from_bytes(digits)
        .ok()
        .map(|code| code.as_u16())
}

fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return false;
    };
    let (name, value) = line.split_at(colon);
    HeaderName::from_bytes(name).is_ok() && HeaderValue::from_bytes(value).is_ok()
}

const END: &[u8] = b"\r\n\r\n";
const CHUNK: usize = 1024;
const LONGEST_HEAD: usize = 8 * 1024;
