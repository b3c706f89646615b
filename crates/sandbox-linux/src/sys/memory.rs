//! Another process's memory (process_vm_readv(2)).
#![expect(unsafe_code, reason = "system call wrappers")]

use super::Errno;

/// The smallest page of any architecture: where memory may end.
const PAGE: usize = 4096;

/// Copies memory of a process from an address on, up to the first page that is not there. Returns the
/// number of bytes.
pub(crate) fn read(pid: libc::pid_t, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
    let address = usize::try_from(address).map_err(|_large| Errno::FAULT)?;
    let wanted = into.len();
    // The kernel copies whole elements or nothing of them, so each page has one of its own.
    let to_page_end = PAGE - address % PAGE;
    let first = wanted.min(to_page_end);
    let local = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: wanted,
    };
    let part = |offset: usize, length: usize| libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address.wrapping_add(offset)),
        iov_len: length,
    };
    let remote = [part(0, first), part(first, wanted - first)];
    // SAFETY: the kernel writes at most `wanted` bytes to the slice, which is borrowed for the call;
    // the other addresses are of the other process and are checked there.
    let result = unsafe { libc::process_vm_readv(pid, &raw const local, 1, remote.as_ptr(), 2, 0) };
    usize::try_from(result).map_err(|_negative| super::last_errno())
}
