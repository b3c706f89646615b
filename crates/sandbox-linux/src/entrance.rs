//! New sockets in a sandbox's network namespace, for connections from the host side to servers
//! inside.
//!
//! A TCP socket belongs for ever to the namespace that it was made in, and this process can't enter
//! the sandbox's: it has no right in it, and setns(2) gives that to processes of one thread only.
//! But an accepted socket belongs to its listener's namespace, and a connected socket becomes a fresh
//! one by connect(2) to `AF_UNSPEC` (`tcp_disconnect` of net/ipv4/tcp.c). So two sockets that were
//! made inside make any number of others: one connects to the other, and what is accepted is let go
//! at both ends. Nothing inside takes part, no process waits there, and no right is needed.
//!
//! The listener listens only while a socket is made. A program inside that connects to it meanwhile
//! is told apart by its address and gets a reset.

use std::{
    io,
    net::{IpAddr, TcpStream},
    os::fd::OwnedFd,
    sync::{Mutex, PoisonError},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    net::{SocketAddrAny, SocketFlags, sockopt},
};

use crate::sys::Errno;

/// Makes sockets in a sandbox's network namespace.
#[derive(Debug)]
pub struct Entrance {
    v4: Mutex<Door>,
    /// Missing where the kernel runs without IPv6.
    v6: Option<Mutex<Door>>,
}

/// The two sockets of one family.
#[derive(Debug)]
pub(crate) struct Door {
    /// Bound to the loopback and not listening.
    pub(crate) listener: OwnedFd,
    /// Neither bound nor connected.
    pub(crate) client: OwnedFd,
}

impl Entrance {
    /// The entrance of a door for IPv4 and maybe one for IPv6; none of no door.
    pub(crate) fn new(doors: Vec<Door>) -> Option<Self> {
        let mut doors = doors.into_iter().map(Mutex::new);
        Some(Self {
            v4: doors.next()?,
            v6: doors.next(),
        })
    }

    /// A non-blocking TCP socket for connections to an address inside; it is not connected yet, but
    /// bound to the loopback. It takes a few system calls and waits for nobody.
    ///
    /// Fails with `EAFNOSUPPORT` for IPv6 where the kernel runs without it, and with what stands in
    /// the way of a connection inside, such as `EADDRNOTAVAIL` when its ports are used up.
    pub fn socket(&self, for_address: IpAddr) -> io::Result<TcpStream> {
        let door = match (for_address, &self.v6) {
            (IpAddr::V4(_), _) => &self.v4,
            (IpAddr::V6(_), Some(door)) => door,
            (IpAddr::V6(_), None) => return Err(Errno::AFNOSUPPORT.into()),
        };
        // A door is shut again on every way out, so a panic elsewhere leaves a usable one.
        let door = door.lock().unwrap_or_else(PoisonError::into_inner);
        let made = (1..TRIES).find_map(|_| door.make().ok());
        match made {
            Some(socket) => Ok(socket.into()),
            None => Ok(door.make()?.into()),
        }
    }
}

/// Programs inside can get in the way once, by being many at the door.
const TRIES: u32 = 3;

/// Connections that may wait: ours, and what programs inside put in front of it.
const QUEUE: i32 = 16;

/// The kernel hands a connection over on the loopback at once, but may put that off to a thread of its
/// own when there is much to do.
const HAND_OVER: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

impl Door {
    fn make(&self) -> Result<OwnedFd, Errno> {
        rustix::net::listen(&self.listener, QUEUE)?;
        let made = self.pass();
        // Neither can fail on a TCP socket that nobody waits for.
        let shut = rustix::net::connect_unspec(&self.listener);
        let let_go = forget(&self.client);
        let socket = made?;
        shut.and(let_go).map(|()| socket)
    }

    fn pass(&self) -> Result<OwnedFd, Errno> {
        let address = rustix::net::getsockname(&self.listener)?;
        match rustix::net::connect(&self.client, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        let own = rustix::net::getsockname(&self.client)?;
        for _ in 0..=QUEUE {
            let (socket, peer) = self.accept()?;
            forget(&socket)?;
            if peer == own {
                return Ok(socket);
            }
        }
        Err(Errno::AGAIN)
    }

    fn accept(&self) -> Result<(OwnedFd, SocketAddrAny), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accepted = match rustix::net::acceptfrom_with(&self.listener, flags) {
            Err(Errno::AGAIN) => {
                let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
                rustix::event::poll(&mut listener, Some(&HAND_OVER))?;
                rustix::net::acceptfrom_with(&self.listener, flags)?
            }
            other => other?,
        };
        match accepted {
            (socket, Some(peer)) => Ok((socket, peer)),
            (_, None) => Err(Errno::NOTCONN),
        }
    }
}

/// Lets a connection go: the other end gets a reset, and the socket is as new.
fn forget(socket: &OwnedFd) -> Result<(), Errno> {
    rustix::net::connect_unspec(socket)?;
    // What became of the old connection must not be told of the next one.
    sockopt::socket_error(socket).map(drop)
}
