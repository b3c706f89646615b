//! Signals that a program receives for the command that it runs.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use crate::sys::{self, Errno, signal::SignalSet};

/// What a program that stands for its command takes instead of dying of it: everything that is sent
/// to ask for something, and what the terminal sends.
const TAKEN: [i32; 13] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGCONT,
    libc::SIGWINCH,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGVTALRM,
];

/// Bytes of a `struct signalfd_siginfo` (signalfd(2)).
const RECORD_BYTES: usize = 128;

/// `si_code` of a signal that the kernel sent, such as a terminal's (sigaction(2)).
const SI_KERNEL: i32 = 0x80;

/// A source of received signals.
#[derive(Debug)]
pub struct SignalSource {
    descriptor: OwnedFd,
}

/// A received signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// Its number.
    pub number: i32,
    /// Whether the kernel sent it, so that the command, in the same process group, has it too.
    pub from_kernel: bool,
}

impl SignalSource {
    /// Takes the signals over. Call it before the first thread is started: threads inherit the mask
    /// that blocks the usual way of delivery. Commands are started with an empty one.
    pub fn take_over() -> io::Result<Self> {
        let signals = TAKEN.into_iter().fold(SignalSet::empty(), SignalSet::with);
        sys::signal::set_mask(&signals)?;
        let descriptor = sys::signal::own(sys::signal::signal_descriptor(&signals)?);
        Ok(Self { descriptor })
    }

    /// The next signal; `WouldBlock` while there is none.
    pub fn read(&self) -> io::Result<ReceivedSignal> {
        let mut record = [0_u8; RECORD_BYTES];
        let length = rustix::io::read(&self.descriptor, &mut record)?;
        // The first three fields are number, errno and code, 32 bits each.
        let [a, b, c, d, _, _, _, _, e, f, g, h, ..] = record;
        if length != RECORD_BYTES {
            return Err(Errno::IO.into());
        }
        let number = i32::from_ne_bytes([a, b, c, d]);
        let code = i32::from_ne_bytes([e, f, g, h]);
        Ok(ReceivedSignal {
            number,
            from_kernel: code == SI_KERNEL,
        })
    }
}

impl AsFd for SignalSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for SignalSource {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}
