//! Sockets of the network namespace → the host program, over a Unix socket (unix(7), `SCM_RIGHTS`).

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use super::network::{Sockets, TransparentSockets};
use crate::{entrance::Door, supervisor::SupervisorSockets, sys::Errno};

/// All sockets that there can be.
const MOST: usize = 7;

/// What a message holds, by its one byte.
const PROXIES: u8 = 2;
const WITH_TRANSPARENT: u8 = 5;
const WITH_TRANSPARENT_V6: u8 = 7;

/// Sends the sockets.
pub(super) fn send(channel: BorrowedFd<'_>, sockets: &Sockets) -> Result<(), Errno> {
    let Sockets {
        http,
        socks,
        transparent,
    } = sockets;
    let optional = transparent.as_ref();
    let candidates = [
        Some(http),
        Some(socks),
        optional.map(|sockets| &sockets.tcp_v4),
        optional.map(|sockets| &sockets.dns_udp_v4),
        optional.map(|sockets| &sockets.dns_tcp),
        optional.and_then(|sockets| sockets.tcp_v6.as_ref()),
        optional.and_then(|sockets| sockets.dns_udp_v6.as_ref()),
    ];
    let mut all = [http.as_fd(); MOST];
    let mut count = 0_u8;
    for (slot, socket) in all.iter_mut().zip(candidates.into_iter().flatten()) {
        *slot = socket.as_fd();
        count += 1;
    }
    let all = all.get(..usize::from(count)).unwrap_or_default();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(all)) {
        return Err(Errno::NOBUFS);
    }
    let content = [IoSlice::new(std::slice::from_ref(&count))];
    rustix::net::sendmsg(channel, &content, &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// Receives the sockets.
pub(crate) fn receive(channel: BorrowedFd<'_>) -> Result<Sockets, Errno> {
    let mut count = 0_u8;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut content = [IoSliceMut::new(std::slice::from_mut(&mut count))];
    rustix::net::recvmsg(
        channel,
        &mut content,
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut received = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        RecvAncillaryMessage::ScmCredentials(_) | _ => None,
    });
    let mut next = {
        let mut descriptors = received.by_ref().flatten();
        move || descriptors.next().ok_or(Errno::BADMSG)
    };
    let (http, socks) = (next()?, next()?);
    let transparent = match count {
        WITH_TRANSPARENT | WITH_TRANSPARENT_V6 => {
            let (tcp_v4, dns_udp_v4, dns_tcp) = (next()?, next()?, next()?);
            let v6 = count == WITH_TRANSPARENT_V6;
            let (tcp_v6, dns_udp_v6) = if v6 {
                (Some(next()?), Some(next()?))
            } else {
                (None, None)
            };
            Some(TransparentSockets {
                tcp_v4,
                tcp_v6,
                dns_udp_v4,
                dns_udp_v6,
                dns_tcp,
            })
        }
        PROXIES => None,
        _ => return Err(Errno::BADMSG),
    };
    Ok(Sockets {
        http,
        socks,
        transparent,
    })
}

/// Most descriptors of one message about ports.
pub(super) const MOST_AT_ONCE: usize = 16;

/// What a message about ports holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortMessage {
    /// Listeners that play servers of the host's loopback.
    HostPorts,
    /// The two sockets of a door.
    Door,
    /// Nothing: it is the last.
    End,
}

impl PortMessage {
    const ALL: [Self; 3] = [Self::HostPorts, Self::Door, Self::End];

    fn byte(self) -> u8 {
        match self {
            Self::HostPorts => b'h',
            Self::Door => b'd',
            Self::End => b'.',
        }
    }
}

/// Sends a message about ports.
pub(super) fn send_ports(
    channel: BorrowedFd<'_>,
    message: PortMessage,
    sockets: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_AT_ONCE))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(Errno::NOBUFS);
    }
    let kind = message.byte();
    let content = [IoSlice::new(std::slice::from_ref(&kind))];
    rustix::net::sendmsg(channel, &content, &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// Receives all messages about ports.
pub(crate) fn receive_ports(channel: BorrowedFd<'_>) -> Result<PortSockets, Errno> {
    let mut ports = PortSockets::default();
    loop {
        let mut kind = 0_u8;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_AT_ONCE))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut content = [IoSliceMut::new(std::slice::from_mut(&mut kind))];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        rustix::net::recvmsg(channel, &mut content, &mut ancillary, flags)?;
        let received = ancillary.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            RecvAncillaryMessage::ScmCredentials(_) | _ => None,
        });
        let mut sockets = received.flatten();
        let known = PortMessage::ALL.into_iter();
        match known.into_iter().find(|message| message.byte() == kind) {
            Some(PortMessage::HostPorts) => ports.host_ports.extend(sockets),
            Some(PortMessage::Door) => {
                let mut next = || sockets.next().ok_or(Errno::BADMSG);
                let (listener, client) = (next()?, next()?);
                ports.doors.push(Door { listener, client });
            }
            Some(PortMessage::End) => return Ok(ports),
            None => return Err(Errno::BADMSG),
        }
    }
}

/// The sockets that join the two loopbacks.
#[derive(Debug, Default)]
pub(crate) struct PortSockets {
    pub(crate) host_ports: Vec<OwnedFd>,
    /// For IPv4 first.
    pub(crate) doors: Vec<Door>,
}

/// Sends the supervisor's descriptors.
pub(super) fn send_supervisor(
    channel: BorrowedFd<'_>,
    sockets: &SupervisorSockets,
) -> Result<(), Errno> {
    let both = [sockets.listener.as_fd(), sockets.root.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&both)) {
        return Err(Errno::NOBUFS);
    }
    let content = [IoSlice::new(b"s")];
    rustix::net::sendmsg(channel, &content, &mut ancillary, SendFlags::NOSIGNAL).map(drop)
}

/// Receives the supervisor's descriptors.
pub(crate) fn receive_supervisor(channel: BorrowedFd<'_>) -> Result<SupervisorSockets, Errno> {
    let mut kind = 0_u8;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut content = [IoSliceMut::new(std::slice::from_mut(&mut kind))];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    rustix::net::recvmsg(channel, &mut content, &mut ancillary, flags)?;
    let received = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        RecvAncillaryMessage::ScmCredentials(_) | _ => None,
    });
    let mut descriptors = received.flatten();
    let mut next = || descriptors.next().ok_or(Errno::BADMSG);
    Ok(SupervisorSockets {
        listener: next()?,
        root: next()?,
    })
}
