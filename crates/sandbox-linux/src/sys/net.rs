//! `netdevice(7)` requests.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::{
    mem,
    os::fd::{AsRawFd, BorrowedFd},
};

use super::{Errno, check};

/// Brings the interface `lo` of the socket's network namespace up.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    /// `IFF_UP | IFF_RUNNING` of linux/if.h.
    const UP_AND_RUNNING: libc::c_short = 0x41;
    let mut request = empty_request();
    let [first, second, ..] = &mut request.ifr_name;
    // Whether `c_char` has a sign depends on the architecture.
    *first = libc::c_char::from_ne_bytes([b'l']);
    *second = libc::c_char::from_ne_bytes([b'o']);
    request.ifr_ifru.ifru_flags = UP_AND_RUNNING;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq` whose name is NUL-terminated and whose flags are set.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check(result.into()).map(drop)
}

fn empty_request() -> libc::ifreq {
    // SAFETY: `ifreq` is plain data, for which all bytes zero is a value.
    unsafe { mem::zeroed() }
}
