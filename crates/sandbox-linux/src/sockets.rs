//! The sockets of a sandbox's network namespace, as the host program gets them.

use std::net::{TcpListener, UdpSocket};

use crate::stage;

/// Sockets that are inside and served outside; all of them are non-blocking.
#[derive(Debug)]
pub struct Sockets {
    /// For the HTTP proxy.
    pub http: TcpListener,
    /// For the SOCKS5 proxy.
    pub socks: TcpListener,
    /// For programs that know nothing of proxies; none where the kernel lacks nf_tables or TPROXY.
    pub transparent: Option<Transparent>,
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

impl From<stage::Sockets> for Sockets {
    fn from(sockets: stage::Sockets) -> Self {
        let stage::Sockets {
            http,
            socks,
            transparent,
        } = sockets;
        Self {
            http: http.into(),
            socks: socks.into(),
            transparent: transparent.map(Into::into),
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
