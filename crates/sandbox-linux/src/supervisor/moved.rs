//! Symlinks in a directory that is moved: those that lead to something else from their new place.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};

use crate::sys::Errno;

/// A symlink that leads out of the directory that it is moved with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leading {
    /// Its path in that directory.
    pub(super) path: Vec<u8>,
    /// Its text, from where that directory is.
    pub(super) text: Vec<u8>,
}

/// The relative symlinks in a directory that lead out of it.
pub(super) fn leading_out(directory: BorrowedFd<'_>) -> Result<Vec<Leading>, Errno> {
    let mut found = Vec::new();
    let mut left = MOST_ENTRIES;
    // Paths, as each descriptor would count, and how many levels below the directory around the moved one.
    let mut pending = vec![(Vec::new(), 1)];
    while let Some((path, level)) = pending.pop() {
        let opened = open_to_read(directory, &path)?;
        let handle = rustix::io::fcntl_dupfd_cloexec(&opened, 0)?;
        for entry in Dir::new(opened)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            left = left.checked_sub(1).ok_or(Errno::ACCESS)?;
            let kind = kind(handle.as_fd(), name, entry.file_type())?;
            let path = || match path.as_slice() {
                [] => name.to_bytes().to_vec(),
                path => [path, b"/", name.to_bytes()].concat(),
            };
            if kind.is_dir() {
                pending.push((path(), level + 1));
            } else if kind.is_symlink() {
                let text = rustix::fs::readlinkat(&handle, name, Vec::new())?;
                if let Some(text) = beyond(text.as_bytes(), level) {
                    let path = path();
                    found.push(Leading { path, text });
                }
            }
        }
    }
    Ok(found)
}

/// What is left of a text behind so many steps up; none of one that goes less far.
fn beyond(text: &[u8], levels: usize) -> Option<Vec<u8>> {
    if text.starts_with(b"/") {
        return None;
    }
    let names: Vec<&[u8]> = names(text).collect();
    let ascent = names.iter().take_while(|name| **name == b"..").count();
    // A `..` behind a name may lead anywhere.
    let is_out = ascent >= levels || ascends_late(text);
    let rest = names.get(levels.min(ascent)..).unwrap_or_default();
    is_out.then(|| [&b"./"[..], &rest.join(&b'/')].concat())
}

/// Whether a text has a `..` behind a name.
pub(super) fn ascends_late(text: &[u8]) -> bool {
    let mut below = names(text).skip_while(|name| *name == b"..");
    below.any(|name| name == b"..")
}

fn names(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = text.split(|byte| *byte == b'/');
    names.filter(|name| !matches!(*name, b"" | b"."))
}

/// Some file systems do not tell when they are listed.
fn kind(directory: BorrowedFd<'_>, name: &CStr, listed: FileType) -> Result<FileType, Errno> {
    if listed != FileType::Unknown {
        return Ok(listed);
    }
    let status = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(status.st_mode))
}

fn open_to_read(directory: BorrowedFd<'_>, path: &[u8]) -> Result<std::os::fd::OwnedFd, Errno> {
    let path = [&b"./"[..], path].concat();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)
}

/// Entries that are looked at: who moves more, where a pattern closes something, is refused.
const MOST_ENTRIES: usize = 200_000;

#[cfg(test)]
mod tests {
    use super::{ascends_late, beyond};

    #[test]
    fn what_goes_up_behind_a_name() {
        for text in ["a/..", "../a/../b", "/a/../b", "a//./../b"] {
            assert!(ascends_late(text.as_bytes()), "{text}");
        }
        for text in ["", ".", "..", "../../a/b", "/a/b", "./../a", "a..b/..c"] {
            assert!(!ascends_late(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_leads_out_goes_on_from_the_directory_around() {
        for (text, levels, rest) in [
            ("../x", 1, Some("./x")),
            ("..", 1, Some("./")),
            ("../x", 2, None),
            (".././/../x/y", 2, Some("./x/y")),
            ("../../../x", 2, Some("./../x")),
            ("x", 1, None),
            ("/x", 1, None),
            ("a/../../x", 3, Some("./a/../../x")),
        ] {
            let rest = rest.map(|rest| rest.as_bytes().to_vec());
            assert_eq!(beyond(text.as_bytes(), levels), rest, "{text} {levels}");
        }
    }
}
