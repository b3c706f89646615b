//! The network namespace: its loopback interface, and the listeners whose accepting end is the host
//! program's. They are made before capabilities are dropped and need no relay.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::LISTENERS;
use crate::{
    facts::Endpoints,
    sys::{self, Errno},
};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Brings the loopback up and listens.
pub(super) fn set_up(endpoints: Endpoints) -> Result<[Option<OwnedFd>; LISTENERS], Errno> {
    let http = stream_socket()?;
    // Any socket of the namespace can ask for its interfaces.
    sys::net::loopback_up(http.as_fd())?;
    listen(&http, endpoints.http_port)?;
    let socks = stream_socket()?;
    listen(&socks, endpoints.socks_port)?;
    Ok([Some(http), Some(socks)])
}

fn stream_socket() -> Result<OwnedFd, Errno> {
    // Non-blocking, as the host program's runtime wants it.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
}

fn listen(socket: &OwnedFd, port: u16) -> Result<(), Errno> {
    rustix::net::bind(socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    rustix::net::listen(socket, BACKLOG)
}
