//! Limits and timeouts of a proxy, and the way out.

use std::time::Duration;

use sandbox_policy::{ParentProxies, Port};

use crate::external::ExternalProxies;

/// Limits, timeouts and the way out. There is no `Default`: [`ProxyConfig::standard`] names the choice, and a
/// caller changes single fields of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// Client connections served at once, over all listeners; further ones wait in the kernel's
    /// backlog. Each costs two descriptors of the host process.
    pub max_connections: u32,
    /// The same for connections to published ports, which must not take the command's own places.
    pub max_inbound_connections: u32,
    /// Longest HTTP request head, trailer section included.
    pub max_head_bytes: usize,
    /// How long a client may take to send a request head, the first one or the next one on an idle
    /// connection.
    pub head_timeout: Duration,
    /// How long a SOCKS client may take for the whole handshake.
    pub handshake_timeout: Duration,
    /// How long the decider may think before the answer is no.
    pub decision_timeout: Duration,
    /// How long a name lookup may take.
    pub resolve_timeout: Duration,
    /// How long name servers may take for records that are no addresses: less than the 5 seconds after
    /// which programs ask again (resolv.conf(5)).
    pub record_timeout: Duration,
    /// How long one address may take to accept.
    pub connect_timeout: Duration,
    /// How long all addresses of a target may take together, or the proxy that is asked for it.
    pub dial_timeout: Duration,
    /// Head start of an address before the next one is tried beside it (RFC 8305 §5).
    pub dial_stagger: Duration,
    /// Tunnels that carry nothing for so long are closed; `None` keeps them.
    pub tunnel_idle_timeout: Option<Duration>,
    /// How long open connections may go on after a shutdown began.
    pub drain_timeout: Duration,
    /// Size of a copy buffer. An idle tunnel holds none.
    pub copy_buffer_bytes: usize,
    /// Proxies of the user's own by which permitted targets are reached instead of directly.
    pub external: ExternalProxies,
    /// Proxies between this host and the internet, where there are none of the user's own.
    pub parents: ParentProxies,
    /// Ports of the host's loopback behind which the command's own servers are: no proxy is there.
    pub inward_ports: Vec<Port>,
}

impl ProxyConfig {
    /// Values that suit a sandbox on a workstation.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            // Twice this many descriptors stay well below the usual soft limit of 1,024.
            max_connections: 256,
            max_inbound_connections: 128,
            max_head_bytes: 64 * 1024,
            head_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            decision_timeout: Duration::from_secs(60),
            resolve_timeout: Duration::from_secs(20),
            record_timeout: Duration::from_secs(4),
            connect_timeout: Duration::from_secs(15),
            dial_timeout: Duration::from_secs(30),
            dial_stagger: Duration::from_millis(250),
            tunnel_idle_timeout: None,
            drain_timeout: Duration::from_secs(5),
            // 8 KiB buffers reach a fifth of the throughput of 256 KiB ones on loopback.
            copy_buffer_bytes: 256 * 1024,
            external: ExternalProxies::default(),
            parents: ParentProxies::none(),
            inward_ports: Vec::new(),
        }
    }
}
