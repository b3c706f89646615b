//! Descriptors that a program was started with and knows by their numbers.

use std::{io, os::fd::OwnedFd};

use crate::sys;

/// A duplicate of the descriptor of a number.
///
/// # Errors
/// `EBADF` if there is none (fcntl(2)).
pub fn inherited(number: i32) -> io::Result<OwnedFd> {
    let copy = sys::fd::duplicate(number)?;
    Ok(sys::signal::own(copy))
}
