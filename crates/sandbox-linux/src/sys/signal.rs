//! Signal masks and dispositions around the launch.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::{
    mem,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
};

use super::{Errno, check};

/// A set of signals.
#[derive(Clone, Copy)]
pub(crate) struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// No signal.
    pub(crate) fn empty() -> Self {
        // SAFETY: `sigset_t` is plain data, and all bytes zero is the empty set on Linux.
        Self(unsafe { mem::zeroed() })
    }

    /// The set with one more signal.
    pub(crate) fn with(mut self, signal: libc::c_int) -> Self {
        // SAFETY: the pointer is to a set that lives for the call; an unknown number changes nothing.
        unsafe { libc::sigaddset(&raw mut self.0, signal) };
        self
    }

    /// Every signal.
    pub(crate) fn full() -> Self {
        let mut set = Self::empty();
        // SAFETY: the pointer is to a set that lives for the call.
        unsafe { libc::sigfillset(&raw mut set.0) };
        set
    }
}

/// Sets the calling thread's mask and returns the old one.
pub(crate) fn set_mask(mask: &SignalSet) -> Result<SignalSet, Errno> {
    let mut old = SignalSet::empty();
    // SAFETY: both pointers are to sets that live for the call.
    let error =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask.0, &raw mut old.0) };
    if error == 0 {
        Ok(old)
    } else {
        Err(Errno::from_raw_os_error(error))
    }
}

/// Gives SIGPIPE its default action back: Rust programs ignore it, and an ignored signal stays so
/// across `execve`.
pub(crate) fn default_sigpipe() -> Result<(), Errno> {
    // SAFETY: all bytes zero is SIG_DFL with an empty mask and no flags.
    let action: libc::sigaction = unsafe { mem::zeroed() };
    set_action(libc::SIGPIPE, &action).map(drop)
}

/// Gives SIGCHLD its default action, and tells whether it was ignored: children of such a process vanish without a
/// status or a signal (wait(2)), and `execve` keeps it so.
pub(crate) fn default_sigchld() -> Result<bool, Errno> {
    // SAFETY: all bytes zero is SIG_DFL with an empty mask and no flags.
    let action: libc::sigaction = unsafe { mem::zeroed() };
    let old = set_action(libc::SIGCHLD, &action)?;
    Ok(old.sa_sigaction == libc::SIG_IGN)
}

/// Ignores SIGCHLD, for a command whose caller did.
pub(crate) fn ignore_sigchld() -> Result<(), Errno> {
    // SAFETY: all bytes zero is an action with an empty mask and no flags.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = libc::SIG_IGN;
    set_action(libc::SIGCHLD, &action).map(drop)
}

fn set_action(signal: libc::c_int, action: &libc::sigaction) -> Result<libc::sigaction, Errno> {
    // SAFETY: all bytes zero is SIG_DFL with an empty mask and no flags.
    let mut old: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: the action is to ignore or the default one, so no handler can be called with a wrong signature; both
    // structures live for the call.
    let result = unsafe { libc::sigaction(signal, ptr::from_ref(action), &raw mut old) };
    check(result.into()).map(|_| old)
}

/// Opens a signalfd(2) for a set of signals.
pub(crate) fn signal_descriptor(signals: &SignalSet) -> Result<RawFd, Errno> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the pointer is to a set that lives for the call; -1 asks for a new descriptor.
    let descriptor = unsafe { libc::signalfd(-1, &raw const signals.0, flags) };
    check(descriptor.into()).map(|_| descriptor)
}

/// Takes the ownership of a descriptor that was just opened.
pub(crate) fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the callers pass a number that `signal_descriptor` or `duplicate` has just returned.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}
