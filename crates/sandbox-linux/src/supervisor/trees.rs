//! Which trees a call may reach: the sandbox's own mounts, and of what the kernel shows as files only `/proc`.

use std::{
    ffi::CStr,
    os::fd::{AsFd as _, BorrowedFd},
};

use rustix::fs::{AtFlags, Mode, StatxFlags};

use super::{
    Answering,
    caller::PLACE,
    permit::Access,
    resolve::{PROC_SUPER_MAGIC, Place, mount_and_inode},
    rules::{Rules, is_within},
};
use crate::{kernel_trees, probe::is_out_of_reach, sys::Errno};

impl Answering<'_> {
    /// A directory that came over a socket may belong to the host's mounts, whose paths look the same. And
    /// `/proc` decides by who opens a file, which this process does in the caller's place: another one, of a
    /// tree that somebody prepared for chroot(2), tells and changes what the caller may not.
    pub(super) fn require_inside(&mut self, place: &Place, access: Access) -> Result<(), Errno> {
        let directory = place.directory.as_fd();
        let mount = place.mount()?;
        if self.state.mounts.contains(&mount) {
            return Ok(());
        }
        let path = self.view.path_of(directory)?;
        if !self.view.is_inside(directory, &path)? {
            return Err(Errno::ACCESS);
        }
        if self.require_files(directory, &place.path, access)? {
            self.state.mounts.push(mount);
        }
        Ok(())
    }

    /// The same for what is at a place: it may be where another tree is mounted.
    pub(super) fn require_no_tree(
        &mut self,
        object: BorrowedFd<'_>,
        path: &[u8],
        access: Access,
    ) -> Result<(), Errno> {
        let (mount, _) = mount_and_inode(object)?;
        if !self.state.mounts.contains(&mount) {
            self.require_files(object, path, access)?;
        }
        Ok(())
    }

    /// Whether a tree is one of files and of nothing else, so that it need not be asked about again; an error
    /// if it is one of the kernel's that is closed.
    fn require_files(
        &self,
        object: BorrowedFd<'_>,
        path: &[u8],
        access: Access,
    ) -> Result<bool, Errno> {
        let kind = rustix::fs::fstatfs(object)?.f_type;
        if kind == PROC_SUPER_MAGIC && !is_within(path, b"/proc") {
            self.report(&Rules::process_file(path, access != Access::Read));
            return Err(Errno::ACCESS);
        }
        if !kernel_trees::is_one(kind) && !is_device_tree(object, path)? {
            return Ok(true);
        }
        if access == Access::Read || self.is_opened_by_name(path) {
            return Ok(false);
        }
        self.report(&Rules::kernel_tree(path));
        Err(Errno::ACCESS)
    }

    /// Whether the write root of a path lies in such a tree itself, so that somebody means it.
    fn is_opened_by_name(&self, path: &[u8]) -> bool {
        let root = self.world.rules.write_root(path);
        let root = root.and_then(|root| {
            let below = root.strip_prefix(b"/").filter(|below| !below.is_empty())?;
            rustix::fs::openat(self.view.root, below, PLACE, Mode::empty()).ok()
        });
        let found = root.and_then(|root| rustix::fs::fstatfs(&root).ok());
        found.is_some_and(|found| kernel_trees::is_one(found.f_type))
    }
}

/// Whether a tree that is not the sandbox's `/dev` is the host's: all of its mounts are one file system. Where
/// `/dev` is a directory like others, it has none of its own.
fn is_device_tree(object: BorrowedFd<'_>, path: &[u8]) -> Result<bool, Errno> {
    if is_within(path, b"/dev") {
        return Ok(false);
    }
    let root = rustix::fs::stat(c"/")?;
    let devices = match rustix::fs::stat(c"/dev") {
        Err(errno) if is_out_of_reach(errno) => return Ok(false),
        found => found?,
    };
    let device = rustix::fs::fstat(object)?.st_dev;
    Ok(devices.st_dev != root.st_dev && devices.st_dev == device)
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
