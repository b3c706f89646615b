//! `seccomp(2)`.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::{Errno, check};

/// One instruction of classic BPF, `struct sock_filter` of linux/filter.h.
pub(crate) type Instruction = libc::sock_filter;

/// Installs a filter on the calling thread, whose notifications arrive at the descriptor that is
/// returned. `no_new_privs` must be set. Where the kernel
/// knows it (Linux 5.19), a call that is being answered can be interrupted by a fatal signal only:
/// otherwise a signal that comes often would restart the call for ever.
///
/// The thread's mitigations of speculative execution stay as they are. Before Linux 5.16 a filter forces those of
/// speculative store bypass and of indirect branches on it, which can halve the speed of interpreters (decision 0007).
pub(crate) fn install_with_listener(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    let patient = listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let number = match set_filter(program, patient) {
        Err(Errno::INVAL) => set_filter(program, listener)?,
        other => other?,
    };
    let number = RawFd::try_from(number).map_err(|_large| Errno::BADF)?;
    // SAFETY: the kernel has just made this descriptor, which close-on-exec is set for, and nobody
    // else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn set_filter(program: &[Instruction], flags: libc::c_ulong) -> Result<libc::c_long, Errno> {
    let Ok(len) = libc::c_ushort::try_from(program.len()) else {
        return Err(Errno::INVAL);
    };
    let program = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads `len` instructions from the slice, which outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    check(result)
}
