//! Descriptors: ranges of them, and duplicates at fixed numbers.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::os::fd::RawFd;

use super::{Errno, check};

/// What happens to the descriptors of a range.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RangeAction {
    /// They are closed in a table of the caller's own: a table shared with others is copied first.
    CloseUnshared,
    /// They close at the next `execve`.
    CloseOnExec,
}

/// Applies an action to all descriptors from `first` on (`close_range(2)`, Linux 5.9, 5.11).
pub(crate) fn close_range_from(first: libc::c_uint, action: RangeAction) -> Result<(), Errno> {
    let flags = match action {
        RangeAction::CloseUnshared => libc::CLOSE_RANGE_UNSHARE,
        RangeAction::CloseOnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // SAFETY: no Rust value that owns one of these descriptors is used afterwards: the callers
    // are stages that go on to `execve` or `_exit` with descriptors below `first` only.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    check(result).map(drop)
}

/// Makes `to` a duplicate of `from` without the close-on-exec flag, also if they are equal.
pub(crate) fn place(from: RawFd, to: RawFd) -> Result<(), Errno> {
    if from == to {
        return clear_close_on_exec(to);
    }
    // SAFETY: the caller owns the number `to`: it is one of the child's standard descriptors or a
    // slot that the init image's contract reserves.
    let result = unsafe { libc::dup2(from, to) };
    check(result.into()).map(drop)
}

fn clear_close_on_exec(descriptor: RawFd) -> Result<(), Errno> {
    // SAFETY: F_SETFD takes an integer and changes only the flag.
    let result = unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) };
    check(result.into()).map(drop)
}

/// Moves a duplicate to the lowest free number from `least` on, so that placing others at low
/// numbers can't overwrite it.
pub(crate) fn duplicate_above(descriptor: RawFd, least: RawFd) -> Result<RawFd, Errno> {
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and creates a new descriptor.
    let result = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, least) };
    check(result.into()).map(|_| result)
}
