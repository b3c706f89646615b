//! What lies in a git directory: git writes through symlinks in it, and waits for FIFOs.

use std::{
    ffi::CStr,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{
    directory::{Ascent, Layout},
    parts,
};

/// Whether a name in a directory is one of git's own: the directory, or one above it, is a git directory, by its name
/// or by what lies in it. One that is too deep counts as such.
pub(in crate::supervisor) fn is_in_git_directory(
    directory: BorrowedFd<'_>,
    path: &[u8],
) -> Result<bool, Errno> {
    if parts::is_conventional(path) {
        return Ok(!is_annex(path) || Layout::read(directory)?.is_git_directory());
    }
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').skip(1).collect();
    let mut ascent = Ascent::new(directory);
    if names.len() > MOST_LEVELS {
        return Ok(true);
    }
    for above in 0..names.len() {
        if !Layout::read(ascent.at(above)?)?.is_git_directory() {
            continue;
        }
        // Working trees may lie in a bare repository, but not by a name of git's own.
        let first = names.len().checked_sub(above).and_then(|at| names.get(at));
        if first.is_none_or(|first| parts::is_own_directory(first)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a directory is where git-annex makes the links of its working tree, which it moves out, or one in that.
fn is_annex(path: &[u8]) -> bool {
    let is_place = |path: &[u8]| path.ends_with(b"/.git/annex/othertmp");
    is_place(path) || is_place(parts::strip_components(path, 1))
}

/// Whether a symlink in a git directory leads git nowhere else: `HEAD` used to be one (git-symbolic-ref(1)), and git
/// tries in each new repository whether links can be made, with this text.
pub(in crate::supervisor) fn is_harmless_link(name: &CStr, text: &[u8]) -> bool {
    let mut names = text.split(|byte| *byte == b'/');
    let is_reference =
        name == c"HEAD" && text.starts_with(b"refs/") && names.all(|name| name != b"..");
    is_reference || text == b"testing"
}

/// Makes sure that a directory which is going to be, or to lie in, a git directory holds nothing but files and
/// directories, and sockets, which some programs have there.
pub(in crate::supervisor) fn require_plain(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut left = MOST_ENTRIES;
    // Paths, as each descriptor would count.
    let mut pending = vec![b".".to_vec()];
    while let Some(path) = pending.pop() {
        let opened = open_to_read(directory, &path)?;
        let handle = rustix::io::fcntl_dupfd_cloexec(&opened, 0)?;
        for entry in Dir::new(opened)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            left = left.checked_sub(1).ok_or(Errno::ACCESS)?;
            match kind(&handle, name, entry.file_type())? {
                FileType::RegularFile | FileType::Socket => {}
                FileType::Directory => pending.push([&path, &b"/"[..], name.to_bytes()].concat()),
                FileType::Symlink if is_harmless_link_at(&handle, name)? => {}
                FileType::Symlink
                | FileType::Fifo
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => return Err(Errno::ACCESS),
            }
        }
    }
    Ok(())
}

/// Some file systems do not tell when they are listed.
fn kind(directory: &OwnedFd, name: &CStr, listed: FileType) -> Result<FileType, Errno> {
    if listed != FileType::Unknown {
        return Ok(listed);
    }
    let status = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(status.st_mode))
}

fn is_harmless_link_at(directory: &OwnedFd, name: &CStr) -> Result<bool, Errno> {
    let text = rustix::fs::readlinkat(directory, name, Vec::new())?;
    Ok(is_harmless_link(name, text.as_bytes()))
}

fn open_to_read(directory: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)
}

/// Directories above each other that are looked at: more have no path (`PATH_MAX`).
const MOST_LEVELS: usize = 2048;
/// Entries that are looked at: a repository of so many loose objects needs `git gc` first.
const MOST_ENTRIES: usize = 200_000;
