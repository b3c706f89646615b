//! Hosts, ports and targets, canonical from the moment they are parsed.
//!
//! Patterns and requests go through the same canonicalisation ([`canonical`]), so that two
//! spellings of one host can never be told apart by a rule.

use std::borrow::Borrow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

use crate::bytes::ByteClasses;

/// A DNS name: lower case, no trailing dot, IDNA-encoded, at most 253 octets, labels of 1 to 63
/// octets out of letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Arc<str>);

/// Where a client wants to go: a name or an address, in canonical spelling (as the WHATWG URL
/// standard's host parser gives it: `0x7f.1` is 127.0.0.1, `::ffff:1.2.3.4` is 1.2.3.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name.
    Name(HostName),
    /// An address; never an IPv4-mapped IPv6 one.
    Ip(IpAddr),
}

/// A TCP or UDP port other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub NonZeroU16);

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: Port,
}

/// Why a text is not a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// Neither a name nor an address.
    #[error("malformed host")]
    Malformed,
    /// Nothing, or nothing but a dot.
    #[error("malformed host: it is empty")]
    Empty,
    /// A name has at most 253 octets (RFC 1035 §3.1).
    #[error("malformed host: it is longer than a name can be")]
    TooLong,
    /// A byte that no host contains.
    #[error("malformed host: byte `{}` at offset {offset}", byte.escape_ascii())]
    Byte {
        /// The byte.
        byte: u8,
        /// Its place.
        offset: usize,
    },
    /// `a..b`, or a label of more than 63 octets.
    #[error("malformed host: a label is empty or longer than 63 octets")]
    Label,
    /// `256.1.1.1`, `1.2.3.4.5`, `a.1`: what ends in a number is an IPv4 address or nothing.
    #[error("malformed host: it ends in a number, but is not an IPv4 address")]
    Ipv4,
    /// Brackets or colons without an IPv6 address.
    #[error("malformed host: not an IPv6 address")]
    Ipv6,
}

impl Host {
    /// Parses what a client sent (`[v6]` or bare v6, names, any IPv4 spelling). Only letters,
    /// digits, `.`, `_`, `-` (and `:` in IPv6) are accepted: no `%`, no NUL, no raw Unicode.
    pub fn parse(bytes: &[u8]) -> Result<Self, HostError> {
        if bytes.len() > LONGEST_REQUEST {
            return Err(HostError::TooLong);
        }
        let bracketed = bytes
            .strip_prefix(b"[")
            .and_then(|rest| rest.strip_suffix(b"]"));
        let text = checked(bytes)?;
        if let Some(inside) = bracketed {
            return ipv6(checked(inside)?).ok_or(HostError::Ipv6);
        }
        if text.contains(':') {
            return ipv6(text).ok_or(HostError::Ipv6);
        }
        if let Some(offset) = bytes.iter().position(|byte| matches!(byte, b'[' | b']')) {
            return Err(HostError::Byte {
                byte: bytes.get(offset).copied().unwrap_or_default(),
                offset,
            });
        }
        // One trailing dot marks a name as complete (RFC 1034 §3.1); it is the same name.
        canonical(text.strip_suffix('.').unwrap_or(text))
    }

    /// Parses what a person typed, as rules are read: as `parse`, and a name with letters beyond ASCII is
    /// its IDNA form (`bücher.example` is `xn--bcher-kva.example`; UTS 46).
    pub fn parse_typed(text: &str) -> Result<Self, HostError> {
        if text.is_ascii() || text.len() > LONGEST_REQUEST {
            return Self::parse(text.as_bytes());
        }
        canonical(text.strip_suffix('.').unwrap_or(text))
    }

    /// The host of an address.
    #[must_use]
    pub fn from_ip(address: IpAddr) -> Self {
        Self::Ip(address.to_canonical())
    }

    /// `localhost`.
    #[must_use]
    pub fn localhost() -> Self {
        Self::Name(HostName(LOCALHOST.into()))
    }

    /// Whether this is what stands for the loopback by itself: `localhost`, `127.0.0.1` or `::1`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name.as_str() == LOCALHOST,
            Self::Ip(address) => {
                let address = address.to_canonical();
                address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST
            }
        }
    }

    /// Whether this is `localhost` or a name below it, which stand for loopback (RFC 6761 §6.3).
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        match self {
            Self::Name(name) => {
                name.as_str() == "localhost" || name.as_str().ends_with(".localhost")
            }
            Self::Ip(_) => false,
        }
    }
}

impl HostName {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name of several labels that is written in its canonical form.
    pub(crate) fn plain(text: &str) -> Option<Self> {
        if is_plain_name(text.as_bytes()) {
            return Some(Self(text.into()));
        }
        let labels = canonical_labels(text)?;
        (labels > 1).then(|| Self(text.into()))
    }

    /// The names above this one, nearest first: `b.c` and `c` for `a.b.c`.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(parent_name(&self.0), |name| parent_name(name))
    }
}

impl Target {
    /// Host and port.
    #[must_use]
    pub fn new(host: Host, port: Port) -> Self {
        Self { host, port }
    }
}

