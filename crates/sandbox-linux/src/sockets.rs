//! The sockets of a sandbox's network namespace, as the host program gets them.

use std::net::{TcpListener, UdpSocket};

use crate::{
    entrance::Entrance,
    stage::{self, handover::PortSockets},
};

/// Sockets that are inside and served outside; all of them are non-blocking.
#[derive(Debug)]
pub struct Sockets {
    /// For the HTTP proxy.
    pub http: TcpListener,
    /// For the SOCKS5 proxy.
    pub socks: TcpListener,
    /// For programs that know nothing of proxies; none where the kernel lacks nf_tables or TPROXY.
    pub transparent: Option<Transparent>,
    /// For ports of the host's loopback, at the same port of the sandbox's.
    pub host_ports: Vec<TcpListener>,
    /// For connections to servers inside; none where the policy publishes no port.
    pub entrance: Option<Entrance>,
}

/// Sockets that every connection and name look-up inside arrives at.
#[derive(Debug)]
pub struct Transparent {
    /// The local address of an accepted connection is its original destination.
    pub tcp: Vec<TcpListener>,
    /// Name servers at every address; the ancillary data tells which one was asked.
    pub dns_udp: Vec<UdpSocket>,
    /// The same for TCP.
    pub dns_tcp: TcpListener,
}

impl Sockets {
    pub(crate) fn new(sockets: stage::Sockets, ports: PortSockets) -> Self {
        let stage::Sockets {
            http,
            socks,
            transparent,
        } = sockets;
        Self {
            http: http.into(),
            socks: socks.into(),
            transparent: transparent.map(Into::into),
            host_ports: ports.host_ports.into_iter().map(Into::into).collect(),
            entrance: Entrance::new(ports.doors),
        }
    }
}

impl From<stage::TransparentSockets> for Transparent {
    fn from(sockets: stage::TransparentSockets) -> Self {
        let stage::TransparentSockets {
            tcp_v4,
            tcp_v6,
            dns_udp_v4,
            dns_udp_v6,
            dns_tcp,
        } = sockets;
        let tcp = [Some(tcp_v4), tcp_v6].into_iter().flatten();
        let udp = [Some(dns_udp_v4), dns_udp_v6].into_iter().flatten();
        Self {
            tcp: tcp.map(Into::into).collect(),
            dns_udp: udp.map(Into::into).collect(),
            dns_tcp: dns_tcp.into(),
        }
    }
}
