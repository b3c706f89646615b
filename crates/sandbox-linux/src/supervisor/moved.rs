//! Symlinks in a directory that is moved: those that lead to something else from their new place.

use std::os::fd::BorrowedFd;

use super::entries;
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
    entries::each(directory, |entry| {
        if entry.kind.is_symlink() {
            let text = rustix::fs::readlinkat(entry.directory, entry.name, Vec::new())?;
            // Below the directory around the moved one.
            let level = 1 + entry.above.iter().filter(|byte| **byte == b'/').count();
            found.extend(beyond(text.as_bytes(), level).map(|text| Leading {
                path: [entry.above, entry.name.to_bytes()].concat(),
                text,
            }));
        }
        Ok(())
    })?;
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
