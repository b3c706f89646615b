//! Gives a vetted file an index's name: that file and no other, whatever has its old name by then.
//!
//! Another sandbox of the user may exchange what has the old name at any time. What has an index's name, it changes
//! under the turn alone. So the file itself is linked to a name that counts as one of an index, and git never has, and
//! is renamed from there.

use std::{ffi::CStr, os::fd::BorrowedFd};

use rustix::{
    fs::{AtFlags, RenameFlags},
    io::Errno,
};

use super::{directory::Identity, parts::is_index, turn::Turn, vetted::Unheld};
use crate::supervisor::paths::handle_path;

/// A name in a directory.
type End<'e> = (BorrowedFd<'e>, &'e CStr);

/// Renames the vetted file `from` to `to`. A file system without hard links leaves the names alone to go by.
pub(in crate::supervisor) fn put_in_place(
    _turn: &Turn,
    proc: BorrowedFd<'_>,
    vetted: &Unheld,
    from: End<'_>,
    to: End<'_>,
    flags: RenameFlags,
) -> Result<(), Errno> {
    let identity = Identity::of(vetted.file())?;
    let is_there = || Identity::at(from.0, from.1).is_ok_and(|found| found == identity);
    let rename = || rustix::fs::renameat_with(from.0, from.1, to.0, to.1, flags);
    if is_index(from.1.to_bytes()) {
        return if is_there() {
            rename()
        } else {
            Err(Errno::ACCESS)
        };
    }
    // What a sandbox that was killed has left.
    remove(to.0)?;
    let path = handle_path(vetted.file())?;
    let follows = AtFlags::SYMLINK_FOLLOW;
    match rustix::fs::linkat(proc, path.as_c_str(), to.0, STAGE, follows) {
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK) => return rename(),
        linked => linked?,
    }
    let exchanges = flags.contains(RenameFlags::EXCHANGE);
    let placed = rustix::fs::renameat_with(to.0, STAGE, to.0, to.1, flags);
    if placed.is_err() || !exchanges {
        remove(to.0)?;
        placed?;
    }
    if exchanges {
        return rustix::fs::renameat(to.0, STAGE, from.0, from.1);
    }
    if is_there() {
        rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())?;
    }
    Ok(())
}

fn remove(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    match rustix::fs::unlinkat(directory, STAGE, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

/// No content is named so.
const STAGE: &CStr = c"sharedindex.0";