impl Port {
    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// None for 0.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }
}

impl Borrow<str> for HostName {
    // Sound for maps: equality, order and hash of a name are those of its text.
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As in a URL: IPv6 addresses in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Canonicalises a host that is not an IPv6 literal and has lost its trailing dot. Raw Unicode is
/// IDNA-encoded: callers that must not accept it check for it before.
pub(crate) fn canonical(text: &str) -> Result<Host, HostError> {
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    if is_canonical(text) {
        return Ok(Host::Name(HostName(text.into())));
    }
    // The URL parser decodes percent signs; nothing that reaches a rule may have any.
    if let Some(offset) = text
        .bytes()
        .position(|byte| matches!(byte, b'%' | b'[' | b']' | b':'))
    {
        return Err(HostError::Byte {
            byte: text.as_bytes().get(offset).copied().unwrap_or_default(),
            offset,
        });
    }
    if text
        .split('.')
        .any(|label| label.is_empty() || (label.is_ascii() && label.len() > LONGEST_LABEL))
    {
        return Err(HostError::Label);
    }
    match url::Host::parse(text) {
        Ok(url::Host::Ipv4(address)) => Ok(Host::Ip(IpAddr::V4(address))),
        Ok(url::Host::Ipv6(_)) => Err(HostError::Malformed),
        Ok(url::Host::Domain(name)) => checked_name(&name).map(Host::Name),
        Err(url::ParseError::InvalidIpv4Address) => Err(HostError::Ipv4),
        Err(_) => Err(HostError::Malformed),
    }
}

/// Whether the text is a name as the URL standard leaves it.
pub(crate) fn is_canonical(text: &str) -> bool {
    canonical_labels(text).is_some()
}

/// How many labels a name has that is as the URL standard leaves it: what thousands of entries are, told
/// without its machinery. A last label that begins with a letter is no number in any spelling.
fn canonical_labels(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut labels, mut start) = (1, 0);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => {}
            b'.' if is_label(bytes.get(start..at)) => {
                labels += 1;
                start = at + 1;
            }
            _ => return None,
        }
    }
    let last = bytes.get(start..);
    let ends_well = is_label(last) && last?.first()?.is_ascii_lowercase();
    (ends_well && bytes.len() <= LONGEST_NAME).then_some(labels)
}

/// Whether this is a canonical name of several labels, told in one go; not every such name is found.
fn is_plain_name(text: &[u8]) -> bool {
    // As if behind a dot: one at the beginning would be the second.
    let seen = CLASSES.read(text, DOT);
    // With two dashes a label may begin with `xn--`. What is no longer than a label has none that is too long.
    let is_plain = seen.classes & OTHER == 0
        && seen.doubled & (DOT | DASH) == 0
        && text.len() <= LONGEST_LABEL;
    let last_dot = text.iter().rposition(|byte| *byte == b'.');
    let last = last_dot.and_then(|dot| text.get(dot + 1));
    is_plain && last.is_some_and(u8::is_ascii_lowercase)
}

const OTHER: u8 = 1;
const DOT: u8 = 2;
const DASH: u8 = 4;
const LETTER_OR_DIGIT: u8 = 8;
static CLASSES: ByteClasses = ByteClasses::new(
    &[
        (b"abcdefghijklmnopqrstuvwxyz0123456789", LETTER_OR_DIGIT),
        (b".", DOT),
        (b"-", DASH),
    ],
    OTHER,
);

/// Whether plain bytes are a label that stays as it is.
fn is_label(bytes: Option<&[u8]>) -> bool {
    bytes.is_some_and(|label| {
        // IDNA looks into a label that begins so.
        (1..=LONGEST_LABEL).contains(&label.len()) && !label.starts_with(b"xn--")
    })
}

/// Parses an IPv6 address without brackets.
pub(crate) fn ipv6(text: &str) -> Option<Host> {
    text.parse::<Ipv6Addr>()
        .ok()
        .map(|address| Host::from_ip(IpAddr::V6(address)))
}

fn checked_name(name: &str) -> Result<HostName, HostError> {
    if name.len() > LONGEST_NAME {
        return Err(HostError::TooLong);
    }
    if name
        .split('.')
        .any(|label| label.is_empty() || label.len() > LONGEST_LABEL)
    {
        return Err(HostError::Label);
    }
    checked(name.as_bytes())?;
    Ok(HostName(name.into()))
}

/// The text, if it has only bytes that occur in hosts.
fn checked(bytes: &[u8]) -> Result<&str, HostError> {
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:[]".contains(&byte);
    if bytes.is_empty() {
        return Err(HostError::Empty);
    }
    for (offset, byte) in bytes.iter().copied().enumerate() {
        if !is_host_byte(byte) {
            return Err(HostError::Byte { byte, offset });
        }
    }
    std::str::from_utf8(bytes).map_err(|_ascii_only| HostError::Malformed)
}

fn parent_name(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

/// The name of the loopback (RFC 6761 §6.3).
pub(crate) const LOCALHOST: &str = "localhost";

/// A name with its trailing dot, plus one: upstream's limit.
const LONGEST_REQUEST: usize = 255;
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
