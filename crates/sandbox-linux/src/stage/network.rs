//! The network namespace: interface, routes, rules, and the sockets whose accepting end is the host
//! program's. They are made before capabilities are dropped, and no process relays.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicI32, AtomicU32, Ordering},
};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};

use super::{handover, ports};
use crate::{
    facts::{DNS_PORT, Endpoints, TRANSPARENT_PORT},
    netlink::Conversation,
    prepare::{NetworkMessages, Prepared},
    sys::{
        self, Errno,
        clone::{ChildCall, Stack},
    },
};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
pub(super) const BACKLOG: i32 = 4096;

/// The sockets of one sandbox.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) http: OwnedFd,
    pub(crate) socks: OwnedFd,
    /// Missing where the kernel can't redirect connections.
    pub(crate) transparent: Option<TransparentSockets>,
}

/// What programs reach that know nothing of proxies.
#[derive(Debug)]
pub(crate) struct TransparentSockets {
    pub(crate) tcp_v4: OwnedFd,
    /// Missing where the kernel runs without IPv6.
    pub(crate) tcp_v6: Option<OwnedFd>,
    pub(crate) dns_udp_v4: OwnedFd,
    pub(crate) dns_udp_v6: Option<OwnedFd>,
    pub(crate) dns_tcp: OwnedFd,
}

/// The work of the thread that makes the network namespace while the outer stage does the rest: the
/// kernel takes as long for it as for everything else.
#[derive(Debug)]
pub(crate) struct NetworkTask<'launch> {
    prepared: &'launch Prepared,
    handover: BorrowedFd<'launch>,
    /// The proc outside, which mounts cover or replace meanwhile.
    proc: BorrowedFd<'launch>,
    /// 1 while the thread is in this memory.
    running: AtomicU32,
    /// 0 until the namespace can be entered, or never will.
    made: AtomicU32,
    /// The namespace's descriptor in the stages' table; -1 if it was not made.
    namespace: AtomicI32,
    /// An errno, if something failed.
    failure: AtomicI32,
}

impl<'launch> NetworkTask<'launch> {
    /// The task of one launch.
    pub(crate) fn new(
        prepared: &'launch Prepared,
        handover: BorrowedFd<'launch>,
        proc: BorrowedFd<'launch>,
    ) -> Self {
        Self {
            prepared,
            handover,
            proc,
            running: AtomicU32::new(0),
            made: AtomicU32::new(0),
            namespace: AtomicI32::new(-1),
            failure: AtomicI32::new(0),
        }
    }

    /// The task's descriptors of the host's table.
    pub(crate) fn descriptors(&self) -> [RawFd; 2] {
        [self.handover.as_raw_fd(), self.proc.as_raw_fd()]
    }

    /// What the thread runs.
    pub(crate) fn run(&self) -> libc::c_int {
        let done = self.make().and_then(|()| {
            let plan = &self.prepared.plan;
            let (sockets, has_v6) = set_up(plan.endpoints, &self.prepared.network)?;
            handover::send(self.handover, &sockets)?;
            ports::hand_over(self.handover, &plan.ports, has_v6)
        });
        if let Err(errno) = done {
            self.failure.store(errno.raw_os_error(), Ordering::SeqCst);
        }
        // Also if it failed before it came so far, or the stage would wait for ever.
        sys::clone::set_and_wake(&self.made, 1);
        0
    }

    fn make(&self) -> Result<(), Errno> {
        sys::clone::unshare_network()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let path = c"thread-self/ns/net";
        let namespace = rustix::fs::openat(self.proc, path, flags, Mode::empty())?;
        self.namespace
            .store(namespace.into_raw_fd(), Ordering::SeqCst);
        sys::clone::set_and_wake(&self.made, 1);
        Ok(())
    }

    pub(super) fn start(&self, stack: &Stack, call: &ChildCall<Self>) -> Result<(), Errno> {
        sys::clone::start(stack, sys::clone::THREAD, call, &self.running).map(drop)
    }

    /// Moves the calling stage into the namespace as soon as it is there.
    pub(super) fn enter(&self) -> Result<(), Errno> {
        sys::clone::wait_while(&self.made, 0);
        match self.namespace.load(Ordering::SeqCst) {
            -1 => self.outcome(),
            namespace => {
                sys::fd::enter_network(namespace)?;
                sys::fd::close_between(namespace, namespace)
            }
        }
    }

    /// Waits until the thread has ended and returns how.
    pub(super) fn finish(&self) -> Result<(), Errno> {
        sys::clone::wait_while(&self.running, 1);
        self.outcome()
    }

    fn outcome(&self) -> Result<(), Errno> {
        match self.failure.load(Ordering::SeqCst) {
            0 => Ok(()),
            errno => Err(Errno::from_raw_os_error(errno)),
        }
    }
}

