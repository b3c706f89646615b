//! The paths of handles.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use super::resolve::{handle_path, path_in};
use crate::sys::Errno;

/// The path of an object. Every place of the sandbox has the same path there as on the host, or a
/// private one.
pub(super) fn path_of(proc: BorrowedFd<'_>, handle: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let link = handle_path(handle)?;
    match rustix::fs::readlinkat(proc, link.as_c_str(), Vec::with_capacity(USUAL_PATH)) {
        Ok(text) => Ok(text.into_bytes()),
        Err(Errno::NAMETOOLONG) => long_path_of(proc, handle),
        Err(errno) => Err(errno),
    }
}

/// The kernel tells no path that is longer than a page: the directory's name is looked for in the one
/// above.
fn long_path_of(proc: BorrowedFd<'_>, handle: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut names = Vec::new();
    let mut current = rustix::io::fcntl_dupfd_cloexec(handle, 0)?;
    let mut path = loop {
        if names.len() > DEEPEST {
            return Err(Errno::NAMETOOLONG);
        }
        let own = rustix::fs::fstat(&current)?;
        let above = rustix::fs::openat(&current, c"..", flags, Mode::empty())?;
        let mut entries = Dir::read_from(&above)?;
        let name = entries.find_map(|entry| {
            let name = entry.ok()?.file_name().to_owned();
            let found =
                rustix::fs::statat(&above, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
            let is_it = (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino);
            (is_it && !matches!(name.as_bytes(), b"." | b"..")).then_some(name)
        });
        names.push(name.ok_or(Errno::NOENT)?);
        let link = handle_path(above.as_fd())?;
        match rustix::fs::readlinkat(proc, link.as_c_str(), Vec::new()) {
            Ok(text) => break text.into_bytes(),
            Err(Errno::NAMETOOLONG) => current = above,
            Err(errno) => return Err(errno),
        }
    };
    for name in names.iter().rev() {
        path = path_in(path, name);
    }
    Ok(path)
}

/// Directories on a way whose path is too long for the kernel; more are not looked at.
const DEEPEST: usize = 4096;

/// What most paths fit into.
const USUAL_PATH: usize = 256;
