//! Binding sockets, which makes a name where the address is a path (unix(7)).

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    net::{AddressFamily, sockopt},
    process::{Pid, PidfdFlags, PidfdGetfdFlags},
    time::ClockId,
};

use super::{
    Answering, Outcome,
    bound::SocketIdentity,
    connect::Address,
    git::Change,
    permit::{Access, is_there},
    request::SocketArgument,
    resolve::open_place,
};
use crate::sys::{self, Errno};

impl Answering<'_> {
    /// Binds the caller's own socket, of whatever family.
    pub(super) fn bind(&mut self, argument: SocketArgument) -> Result<Outcome, Errno> {
        let mut content = [0; Address::LARGEST];
        let content = self.address(argument, &mut content)?;
        let socket = self.descriptor(argument.socket)?;
        self.is_still_waiting()?;
        // Only a Unix socket gets a name. Any other one is held no longer than the call takes: to close it may take
        // as long as its owner says (socket(7), `SO_LINGER`).
        let is_unix = sockopt::socket_domain(&socket)? == AddressFamily::UNIX;
        let Some(path) = Address::new(content).path().filter(|_| is_unix) else {
            sys::net::bind(socket.as_fd(), content)?;
            return Ok(Outcome::Done);
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
        let directory = through.through.directory(&place);
        let before = rustix::time::clock_gettime(ClockId::RealtimeCoarse);
        let names = &mut self.state.socket_names;
        names.bind(socket.as_fd(), directory, place.name.as_bytes(), path)?;
        let handle = open_place(directory, &place.name)?;
        // Another one, if a name was moved there meanwhile: it is not remembered.
        if let Some(identity) = SocketIdentity::of_new(&handle, before)? {
            self.world.rules.bound.insert(identity);
        }
        Ok(Outcome::Done)
    }

    /// The bytes of a socket address.
    pub(super) fn address<'c>(
        &self,
        argument: SocketArgument,
        content: &'c mut [u8; Address::LARGEST],
    ) -> Result<&'c [u8], Errno> {
        // The kernel looks at the low half only.
        let length = argument.length & u64::from(u32::MAX);
        let length = usize::try_from(length).map_err(|_large| Errno::INVAL)?;
        let content = content.get_mut(..length).ok_or(Errno::INVAL)?;
        self.view.caller.bytes(argument.address, content)?;
        Ok(content)
    }

    /// A duplicate of the caller's descriptor.
    pub(super) fn descriptor(&self, number: i32) -> Result<OwnedFd, Errno> {
        if number < 0 {
            return Err(Errno::BADF);
        }
        let thread = Pid::from_raw(self.view.caller.thread).ok_or(Errno::ACCESS)?;
        let process = match rustix::process::pidfd_open(thread, PidfdFlags::empty()) {
            // Not the first thread of its process.
            Err(Errno::INVAL | Errno::NOENT) => {
                let process = Pid::from_raw(self.view.caller.process()?).ok_or(Errno::ACCESS)?;
                rustix::process::pidfd_open(process, PidfdFlags::empty())?
            }
            found => found?,
        };
        rustix::process::pidfd_getfd(process, number, PidfdGetfdFlags::empty())
    }
}
