//! Where protected names of the write roots, and of a home or a working directory in one, lead that are symlinks,
//! and through which: `~/.bashrc` is often one into a directory of its owner's.

use std::{
    collections::HashMap,
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode},
    io::Errno,
};
use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, Origin, PathPattern, PathRule, ProtectedPath, Protection, Way,
    shown,
};

use super::{caller::PLACE, resolve::is_link, rules::is_within};
use crate::probe::{self, is_out_of_reach};

/// What a closed name leads to that is a symlink, or through: there nothing is changed.
#[derive(Clone, Debug)]
pub(super) struct Landing {
    /// The end of the name's way, or a link on it.
    pub(super) place: Vec<u8>,
    /// The name.
    pub(super) name: Vec<u8>,
    /// The rule that closes it.
    pub(super) rule: (String, Origin),
    pub(super) leads: Leads,
}

/// How a name leads to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leads {
    BySymlink {
        /// As below.
        is_relative: bool,
    },
    /// The name is that of a file of settings, and this key of it names the place.
    BySetting {
        key: &'static str,
        /// Whether it leads to the same directory or file after one around both was moved.
        is_relative: bool,
    },
}

impl Landing {
    /// A link on the way to what a rule names.
    pub(super) fn of_link(link: &AbsolutePath, rule: &PathRule) -> Self {
        let name = match &rule.pattern {
            PathPattern::Subtree(path) => path,
            PathPattern::Glob(glob) => glob.static_prefix(),
        };
        Self {
            place: link.as_bytes().to_vec(),
            name: name.as_bytes().to_vec(),
            rule: (rule.pattern.to_string(), rule.origin.clone()),
            leads: Leads::BySymlink { is_relative: false },
        }
    }

    /// How it leads to its place.
    pub(super) fn note(&self) -> String {
        let name = shown(&self.name);
        match self.leads {
            Leads::BySymlink { .. } => format!("`{name}` is closed, and leads here by a symlink"),
            Leads::BySetting { key, .. } => format!("`{key}` of `{name}` names it"),
        }
    }

    /// Whether the name leads to the place all the same when a directory around it is moved.
    pub(super) fn moves_with(&self, directory: &[u8]) -> bool {
        match self.leads {
            Leads::BySymlink { is_relative } | Leads::BySetting { is_relative, .. } => {
                is_relative && is_within(&self.name, directory)
            }
        }
    }
}

/// So many roots are asked for every row of the table, of which a host program that watches them sees
/// nothing. There may be thousands: what a directory holds tells sooner that it has none of them.
const FEW: usize = 64;

/// Larger directories are asked for every row as well.
const LARGE: usize = 512;

/// The places that the links lead to, and the links on the way.
///
/// # Errors
/// What can't be told now may be told later, as when this process has too many descriptors (`EMFILE`).
pub(super) fn find(
    policy: &FilesystemPolicy,
    starts: &[AbsolutePath],
) -> Result<Vec<Landing>, Errno> {
    let roots = policy.allow_write.iter();
    let mut roots: Vec<_> = roots
        .filter_map(|allow| match &allow.rule.pattern {
            PathPattern::Subtree(root) => Some(root),
            PathPattern::Glob(_) => None,
        })
        .collect();
    for start in starts {
        let is_open = roots.iter().any(|root| start.is_within(root));
        if is_open && !roots.contains(&start) {
            roots.push(start);
        }
    }
    let rows = (roots.len() > FEW).then(|| Rows::new(&policy.protected));
    let mut landings = Vec::new();
    for root in roots {
        match rows.as_ref().and_then(|rows| rows.present_in(root)) {
            Some(rows) => find_in(root, root.as_path(), named(rows.into_iter()), &mut landings)?,
            None => {
                let rows = named(policy.protected.iter());
                find_in(root, root.as_path(), rows, &mut landings)?;
            }
        }
    }
    Ok(landings)
}

/// The same in the directory of a repository, whatever it is called, with the working tree at `top`.
pub(super) fn find_in_repository(
    protection: &Protection,
    top: &AbsolutePath,
    directory: &Path,
) -> Result<Vec<Landing>, Errno> {
    let rows = protection.iter();
    let rows = rows.filter_map(|row| Some((row, row.path.strip_prefix(".git/")?)));
    let mut landings = Vec::new();
    find_in(top, directory, rows, &mut landings)?;
    Ok(landings)
}

/// Rows with their names in a write root.
fn named(
    rows: impl Iterator<Item = &'static ProtectedPath>,
) -> impl Iterator<Item = (&'static ProtectedPath, &'static str)> {
    rows.map(|row| (row, row.path))
}

/// Looks for rows, with their names in a directory.
fn find_in(
    root: &AbsolutePath,
    place: &Path,
    rows: impl Iterator<Item = (&'static ProtectedPath, &'static str)>,
    landings: &mut Vec<Landing>,
) -> Result<(), Errno> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    // Each root is looked up once.
    let directory = match rustix::fs::open(place, PLACE, Mode::empty()) {
        Err(errno) if is_out_of_reach(errno) => return Ok(()),
        opened => opened?,
    };
    let mut kinds = Kinds::default();
    for (row, name) in rows {
        let path = place.join(name);
        match kinds.at_end_of(&directory, name)? {
            Kind::Link => {
                if let Some(end) = add(root, row, &path, landings)? {
                    add_entries(root, row, end.as_path(), landings)?;
                }
            }
            Kind::Directory => add_entries(root, row, &path, landings)?,
            Kind::Other => {}
        }
    }
    Ok(())
}

