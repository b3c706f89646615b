//! `seccomp(2)`.
#![expect(unsafe_code, reason = "system call wrappers")]

use super::{Errno, check};

/// One instruction of classic BPF, `struct sock_filter` of linux/filter.h.
pub(crate) type Instruction = libc::sock_filter;

/// Installs a filter on the calling thread. `no_new_privs` must be set.
pub(crate) fn install(program: &[Instruction]) -> Result<(), Errno> {
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
            0,
            &raw const program,
        )
    };
    check(result).map(drop)
}
