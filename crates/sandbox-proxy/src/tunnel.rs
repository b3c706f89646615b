//! Relays bytes between two sockets until both directions have ended.
//!
//! A direction that reaches its end shuts down the other socket's writing half and leaves the
//! opposite direction alone, so half-closed connections keep working. A buffer is taken after the
//! socket became readable and given back before the next wait: an idle tunnel costs two sockets and
//! two small futures.

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

/// Relays until both directions ended, one failed, or nothing happened for `idle_timeout`.
pub(crate) async fn relay(
    mut client: Leg,
    mut upstream: Leg,
    pool: &BufferPool,
    idle_timeout: Option<Duration>,
) -> io::Result<()> {
    let activity = Activity::new();
    let (mut client_read, mut client_write) = client.stream.split();
    let (mut upstream_read, mut upstream_write) = upstream.stream.split();
    let up = pump(
        client.early,
        &mut client_read,
        &mut upstream_write,
        pool,
        &activity,
    );
    let down = pump(
        upstream.early,
        &mut upstream_read,
        &mut client_write,
        pool,
        &activity,
    );
    let both = async { tokio::try_join!(up, down).map(|((), ())| ()) };
    match idle_timeout {
        None => both.await,
        Some(limit) => tokio::select! {
            ended = both => ended,
            () = activity.cease(limit) => Err(io::ErrorKind::TimedOut.into()),
        },
    }
}

async fn pump(
    early: Bytes,
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    pool: &BufferPool,
    activity: &Activity,
) -> io::Result<()> {
    to.write_all(&early).await?;
    // Even when empty it can keep a whole read buffer alive.
    drop(early);
    loop {
        from.readable().await?;
        let mut buffer = pool.take();
        loop {
            let length = match from.try_read(&mut buffer) {
                Ok(0) => return to.shutdown().await,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            activity.note();
            to.write_all(buffer.get(..length).unwrap_or_default())
                .await?;
            activity.note();
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
