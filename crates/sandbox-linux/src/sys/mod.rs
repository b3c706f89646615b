//! System calls that no crate wraps: the only `unsafe` of the workspace.
//!
//! One function makes one call and holds one `unsafe` block, whose SAFETY sentence says what would
//! have to be false for it to be undefined behaviour. Everything here may run between `clone` and
//! `execve` in memory that is shared with the host program: nothing allocates, locks or unwinds.
//! Calls that `rustix` offers are taken from there; on Linux it issues the system call itself and
//! touches no thread-local state, so they are as safe at that point as the ones below.

pub(crate) mod clone;
pub(crate) mod exec;
pub(crate) mod fd;
pub(crate) mod handle;
pub(crate) mod landlock;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod net;
pub(crate) mod notify;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod thread;
pub(crate) mod wait;

pub(crate) use rustix::io::Errno;

/// Turns the result of `libc::syscall` into a value: -1 means that `errno` holds the reason.
fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result == -1 {
        Err(last_errno())
    } else {
        Ok(result)
    }
}

/// The calling thread's `errno`. A clone that shares memory shares it with the thread that cloned,
/// which is suspended or calls libc only for what fails the launch anyway.
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
