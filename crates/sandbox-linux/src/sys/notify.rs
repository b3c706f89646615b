//! Notifications of a system call filter (seccomp_unotify(2)).
#![expect(unsafe_code, reason = "system call wrappers")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;

use super::{Errno, check};

// linux/seccomp.h, as the structure holds it: SECCOMP_USER_NOTIF_FLAG_CONTINUE.
const CONTINUE: u32 = 1;

/// A call that waits for its answer, `struct seccomp_notif` of linux/seccomp.h.
pub(crate) type Notification = libc::seccomp_notif;

/// The next call. Blocks while there is none; `ENOENT` if its caller is gone meanwhile.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> Result<Notification, Errno> {
    let mut notification = Notification {
        id: 0,
        pid: 0,
        flags: 0,
        data: libc::seccomp_data {
            nr: 0,
            arch: 0,
            instruction_pointer: 0,
            args: [0; 6],
        },
    };
    // SAFETY: the request's number holds the size of the structure, which is zero as the kernel wants
    // it and is borrowed for the call.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut notification,
        )
    };
    check(result.into()).map(|_| notification)
}

/// Whether the call still waits: if not, its thread id may be another's by now.
pub(crate) fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads eight bytes of the number, which lives for the call.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            &raw const id,
        )
    };
    result == 0
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// It returns this.
    Value(i64),
    /// It fails.
    Error(Errno),
    /// The kernel performs it. Never an answer to a question: the caller could have changed its
    /// arguments meanwhile.
    Continue,
}

/// Answers a call.
pub(crate) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> Result<(), Errno> {
    let (val, error, flags) = match answer {
        Answer::Value(value) => (value, 0, 0),
        Answer::Error(errno) => (0, -errno.raw_os_error(), 0),
        Answer::Continue => (0, 0, CONTINUE),
    };
    let response = libc::seccomp_notif_resp {
        id,
        val,
        error,
        flags,
    };
    // SAFETY: the request's number holds the size of the structure, which lives for the call.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const response,
        )
    };
    check(result.into()).map(drop)
}

/// Gives the caller a duplicate of a descriptor and ends its call with that number. `flags` are none or
/// `CLOEXEC`.
///
/// In two steps, though the kernel has one for both (`SECCOMP_ADDFD_FLAG_SEND`): a thread that is stopped, frozen or
/// traced while that one waits takes its descriptor back, when the call has been answered with 0 already. The caller
/// would go on with its own standard input. The first of two is begun again instead. And between them the descriptor
/// is closed here, so that nobody but the caller has the file open when it goes on: a file that is open for writing
/// can't be executed (`ETXTBSY`, execve(2)).
pub(crate) fn answer_with_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    descriptor: OwnedFd,
    flags: OFlags,
) -> Result<(), Errno> {
    let number = add_descriptor(listener, id, descriptor.as_fd(), flags.bits())?;
    drop(descriptor);
    answer(listener, id, Answer::Value(number.into()))
}

fn add_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    descriptor: BorrowedFd<'_>,
    descriptor_flags: u32,
) -> Result<libc::c_int, Errno> {
    let request = libc::seccomp_notif_addfd {
        id,
        flags: 0,
        srcfd: descriptor.as_raw_fd().unsigned_abs(),
        newfd: 0,
        newfd_flags: descriptor_flags,
    };
    // SAFETY: the request's number holds the size of the structure, which lives for the call; the
    // descriptor is open, as it is borrowed.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ADDFD,
            &raw const request,
        )
    };
    check(result.into()).map(|_| result)
}

/// Lets the caller and this thread take turns on one processor, where the kernel knows how (Linux
/// 6.6): waking another processor takes longer than most answers.
pub(crate) fn take_turns(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    // linux/seccomp.h: SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP.
    const SYNC_WAKE_UP: libc::c_ulong = 1;
    // SAFETY: the request takes its flags by value.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SYNC_WAKE_UP,
        )
    };
    check(result.into()).map(drop)
}
