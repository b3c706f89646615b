//! Relays bytes between two sockets until both directions have ended.
//!
//! A direction that reaches its end shuts down the other socket's writing half and leaves the
//! opposite direction alone, so half-closed connections keep working. A buffer is taken after the
//! socket became readable and given back before the next wait: an idle tunnel costs two sockets and
//! two small futures.
//!
//! A direction that carries much leaves the copying to the kernel where that has a way (`splice`).
//! Reading remains what decides: only a read finds the end, an error, or that there is nothing more.

#[cfg_attr(not(target_os = "linux"), path = "no_splice.rs")]
mod splice;

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    time::Instant,
};

use crate::buffer::BufferPool;
use splice::{PipePool, Shortcut};

/// One end of a tunnel: a socket, and what was already read from it.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) stream: TcpStream,
    pub(crate) early: Bytes,
}

impl Leg {
    pub(crate) fn new(stream: TcpStream, early: Bytes) -> Self {
        Self { stream, early }
    }
}

/// What tunnels borrow while bytes pass through them.
#[derive(Clone, Debug)]
pub(crate) struct Stock {
    buffers: BufferPool,
    pipes: PipePool,
}

impl Stock {
    pub(crate) fn new(buffer_size: usize) -> Self {
        Self {
            buffers: BufferPool::new(buffer_size),
            pipes: PipePool::new(),
        }
    }
}

/// Relays until both directions ended, one failed, nothing happened for `idle_timeout`, or the
/// policy's permission is `revoked`.
///
/// A failure of one side resets the other: cut short, a stream must not look complete.
pub(crate) async fn relay(
    mut client: Leg,
    mut upstream: Leg,
    stock: &Stock,
    idle_timeout: Option<Duration>,
    revoked: impl Future<Output = ()>,
) -> io::Result<()> {
    let activity = Activity::new();
    let (mut client_read, mut client_write) = client.stream.split();
    let (mut upstream_read, mut upstream_write) = upstream.stream.split();
    let up = pump(
        client.early,
        &mut client_read,
        &mut upstream_write,
        stock,
        &activity,
    );
    let down = pump(
        upstream.early,
        &mut upstream_read,
        &mut client_write,
        stock,
        &activity,
    );
    let both = async { tokio::try_join!(up, down).map(|((), ())| ()) };
    let idle = async {
        match idle_timeout {
            None => std::future::pending().await,
            Some(limit) => activity.cease(limit).await,
        }
    };
    let ended = tokio::select! {
        // What else ends a tunnel is looked at when there is nothing to carry.
        biased;
        ended = both => ended,
        () = revoked => Err(io::ErrorKind::ConnectionAborted.into()),
        () = idle => return Err(io::ErrorKind::TimedOut.into()),
    };
    if ended.is_err() {
        for stream in [&client.stream, &upstream.stream] {
            if let Err(error) = stream.set_zero_linger() {
                tracing::debug!(%error, "a broken tunnel ends in order");
            }
        }
    }
    ended
}

/// Ends a connection so that its program sees an error and no orderly end.
pub(crate) fn reset(stream: TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "a refused connection ends in order");
    }
    drop(stream);
}

async fn pump(
    early: Bytes,
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    stock: &Stock,
    activity: &Activity,
) -> io::Result<()> {
    to.write_all(&early).await?;
    // Even when empty it can keep a whole read buffer alive.
    drop(early);
    let mut shortcut = Shortcut::new(&stock.pipes);
    loop {
        shortcut.rest();
        from.readable().await?;
        let mut buffer = stock.buffers.take();
        loop {
            shortcut.carry(from.as_ref(), to.as_ref(), activity).await?;
            let length = match from.try_read(&mut buffer) {
                Ok(0) => return to.shutdown().await,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            shortcut.copied(length);
            activity.note();
            to.write_all(buffer.get(..length).unwrap_or_default())
                .await?;
            activity.note();
            // Both sockets may be ready for ever, and write_all then never waits.
            tokio::task::coop::consume_budget().await;
        }
    }
}

/// When bytes last passed in either direction.
struct Activity {
    start: Instant,
    latest_millis: AtomicU64,
}

impl Activity {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            latest_millis: AtomicU64::new(0),
        }
    }

    fn note(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.latest_millis.store(millis, Ordering::Relaxed);
    }

    /// Ends when nothing happened for `limit`.
    async fn cease(&self, limit: Duration) {
        loop {
            let latest = Duration::from_millis(self.latest_millis.load(Ordering::Relaxed));
            let deadline = self.start + latest + limit;
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}