/// What the names that lead to rows are, each looked at once.
#[derive(Default)]
struct Kinds(HashMap<&'static str, Kind>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Link,
    Directory,
    /// Something else, or nothing.
    Other,
}

impl Kinds {
    /// What is at the end of a row, or a symlink before that.
    fn at_end_of(&mut self, root: &OwnedFd, row: &'static str) -> Result<Kind, Errno> {
        let ends = row.match_indices('/').map(|(at, _)| at).chain([row.len()]);
        let mut kind = Kind::Directory;
        for prefix in ends.filter_map(|end| row.get(..end)) {
            kind = match self.0.get(prefix) {
                Some(known) => *known,
                None => kind_of(root, prefix)?,
            };
            self.0.insert(prefix, kind);
            if kind != Kind::Directory {
                break;
            }
        }
        Ok(kind)
    }
}

fn kind_of(root: &OwnedFd, path: &str) -> Result<Kind, Errno> {
    let found = rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW);
    let kind = found.map(|found| FileType::from_raw_mode(found.st_mode));
    match kind {
        Ok(FileType::Symlink) => Ok(Kind::Link),
        Ok(FileType::Directory) => Ok(Kind::Directory),
        Ok(_) => Ok(Kind::Other),
        Err(errno) if is_out_of_reach(errno) => Ok(Kind::Other),
        Err(errno) => Err(errno),
    }
}

/// Adds what a path leads to, and the links on the way: whoever exchanges one decides where it leads. Returns the
/// end.
fn add(
    root: &AbsolutePath,
    row: &ProtectedPath,
    path: &Path,
    landings: &mut Vec<Landing>,
) -> Result<Option<AbsolutePath>, Errno> {
    let Some(Way { links, end }) = probe::reachable_way(path)? else {
        return Ok(None);
    };
    // A link to the tree that it lies in must not close all of it.
    let end = end.filter(|end| !root.is_within(end));
    let is_relative = links.iter().all(|link| stays_in(root, link));
    // The name itself is protected as such.
    let links = links.into_iter().filter(|link| link.as_path() != path);
    let places = links.chain(end.clone());
    landings.extend(places.map(|place| Landing {
        place: place.as_bytes().to_vec(),
        name: path.as_os_str().as_bytes().to_vec(),
        rule: (row.path.to_owned(), Origin::BuiltIn(row.reason)),
        leads: Leads::BySymlink { is_relative },
    }));
    Ok(end)
}

/// Whether a symlink leads to the same when a tree with it is moved.
fn stays_in(tree: &AbsolutePath, link: &AbsolutePath) -> bool {
    let Ok(text) = rustix::fs::readlink(link.as_path(), Vec::new()) else {
        return false;
    };
    let depth = |path: &AbsolutePath| path.depth().saturating_sub(tree.depth());
    let Some(mut levels) = link.parent().map(|directory| depth(&directory)) else {
        return false;
    };
    let stays = text.as_bytes().split(|byte| *byte == b'/').all(|name| {
        match name {
            b"" | b"." => {}
            b".." if levels == 0 => return false,
            b".." => levels -= 1,
            _ => levels += 1,
        }
        true
    });
    link.is_within(tree) && stays && !text.as_bytes().starts_with(b"/")
}

/// Adds what the symlinks in a protected directory lead to: a hook is often one into the repository.
fn add_entries(
    root: &AbsolutePath,
    row: &ProtectedPath,
    path: &Path,
    landings: &mut Vec<Landing>,
) -> Result<(), Errno> {
    let directory = match probe::open_to_list(path.as_os_str()) {
        Err(errno) if is_out_of_reach(errno) => return Ok(()),
        opened => opened?,
    };
    let mut count = 0;
    for entry in Dir::new(directory)? {
        let entry = entry?;
        if !matches!(entry.file_type(), FileType::Symlink | FileType::Unknown) {
            continue;
        }
        let path = path.join(OsStr::from_bytes(entry.file_name().to_bytes()));
        let is_one = match rustix::fs::lstat(&path) {
            Err(errno) if is_out_of_reach(errno) => false,
            found => is_link(&found?),
        };
        if !is_one {
            continue;
        }
        // What lies in a directory that one leads to is not looked at.
        let _end = add(root, row, &path, landings)?;
        count += 1;
        if count == MOST_LINKS {
            break;
        }
    }
    Ok(())
}

/// Links in a protected directory that are followed: whoever makes more of them has another aim.
const MOST_LINKS: usize = 512;

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
    use std::{fs, os::unix::fs::symlink};

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
        let places = |policy| {
            let found = find(&policy, &[]).unwrap().into_iter();
            found.map(|landing| landing.place)
        };
        let many: Vec<_> = places(policy(0..=FEW)).collect();
        let few: Vec<_> = (0..=FEW)
            .flat_map(|number| places(policy(number..=number)))
            .collect();
        assert_eq!(many, few);
        let nowhere = root(3).join("nowhere");
        let expected = [&target, &target, &nowhere, &target, &target];
        let expected = expected.map(|place| place.as_os_str().as_encoded_bytes());
        assert_eq!(many, expected, "{many:?}");
    }
}
