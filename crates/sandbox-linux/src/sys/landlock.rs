//! `landlock_add_rule(2)` and `landlock_restrict_self(2)` for the stages, where the `landlock`
//! crate's builders can't be used because they allocate. The ruleset itself comes from the crate.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Errno, check};

/// `struct landlock_path_beneath_attr` of linux/landlock.h, which is packed.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

const _: () = assert!(size_of::<PathBeneath>() == 12);

const RULE_PATH_BENEATH: libc::c_int = 1;

/// The kernel's Landlock ABI; 0 where Landlock is absent (ENOSYS) or switched off (EOPNOTSUPP).
pub(crate) fn abi() -> u32 {
    const VERSION: libc::c_uint = 1;
    let nothing: *const libc::c_void = std::ptr::null();
    // SAFETY: with the VERSION flag the call takes a null pointer and length 0.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) };
    check(result)
        .ok()
        .and_then(|abi| u32::try_from(abi).ok())
        .unwrap_or(0)
}

/// Adds "everything beneath `parent` may be accessed so".
pub(crate) fn add_path_beneath(
    ruleset: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    allowed_access: u64,
) -> Result<(), Errno> {
    let rule = PathBeneath {
        allowed_access,
        parent_fd: parent.as_raw_fd(),
    };
    // SAFETY: the structure has the kernel's layout (asserted above) and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            0,
        )
    };
    check(result).map(drop)
}

/// Restricts the calling thread for good. `no_new_privs` must be set.
pub(crate) fn restrict_self(ruleset: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the call takes a descriptor and flags and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    check(result).map(drop)
}
