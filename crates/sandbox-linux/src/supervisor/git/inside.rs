//! What lies in a git directory: git writes through symlinks in it, and waits for FIFOs.

use std::{ffi::CStr, os::fd::BorrowedFd};

use rustix::{fs::FileType, io::Errno};

use super::{
    directory::{self, Ascent},
    parts,
};
use crate::supervisor::entries::{self, Entry};

/// Whether a name in a directory is one of git's own: the directory, or one above it, is a git directory, by its name
/// or by what lies in it. One that is too deep counts as such.
///
/// Nothing is remembered, as the host makes git directories unseen. But working trees may lie in a bare repository, so
/// of the directories above only those are looked at that git would know the way from by a name of its own.
pub(in crate::supervisor) fn is_in_git_directory(
    directory: BorrowedFd<'_>,
    path: &[u8],
) -> Result<bool, Errno> {
    if parts::is_conventional(path) {
        return Ok(!is_annex(path) || directory::is_git_directory(directory)?);
    }
    let names = path.strip_prefix(b"/").unwrap_or(path);
    let names = || names.rsplit(|byte| *byte == b'/');
    if names().count() > MOST_LEVELS || directory::is_git_directory(directory)? {
        return Ok(true);
    }
    let mut ascent = Ascent::new(directory);
    for (above, name) in (1..).zip(names()) {
        if parts::is_own_directory(name) && directory::is_git_directory(ascent.at(above)?)? {
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
    entries::each(directory, |entry| match entry.kind {
        FileType::RegularFile | FileType::Socket | FileType::Directory => Ok(()),
        FileType::Symlink if is_harmless_link_at(entry)? => Ok(()),
        FileType::Symlink
        | FileType::Fifo
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(Errno::ACCESS),
    })
}

fn is_harmless_link_at(entry: &Entry<'_>) -> Result<bool, Errno> {
    let text = rustix::fs::readlinkat(entry.directory, entry.name, Vec::new())?;
    Ok(is_harmless_link(entry.name, text.as_bytes()))
}

/// Directories above each other that are looked at: more have no path (`PATH_MAX`).
const MOST_LEVELS: usize = 2048;

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
        path::Path,
    };

    use super::*;
    use crate::supervisor::git::directory::open_directory;

    fn is_in(path: &Path) -> bool {
        let root = rustix::fs::CWD;
        let name = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        let directory = open_directory(root, &name).unwrap();
        is_in_git_directory(directory.as_fd(), path.as_os_str().as_bytes()).unwrap()
    }

    /// Every set of pieces, seen from every depth, by the words of the module's header.
    #[test]
    fn a_name_of_gits_own_is_told_at_any_depth() {
        let top = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(top.path()).unwrap();
        let deep = format!("{}x", "x/".repeat(40));
        for set in 0..32_u32 {
            let has = |bit: u32| set & (1 << bit) != 0;
            let (head, objects, references) = (has(0), has(1), has(2));
            let (common, named) = (has(3), has(4));
            let git = top.join(format!("{set}"));
            fs::create_dir(&git).unwrap();
            for (is_there, name) in [
                (head && !named, "HEAD"),
                (objects, "objects"),
                (references, "refs"),
                (common, "commondir"),
            ] {
                if is_there {
                    fs::write(git.join(name), "").unwrap();
                }
            }
            if head && named {
                fs::create_dir(git.join("HEAD")).unwrap();
            }
            let head = head && !named;
            let is_one = (objects && (references || head)) || (head && common);
            for (below, is_own) in [
                ("logs", true),
                ("LOGS/x", true),
                ("logs/a/b/c/d", true),
                ("worktrees/x/logs", true),
                (&*format!("logs/{deep}"), true),
                ("tree", false),
                ("tree/logs", false),
                (&*format!("tree/{deep}"), false),
            ] {
                let at = git.join(below);
                fs::create_dir_all(&at).unwrap();
                assert_eq!(is_in(&at), is_one && is_own, "{set} {below}");
            }
            assert_eq!(is_in(&git), is_one, "{set}");
        }
    }
}
