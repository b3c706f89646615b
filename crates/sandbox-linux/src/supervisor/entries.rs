//! What lies in a directory, at any depth.

use std::{
    ffi::CStr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};

use crate::sys::Errno;

/// One thing in it.
#[derive(Debug)]
pub(super) struct Entry<'e> {
    /// The directory that it lies in, and that one's path from where the search began, with a slash behind it.
    pub(super) directory: BorrowedFd<'e>,
    pub(super) above: &'e [u8],
    pub(super) name: &'e CStr,
    pub(super) kind: FileType,
}

/// Asks about each. Of more than can be looked at, nothing is known (`EACCES`).
pub(super) fn each(
    directory: BorrowedFd<'_>,
    mut ask: impl FnMut(&Entry<'_>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut left = MOST;
    // Paths, as each descriptor would count.
    let mut pending = vec![Vec::new()];
    while let Some(above) = pending.pop() {
        let opened = open_to_read(directory, &[b"./", &*above].concat())?;
        let handle = rustix::io::fcntl_dupfd_cloexec(&opened, 0)?;
        for found in Dir::new(opened)? {
            let found = found?;
            let name = found.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            left = left.checked_sub(1).ok_or(Errno::ACCESS)?;
            let entry = Entry {
                directory: handle.as_fd(),
                above: &above,
                name,
                kind: kind(handle.as_fd(), name, found.file_type())?,
            };
            ask(&entry)?;
            if entry.kind.is_dir() {
                pending.push([&above, name.to_bytes(), b"/"].concat());
            }
        }
    }
    Ok(())
}

/// Some file systems do not tell when they are listed.
fn kind(directory: BorrowedFd<'_>, name: &CStr, listed: FileType) -> Result<FileType, Errno> {
    if listed != FileType::Unknown {
        return Ok(listed);
    }
    let status = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(status.st_mode))
}

fn open_to_read(directory: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)
}

/// Entries that are looked at: a repository of so many loose objects needs `git gc` first.
const MOST: usize = 200_000;
