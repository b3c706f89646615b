//! What the settings of git repositories name in a write root: hooks elsewhere and further settings, which git obeys
//! as it does those in its own directory.
//!
//! Looked at are the repositories of the write roots, of the home and of the working directory, with those around them,
//! and the user's own settings, when a sandbox begins, and those further down when something in them is changed first:
//! nobody inside can set these keys later.

mod nearby;
mod repository;
mod settings;

use std::{
    collections::HashSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::io::Errno;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, Origin, PathPattern, Way};

pub(super) use self::nearby::Nearby;
use self::{
    repository::{Repository, read_file},
    settings::{Key, Setting},
};
use super::{
    landings::{self, Landing, Leads},
    rules::is_within,
};
use crate::probe;

/// So many write roots are looked at.
const MOST_ROOTS: usize = 64;
/// So many files of settings are read for one repository, as they include each other.
const MOST_FILES: usize = 64;

/// The places that settings name, with the links on the ways there.
///
/// # Errors
/// What can't be told now may be told later, as when this process has too many descriptors (`EMFILE`).
pub(super) fn find(
    policy: &FilesystemPolicy,
    starts: &[AbsolutePath],
) -> Result<Vec<Landing>, Errno> {
    let mut search = Search::new(policy, starts);
    let users = search.users()?;
    search.add(&users, None)?;
    let mut seen = HashSet::new();
    for directory in roots(policy).take(MOST_ROOTS).chain(starts) {
        for directory in directory.ancestors() {
            if !seen.insert(directory.clone()) {
                break;
            }
            search.look_at(directory.as_path(), &users)?;
        }
    }
    Ok(search.landings)
}

/// The write roots that are no patterns.
fn roots(policy: &FilesystemPolicy) -> impl Iterator<Item = &AbsolutePath> {
    let roots = policy.allow_write.iter();
    roots.filter_map(|allow| match &allow.rule.pattern {
        PathPattern::Subtree(root) => Some(root),
        PathPattern::Glob(_) => None,
    })
}

/// A setting, and the file that it is in.
#[derive(Debug)]
struct Named {
    setting: Setting,
    file: PathBuf,
}

struct Search<'s> {
    policy: &'s FilesystemPolicy,
    /// What `~` may be.
    homes: &'s [AbsolutePath],
    landings: Vec<Landing>,
}

impl<'s> Search<'s> {
    fn new(policy: &'s FilesystemPolicy, homes: &'s [AbsolutePath]) -> Self {
        Self {
            policy,
            homes,
            landings: Vec::new(),
        }
    }

    /// What the user's own settings name, and the system's.
    fn users(&self) -> Result<Vec<Named>, Errno> {
        let mut users = Vec::new();
        for home in self.homes {
            for name in [".gitconfig", ".config/git/config"] {
                self.read(&home.as_path().join(name), &mut users)?;
            }
        }
        self.read(Path::new("/etc/gitconfig"), &mut users)?;
        Ok(users)
    }

    /// Closes what the settings of the repository at a directory name, if there is one, and the user's for that.
    fn look_at(&mut self, directory: &Path, users: &[Named]) -> Result<(), Errno> {
        let Some(repository) = Repository::at(directory)? else {
            return Ok(());
        };
        let mut named = Vec::new();
        for file in repository.settings() {
            self.read(&file, &mut named)?;
        }
        self.add(&named, Some(&repository))?;
        self.add(users, Some(&repository))?;
        self.add_links(&repository)
    }

    /// Closes what symlinks in a repository's own directory lead to: a hook is often one.
    fn add_links(&mut self, repository: &Repository) -> Result<(), Errno> {
        let Ok(top) = AbsolutePath::new(&repository.top) else {
            return Ok(());
        };
        for directory in repository.directories() {
            let found = landings::find_in_repository(&self.policy.protected, &top, directory)?;
            let concerned = found.into_iter().filter(|landing| {
                let place = AbsolutePath::new(OsStr::from_bytes(&landing.place));
                place.is_ok_and(|place| self.is_concerned(&place))
            });
            let concerned: Vec<_> = concerned.collect();
            self.landings.extend(concerned);
        }
        Ok(())
    }

    /// Reads a file and those that it includes.
    fn read(&self, file: &Path, named: &mut Vec<Named>) -> Result<(), Errno> {
        let mut pending = vec![file.to_path_buf()];
        let mut known = HashSet::new();
        while let Some(file) = pending.pop() {
            if known.len() == MOST_FILES || !known.insert(file.clone()) {
                continue;
            }
            let Some(text) = read_file(&file)? else {
                continue;
            };
            for setting in settings::read(&text) {
                if setting.key == Key::Include {
                    pending.extend(self.places(&setting.value, file.parent()));
                }
                let file = file.clone();
                named.push(Named { setting, file });
            }
        }
        Ok(())
    }

