//! Opens of FIFOs that wait for the other end (fifo(7)): the supervisor itself must never wait.
//!
//! Both ends are looked at again and again. A writer is tried until there is a reader. A reader's end is open
//! already, so that writers find one, and is handed out when there is a writer. No thread waits in an open: only
//! another open could end that, and who may not write to the FIFO any more can't make one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::{Mode, OFlags},
    pipe::{PipeFlags, SpliceFlags},
};

use super::{Outcome, World, caller::Caller, held::Held, open::descriptor, paths::handle_path};
use crate::sys::{self, Errno, notify::Answer};

/// How often waiting opens are looked at.
pub(super) const PAUSE_NANOSECONDS: i64 = 2_000_000;

/// An open of a FIFO whose other end is not open.
#[derive(Debug)]
pub(super) struct WaitingOpen {
    pub(super) id: u64,
    pub(super) thread: i32,
    pub(super) flags: OFlags,
    /// The FIFO: a handle for a writer, an open end for a reader.
    pub(super) fifo: OwnedFd,
    pub(super) end: End,
    #[expect(dead_code, reason = "given back with the FIFO")]
    pub(super) held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Writer,
    Reader,
}

impl WaitingOpen {
    /// More than these are refused (`EAGAIN`).
    pub(super) const MOST: usize = 256;

    /// Looks again; none once the call needs nothing more.
    pub(super) fn look(self, world: &World, probe: &mut Option<Probe>) -> Option<Self> {
        let listener = world.listener.as_fd();
        if !sys::notify::is_waiting(listener, self.id) {
            return None;
        }
        let caller = Caller {
            thread: self.thread,
            proc: world.proc.as_fd(),
        };
        let outcome = match self.end {
            // The kernel lets nothing but a fatal signal end the call itself.
            _ if caller.has_caught_signal() => Err(Errno::INTR),
            End::Reader => match has_partner(self.fifo.as_fd(), probe) {
                Ok(false) => return Some(self),
                Ok(true) => descriptor(self.fifo, self.flags),
                Err(errno) => Err(errno),
            },
            End::Writer => {
                let asked = plain(self.flags) | OFlags::NONBLOCK;
                let opened = reopen(world.proc.as_fd(), self.fifo.as_fd(), asked);
                match opened.and_then(|file| descriptor(file, self.flags)) {
                    Err(Errno::NXIO) => return Some(self),
                    outcome => outcome,
                }
            }
        };
        settle(listener, self.id, outcome);
        None
    }
}

/// A pipe that tells whether another one has writers.
#[derive(Debug)]
pub(super) struct Probe {
    read: OwnedFd,
    write: OwnedFd,
}

/// Whether a FIFO that is open for reading without waiting has a writer, or has had one meanwhile: that has left
/// data, or the end of it.
pub(super) fn has_partner(fifo: BorrowedFd<'_>, probe: &mut Option<Probe>) -> Result<bool, Errno> {
    if has_news(fifo) {
        return Ok(true);
    }
    // Put back once it is known to be empty.
    let Probe { read, write } = match probe.take() {
        Some(kept) => kept,
        None => {
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            Probe { read, write }
        }
    };
    // tee(2) takes nothing out, and waits for data only where there is a writer.
    let copy = || rustix::pipe::tee(fifo, &write, 1, SpliceFlags::NONBLOCK);
    let has_writer = match rustix::io::retry_on_intr(copy) {
        Ok(0) => false,
        Ok(_) => {
            rustix::io::read(&read, &mut [0_u8])?;
            true
        }
        Err(Errno::AGAIN) => true,
        Err(errno) => return Err(errno),
    };
    *probe = Some(Probe { read, write });
    Ok(has_writer)
}

/// Whether there is data, or its end.
fn has_news(fifo: BorrowedFd<'_>) -> bool {
    let mut poll = [PollFd::from_borrowed_fd(fifo, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut poll, Some(&now)).is_ok_and(|count| count > 0)
}

/// What an existing FIFO is opened with.
pub(super) fn plain(flags: OFlags) -> OFlags {
    (flags | OFlags::CLOEXEC | OFlags::NOCTTY) - OFlags::CREATE - OFlags::EXCL - OFlags::NOFOLLOW
}

pub(super) fn reopen(
    proc: BorrowedFd<'_>,
    fifo: BorrowedFd<'_>,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let link = handle_path(fifo)?;
    rustix::fs::openat(proc, link.as_c_str(), flags, Mode::empty())
}

fn settle(listener: BorrowedFd<'_>, id: u64, outcome: Result<Outcome, Errno>) {
    let answered = match outcome {
        Ok(Outcome::Descriptor(opened)) => opened.give(listener, id),
        Ok(Outcome::Done | Outcome::Sent(_) | Outcome::Later | Outcome::Continue) => {
            sys::notify::answer(listener, id, Answer::Error(Errno::ACCESS))
        }
        Err(errno) => sys::notify::answer(listener, id, Answer::Error(errno)),
    };
    // ENOENT: the caller is gone.
    answered.unwrap_or(());
}
