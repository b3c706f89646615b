//! Where requests begin and end, read strictly and without I/O.
//!
//! HTTP libraries forgive what RFC 9112 lets a recipient forgive (bare line feeds, chunk extensions,
//! two lengths of which one wins), and two parsers that forgive differently see two different
//! requests in the same bytes. So each byte passes here before the HTTP library gets it, and a
//! request that could be read in two ways is refused instead of repaired.

mod head;

use super::fault::WireFault;

use head::{Framing, field_of, framing_of, is_token_byte, line_at};

/// Follows one connection's requests.
#[derive(Debug)]
pub(crate) struct Framer {
    state: State,
    /// Bytes of an unfinished head or line that were searched already.
    searched: usize,
    /// Bytes of the trailer section so far.
    trailer_bytes: usize,
    max_head_bytes: usize,
    skipped_line: bool,
}

/// What to do with the front of the buffered bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hand on so many.
    Release(usize),
    /// Drop so many.
    Discard(usize),
    /// Read more first.
    More,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Body {
        left: u64,
    },
    ChunkSize,
    ChunkData {
        left: u64,
    },
    ChunkEnd,
    Trailers,
    /// After CONNECT: what follows is not HTTP.
    Raw,
}

impl Framer {
    pub(crate) fn new(max_head_bytes: usize) -> Self {
        Self {
            state: State::Head,
            searched: 0,
            trailer_bytes: 0,
            max_head_bytes,
            skipped_line: false,
        }
    }

    /// Whether the connection stopped being HTTP.
    pub(crate) fn is_raw(&self) -> bool {
        self.state == State::Raw
    }

    /// Whether the next byte belongs to a request head.
    pub(crate) fn expects_head(&self) -> bool {
        self.state == State::Head
    }

    /// How many of the next bytes are content that needs no look.
    pub(crate) fn content_left(&self) -> u64 {
        match self.state {
            State::Body { left } | State::ChunkData { left } => left,
            State::Raw => u64::MAX,
            State::Head | State::ChunkSize | State::ChunkEnd | State::Trailers => 0,
        }
    }

    /// Notes that content passed by without being buffered.
    pub(crate) fn content_passed(&mut self, length: usize) {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.state = match self.state {
            State::Body { left } if left <= length => State::Head,
            State::Body { left } => State::Body {
                left: left - length,
            },
            State::ChunkData { left } if left <= length => State::ChunkEnd,
            State::ChunkData { left } => State::ChunkData {
                left: left - length,
            },
            other @ (State::Head
            | State::ChunkSize
            | State::ChunkEnd
            | State::Trailers
            | State::Raw) => other,
        };
    }

    /// Decides about the front of `buffered`, which was not decided about before.
    pub(crate) fn step(&mut self, buffered: &[u8]) -> Result<Step, WireFault> {
        if buffered.is_empty() {
            return Ok(Step::More);
        }
        match self.state {
            State::Head => self.step_head(buffered),
            State::ChunkSize => self.step_chunk_size(buffered),
            State::ChunkEnd => self.step_chunk_end(buffered),
            State::Trailers => self.step_trailers(buffered),
            State::Raw => Ok(Step::Release(buffered.len())),
            State::Body { left } | State::ChunkData { left } => {
                let length = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(buffered.len());
                self.content_passed(length);
                Ok(Step::Release(length))
            }
        }
    }

    fn step_head(&mut self, buffered: &[u8]) -> Result<Step, WireFault> {
        match buffered {
            // RFC 9112 §2.2: one empty line before the request line is ignored.
            [b'\r', b'\n', ..] if !self.skipped_line => {
                self.skipped_line = true;
                return Ok(Step::Discard(2));
            }
            [b'\r'] if !self.skipped_line => return Ok(Step::More),
            // Not even a method: another protocol (TLS, SOCKS) on the wrong port.
            [first, ..] if !is_token_byte(*first) => return Err(WireFault::RequestLine),
            _ => {}
        }
        let Some(length) = self.find_head_end(buffered)? else {
            return Ok(Step::More);
        };
        let head = buffered.get(..length).unwrap_or_default();
        self.state = match framing_of(head)? {
            Framing::Tunnel => State::Raw,
            Framing::Chunked => State::ChunkSize,
            Framing::Length(0) => State::Head,
            Framing::Length(left) => State::Body { left },
        };
        self.searched = 0;
        self.trailer_bytes = 0;
        self.skipped_line = false;
        Ok(Step::Release(length))
    }

    /// Length of the head with its empty line, once that is there.
    fn find_head_end(&mut self, buffered: &[u8]) -> Result<Option<usize>, WireFault> {
        let mut line_start = self.searched;
        while let Some(line) = line_at(buffered, line_start)? {
            line_start = line.next;
            if line.next > self.max_head_bytes {
                return Err(WireFault::HeadTooLarge);
            }
            if line.text.is_empty() {
                return Ok(Some(line.next));
            }
        }
        self.searched = line_start;
        if buffered.len() > self.max_head_bytes {
            return Err(WireFault::HeadTooLarge);
        }
        Ok(None)
    }

    /// RFC 9112 §7.1, without chunk extensions: nobody sends any, and they hide line ends.
    fn step_chunk_size(&mut self, buffered: &[u8]) -> Result<Step, WireFault> {
        let Some(line) = line_at(buffered, 0)? else {
            if buffered.len() > LONGEST_CHUNK_SIZE + 1 {
                return Err(WireFault::ChunkSize);
            }
            return Ok(Step::More);
        };
        if line.text.is_empty() || line.text.len() > LONGEST_CHUNK_SIZE {
            return Err(WireFault::ChunkSize);
        }
        let mut size = 0;
        for digit in line.text {
            let value = char::from(*digit)
                .to_digit(16)
                .ok_or(WireFault::ChunkSize)?;
            size = size * 16 + u64::from(value);
        }
        self.state = if size == 0 {
            State::Trailers
        } else {
            State::ChunkData { left: size }
        };
        Ok(Step::Release(line.next))
    }

    fn step_chunk_end(&mut self, buffered: &[u8]) -> Result<Step, WireFault> {
        match buffered {
            [b'\r', b'\n', ..] => {
                self.state = State::ChunkSize;
                Ok(Step::Release(2))
            }
            [b'\r'] => Ok(Step::More),
            _ => Err(WireFault::ChunkEnd),
        }
    }

    fn step_trailers(&mut self, buffered: &[u8]) -> Result<Step, WireFault> {
        let Some(line) = line_at(buffered, 0)? else {
            if self.trailer_bytes + buffered.len() > self.max_head_bytes {
                return Err(WireFault::HeadTooLarge);
            }
            return Ok(Step::More);
        };
        self.trailer_bytes += line.next;
        if self.trailer_bytes > self.max_head_bytes {
            return Err(WireFault::HeadTooLarge);
        }
        if line.text.is_empty() {
            self.state = State::Head;
            return Ok(Step::Release(line.next));
        }
        let (name, _value) = field_of(line.text)?;
        // RFC 9110 §6.5.1: framing and routing have no place in trailers.
        if [
            &b"content-length"[..],
            b"transfer-encoding",
            b"host",
            b"connection",
            b"upgrade",
        ]
        .iter()
        .any(|forbidden| name.eq_ignore_ascii_case(forbidden))
        {
            return Err(WireFault::Trailer);
        }
        Ok(Step::Release(line.next))
    }
}

/// Fifteen digits: a chunk of an exbibyte less one byte.
const LONGEST_CHUNK_SIZE: usize = 15;

#[cfg(test)]
mod tests;