    /// What a value may mean as a path.
    fn places(&self, value: &[u8], base: Option<&Path>) -> Vec<PathBuf> {
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        match value {
            [] => Vec::new(),
            [b'/', ..] => vec![path(value)],
            [b'~', b'/', below @ ..] => {
                let homes = self.homes.iter();
                homes.map(|home| home.as_path().join(path(below))).collect()
            }
            // Of another user, or below where git itself is.
            [b'~' | b'%', ..] => Vec::new(),
            _ => base
                .map(|base| base.join(path(value)))
                .into_iter()
                .collect(),
        }
    }

    /// Closes what settings name; where a path is relative to a working tree, to this repository's.
    fn add(&mut self, named: &[Named], repository: Option<&Repository>) -> Result<(), Errno> {
        let tops: Vec<PathBuf> = repository.map_or_else(Vec::new, |repository| {
            let trees = named
                .iter()
                .filter(|named| named.setting.key == Key::WorkTree);
            let trees = trees.map(|named| {
                let tree = Path::new(OsStr::from_bytes(&named.setting.value));
                repository.directory.join(tree)
            });
            trees.chain([repository.top.clone()]).collect()
        });
        for Named { setting, file } in named {
            let Some((key, row)) = row_of(setting.key) else {
                continue;
            };
            let bases: Vec<&Path> = if setting.key == Key::Include {
                file.parent().into_iter().collect()
            } else {
                tops.iter().map(PathBuf::as_path).collect()
            };
            // Whether a watcher is on, and no path.
            if setting.key == Key::FsMonitor && !setting.value.contains(&b'/') {
                continue;
            }
            let mut places = Vec::new();
            if bases.is_empty() {
                places = self.places(&setting.value, None);
            }
            for base in bases {
                places.extend(self.places(&setting.value, Some(base)));
            }
            // A working tree elsewhere may be named by a whole path.
            let is_relative = !matches!(setting.value.first(), Some(b'/' | b'~'))
                && (setting.key == Key::Include || tops.len() <= 1);
            let leads = Leads::BySetting { key, is_relative };
            for place in places {
                self.close(&place, leads, row, file)?;
            }
        }
        Ok(())
    }

    fn close(
        &mut self,
        place: &Path,
        mut leads: Leads,
        row: &'static str,
        file: &Path,
    ) -> Result<(), Errno> {
        let mut rows = self.policy.protected.iter();
        let Some(row) = rows.find(|known| known.path == row) else {
            return Ok(());
        };
        let Some(Way { links, end }) = probe::reachable_way(place)? else {
            return Ok(());
        };
        if let Leads::BySetting { is_relative, .. } = &mut leads {
            *is_relative &= links.is_empty();
        }
        let places: Vec<_> = links
            .into_iter()
            .chain(end)
            .filter(|place| self.is_concerned(place))
            .collect();
        self.landings
            .extend(places.into_iter().map(|place| Landing {
                place: place.as_bytes().to_vec(),
                name: file.as_os_str().as_bytes().to_vec(),
                rule: (row.path.to_owned(), Origin::BuiltIn(row.reason)),
                leads,
            }));
        Ok(())
    }

    /// Whether a place could be written, and is not named, nor anything in it, by who wrote the policy.
    fn is_concerned(&self, place: &AbsolutePath) -> bool {
        let is_own = |tree: &[u8]| is_within(place.as_bytes(), tree);
        let mut roots = self.policy.allow_write.iter();
        let is_open = roots.any(|root| root.rule.pattern.opens(place).is_some());
        let is_named = self::roots(self.policy).any(|root| root.is_within(place));
        is_open && !is_named && !is_own(b"/dev") && !is_own(b"/proc")
    }
}

/// What a key is called, and the row of the table of which what it names takes the place.
fn row_of(key: Key) -> Option<(&'static str, &'static str)> {
    Some(match key {
        Key::HooksPath => ("core.hooksPath", ".git/hooks"),
        Key::FsMonitor => ("core.fsmonitor", ".git/hooks"),
        Key::TemplateDir => ("init.templateDir", ".git/hooks"),
        Key::AttributesFile => ("core.attributesFile", ".git/info/attributes"),
        Key::Include => ("include.path", ".git/config"),
        Key::WorkTree => return None,
    })
}
