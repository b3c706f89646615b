//! Binding sockets, which makes a name where the address is a path (unix(7)).

use std::{
    ffi::OsStr,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
};

use rustix::{
    net::SocketAddrUnix,
    process::{Pid, PidfdFlags, PidfdGetfdFlags},
};

use super::{Answering, Outcome, git::Change, permit::Access, permit::is_there};
use crate::sys::{self, Errno};

/// `struct sockaddr_storage` of sys/socket.h.
const LARGEST_ADDRESS: usize = 128;

impl Answering<'_> {
    /// Binds the caller's own socket, of whatever family.
    pub(super) fn bind(
        &mut self,
        socket: i32,
        address: u64,
        length: u32,
    ) -> Result<Outcome, Errno> {
        use std::os::fd::AsFd;
        let length = usize::try_from(length).map_err(|_large| Errno::INVAL)?;
        let mut content = [0_u8; LARGEST_ADDRESS];
        let content = content.get_mut(..length).ok_or(Errno::INVAL)?;
        self.view.caller.bytes(address, content)?;
        let socket = self.socket(socket)?;
        self.is_still_waiting()?;
        let family = content
            .first_chunk()
            .map(|family| u16::from_ne_bytes(*family));
        let path = match (family, content.get(2..)) {
            (Some(family), Some([first, rest @ ..]))
                if i32::from(family) == libc::AF_UNIX && *first != 0 =>
            {
                let end = rest.iter().position(|byte| *byte == 0);
                let length = end.unwrap_or(rest.len()) + 1;
                content.get(2..2 + length).unwrap_or_default()
            }
            _ => {
                sys::net::bind(socket.as_fd(), content)?;
                return Ok(Outcome::Done);
            }
        };
        let place = self.view.place_of_text(libc::AT_FDCWD, path)?;
        if is_there(place.directory.as_fd(), &place) {
            return Err(Errno::ADDRINUSE);
        }
        let through = self.permit_change(&place, Access::Write, &Change::MakeNode)?;
        let mut roots = self.world.rules.missing_roots.iter();
        if roots.any(|root| root.path == place.path) {
            return Err(Errno::ACCESS);
        }
        self.adopt_umask()?;
        let directory = through.through.directory(&place).as_raw_fd();
        let mut path = format!("/proc/self/fd/{directory}/").into_bytes();
        path.extend_from_slice(place.name.as_bytes());
        let address = SocketAddrUnix::new(OsStr::from_bytes(&path))?;
        rustix::net::bind(&socket, &address)?;
        Ok(Outcome::Done)
    }

    /// A duplicate of the caller's descriptor.
    fn socket(&self, number: i32) -> Result<OwnedFd, Errno> {
        let process = self.view.caller.process()?;
        let process = Pid::from_raw(process).ok_or(Errno::ACCESS)?;
        let process = rustix::process::pidfd_open(process, PidfdFlags::empty())?;
        rustix::process::pidfd_getfd(process, number, PidfdGetfdFlags::empty())
    }
}
