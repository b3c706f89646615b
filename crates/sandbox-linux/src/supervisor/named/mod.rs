//! What the settings of git repositories name in a write root: hooks elsewhere and further settings, which git obeys
//! as it does those in its own directory.
//!
//! Looked at are the repositories of the write roots, of the home and of the working directory, with those around them,
//! and the user's own settings (in `XDG_CONFIG_HOME` too), when a sandbox begins, and those further down when something in
//! them is changed first: nobody inside can set these keys later.

mod nearby;
mod repository;
mod settings;
mod values;

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
    values::Places,
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
pub(super) fn find(policy: &FilesystemPolicy, user: User<'_>) -> Result<Vec<Landing>, Errno> {
    let mut search = Search::new(policy, user)?;
    let users = search.users(user.config_home)?;
    if let Some(config_home) = user.config_home {
        let key = "XDG_CONFIG_HOME";
        let leads = Leads::BySetting {
            key,
            is_relative: false,
        };
        let own = config_home.as_path().join("git");
        search.close(&own, leads, ".config/git", Path::new("the environment"))?;
    }
    search.add(&users, None)?;
    let mut seen = HashSet::new();
    for directory in roots(policy).take(MOST_ROOTS).chain(user.starts) {
        for directory in directory.ancestors() {
            if !seen.insert(directory.clone()) {
                break;
            }
            if let Some(repository) = Repository::at(directory.as_path())? {
                search.add_all(&repository, &users)?;
            }
        }
    }
    Ok(search.landings)
}

/// Where the settings of who calls git outside are.
#[derive(Clone, Copy, Debug)]
pub(super) struct User<'s> {
    /// What `~` may be.
    pub(super) starts: &'s [AbsolutePath],
    /// `XDG_CONFIG_HOME`.
    pub(super) config_home: Option<&'s AbsolutePath>,
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
    places: Places<'s>,
    landings: Vec<Landing>,
}

impl<'s> Search<'s> {
    fn new(policy: &'s FilesystemPolicy, user: User<'s>) -> Result<Self, Errno> {
        Ok(Self {
            policy,
            places: Places::new(user.starts)?,
            landings: Vec::new(),
        })
    }

    /// What the user's own settings name, and the system's.
    fn users(&self, config_home: Option<&AbsolutePath>) -> Result<Vec<Named>, Errno> {
        let mut users = Vec::new();
        for home in self.places.homes {
            for name in [".gitconfig", ".config/git/config"] {
                self.read(&home.as_path().join(name), &mut users)?;
            }
        }
        if let Some(config_home) = config_home {
            self.read(&config_home.as_path().join("git/config"), &mut users)?;
        }
        self.read(Path::new("/etc/gitconfig"), &mut users)?;
        Ok(users)
    }

    /// Closes what a repository's settings name, the user's for that, and what its links lead to.
    fn add_all(&mut self, repository: &Repository, users: &[Named]) -> Result<(), Errno> {
        let mut named = Vec::new();
        for file in repository.settings() {
            self.read(&file, &mut named)?;
        }
        self.add(&named, Some(repository))?;
        self.add(users, Some(repository))?;
        self.add_links(repository)
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
                    pending.extend(self.places.of(&setting.value, file.parent()));
                }
                let file = file.clone();
                named.push(Named { setting, file });
            }
        }
        Ok(())
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
            let bases: Vec<Option<&Path>> = match bases.as_slice() {
                [] => vec![None],
                bases => bases.iter().copied().map(Some).collect(),
            };
            let words = match setting.key {
                Key::FsMonitor => values::words(&setting.value),
                Key::HooksPath
                | Key::TemplateDir
                | Key::AttributesFile
                | Key::Include
                | Key::WorkTree => vec![setting.value.clone()],
            };
            // A working tree elsewhere may be named by a whole path.
            let is_near = setting.key == Key::Include || tops.len() <= 1;
            for word in &words {
                let is_relative = is_near && values::is_relative(word);
                let leads = Leads::BySetting { key, is_relative };
                for base in &bases {
                    for place in self.places.of(word, *base) {
                        self.close(&place, leads, row, file)?;
                    }
                }
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
        // A pointer's own name may go up and down.
        let name = AbsolutePath::resolve(&AbsolutePath::root(), file);
        let name = name.map_or_else(
            |_| file.as_os_str().as_bytes().to_vec(),
            |name| name.as_bytes().to_vec(),
        );
        self.landings
            .extend(places.into_iter().map(|place| Landing {
                place: place.as_bytes().to_vec(),
                name: name.clone(),
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
