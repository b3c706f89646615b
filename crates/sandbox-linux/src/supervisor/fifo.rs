//! Opens of FIFOs that wait for the other end (fifo(7)): the supervisor itself must never wait.
//!
//! A writer is tried again until there is a reader. A reader waits on a thread of its own, as nothing
//! but a blocking open tells when a writer has come.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::{Mode, OFlags},
};

use super::{Outcome, World, caller::Caller, open::descriptor, resolve::handle_path};
use crate::sys::{self, Errno, notify::Answer};

/// How often waiting opens are looked at.
pub(super) const PAUSE_NANOSECONDS: i64 = 2_000_000;

/// An open of a FIFO whose other end is not open.
#[derive(Debug)]
pub(super) struct WaitingOpen {
    id: u64,
    thread: i32,
    flags: OFlags,
    /// The FIFO: a handle for a writer, an open end for a reader, so that writers find one.
    fifo: OwnedFd,
    end: End,
}

#[derive(Debug)]
enum End {
    Writer,
    /// Whether somebody has answered.
    Reader(Arc<AtomicBool>),
}

impl WaitingOpen {
    /// More than these are refused (`EAGAIN`).
    pub(super) const MOST: usize = 256;

    /// An open for writing that found no reader.
    pub(super) fn writer(id: u64, thread: i32, fifo: OwnedFd, flags: OFlags) -> Self {
        Self {
            id,
            thread,
            flags,
            fifo,
            end: End::Writer,
        }
    }

    /// Threads that may wait for a writer at a time, those included that nobody can wake.
    const MOST_READERS: usize = 64;

    /// An open for reading; `fifo` is open for reading without waiting.
    pub(super) fn reader(
        world: &World,
        (id, caller): (u64, i32),
        fifo: OwnedFd,
        flags: OFlags,
    ) -> Result<Self, Errno> {
        let running = Arc::clone(&world.waiting_readers);
        if Arc::strong_count(&running) > Self::MOST_READERS {
            return Err(Errno::AGAIN);
        }
        let answered = Arc::new(AtomicBool::new(false));
        let claim = Arc::clone(&answered);
        // The thread may outlive the sandbox, so it holds nothing of it but this.
        let listener = rustix::io::fcntl_dupfd_cloexec(&world.listener, 0)?;
        let proc = rustix::io::fcntl_dupfd_cloexec(&world.proc, 0)?;
        let handle = reopen(
            world.proc.as_fd(),
            fifo.as_fd(),
            OFlags::PATH | OFlags::CLOEXEC,
        )?;
        let run = move || {
            let asked = plain(flags) - OFlags::NONBLOCK;
            // Returns when there is a writer, or somebody who only wakes it.
            let opened = reopen(proc.as_fd(), handle.as_fd(), asked);
            if !claim.swap(true, Ordering::SeqCst) {
                let outcome = opened.and_then(|file| descriptor(file, flags));
                settle(listener.as_fd(), id, outcome);
            }
            drop(running);
        };
        thread::Builder::new()
            .name("sandbox-fifo".into())
            .spawn(run)
            .map_err(|_failed| Errno::AGAIN)?;
        Ok(Self {
            id,
            thread: caller,
            flags,
            fifo,
            end: End::Reader(answered),
        })
    }

    /// Looks again; false once the call needs nothing more.
    pub(super) fn still_waits(&self, listener: BorrowedFd<'_>, proc: BorrowedFd<'_>) -> bool {
        let is_waiting = sys::notify::is_waiting(listener, self.id);
        let caller = Caller {
            thread: self.thread,
            proc,
        };
        let outcome = match &self.end {
            End::Reader(answered) if answered.load(Ordering::SeqCst) => return false,
            End::Writer if !is_waiting => return false,
            End::Reader(_) if !is_waiting => Err(Errno::NOENT),
            // The kernel lets nothing but a fatal signal end the call itself.
            End::Reader(_) | End::Writer if caller.has_caught_signal() => Err(Errno::INTR),
            // A writer that came and went has left data, or the end of it.
            End::Reader(_) if has_news(self.fifo.as_fd()) => self
                .fifo
                .try_clone()
                .map_err(|_full| Errno::MFILE)
                .and_then(|file| descriptor(file, self.flags)),
            End::Reader(_) => return true,
            End::Writer => {
                let asked = plain(self.flags) | OFlags::NONBLOCK;
                let opened = reopen(proc, self.fifo.as_fd(), asked);
                match opened.and_then(|file| descriptor(file, self.flags)) {
                    Err(Errno::NXIO) => return true,
                    outcome => outcome,
                }
            }
        };
        if let End::Reader(answered) = &self.end {
            if answered.swap(true, Ordering::SeqCst) {
                return false;
            }
            // Its thread must not wait for ever.
            let asked = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            reopen(proc, self.fifo.as_fd(), asked)
                .map(drop)
                .unwrap_or(());
        }
        settle(listener, self.id, outcome);
        false
    }
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
fn plain(flags: OFlags) -> OFlags {
    (flags | OFlags::CLOEXEC | OFlags::NOCTTY) - OFlags::CREATE - OFlags::EXCL - OFlags::NOFOLLOW
}

fn reopen(proc: BorrowedFd<'_>, fifo: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
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
