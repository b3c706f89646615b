//! `netdevice(7)` requests.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::{
    mem,
    os::fd::{AsRawFd, BorrowedFd},
};

use super::{Errno, check};

/// Brings the interface `lo` of the socket's network namespace up.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut request = empty_request();
    let [first, second, ..] = &mut request.ifr_name;
    // ASCII fits into `c_char` whatever its sign is.
    *first = b'l' as libc::c_char;
    *second = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq` whose name is NUL-terminated and whose flags are set.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check(result.into()).map(drop)
}

fn empty_request() -> libc::ifreq {
    // SAFETY: `ifreq` is plain data, for which all bytes zero is a value.
    unsafe { mem::zeroed() }
}
