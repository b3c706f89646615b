//! What a thread has of its own.
#![expect(unsafe_code, reason = "system call wrappers")]

use super::{Errno, check};

/// Gives the calling thread a working directory and a umask of its own.
pub(crate) fn unshare_directory_and_umask() -> Result<(), Errno> {
    // SAFETY: the call takes a flag and changes no memory and no descriptor.
    let result = unsafe { libc::unshare(libc::CLONE_FS) };
    check(result.into()).map(drop)
}
