//! Descriptors: ranges of them, and duplicates at fixed numbers.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use super::{Errno, check};

/// fcntl(2), the number is the same on all architectures but MIPS and SPARC.
const F_SETSIG: libc::c_int = 10;

// linux/fs.h. The number of the first says a long, but the kernel takes an int.
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;

/// Closes the descriptors from `first` to `last` (`close_range(2)`, Linux 5.9).
pub(crate) fn close_between(first: RawFd, last: RawFd) -> Result<(), Errno> {
    let (first, last) = (first.unsigned_abs(), last.unsigned_abs());
    // SAFETY: the callers are stages, which own the whole table and use none of these afterwards.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    check(result).map(drop)
}

/// Makes all descriptors from `first` on close at the next `execve` (`close_range(2)`, Linux 5.11).
pub(crate) fn close_on_exec_from(first: libc::c_uint) -> Result<(), Errno> {
    let (last, flags) = (libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: the call only sets a flag on descriptors of the calling process.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    check(result).map(drop)
}

/// Moves the calling thread into the network namespace that a descriptor refers to.
pub(crate) fn enter_network(namespace: RawFd) -> Result<(), Errno> {
    // SAFETY: the call takes a descriptor and a flag and changes no memory.
    let result = unsafe { libc::setns(namespace, libc::CLONE_NEWNET) };
    check(result.into()).map(drop)
}

/// Whether the other end of a pipe has been closed everywhere, or is after so many milliseconds at most; -1 waits for it.
pub(crate) fn poll_hang_up(descriptor: RawFd, milliseconds: libc::c_int) -> Result<bool, Errno> {
    let mut poll = libc::pollfd {
        fd: descriptor,
        events: 0,
        revents: 0,
    };
    // SAFETY: the pointer is to one structure that lives for the call.
    let result = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    check(result.into()).map(|_| poll.revents & libc::POLLHUP != 0)
}

/// A duplicate, closed at the next `execve`, of a descriptor that is known by its number alone.
pub(crate) fn duplicate(number: RawFd) -> Result<RawFd, Errno> {
    let first = libc::STDERR_FILENO + 1;
    // SAFETY: F_DUPFD_CLOEXEC takes an integer; the call makes a descriptor and changes no other.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, first) };
    check(copy.into()).map(|_made| copy)
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

/// Takes a read lease (fcntl(2)) until the descriptor, which is open for reading, is closed: `EAGAIN` where the file
/// is open for writing. Who wants to open it so is told to wait or to try again, and this process gets a signal,
/// which [`quieten_lease`] makes one that is ignored by default.
pub(crate) fn lease_for_reading(file: BorrowedFd<'_>) -> Result<(), Errno> {
    quieten_lease(file)?;
    // SAFETY: F_SETLEASE takes an integer and changes no memory.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    check(result.into()).map(drop)
}

/// Gives a lease back.
pub(crate) fn release_lease(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: F_SETLEASE takes an integer and changes no memory.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
    check(result.into()).map(drop)
}

fn quieten_lease(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: F_SETSIG takes an integer and changes no memory.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) };
    check(result.into()).map(drop)
}

/// Sets flags of an inode: `FS_IOC_SETFLAGS` with an int or `FS_IOC_FSSETXATTR` with a
/// `struct fsxattr` (linux/fs.h), as the caller has put it together.
pub(crate) fn set_inode_flags(
    file: BorrowedFd<'_>,
    request: u32,
    argument: &[u8],
) -> Result<(), Errno> {
    let length = match request {
        FS_IOC_SETFLAGS => 4,
        FS_IOC_FSSETXATTR => 28,
        _ => return Err(Errno::NOTTY),
    };
    if argument.len() != length {
        return Err(Errno::INVAL);
    }
    // SAFETY: both requests only read as many bytes as the slice has, and it outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request.into(), argument.as_ptr()) };
    check(result.into()).map(drop)
}
