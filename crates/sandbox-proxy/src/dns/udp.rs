//! DNS over UDP, on sockets that are bound to all addresses: an answer leaves from the address that
//! was asked, or the client would not take it.

use std::{
    io::{self, IoSliceMut},
    sync::{Arc, OnceLock},
    time::Duration,
};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::{io::Interest, net::UdpSocket, task::JoinSet, time};

use super::{
    LONGEST_QUERY,
    answer::{Reply, Transport},
};
use crate::{authorize::Client, proxy::Shared};

/// A socket that tells which address a datagram came to.
#[derive(Debug)]
pub(crate) struct Server {
    socket: UdpSocket,
    /// Made for the first query: making it asks the kernel what it can with a dozen system calls,
    /// which most commands never need.
    state: OnceLock<UdpSocketState>,
}

impl Server {
    /// A server on a socket whose datagrams tell their destination (`IP_PKTINFO`).
    pub(crate) const fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            state: OnceLock::new(),
        }
    }

    fn state(&self) -> io::Result<&UdpSocketState> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let state = UdpSocketState::new(UdpSockRef::from(&self.socket))?;
        Ok(self.state.get_or_init(|| state))
    }

    /// Answers until the proxy drains.
    ///
    /// Most answers take no wait, so one task gives one after the other. An answer that name servers
    /// must be asked for first gets a task of its own, which ends with this one.
    pub(crate) async fn serve(self, shared: Arc<Shared>) {
        let draining = shared.life.draining();
        let server = Arc::new(self);
        tokio::select! {
            biased;
            () = draining => {}
            () = server.answer_all(&shared) => {}
        }
    }

    async fn answer_all(self: &Arc<Self>, shared: &Arc<Shared>) {
        // An error is found again, and reported, by the first reception.
        self.socket.readable().await.unwrap_or(());
        let mut buffer = vec![0; LONGEST_QUERY];
        let mut waiting = JoinSet::new();
        loop {
            match self.receive(&mut buffer).await {
                Ok(meta) => {
                    while waiting.try_join_next().is_some() {}
                    let received = buffer.get(..meta.len).unwrap_or_default();
                    // The kernel may hand out several datagrams of one sender as one.
                    for query in received.chunks(meta.stride.max(1)) {
                        self.answer(shared, query, meta, &mut waiting);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot receive queries");
                    time::sleep(BACKOFF).await;
                }
            }
        }
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<RecvMeta> {
        let mut meta = [RecvMeta::default()];
        self.socket
            .async_io(Interest::READABLE, || {
                let mut buffers = [IoSliceMut::new(buffer)];
                let socket = UdpSockRef::from(&self.socket);
                self.state()?.recv(socket, &mut buffers, &mut meta)
            })
            .await?;
        let [meta] = meta;
        Ok(meta)
    }

    fn answer(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        query: &[u8],
        meta: RecvMeta,
        waiting: &mut JoinSet<()>,
    ) {
        let client = Client {
            port: meta.addr.port(),
        };
        let reply = shared
            .dns
            .answer(query, Transport::Datagram, &shared.gate, client);
        match reply {
            Some(Reply::Ready(answer)) => self.send(&answer.bytes, &meta),
            Some(Reply::Pending(pending)) if waiting.len() < MOST_WAITING => {
                let (server, shared) = (Arc::clone(self), Arc::clone(shared));
                waiting.spawn(async move {
                    if let Some(answer) = super::complete(pending, &shared).await {
                        server.send(&answer, &meta);
                    }
                });
            }
            Some(Reply::Pending(pending)) => {
                if let Some(answer) = pending.give_up() {
                    self.send(&answer, &meta);
                }
            }
            None => {}
        }
    }

    fn send(&self, answer: &[u8], meta: &RecvMeta) {
        let transmit = Transmit {
            destination: meta.addr,
            ecn: None,
            contents: answer,
            segment_size: None,
            src_ip: meta.dst_ip,
        };
        let sent = self.socket.try_io(Interest::WRITABLE, || {
            self.state()?
                .try_send(UdpSockRef::from(&self.socket), &transmit)
        });
        // As on every network an answer may get lost, and the client asks again.
        if let Err(error) = sent {
            tracing::debug!(%error, client = %meta.addr, "cannot send an answer");
        }
    }
}

const BACKOFF: Duration = Duration::from_millis(100);
/// Answers that name servers are asked for at once; a flood takes no more of the host than this.
const MOST_WAITING: usize = 64;
