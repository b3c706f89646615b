//! `mount_setattr(2)` (Linux 5.12).
#![expect(unsafe_code, reason = "system call wrappers")]

use std::{
    ffi::CStr,
    os::fd::{AsRawFd, BorrowedFd},
};

use super::{Errno, check};

/// `MOUNT_ATTR_RDONLY` of linux/mount.h.
pub(crate) const READ_ONLY: u64 = 0x1;
/// `MOUNT_ATTR_NOSUID`.
pub(crate) const NO_SUID: u64 = 0x2;
/// `MOUNT_ATTR_NODEV`.
pub(crate) const NO_DEVICES: u64 = 0x4;
/// `MOUNT_ATTR_NOEXEC`.
pub(crate) const NO_EXEC: u64 = 0x8;

/// `AT_RECURSIVE` of linux/fcntl.h.
const AT_RECURSIVE: libc::c_int = 0x8000;

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

const _: () = assert!(size_of::<MountAttributes>() == 32);

/// Which mounts of a tree are changed, and whether they stay peers of the host's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// This mount.
    One,
    /// It and all below it, cut off from the propagation of mount events.
    TreeMadePrivate,
}

/// Sets attributes on the mount at `path` below `directory` (or on `directory` itself where the
/// path is empty).
pub(crate) fn set_attributes(
    directory: BorrowedFd<'_>,
    path: &CStr,
    reach: Reach,
    set: u64,
) -> Result<(), Errno> {
    let (recursive, propagation) = match reach {
        Reach::One => (0, 0),
        Reach::TreeMadePrivate => (AT_RECURSIVE, libc::MS_PRIVATE),
    };
    let attributes = MountAttributes {
        set,
        clear: 0,
        propagation,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | recursive;
    // SAFETY: the path is NUL-terminated, the structure has the kernel's layout and its size is
    // passed along.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    check(result).map(drop)
}
