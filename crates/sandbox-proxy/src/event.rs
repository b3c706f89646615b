//! What the proxy reports: one event for each attempt.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use sandbox_policy::{Denial, DomainRule, Target};
use tokio::sync::mpsc;

/// One attempt of the sandboxed command to reach a host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyEvent {
    /// When it was decided.
    pub time: SystemTime,
    /// Where it arrived.
    pub front_end: FrontEnd,
    /// The client's source port inside the sandbox, by which its process can be found.
    pub client_port: u16,
    /// What was asked for; `None` where it was not a target (the denial shows the text).
    pub target: Option<Target>,
    /// What came of it.
    pub outcome: Outcome,
}

/// The listener that an attempt arrived at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrontEnd {
    /// HTTP, by CONNECT.
    HttpConnect,
    /// HTTP, by an absolute-form request.
    HttpForward,
    /// SOCKS5.
    Socks5,
    /// A connection of a program that knows nothing of proxies.
    Transparent,
    /// A connection to a port of the host's loopback that is there inside too.
    HostPort,
    /// A look-up of a name. Only refusals are told; the target is `None`, as it has no port.
    Dns,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Permitted and connected; the rule, or `None` where the decider approved.
    Allowed {
        /// The allow rule.
        rule: Option<DomainRule>,
    },
    /// Refused.
    Denied(Denial),
    /// Permitted, but the host could not be reached.
    Failed {
        /// What went wrong, for people.
        message: String,
    },
}

/// Takes events without ever blocking: what does not fit is counted and dropped.
#[derive(Clone)]
pub struct EventSink {
    receiver: Receiver,
    dropped: Arc<AtomicU64>,
}

/// Where events go.
#[derive(Clone)]
enum Receiver {
    Nobody,
    Channel(mpsc::Sender<ProxyEvent>),
    Call(Arc<dyn Fn(ProxyEvent) + Send + Sync>),
}

/// The reading end of an [`EventSink`].
#[derive(Debug)]
pub struct EventReceiver {
    receiver: mpsc::Receiver<ProxyEvent>,
    dropped: Arc<AtomicU64>,
}

impl EventSink {
    /// A sink that keeps up to `capacity` events (at least one) until they are received.
    #[must_use]
    pub fn channel(capacity: usize) -> (Self, EventReceiver) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = Self {
            receiver: Receiver::Channel(sender),
            dropped: Arc::clone(&dropped),
        };
        (sink, EventReceiver { receiver, dropped })
    }

    /// A sink that hands each event to a function, in the task of the connection that it is about. The
    /// function must not wait for anybody.
    #[must_use]
    pub fn call(function: impl Fn(ProxyEvent) + Send + Sync + 'static) -> Self {
        Self {
            receiver: Receiver::Call(Arc::new(function)),
            dropped: Arc::new(AtomicU64::new(0)),
        }
    }

    /// A sink that keeps nothing.
    #[must_use]
    pub fn discard() -> Self {
        Self {
            receiver: Receiver::Nobody,
            dropped: Arc::new(AtomicU64::new(0)),
        }
    }

    pub(crate) fn send(&self, event: ProxyEvent) {
        match &self.receiver {
            Receiver::Nobody => {}
            Receiver::Channel(sender) => {
                if sender.try_send(event).is_err() {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Receiver::Call(function) => function(event),
        }
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSink").finish_non_exhaustive()
    }
}

impl EventReceiver {
    /// The next event; `None` once every sink is gone.
    pub async fn recv(&mut self) -> Option<ProxyEvent> {
        self.receiver.recv().await
    }

    /// The next event if one is waiting.
    pub fn try_recv(&mut self) -> Option<ProxyEvent> {
        self.receiver.try_recv().ok()
    }

    /// How many events found no room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
