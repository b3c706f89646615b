//! The kernel's own rules about symlinks, which it keeps on paths that it walks itself: a symlink that the
//! supervisor follows for a caller is one that the caller could follow.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FsWord, Mode, OFlags};

use super::resolve::{Place, View};
use crate::sys::Errno;

/// `ST_NOSYMFOLLOW` of linux/statfs.h: on this mount no symlink is followed (mount(8), Linux 5.10).
const NO_SYMLINKS: FsWord = 0x2000;

/// Documentation/admin-guide/sysctl/fs.rst of the kernel.
const PROTECTED_SYMLINKS: &str = "sys/fs/protected_symlinks";

/// The kind of the file system that a symlink is on, if its mount lets symlinks be followed at all. The directory
/// that it lies in is asked: a file system of a program (bindfs) may follow the link to answer, and wait for itself.
pub(super) fn require_followable(directory: BorrowedFd<'_>) -> Result<FsWord, Errno> {
    let filesystem = rustix::fs::fstatfs(directory)?;
    if filesystem.f_flags & NO_SYMLINKS == 0 {
        Ok(filesystem.f_type)
    } else {
        Err(Errno::LOOP)
    }
}

impl View<'_> {
    /// The rule of `fs.protected_symlinks`, for one that a path ends in (`may_follow_link` of fs/namei.c): in a
    /// directory where everybody makes names, somebody else's is not followed.
    pub(super) fn require_own_link(
        &self,
        place: &Place,
        link: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        let directory = rustix::fs::fstat(&place.directory)?;
        let shared = Mode::SVTX | Mode::WOTH;
        if !Mode::from_raw_mode(directory.st_mode).contains(shared) {
            return Ok(());
        }
        let owner = rustix::fs::fstat(link)?.st_uid;
        let is_own = owner == directory.st_uid || owner == self.caller.fs_user()?;
        if is_own || !self.protects_links() {
            Ok(())
        } else {
            Err(Errno::ACCESS)
        }
    }

    /// What can't be read is taken to be on, as most hosts have it.
    fn protects_links(&self) -> bool {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.caller.proc, PROTECTED_SYMLINKS, flags, Mode::empty());
        let mut digit = [0_u8];
        let read = file.and_then(|file| rustix::io::read(file.as_fd(), &mut digit));
        read.is_err() || digit != *b"0"
    }
}
