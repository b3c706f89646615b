//! Lines, request lines and fields (RFC 9112 §2.2, §3, §5), and what they say about the content.

use crate::http::fault::WireFault;

/// How a request's content is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    Tunnel,
}

/// A line without its end, and where the next one starts.
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    pub(super) next: usize,
}

/// The line that starts at `start`, if it is complete. CR and LF appear only as a pair.
pub(super) fn line_at(buffered: &[u8], start: usize) -> Result<Option<Line<'_>>, WireFault> {
    let rest = buffered.get(start..).unwrap_or_default();
    let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return Ok(None);
    };
    match (rest.get(end), rest.get(end + 1)) {
        (Some(b'\r'), None) => Ok(None),
        (Some(b'\r'), Some(b'\n')) => Ok(Some(Line {
            text: rest.get(..end).unwrap_or_default(),
            next: start + end + 2,
        })),
        _ => Err(WireFault::LineEnd),
    }
}

/// Reads a complete head: request line, fields, empty line.
pub(super) fn framing_of(head: &[u8]) -> Result<Framing, WireFault> {
    let Some(request_line) = line_at(head, 0)? else {
        return Err(WireFault::RequestLine);
    };
    let (method, minor_version) = request_line_of(request_line.text)?;
    let mut fields = Fields::default();
    let mut start = request_line.next;
    while let Some(line) = line_at(head, start)? {
        if line.text.is_empty() {
            break;
        }
        start = line.next;
        let (name, value) = field_of(line.text)?;
        fields.note(name, value)?;
    }
    fields.framing(method, minor_version)
}

/// Method and minor version of a request line (RFC 9112 §3): three parts and two single spaces.
fn request_line_of(line: &[u8]) -> Result<(&[u8], u8), WireFault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(WireFault::RequestLine);
    };
    if method.is_empty() || !method.iter().copied().all(is_token_byte) {
        return Err(WireFault::RequestLine);
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(WireFault::RequestLine);
    }
    match version {
        b"HTTP/1.1" => Ok((method, 1)),
        b"HTTP/1.0" => Ok((method, 0)),
        _ => Err(WireFault::Version),
    }
}

/// Name and value of a field line (RFC 9112 §5): no space before the colon, no folded lines, no
/// control characters.
pub(super) fn field_of(line: &[u8]) -> Result<(&[u8], &[u8]), WireFault> {
    let colon = line
        .iter()
        .position(|byte| *byte == b':')
        .ok_or(WireFault::Field)?;
    let name = line.get(..colon).unwrap_or_default();
    let value = line.get(colon + 1..).unwrap_or_default();
    if name.is_empty() || !name.iter().copied().all(is_token_byte) {
        return Err(WireFault::Field);
    }
    if value
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t')
    {
        return Err(WireFault::Field);
    }
    Ok((name, value.trim_ascii()))
}

/// The fields that say where a request ends and where it goes.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
}

impl Fields {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), WireFault> {
        if name.eq_ignore_ascii_case(b"content-length") {
            // Equal repetitions and lists may be merged (RFC 9112 §6.3), but only attacks send them.
            let digits = std::str::from_utf8(value).map_err(|_not_text| WireFault::Length)?;
            let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !all_digits || self.length.is_some() {
                return Err(WireFault::Length);
            }
            self.length = Some(digits.parse().map_err(|_too_big| WireFault::Length)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(WireFault::TransferEncoding);
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        }
        Ok(())
    }

    fn framing(&self, method: &[u8], minor_version: u8) -> Result<Framing, WireFault> {
        let is_connect = method == b"CONNECT";
        // RFC 9112 §3.2. A CONNECT names its target once more in Host, so it can do without.
        if self.hosts > 1 || (self.hosts == 0 && minor_version == 1 && !is_connect) {
            return Err(WireFault::Host);
        }
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(WireFault::TwoLengths),
            (true, None) if minor_version == 0 || is_connect => Err(WireFault::TransferEncoding),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(1..)) if is_connect => Err(WireFault::Length),
            (false, _) if is_connect => Ok(Framing::Tunnel),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
