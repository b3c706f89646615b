//! Names of an index that git would check out: none leads out of the working tree or into a git directory, on any
//! file system. git asks this of what it adds (`verify_path`), but not of an index that it reads.

use sandbox_policy::is_alias;

/// Whether an entry of this mode may have this path.
pub(super) fn is_harmless(path: &[u8], mode: u32) -> bool {
    // A whole directory of a sparse index ends with a slash.
    let path = match path.strip_suffix(b"/") {
        Some(path) if mode & KIND == DIRECTORY => path,
        _ => path,
    };
    let is_link = mode & KIND == LINK;
    path.split(|byte| *byte == b'/')
        .all(|component| is_harmless_component(component, is_link))
}

fn is_harmless_component(component: &[u8], is_link: bool) -> bool {
    // What is one name here is several ones where the backslash separates.
    !component.is_empty()
        && (component.split(|byte| *byte == b'\\')).all(|name| {
            let is_modules = || is_alias(plain(name), ".gitmodules");
            let is_harmful = matches!(name, b"." | b"..") || is_git_directory(name);
            !(is_harmful || (is_link && is_modules()))
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
