//! What a launched command does, up to its end.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::sys::{self, Errno};

/// What a running command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEvent {
    /// A signal stopped it.
    Stopped {
        /// The signal's number.
        signal: i32,
    },
    /// It goes on.
    Continued,
    /// It has ended, and everything else in the sandbox with it.
    Ended(Exit),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// Reports what a launched command does. It must be kept until the command has ended: the sandbox
/// dies with it.
#[derive(Debug)]
pub struct Follower {
    /// Whether the supervisor has something to do yet.
    pub(crate) unsettled: Arc<AtomicBool>,
    pub(crate) pid: libc::pid_t,
    pub(crate) status: OwnedFd,
    pub(crate) lifeline: OwnedFd,
}

/// What the supervisor has to do when nothing inside runs any more.
#[derive(Debug)]
pub struct Unsettled(Arc<AtomicBool>);

impl Unsettled {
    /// Waits until it is done.
    pub fn wait(self) {
        for _ in 0..MOST_PAUSES {
            if !self.0.load(Ordering::Acquire) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A minute, in milliseconds: the supervisor waits for nobody so long, but a disk may be slow, and what it has not
/// put in place when this process ends is lost.
const MOST_PAUSES: usize = 60_000;

/// Bytes of a report on the status pipe.
pub const REPORT_BYTES: usize = 4;

impl Follower {
    /// The pipe that reports arrive on, [`REPORT_BYTES`] each, until pid 1 has ended.
    pub fn status(&self) -> io::Result<OwnedFd> {
        self.status.try_clone()
    }

    /// What a report says.
    #[must_use]
    pub fn event(report: [u8; REPORT_BYTES]) -> ChildEvent {
        event(i32::from_ne_bytes(report))
    }

    /// To be asked when the end is reported, before it is told: what was written last may have to get to its place yet.
    #[must_use]
    pub fn unsettled(&self) -> Option<Unsettled> {
        let is_unsettled = self.unsettled.load(Ordering::Acquire);
        is_unsettled.then(|| Unsettled(Arc::clone(&self.unsettled)))
    }

    /// After the pipe's end: takes pid 1's remains away, and everything inside is gone. `reported`
    /// is the end that was reported, if it was.
    #[must_use]
    pub fn end(self, reported: Option<Exit>) -> Exit {
        reap(self.pid);
        // Held until here: the sandbox ends with it.
        drop(self.lifeline);
        // Without a report pid 1 was killed, and the kernel has killed the rest.
        reported.unwrap_or(Exit::Signal(libc::SIGKILL))
    }

    /// Waits for every report.
    pub(crate) fn follow(self, on_event: &mut impl FnMut(ChildEvent)) {
        let mut reported = None;
        let mut report = [0; REPORT_BYTES];
        loop {
            match rustix::io::read(&self.status, &mut report) {
                Ok(REPORT_BYTES) => match Self::event(report) {
                    event @ ChildEvent::Ended(exit) => {
                        // Nothing inside runs any more; what is left is the kernel's bookkeeping.
                        reported = Some(exit);
                        if let Some(unsettled) = self.unsettled() {
                            unsettled.wait();
                        }
                        on_event(event);
                    }
                    event @ (ChildEvent::Stopped { .. } | ChildEvent::Continued) => on_event(event),
                },
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        let exit = self.end(reported);
        if reported.is_none() {
            on_event(ChildEvent::Ended(exit));
        }
    }
}

/// Reaps pid 1. What its status says is known already, and ECHILD that it was reaped.
pub(crate) fn reap(pid: libc::pid_t) {
    match sys::wait::wait_for(pid) {
        Ok(_) | Err(_) => {}
    }
}

fn event(status: i32) -> ChildEvent {
    if libc::WIFSTOPPED(status) {
        ChildEvent::Stopped {
            signal: libc::WSTOPSIG(status),
        }
    } else if libc::WIFCONTINUED(status) {
        ChildEvent::Continued
    } else if libc::WIFSIGNALED(status) {
        ChildEvent::Ended(Exit::Signal(libc::WTERMSIG(status)))
    } else {
        ChildEvent::Ended(Exit::Code(libc::WEXITSTATUS(status)))
    }
}
