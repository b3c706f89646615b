//! Names of an index that git would check out: none leads out of the working tree or into a git directory, on any
//! file system. git asks this of what it adds (`verify_path`), but not of an index that it reads.

use sandbox_policy::is_alias;

/// The names of an index one after the other, each of which may begin as the one before does: what was looked at once
/// is not looked at again, as a small file could name very much.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Where the first component of the last name begins that no link may have.
    modules: Option<usize>,
    /// Where the last name ends for whoever reads to the first zero.
    zero: Option<usize>,
    /// Bytes that were looked at again.
    again: u64,
}

impl Names {
    /// Whether an entry of this mode may have this path, of which so many bytes are those of the last one; an empty
    /// one says nothing. What was `read` of the file by now bounds what is looked at again.
    pub(super) fn may_follow(&mut self, path: &[u8], shared: usize, mode: u32, read: u64) -> bool {
        self.zero = self.zero.filter(|zero| *zero < shared).or_else(|| {
            let fresh = path.get(shared..).unwrap_or_default();
            let zero = fresh.iter().position(|byte| *byte == 0);
            zero.map(|zero| shared + zero)
        });
        let path = self.zero.and_then(|zero| path.get(..zero)).unwrap_or(path);
        let known = path.get(..shared).unwrap_or(path);
        let slash = known.iter().rposition(|byte| *byte == b'/');
        let start = slash.map_or(0, |slash| slash + 1);
        self.modules = self.modules.filter(|modules| *modules < start);
        self.again += u64::try_from(known.len() - start).unwrap_or(u64::MAX);
        if self.again > AGAIN_AT_ONCE + AGAIN_FOR_EACH * read {
            return false;
        }
        let is_directory = mode & KIND == DIRECTORY;
        let rest = path.get(start..).unwrap_or_default();
        // Nothing new: a whole directory of a sparse index ends with a slash.
        if rest.is_empty() && (path.is_empty() || is_directory) {
            return true;
        }
        let rest = match rest.strip_suffix(b"/") {
            Some(rest) if is_directory => rest,
            _ => rest,
        };
        let mut begin = start;
        for component in rest.split(|byte| *byte == b'/') {
            if !is_harmless_component(component) {
                return false;
            }
            if self.modules.is_none() && is_modules(component) {
                self.modules = Some(begin);
            }
            begin += component.len() + 1;
        }
        !is_link(mode) || self.modules.is_none()
    }
}

/// Whether an entry of this mode is a symlink.
const fn is_link(mode: u32) -> bool {
    mode & KIND == LINK
}

fn is_harmless_component(component: &[u8]) -> bool {
    // What is one name here is several ones where the backslash separates.
    !component.is_empty()
        && (component.split(|byte| *byte == b'\\'))
            .all(|name| !matches!(name, b"." | b"..") && !is_git_directory(name))
}

/// Whether some file system takes a name, or a part of it, for `.gitmodules`.
fn is_modules(component: &[u8]) -> bool {
    let mut names = component.split(|byte| *byte == b'\\');
    names.any(|name| {
        let is_candidate = matches!(name.first(), Some(b'.' | 0x80..));
        is_candidate && is_alias(plain(name), ".gitmodules")
    })
}

/// Whether some file system takes a name for `.git`: by case, by characters that are not shown, by the short name
/// of NTFS, or by what NTFS drops.
fn is_git_directory(name: &[u8]) -> bool {
    // Most names are told by their first byte.
    let is_candidate = matches!(name.first(), Some(b'.' | b'g' | b'G' | 0x80..));
    if !is_candidate {
        return false;
    }
    let name = plain(name);
    is_alias(name, ".git")
        || SHORT_NAMES.iter().any(|short| is_alias(name, short))
        // Nothing sensible is called so, whether or not it is text.
        || (!name.is_ascii() && without_unusual(name).eq_ignore_ascii_case(b".git"))
}

/// A name without a stream's, and without what NTFS drops at the end.
fn plain(name: &[u8]) -> &[u8] {
    let end = name.iter().position(|byte| *byte == b':');
    let name = end.and_then(|end| name.get(..end)).unwrap_or(name);
    let end = name.iter().rposition(|byte| !matches!(byte, b'.' | b' '));
    end.and_then(|end| name.get(..=end)).unwrap_or_default()
}

fn without_unusual(name: &[u8]) -> Vec<u8> {
    name.iter().copied().filter(u8::is_ascii).collect()
}

const SHORT_NAMES: [&str; 4] = ["git~1", "git~2", "git~3", "git~4"];

/// What git calls the kinds of files, which is what the kernel does.
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// Names that git sorts have less in common within a component than what it writes for an entry, or little more.
const AGAIN_FOR_EACH: u64 = 8;
const AGAIN_AT_ONCE: u64 = 64 << 10;
