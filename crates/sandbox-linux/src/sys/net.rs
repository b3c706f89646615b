//! Socket options that need a capability in the network namespace.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::{
    ffi::c_void,
    os::fd::{AsRawFd, BorrowedFd},
};

use super::{Errno, check};

/// An IP version.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Lets a socket take connections to addresses that are not its own (ip(7), `IP_TRANSPARENT`).
pub(crate) fn set_transparent(socket: BorrowedFd<'_>, family: Family) -> Result<(), Errno> {
    switch_on(
        socket,
        match family {
            Family::V4 => (libc::IPPROTO_IP, libc::IP_TRANSPARENT),
            Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT),
        },
    )
}

/// Makes a socket tell the address that each datagram was sent to.
pub(crate) fn set_packet_info(socket: BorrowedFd<'_>, family: Family) -> Result<(), Errno> {
    switch_on(
        socket,
        match family {
            Family::V4 => (libc::IPPROTO_IP, libc::IP_PKTINFO),
            Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        },
    )
}

/// Binds a socket to an address that is given as the kernel reads it.
pub(crate) fn bind(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let Ok(length) = libc::socklen_t::try_from(address.len()) else {
        return Err(Errno::INVAL);
    };
    // SAFETY: the kernel reads `length` bytes of the slice, which outlives the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    check(result.into()).map(drop)
}

/// Connects a socket to an address that is given as the kernel reads it.
pub(crate) fn connect(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let Ok(length) = libc::socklen_t::try_from(address.len()) else {
        return Err(Errno::INVAL);
    };
    // SAFETY: the kernel reads `length` bytes of the slice, which outlives the call.
    let result = unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    check(result.into()).map(drop)
}

/// Sends a message (sendmsg(2)): an address, nothing where it is empty, and control messages, as the kernel
/// reads them.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    name: &[u8],
    data: &[u8],
    control: &[u8],
    flags: libc::c_int,
) -> Result<usize, Errno> {
    let length = libc::socklen_t::try_from(name.len()).map_err(|_large| Errno::INVAL)?;
    let address = |bytes: &[u8]| {
        if bytes.is_empty() {
            std::ptr::null_mut()
        } else {
            bytes.as_ptr().cast_mut().cast::<c_void>()
        }
    };
    let mut part = libc::iovec {
        iov_base: data.as_ptr().cast_mut().cast(),
        iov_len: data.len(),
    };
    // SAFETY: all of the structure's fields, the padding of some C libraries too, may be zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = address(name);
    header.msg_namelen = length;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = address(control);
    header.msg_controllen = control.len();
    // SAFETY: the kernel reads the header and the three slices, whose lengths it has and which outlive the
    // call, and writes to none of them.
    let result = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags) };
    usize::try_from(result).map_err(|_negative| super::last_errno())
}

fn switch_on(
    socket: BorrowedFd<'_>,
    (level, option): (libc::c_int, libc::c_int),
) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    let (value, length) = (
        (&raw const on).cast::<c_void>(),
        libc::socklen_t::from(4_u8),
    );
    // SAFETY: the options take an int, which lives for the call, and its length is four bytes.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, length) };
    check(result.into()).map(drop)
}
