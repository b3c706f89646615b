//! A client's socket as the HTTP library sees it: only requests that can be read in one way.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{
    fault::WireFault,
    framing::{Framer, Step},
};

/// The socket of a client that speaks HTTP.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    framer: Framer,
    /// Read from the socket; the first `released` bytes may be handed on.
    pending: BytesMut,
    released: usize,
    /// A request was refused: nothing more is read.
    refused: bool,
    upgraded: Upgraded,
    linger: Option<Pin<Box<Sleep>>>,
}

/// Set when the connection stopped being HTTP by an answer (101).
#[derive(Clone, Debug, Default)]
pub(crate) struct Upgraded(Arc<AtomicBool>);

impl Upgraded {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, max_head_bytes: usize, upgraded: Upgraded) -> Self {
        Self {
            stream,
            framer: Framer::new(max_head_bytes),
            pending: BytesMut::new(),
            released: 0,
            refused: false,
            upgraded,
            linger: None,
        }
    }

    /// The socket, and what was read from it and not handed on.
    pub(crate) fn into_parts(self) -> (TcpStream, Bytes) {
        (self.stream, self.pending.freeze())
    }

    /// Reads up to `limit` bytes of content straight into the reader's buffer.
    fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        limit: u64,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if limit >= room {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            self.framer.content_passed(buffer.filled().len() - before);
            return Poll::Ready(Ok(()));
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(limit));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        let length = part.filled().len();
        buffer.advance(length);
        self.framer.content_passed(length);
        Poll::Ready(Ok(()))
    }

    /// Reads more into `pending`; false at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let filled = self.pending.len();
        self.pending.resize(filled + READ_SIZE, 0);
        let mut part = ReadBuf::new(self.pending.get_mut(filled..).unwrap_or_default());
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let length = part.filled().len();
        self.pending.truncate(filled + length);
        if self.pending.is_empty() {
            // A connection that waits for its next request keeps no buffer.
            self.pending = BytesMut::new();
        }
        ready!(polled)?;
        Poll::Ready(Ok(length > 0))
    }

    fn is_between_requests(&self) -> bool {
        self.framer.expects_head() && self.pending.is_empty() && !self.refused
    }

    /// Takes note of a refused request. A refused head is replaced by one that will be answered
    /// with the reason; inside of a body there is only the error.
    fn refuse(&mut self, fault: WireFault, in_head: bool) -> io::Result<()> {
        tracing::debug!(%fault, "request refused");
        self.refused = true;
        self.pending.clear();
        if !in_head {
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
        }
        self.pending.extend_from_slice(fault.stand_in().as_bytes());
        self.released = self.pending.len();
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        loop {
            if wire.released > 0 {
                let length = wire.released.min(buffer.remaining());
                buffer.put_slice(wire.pending.get(..length).unwrap_or_default());
                wire.pending.advance(length);
                wire.released -= length;
                if wire.pending.is_empty() {
                    wire.pending = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            if wire.refused {
                return Poll::Ready(Ok(()));
            }
            let raw = wire.framer.is_raw() || wire.upgraded.get();
            if wire.pending.is_empty() {
                let limit = if raw {
                    u64::MAX
                } else {
                    wire.framer.content_left()
                };
                if limit > 0 {
                    return wire.poll_content(cx, buffer, limit);
                }
            } else if raw {
                wire.released = wire.pending.len();
                continue;
            }
            let in_head = wire.framer.expects_head();
            match wire.framer.step(&wire.pending) {
                Ok(Step::Release(length)) => wire.released = length,
                Ok(Step::Discard(length)) => wire.pending.advance(length),
                Ok(Step::More) => {
                    if !ready!(wire.poll_fill(cx))? {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(fault) => wire.refuse(fault, in_head)?,
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends the writing half. If the client may still be sending, then waits a moment for it to end
    /// its own: a socket that is closed with unread bytes resets the connection, and the client may
    /// lose the answer that tells it why (RFC 9112 §9.6).
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.linger.is_none() {
            ready!(Pin::new(&mut wire.stream).poll_shutdown(cx))?;
            if wire.is_between_requests() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = wire.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scrap = [0; READ_SIZE];
        loop {
            let mut part = ReadBuf::new(&mut scrap);
            let polled = Pin::new(&mut wire.stream).poll_read(cx, &mut part);
            match ready!(polled) {
                Ok(()) if !part.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}

const READ_SIZE: usize = 8 * 1024;
const LINGER: Duration = Duration::from_secs(1);
