//! One change at a time among all sandboxes of a user.
//!
//! Each supervisor is serial for its own sandbox. Two of them over one directory could each permit a
//! piece of a git directory that the other's makes whole, so whoever judges such a piece has the turn
//! until the change is done.
//!
//! The turn is an abstract Unix socket's name (unix(7)) in the host's network namespace. Nothing
//! inside reaches that namespace, nothing is created in the file system, and the kernel takes the name
//! back from a process that dies.

use std::os::fd::OwnedFd;

use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with},
    thread::NanosleepRelativeResult,
    time::Timespec,
};

use crate::sys::Errno;

/// The turn, until it is dropped.
#[derive(Debug)]
pub(in crate::supervisor) struct Turn(#[expect(dead_code, reason = "held")] OwnedFd);

impl Turn {
    /// Waits for the turn. A change takes microseconds: who has not got it after so long a time is not
    /// going to, and the change is refused.
    pub(in crate::supervisor) fn take() -> Result<Self, Errno> {
        let name = format!("srt/git/{}", rustix::process::geteuid().as_raw());
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes())?;
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        for _ in 0..TRIES {
            match bind(&socket, &address) {
                Ok(()) => return Ok(Self(socket)),
                Err(Errno::ADDRINUSE) => match rustix::thread::nanosleep(&PAUSE) {
                    NanosleepRelativeResult::Ok | NanosleepRelativeResult::Interrupted(_) => {}
                    NanosleepRelativeResult::Err(errno) => return Err(errno),
                },
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::ACCESS)
    }
}

const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000,
};

/// Some two seconds.
const TRIES: usize = 20_000;
