//! File handles (name_to_handle_at(2)): what a filesystem calls an inode by, its generation included.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Errno, check};

/// `MAX_HANDLE_SZ` of linux/exportfs.h.
const LARGEST: u32 = 128;

/// `struct file_handle` with room for the largest one.
#[repr(C)]
struct Buffer {
    handle_bytes: u32,
    handle_type: i32,
    handle: [u8; LARGEST as usize],
}

/// The type of a handle and its bytes. `EOPNOTSUPP` where the filesystem has none.
pub(crate) fn of(file: BorrowedFd<'_>) -> Result<(i32, Vec<u8>), Errno> {
    let mut buffer = Buffer {
        handle_bytes: LARGEST,
        handle_type: 0,
        handle: [0; LARGEST as usize],
    };
    let mut mount: libc::c_int = 0;
    // SAFETY: the kernel writes at most `handle_bytes` bytes behind the two numbers, for which the
    // structure has room, and one int; both are borrowed for the call, and the path is empty.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            file.as_raw_fd(),
            c"".as_ptr(),
            &raw mut buffer,
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    check(result)?;
    let length = usize::try_from(buffer.handle_bytes).unwrap_or(0);
    let handle = buffer.handle.get(..length).unwrap_or_default();
    Ok((buffer.handle_type, handle.to_vec()))
}
