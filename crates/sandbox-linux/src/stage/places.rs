//! Where mounts are cloned and attached. There may be hundreds beside each other: their directory is looked up once.

use std::{
    ffi::CStr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    mount::{MoveMountFlags, OpenTreeFlags},
};

use crate::sys::Errno;

/// Opens a path without following any symlink.
pub(super) fn resolve(path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve) {
            // openat2(2): a rename raced with the look-up.
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

/// The latest directory. It stays right as long as nothing is attached on or above it in between, as in a
/// plan's order, which goes from the root to the leaves.
#[derive(Debug, Default)]
pub(super) struct Places<'p> {
    latest: Option<(&'p [u8], OwnedFd)>,
}

impl<'p> Places<'p> {
    /// Clones the host's tree at an absolute path, with what is mounted in it. No symlink is followed.
    pub(super) fn clone_tree(&mut self, path: &'p CStr) -> Result<OwnedFd, Errno> {
        let (directory, name) = self.find(path)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_NO_AUTOMOUNT
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
            | OpenTreeFlags::AT_RECURSIVE;
        rustix::mount::open_tree(directory, name, flags)
    }

    /// Attaches a detached mount at an absolute path. No symlink is followed.
    pub(super) fn attach(&mut self, target: &'p CStr, mount: &OwnedFd) -> Result<(), Errno> {
        let (directory, name) = self.find(target)?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(mount, c"", directory, name, flags)
    }

    /// The directory and the name in it; for `/` itself the name is empty.
    fn find(&mut self, path: &'p CStr) -> Result<(BorrowedFd<'_>, &'p CStr), Errno> {
        let bytes = path.to_bytes_with_nul();
        let slash = bytes.iter().rposition(|byte| *byte == b'/');
        let (directory, name) = slash
            .and_then(|slash| bytes.split_at_checked(slash + 1))
            .ok_or(Errno::INVAL)?;
        let name = CStr::from_bytes_with_nul(name).map_err(|_inner| Errno::INVAL)?;
        let is_latest = |(latest, _): &(&[u8], OwnedFd)| *latest == directory;
        let opened = match self.latest.take().filter(is_latest) {
            Some(latest) => latest,
            None => (directory, open(directory)?),
        };
        let (_, opened) = &*self.latest.insert(opened);
        Ok((opened.as_fd(), name))
    }
}

/// Opens a directory by a path that ends in a slash. Nothing is allocated: the stages share their host's memory.
fn open(directory: &[u8]) -> Result<OwnedFd, Errno> {
    let mut path = [0; libc::PATH_MAX as usize];
    let room = path.get_mut(..directory.len()).ok_or(Errno::NAMETOOLONG)?;
    room.copy_from_slice(directory);
    resolve(CStr::from_bytes_until_nul(&path).map_err(|_full| Errno::NAMETOOLONG)?)
}
