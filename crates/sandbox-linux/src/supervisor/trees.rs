//! Which trees a call may reach: the sandbox's own mounts, and of what the kernel shows as files only `/proc`.

use std::{ffi::CStr, os::fd::BorrowedFd};

use rustix::fs::{AtFlags, FsWord, Mode, StatxFlags};

use super::{
    Answering,
    caller::PLACE,
    permit::Access,
    resolve::{PROC_SUPER_MAGIC, mount_and_inode},
    rules::{Rules, is_within},
};
use crate::sys::Errno;

/// Trees whose files are settings of the kernel's (linux/magic.h): debugfs, tracefs, securityfs, sysfs, both
/// versions of cgroups, bpf, configfs, binfmt_misc, efivarfs, selinuxfs, nsfs.
const KERNEL_TREES: [FsWord; 12] = [
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0xcafe_4a11,
    0x6265_6570,
    0x4249_4e4d,
    0xde5e_81e4,
    0xf97c_ff8c,
    0x6e73_6673,
];

impl Answering<'_> {
    /// A directory that came over a socket may belong to the host's mounts, whose paths look the same. And
    /// `/proc` decides by who opens a file, which this process does in the caller's place: another one, of a
    /// tree that somebody prepared for chroot(2), tells and changes what the caller may not.
    pub(super) fn require_inside(
        &mut self,
        directory: BorrowedFd<'_>,
        access: Access,
    ) -> Result<(), Errno> {
        let (mount, _) = mount_and_inode(directory)?;
        if self.state.mounts.contains(&mount) {
            return Ok(());
        }
        let path = self.view.path_of(directory)?;
        if !self.view.is_inside(directory, &path)? {
            return Err(Errno::ACCESS);
        }
        let kind = rustix::fs::fstatfs(directory)?.f_type;
        if kind == PROC_SUPER_MAGIC && !is_within(&path, b"/proc") {
            self.report(&Rules::process_file(&path, access != Access::Read));
            return Err(Errno::ACCESS);
        }
        if KERNEL_TREES.contains(&kind) {
            if access == Access::Read || self.is_opened_by_name(&path, kind) {
                return Ok(());
            }
            self.report(&Rules::kernel_tree(&path));
            return Err(Errno::ACCESS);
        }
        self.state.mounts.push(mount);
        Ok(())
    }

    /// Whether the write root of a path lies in such a tree itself, so that somebody means it.
    fn is_opened_by_name(&self, path: &[u8], kind: FsWord) -> bool {
        let root = self.world.rules.write_root(path);
        let root = root.and_then(|root| {
            let below = root.strip_prefix(b"/").filter(|below| !below.is_empty())?;
            rustix::fs::openat(self.view.root, below, PLACE, Mode::empty()).ok()
        });
        let found = root.and_then(|root| rustix::fs::fstatfs(&root).ok());
        found.is_some_and(|found| found.f_type == kind)
    }
}

/// Whether a name is older than a time, in seconds and nanoseconds.
pub(super) fn is_old(directory: BorrowedFd<'_>, name: &CStr, than: (i64, u32)) -> bool {
    let wanted = StatxFlags::BTIME;
    let found = rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, wanted);
    found.is_ok_and(|found| {
        let born = (found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
        found.stx_mask & wanted.bits() != 0 && born < than
    })
}
