//! Sockets that join the two loopbacks, made only where the plan has any.
//!
//! A port of the host's is a listener inside, like the proxies'. For servers inside that the host
//! side connects to there is a door of each family: see [`crate::entrance`].

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketType, sockopt};

use super::{
    handover::{self, MOST_AT_ONCE, PortMessage},
    network::{BACKLOG, socket},
};
use crate::{facts::ENTRANCE_PORT, plan::PortPlan, sys::Errno};

/// Makes the sockets and sends them, a few at a time: a message holds no more, and nothing here may
/// allocate.
pub(super) fn hand_over(
    channel: BorrowedFd<'_>,
    ports: &PortPlan,
    has_v6: bool,
) -> Result<(), Errno> {
    if ports.is_empty() {
        return Ok(());
    }
    let mut batch = Batch {
        channel,
        listeners: [const { None }; MOST_AT_ONCE],
        count: 0,
    };
    for host in &ports.host_ports {
        let port = host.port.get();
        if host.v4 {
            batch.add(listen((Ipv4Addr::LOCALHOST, port).into())?)?;
        }
        if host.v6 && has_v6 {
            batch.add(listen((Ipv6Addr::LOCALHOST, port).into())?)?;
        }
    }
    batch.send()?;
    if !ports.published.is_empty() {
        send_door(channel, Ipv4Addr::LOCALHOST.into())?;
        if has_v6 {
            send_door(channel, Ipv6Addr::LOCALHOST.into())?;
        }
    }
    handover::send_ports(channel, PortMessage::End, &[])
}

/// Listeners that wait to be sent.
struct Batch<'channel> {
    channel: BorrowedFd<'channel>,
    listeners: [Option<OwnedFd>; MOST_AT_ONCE],
    count: usize,
}

impl Batch<'_> {
    fn add(&mut self, listener: OwnedFd) -> Result<(), Errno> {
        if let Some(slot) = self.listeners.get_mut(self.count) {
            *slot = Some(listener);
            self.count += 1;
        }
        if self.count == MOST_AT_ONCE {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Errno> {
        // Any descriptor serves as filling.
        let mut all = [self.channel; MOST_AT_ONCE];
        for (slot, listener) in all.iter_mut().zip(self.listeners.iter().flatten()) {
            *slot = listener.as_fd();
        }
        if let Some(sent @ [_, ..]) = all.get(..self.count) {
            handover::send_ports(self.channel, PortMessage::HostPorts, sent)?;
        }
        self.count = 0;
        self.listeners = [const { None }; MOST_AT_ONCE];
        Ok(())
    }
}

fn listen(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let listener = bound(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

fn bound(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = socket(family(address), SocketType::STREAM)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

fn family(address: SocketAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    }
}

/// A socket that is bound and does not listen, and one that is neither.
fn send_door(channel: BorrowedFd<'_>, address: IpAddr) -> Result<(), Errno> {
    let address = SocketAddr::new(address, ENTRANCE_PORT);
    let listener = bound(address)?;
    // What came through is no reason not to listen again.
    sockopt::set_socket_reuseaddr(&listener, true)?;
    let client = socket(family(address), SocketType::STREAM)?;
    let both = [listener.as_fd(), client.as_fd()];
    handover::send_ports(channel, PortMessage::Door, &both)
}
