//! The paths of handles.

use std::{
    ffi::CStr,
    io::Write as _,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use rustix::{
    buffer::spare_capacity,
    fs::{AtFlags, Dir, Mode, OFlags},
};

use super::resolve::path_in;
use crate::sys::Errno;

/// The name of a handle below `/proc`, for calls that take no handle.
#[derive(Debug)]
pub(super) struct HandlePath([u8; LONGEST_HANDLE]);

impl HandlePath {
    pub(super) fn as_c_str(&self) -> &CStr {
        // It is made with a terminator, and nothing has an empty name.
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

pub(super) fn handle_path(handle: BorrowedFd<'_>) -> Result<HandlePath, Errno> {
    let mut path = [0; LONGEST_HANDLE];
    // The last byte stays.
    let room = path.split_last_mut().map(|(_, room)| room);
    let mut room = room.unwrap_or_default();
    match write!(room, "self/fd/{}", handle.as_raw_fd()) {
        Ok(()) => Ok(HandlePath(path)),
        Err(_long) => Err(Errno::NAMETOOLONG),
    }
}

/// The path of an object. Every place of the sandbox has the same path there as on the host, or a
/// private one.
pub(super) fn path_of(proc: BorrowedFd<'_>, handle: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let link = handle_path(handle)?;
    match read_link(proc, link.as_c_str()) {
        Err(Errno::NAMETOOLONG) => long_path_of(proc, handle),
        read => read,
    }
}

/// With room left for a name, which most callers append.
fn read_link(proc: BorrowedFd<'_>, link: &CStr) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::with_capacity(USUAL_PATH);
    loop {
        let room = text.capacity();
        let length = rustix::fs::readlinkat_raw(proc, link, spare_capacity(&mut text))?;
        // One that fills it may go on.
        if length < room {
            return Ok(text);
        }
        text.clear();
        text.reserve(2 * room);
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
        match read_link(proc, link.as_c_str()) {
            Ok(text) => break text,
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

/// `self/fd/`, a number, its terminator.
const LONGEST_HANDLE: usize = 24;

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::ffi::OsStrExt as _};

    use rustix::fs::CWD;

    use super::*;

    /// Around what a first look has room for, and what the kernel tells.
    #[test]
    fn a_path_of_any_length_is_told_whole() {
        let top = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(top.path()).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open =
            |at: BorrowedFd<'_>, name: &str| rustix::fs::openat(at, name, flags, Mode::empty());
        let proc = open(CWD, "/proc").unwrap();
        let mut directory = rustix::fs::open(&top, flags, Mode::empty()).unwrap();
        let mut expected = top.as_os_str().as_bytes().to_vec();
        // Each length around the first one.
        let first = USUAL_PATH - 8 - expected.len();
        let lengths = [first].into_iter().chain([1; 8]).chain([200; 22]);
        for length in lengths {
            let name = "n".repeat(length);
            rustix::fs::mkdirat(&directory, name.as_str(), Mode::RWXU).unwrap();
            directory = open(directory.as_fd(), &name).unwrap();
            expected.push(b'/');
            expected.extend(name.as_bytes());
            let found = path_of(proc.as_fd(), directory.as_fd()).unwrap();
            assert_eq!(found, expected, "{}", expected.len());
        }
    }
}