/// Sets the namespace up and listens; tells whether there is IPv6.
fn set_up(endpoints: Endpoints, messages: &NetworkMessages) -> Result<(Sockets, bool), Errno> {
    let routes = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // NETLINK_ROUTE is protocol 0, the default.
        None,
    )?;
    converse(&routes, &messages.interface_v4)?;
    let has_v6 = converse(&routes, &messages.interface_v6).is_ok();
    let http = listen_v4(Ipv4Addr::LOCALHOST, endpoints.http_port)?;
    let socks = listen_v4(Ipv4Addr::LOCALHOST, endpoints.socks_port)?;
    // A kernel built or run without nf_tables can't do it: the proxies remain, and the host side
    // reports that the socket is missing.
    let transparent = match redirect(&messages.redirection) {
        Ok(()) => Some(transparent(has_v6)?),
        Err(_missing) => None,
    };
    let sockets = Sockets {
        http,
        socks,
        transparent,
    };
    Ok((sockets, has_v6))
}

fn redirect(rules: &Conversation) -> Result<(), Errno> {
    let rules_socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::NETFILTER),
    )?;
    converse(&rules_socket, rules)
}

fn transparent(has_v6: bool) -> Result<TransparentSockets, Errno> {
    let tcp_v4 = socket(AddressFamily::INET, SocketType::STREAM)?;
    sys::net::set_transparent(tcp_v4.as_fd(), sys::net::Family::V4)?;
    bind_v4(&tcp_v4, Ipv4Addr::UNSPECIFIED, TRANSPARENT_PORT)?;
    rustix::net::listen(&tcp_v4, BACKLOG)?;
    let dns_udp_v4 = socket(AddressFamily::INET, SocketType::DGRAM)?;
    // The answer must come from the address that was asked, whichever it was.
    sys::net::set_packet_info(dns_udp_v4.as_fd(), sys::net::Family::V4)?;
    bind_v4(&dns_udp_v4, Ipv4Addr::UNSPECIFIED, DNS_PORT)?;
    let dns_tcp = listen_v4(Ipv4Addr::UNSPECIFIED, DNS_PORT)?;
    let (tcp_v6, dns_udp_v6) = if has_v6 {
        let (tcp, udp) = transparent_v6()?;
        (Some(tcp), Some(udp))
    } else {
        (None, None)
    };
    Ok(TransparentSockets {
        tcp_v4,
        tcp_v6,
        dns_udp_v4,
        dns_udp_v6,
        dns_tcp,
    })
}

fn transparent_v6() -> Result<(OwnedFd, OwnedFd), Errno> {
    let any = |port| SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0);
    let tcp = socket(AddressFamily::INET6, SocketType::STREAM)?;
    sockopt::set_ipv6_v6only(&tcp, true)?;
    sys::net::set_transparent(tcp.as_fd(), sys::net::Family::V6)?;
    rustix::net::bind(&tcp, &any(TRANSPARENT_PORT))?;
    rustix::net::listen(&tcp, BACKLOG)?;
    let udp = socket(AddressFamily::INET6, SocketType::DGRAM)?;
    sockopt::set_ipv6_v6only(&udp, true)?;
    // Without it the kernel refuses to answer from an address that is only routed here.
    sys::net::set_transparent(udp.as_fd(), sys::net::Family::V6)?;
    sys::net::set_packet_info(udp.as_fd(), sys::net::Family::V6)?;
    rustix::net::bind(&udp, &any(DNS_PORT))?;
    Ok((tcp, udp))
}

/// Non-blocking, as the host program's runtime wants it.
pub(super) fn socket(family: AddressFamily, kind: SocketType) -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(
        family,
        kind,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
}

fn bind_v4(socket: &OwnedFd, address: Ipv4Addr, port: u16) -> Result<(), Errno> {
    rustix::net::bind(socket, &SocketAddrV4::new(address, port))
}

fn listen_v4(address: Ipv4Addr, port: u16) -> Result<OwnedFd, Errno> {
    let listener = socket(AddressFamily::INET, SocketType::STREAM)?;
    bind_v4(&listener, address, port)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Sends messages and waits for the answer: the acknowledgement of the last one, or a refusal of any.
fn converse(socket: &OwnedFd, conversation: &Conversation) -> Result<(), Errno> {
    const NLMSG_ERROR: u16 = 2;
    rustix::net::send(socket, &conversation.bytes, SendFlags::empty())?;
    let mut buffer = [0_u8; 4096];
    loop {
        rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty())?;
        // struct nlmsghdr (16 bytes, the type at 4), then struct nlmsgerr, whose first field is the
        // negated errno, or 0. Refusals come in the order of the messages, before the acknowledgement.
        let [
            _,
            _,
            _,
            _,
            a,
            b,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            c,
            d,
            e,
            f,
            ..,
        ] = buffer;
        if u16::from_ne_bytes([a, b]) != NLMSG_ERROR {
            continue;
        }
        return match i32::from_ne_bytes([c, d, e, f]) {
            0 => Ok(()),
            code => Err(Errno::from_raw_os_error(code.saturating_neg())),
        };
    }
}
