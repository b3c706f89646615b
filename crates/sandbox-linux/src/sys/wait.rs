//! `wait4(2)` for a child without an exit signal.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::ptr;

use super::Errno;

/// Waits until the child has ended and returns its wait status. `__WALL` because pid 1 of a sandbox
/// is cloned without an exit signal, so that it is invisible to a host program's own `wait` loops.
pub(crate) fn wait_for(pid: libc::pid_t) -> Result<libc::c_int, Errno> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a status that lives for the call; no resource usage is asked for.
        let result = unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, ptr::null_mut()) };
        if result == pid {
            return Ok(status);
        }
        match super::last_errno() {
            Errno::INTR => {}
            errno => return Err(errno),
        }
    }
}
