//! Accept loops: a permit for each connection, backoff when the host is out of descriptors, drain.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time,
};

use crate::{authorize::Client, config::ProxyConfig, loopback, proxy::Shared};

/// Where a proxy is in its life, and how many connections it has.
#[derive(Debug)]
pub(crate) struct Life {
    phase: watch::Sender<Phase>,
    outbound: Places,
    inbound: Places,
}

/// Which way a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The command connects.
    Outbound,
    /// Somebody connects to the command.
    Inbound,
}

/// How many connections there may be.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    limit: u32,
}

impl Places {
    fn new(limit: u32) -> Self {
        let limit = limit.max(1);
        let permits = usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(permits)),
            limit,
        }
    }

    /// Ends when all are free.
    async fn all_free(&self) {
        // The semaphore is never closed, so this can only succeed.
        drop(self.free.acquire_many(self.limit).await);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    Closed,
}

/// A connection's place: held until its last byte, by the tunnel too that outlives an upgraded
/// HTTP connection.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    phase: watch::Receiver<Phase>,
}

/// What a front end needs to serve one connection.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    pub(crate) slot: Arc<Slot>,
}

impl Life {
    pub(crate) fn new(config: &ProxyConfig) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            outbound: Places::new(config.max_connections),
            inbound: Places::new(config.max_inbound_connections),
        }
    }

    fn places(&self, direction: Direction) -> &Arc<Semaphore> {
        match direction {
            Direction::Outbound => &self.outbound.free,
            Direction::Inbound => &self.inbound.free,
        }
    }

    pub(crate) fn start_drain(&self) {
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Serving;
            *phase = (*phase).max(Phase::Draining);
            first
        });
    }

    pub(crate) fn close(&self) {
        self.phase.send_replace(Phase::Closed);
    }

    /// Ends when the proxy drains.
    pub(crate) fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut phase = self.phase.subscribe();
        async move {
            // An error means that the proxy is gone.
            drop(phase.wait_for(|phase| *phase >= Phase::Draining).await);
        }
    }

    /// Ends when no connection is left: all permits are back.
    pub(crate) async fn drained(&self) {
        self.outbound.all_free().await;
        self.inbound.all_free().await;
    }
}

impl Slot {
    /// Ends when the proxy drains.
    pub(crate) async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Ends when the proxy's patience is over.
    pub(crate) async fn closed(&self) {
        self.reached(Phase::Closed).await;
    }

    async fn reached(&self, wanted: Phase) {
        // An error means that the proxy is gone.
        drop(self.phase.clone().wait_for(|phase| *phase >= wanted).await);
    }
}

/// Accepts until the proxy drains; each connection is served by a task of its own.
pub(crate) async fn accept_loop<S, F>(
    shared: Arc<Shared>,
    direction: Direction,
    listener: TcpListener,
    serve: S,
) where
    S: Fn(Session, TcpStream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let mut phase = shared.life.phase.subscribe();
    let mut backoff = SHORTEST_BACKOFF;
    loop {
        let next = next_connection(shared.life.places(direction), &listener);
        let accepted = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase >= Phase::Draining) => return,
            accepted = next => accepted,
        };
        match accepted {
            Ok((permit, stream, peer)) => {
                backoff = SHORTEST_BACKOFF;
                let slot = Slot {
                    _permit: permit,
                    phase: shared.life.phase.subscribe(),
                };
                let session = Session {
                    shared: Arc::clone(&shared),
                    client: Client { port: peer.port() },
                    slot: Arc::new(slot),
                };
                tokio::spawn(serve(session, stream));
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                // Out of descriptors or memory: connections that end will free some.
                tracing::warn!(%error, ?backoff, "cannot accept");
                time::sleep(backoff).await;
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
            }
        }
    }
}

async fn next_connection(
    connections: &Arc<Semaphore>,
    listener: &TcpListener,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    // This fails where the client is gone again, with a code of the platform's choice.
    stream
        .set_nodelay(true)
        .map_err(|_gone| io::Error::from(io::ErrorKind::ConnectionAborted))?;
    loopback::unpace(&stream);
    // Taken after the accept, so that a listener that nobody uses holds no place.
    let permit = Arc::clone(connections)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    Ok((permit, stream, peer))
}

/// Errors of a connection that died in the backlog (accept(2), "Error handling").
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

const SHORTEST_BACKOFF: Duration = Duration::from_millis(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
