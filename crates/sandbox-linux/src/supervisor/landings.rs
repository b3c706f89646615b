//! Where protected names of the write roots lead that are symlinks: `~/.bashrc` is often one into a directory
//! of its owner's.

use std::{collections::HashMap, fs};

use rustix::{
    fs::{AtFlags, Dir, Mode},
    io::Errno,
};
use sandbox_policy::{AbsolutePath, FilesystemPolicy, PathPattern, ProtectedPath, Protection};

use super::{caller::PLACE, resolve::is_link};
use crate::probe;

/// What a protected name leads to that is a symlink.
#[derive(Debug)]
pub(super) struct Landing {
    /// Where it leads.
    pub(super) place: Vec<u8>,
    /// The link.
    pub(super) link: Vec<u8>,
    /// The row of the table.
    pub(super) row: &'static ProtectedPath,
}

/// So many roots are asked for every row of the table, of which a host program that watches them sees
/// nothing. There may be thousands: what a directory holds tells sooner that it has none of them.
const FEW: usize = 64;

/// Larger directories are asked for every row as well.
const LARGE: usize = 512;

/// The places that the links lead to.
pub(super) fn find(policy: &FilesystemPolicy) -> Vec<Landing> {
    let roots = policy.allow_write.iter();
    let roots: Vec<_> = roots
        .filter_map(|allow| match &allow.rule.pattern {
            PathPattern::Subtree(root) => Some(root),
            PathPattern::Glob(_) => None,
        })
        .collect();
    let rows = (roots.len() > FEW).then(|| Rows::new(&policy.protected));
    let mut landings = Vec::new();
    for root in roots {
        match rows.as_ref().and_then(|rows| rows.present_in(root)) {
            Some(rows) => find_in(root, rows.into_iter(), &mut landings),
            None => find_in(root, policy.protected.iter(), &mut landings),
        }
    }
    landings
}

fn find_in(
    root: &AbsolutePath,
    rows: impl Iterator<Item = &'static ProtectedPath>,
    landings: &mut Vec<Landing>,
) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    // Each root is looked up once.
    let Ok(directory) = rustix::fs::open(root.as_path(), PLACE, Mode::empty()) else {
        return;
    };
    for row in rows {
        let found = rustix::fs::statat(&directory, row.path, AtFlags::SYMLINK_NOFOLLOW);
        if !found.is_ok_and(|found| is_link(&found)) {
            continue;
        }
        // One that leads round in circles, or nowhere, leads to nothing.
        let link = root.as_path().join(row.path);
        let landing = fs::canonicalize(&link).ok();
        let Some(landing) = landing.and_then(|path| AbsolutePath::new(path).ok()) else {
            continue;
        };
        // A link to the tree that it lies in must not close all of it.
        if !root.is_within(&landing) {
            landings.push(Landing {
                place: landing.as_bytes().to_vec(),
                link: link.into_os_string().into_encoded_bytes(),
                row,
            });
        }
    }
}

/// The rows of the table by their first names, in lower case: in some directories the case does not
/// matter.
struct Rows(HashMap<Vec<u8>, Vec<&'static ProtectedPath>>);

impl Rows {
    fn new(protected: &Protection) -> Self {
        let mut rows: HashMap<_, Vec<_>> = HashMap::new();
        for row in protected.iter() {
            let first = row.path.split('/').next().unwrap_or(row.path);
            let first = first.to_ascii_lowercase().into_bytes();
            rows.entry(first).or_default().push(row);
        }
        Self(rows)
    }

    /// The rows that can name something in a directory; `None` if that can't be told soon.
    fn present_in(&self, root: &AbsolutePath) -> Option<Vec<&'static ProtectedPath>> {
        let directory = match probe::open_to_list(root.as_path().as_os_str()) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Some(Vec::new()),
            // A file, unless it is a symlink by now.
            Err(Errno::NOTDIR) => {
                let found = rustix::fs::lstat(root.as_path()).ok()?;
                return (!is_link(&found)).then(Vec::new);
            }
            Err(_errno) => return None,
        };
        let mut present = Vec::new();
        for (count, entry) in Dir::new(directory).ok()?.enumerate() {
            let entry = entry.ok()?;
            let name = entry.file_name().to_bytes();
            // Letters beyond ASCII may fold to one of those.
            if count > LARGE || !name.is_ascii() {
                return None;
            }
            if let Some(rows) = self.0.get(&name.to_ascii_lowercase()) {
                present.extend(rows);
            }
        }
        Some(present)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use sandbox_policy::Policy;
    use tempfile::TempDir;

    use super::*;

    /// Many roots are looked through by what is in them, few by the table.
    #[test]
    fn links_are_found_in_many_roots_as_in_few() {
        let directory = TempDir::new().unwrap();
        let at = directory.path().canonicalize().unwrap();
        let target = at.join("target");
        fs::create_dir(&target).unwrap();
        let root = |number: usize| at.join(format!("roots/{number}"));
        let policy = |roots: std::ops::RangeInclusive<usize>| {
            let policy = Policy::restrictive();
            let policy = roots.fold(policy, |policy, number| {
                policy.allow_write(root(number)).unwrap()
            });
            policy.filesystem
        };
        for number in 0..=FEW {
            fs::create_dir_all(root(number).join(".git")).unwrap();
            fs::write(root(number).join("other"), "").unwrap();
        }
        symlink(&target, root(1).join(".bashrc")).unwrap();
        symlink(&target, root(2).join(".git/hooks")).unwrap();
        symlink("nowhere", root(3).join(".bashrc")).unwrap();
        symlink(&at, root(4).join(".bashrc")).unwrap();
        symlink(&target, root(5).join("unprotected")).unwrap();
        // Too many entries, and names that could be spelled otherwise.
        for number in 0..=LARGE {
            fs::write(root(6).join(number.to_string()), "").unwrap();
        }
        symlink(&target, root(6).join(".bashrc")).unwrap();
        fs::write(root(7).join("\u{212a}"), "").unwrap();
        symlink(&target, root(7).join(".zshrc")).unwrap();
        let places = |policy| find(&policy).into_iter().map(|landing| landing.place);
        let many: Vec<_> = places(policy(0..=FEW)).collect();
        let few: Vec<_> = (0..=FEW)
            .flat_map(|number| places(policy(number..=number)))
            .collect();
        assert_eq!(many, few);
        let expected = target.as_os_str().as_encoded_bytes();
        assert_eq!(many, [expected; 4], "{many:?}");
    }
}
