//! A thread of the inner stage that hands the supervisor's descriptors over when the stage's own thread
//! can't any more.

use std::{
    os::fd::BorrowedFd,
    sync::{Mutex, PoisonError, atomic::AtomicU32},
};

use super::handover;
use crate::{
    supervisor::SupervisorSockets,
    sys::{self, Errno},
};

/// What both threads know. Nobody else has the lock.
pub(super) struct Messenger<'launch> {
    channel: BorrowedFd<'launch>,
    /// Whether there is something to send, or never will be.
    ready: AtomicU32,
    /// Whether the thread uses this memory.
    pub(super) running: AtomicU32,
    message: Mutex<Message>,
}

struct Message {
    sockets: Option<SupervisorSockets>,
    outcome: Result<(), Errno>,
}

impl<'launch> Messenger<'launch> {
    pub(super) fn new(channel: BorrowedFd<'launch>) -> Self {
        Self {
            channel,
            ready: AtomicU32::new(0),
            running: AtomicU32::new(0),
            message: Mutex::new(Message {
                sockets: None,
                outcome: Ok(()),
            }),
        }
    }

    /// What the thread runs.
    pub(super) fn run(&self) -> libc::c_int {
        sys::clone::wait_while(&self.ready, 0);
        let mut message = self.message.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sockets) = message.sockets.take() {
            message.outcome = handover::send_supervisor(self.channel, &sockets);
        }
        0
    }

    /// Has it sent, and waits for its end.
    pub(super) fn send(&self, sockets: Option<SupervisorSockets>) -> Result<(), Errno> {
        let lock = || self.message.lock().unwrap_or_else(PoisonError::into_inner);
        lock().sockets = sockets;
        sys::clone::set_and_wake(&self.ready, 1);
        sys::clone::wait_while(&self.running, 1);
        lock().outcome
    }
}
