//! The proxy as its user sees it.

use std::{fmt, sync::Arc};

use sandbox_policy::{DomainRule, NetworkPolicy, Port};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    time,
};

use crate::{
    authorize::Gate,
    config::ProxyConfig,
    decider::Decide,
    dns::{self, NameService},
    event::EventSink,
    host_port, http,
    own::HostAddresses,
    published::{self, Enter},
    resolve::Resolve,
    serve::{self, Direction, Life, Session},
    socks5, transparent,
    tunnel::Stock,
};

/// A proxy for one sandbox. Clones are handles of the same proxy.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

/// What all connections of a proxy share.
pub(crate) struct Shared {
    pub(crate) gate: Gate,
    pub(crate) config: ProxyConfig,
    pub(crate) tunnels: Arc<Stock>,
    pub(crate) life: Arc<Life>,
    pub(crate) dns: NameService,
}

impl Proxy {
    /// A proxy that permits what `policy` permits.
    ///
    /// `own` are the addresses of the host's interfaces, which names must not lead to. Without a
    /// decider, what no rule decides is refused.
    #[must_use]
    pub fn new(
        policy: Arc<NetworkPolicy>,
        own: impl Into<HostAddresses>,
        resolver: Arc<dyn Resolve>,
        decider: Option<Arc<dyn Decide>>,
        events: EventSink,
        config: ProxyConfig,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                gate: Gate::new(policy, own.into(), resolver, decider, events),
                tunnels: Arc::new(Stock::new(config.copy_buffer_bytes)),
                life: Arc::new(Life::new(&config)),
                dns: NameService::new(),
                config,
            }),
        }
    }

    /// The same proxy, whose events go to another sink: for one command of several, whose listeners are
    /// served by this handle.
    #[must_use]
    pub fn telling(&self, events: EventSink) -> Self {
        self.with_gate(self.shared.gate.telling(events))
    }

    /// The same proxy for one command, which may also reach what these rules allow where no rule of the
    /// policy decides: they come after the policy's rules and before the decider.
    #[must_use]
    pub fn with_besides(&self, allowed: Vec<DomainRule>) -> Self {
        self.with_gate(self.shared.gate.with_besides(allowed))
    }

    fn with_gate(&self, gate: Gate) -> Self {
        let Shared {
            gate: _,
            config,
            tunnels,
            life,
            dns,
        } = &*self.shared;
        Self {
            shared: Arc::new(Shared {
                gate,
                config: config.clone(),
                tunnels: Arc::clone(tunnels),
                life: Arc::clone(life),
                dns: dns.for_another(),
            }),
        }
    }

    /// Serves HTTP on a listener until [`Proxy::shutdown`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers and I/O enabled.
    pub fn serve_http(&self, listener: TcpListener) -> impl Future<Output = ()> + Send + 'static {
        self.accept(listener, http::serve)
    }

    /// Serves SOCKS5 on a listener until [`Proxy::shutdown`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers and I/O enabled.
    pub fn serve_socks5(&self, listener: TcpListener) -> impl Future<Output = ()> + Send + 'static {
        self.accept(listener, socks5::serve)
    }

    /// Serves connections of programs that know nothing of proxies, until [`Proxy::shutdown`]: the
    /// local address of each is where its program wanted to go.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers and I/O enabled.
    pub fn serve_transparent(
        &self,
        listener: TcpListener,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.accept(listener, transparent::serve)
    }

    /// Serves name look-ups over UDP until [`Proxy::shutdown`]. Its answers lead to
    /// [`Proxy::serve_transparent`] of the same proxy, and leave from the address that was asked.
    pub fn serve_dns_udp(&self, socket: UdpSocket) -> impl Future<Output = ()> + Send + 'static {
        dns::UdpServer::new(socket).serve(Arc::clone(&self.shared))
    }

    /// Serves name look-ups over TCP until [`Proxy::shutdown`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers and I/O enabled.
    pub fn serve_dns_tcp(
        &self,
        listener: TcpListener,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.accept(listener, dns::serve_tcp)
    }

    /// Serves connections to a port of the host's loopback that is there inside too, until
    /// [`Proxy::shutdown`]: the listener's address is what is judged.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers and I/O enabled.
    pub fn serve_host_port(
        &self,
        listener: TcpListener,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.accept(listener, host_port::serve)
    }

    /// Leads the connections of a listener on the host to the server at a port inside, until
    /// [`Proxy::shutdown`]. Nothing is judged: the listener is open to whoever reaches it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers and I/O enabled.
    pub fn serve_published(
        &self,
        listener: TcpListener,
        entrance: Arc<dyn Enter>,
        inside: Port,
    ) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        serve::accept_loop(
            shared,
            Direction::Inbound,
            listener,
            move |session, stream| published::serve(session, stream, Arc::clone(&entrance), inside),
        )
    }

    fn accept<S, F>(
        &self,
        listener: TcpListener,
        serve: S,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        S: Fn(Session, TcpStream) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        serve::accept_loop(
            Arc::clone(&self.shared),
            Direction::Outbound,
            listener,
            serve,
        )
    }

    /// The policy that holds now.
    #[must_use]
    pub fn policy(&self) -> Arc<NetworkPolicy> {
        self.shared.gate.policy()
    }

    /// Replaces the policy: requests and connections that begin from now on are judged by it, and
    /// established ones that it refuses are cut off. Names that the command has an address for keep it.
    pub fn replace_policy(&self, policy: Arc<NetworkPolicy>) {
        self.shared.gate.replace_policy(policy);
    }

    /// Stops accepting, lets open connections finish for
    /// [`drain_timeout`](ProxyConfig::drain_timeout) and ends the rest.
    pub async fn shutdown(&self) {
        let life = &self.shared.life;
        life.start_drain();
        if time::timeout(self.shared.config.drain_timeout, life.drained())
            .await
            .is_err()
        {
            life.close();
            life.drained().await;
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
