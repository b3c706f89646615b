//! Where the command waits until nothing inside has the host's memory any more.
//!
//! `/proc/1/cmdline` is read from the memory of pid 1 by whoever likes, without a question of ptrace(2)'s: until pid 1 is
//! another image it holds the host program's arguments.

use std::{
    os::fd::{AsRawFd, RawFd},
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
};

use rustix::pipe::PipeFlags;

use super::OUT_OF_THE_WAY;
use crate::sys::{self, Errno};

/// A pipe of which the outer stage holds one end until `execve` closes it. That is after the memory was given up
/// (`begin_new_exec` in fs/exec.c), which a word that the kernel clears at that moment would not say.
#[derive(Debug)]
pub(super) struct Gate {
    held: AtomicI32,
    watched: AtomicI32,
    is_abandoned: AtomicBool,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            held: AtomicI32::new(-1),
            watched: AtomicI32::new(-1),
            is_abandoned: AtomicBool::new(false),
        }
    }
}

impl Gate {
    /// For the outer stage, before it starts the inner one, which gets a copy of both ends.
    pub(super) fn close(&self) -> Result<(), Errno> {
        let (watched, held) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // Both stages place others at low numbers, which may be free here. They are numbers of the stages' tables, which
        // mean other files in the host's.
        for (end, number) in [(watched, &self.watched), (held, &self.held)] {
            let aside = sys::fd::duplicate_above(end.as_raw_fd(), OUT_OF_THE_WAY)?;
            number.store(aside, Ordering::SeqCst);
        }
        Ok(())
    }

    /// For the outer stage where it fails: its end opens the gate too.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::SeqCst);
    }

    /// For the inner stage: waits. Tells whether the sandbox is there.
    pub(super) fn pass(&self) -> Result<bool, Errno> {
        let number = |end: &AtomicI32| -> RawFd { end.load(Ordering::SeqCst) };
        let held = number(&self.held);
        sys::fd::close_between(held, held)?;
        while !sys::fd::poll_hang_up(number(&self.watched), -1)? {}
        Ok(!self.is_abandoned.load(Ordering::SeqCst))
    }
}
