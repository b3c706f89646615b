//! The names of sockets that the supervisor bound: the kernel tells the path that the call had
//! (unix(7)), which leads through a descriptor of this process; callers are told what they wrote.

use std::{
    collections::HashMap,
    ffi::OsStr,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
};

use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

use super::{
    Answering, Outcome,
    request::{SocketArgument, SocketEnd},
};
use crate::sys::Errno;

/// What callers wrote, by what the kernel knows.
#[derive(Debug, Default)]
pub(super) struct SocketNames {
    written: HashMap<Vec<u8>, Vec<u8>>,
    count: i32,
}

impl SocketNames {
    /// More than these are forgotten.
    const MOST: usize = 4096;
    /// Descriptors that directories are bound through take turns, so that names differ.
    const FIRST: i32 = 256;
    const TURNS: i32 = 512;

    /// Binds a socket to a name in a directory, as its caller wrote it.
    pub(super) fn bind(
        &mut self,
        socket: BorrowedFd<'_>,
        directory: BorrowedFd<'_>,
        name: &[u8],
        written: &[u8],
    ) -> Result<(), Errno> {
        if written == name {
            // The directory is the caller's own, and this thread has one to itself.
            rustix::process::fchdir(directory)?;
            return rustix::net::bind(socket, &address(written)?);
        }
        self.count = (self.count + 1) % Self::TURNS;
        let own = match rustix::io::fcntl_dupfd_cloexec(directory, Self::FIRST + self.count) {
            Err(Errno::INVAL) => rustix::io::fcntl_dupfd_cloexec(directory, 0)?,
            own => own?,
        };
        let path = path_through(&own, name);
        rustix::net::bind(socket, &address(&path)?)?;
        if self.written.len() >= Self::MOST {
            self.written.clear();
        }
        self.written.insert(path, written.to_vec());
        Ok(())
    }
}

fn path_through(directory: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

fn address(path: &[u8]) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(OsStr::from_bytes(path))
}

impl Answering<'_> {
    /// Tells the name of a socket, or of the one that it is connected to.
    pub(super) fn name_of(
        &self,
        end: SocketEnd,
        argument: SocketArgument,
    ) -> Result<Outcome, Errno> {
        // Nothing is decided here: what the kernel knows better, it tells.
        if self.state.socket_names.written.is_empty() {
            return Ok(Outcome::Continue);
        }
        let socket = self.descriptor(argument.socket)?;
        let found: SocketAddrAny = match end {
            SocketEnd::Own => rustix::net::getsockname(socket.as_fd())?,
            SocketEnd::Peer => match rustix::net::getpeername(socket.as_fd())? {
                Some(found) => found,
                None => return Ok(Outcome::Continue),
            },
        };
        if found.address_family() != AddressFamily::UNIX {
            return Ok(Outcome::Continue);
        }
        let found = SocketAddrUnix::try_from(found)?;
        let path = found.path_bytes().unwrap_or_default();
        let Some(written) = self.state.socket_names.written.get(path) else {
            return Ok(Outcome::Continue);
        };
        self.write_address(argument, written)
    }

    /// Writes an address where getsockname(2) would, cut as it would.
    fn write_address(&self, argument: SocketArgument, path: &[u8]) -> Result<Outcome, Errno> {
        let family = u16::try_from(libc::AF_UNIX).map_err(|_large| Errno::INVAL)?;
        let content = [&family.to_ne_bytes(), path, &[0]].concat();
        let mut room = [0; 4];
        self.view.caller.bytes(argument.length, &mut room)?;
        let room = usize::try_from(i32::from_ne_bytes(room)).map_err(|_negative| Errno::INVAL)?;
        let length = u32::try_from(content.len()).map_err(|_large| Errno::INVAL)?;
        let shown = content.get(..room).unwrap_or(&content);
        // The memory is held by then: a thread id can become another process's, the file can't.
        let memory = self.view.caller.memory()?;
        self.is_still_waiting()?;
        write_all(&memory, argument.address, shown)?;
        write_all(&memory, argument.length, &length.to_ne_bytes())?;
        Ok(Outcome::Done)
    }
}

pub(super) fn write_all(memory: &OwnedFd, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    match rustix::io::pwrite(memory, bytes, address) {
        Ok(written) if written == bytes.len() => Ok(()),
        // What is not there, or not to be written (proc_pid_mem(5)).
        Ok(_) | Err(Errno::IO) => Err(Errno::FAULT),
        Err(errno) => Err(errno),
    }
}
