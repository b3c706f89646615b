//! What the settings of git repositories name in a write root: hooks elsewhere and further settings, which git obeys
//! as it does those in its own directory.
//!
//! Looked at are the repositories of the write roots, of the home and of the working directory, with those around them,
//! and the user's own settings (in `XDG_CONFIG_HOME` too), when a sandbox begins: nobody inside can set these keys later.

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

use self::{
    repository::{Repository, read_file},
    settings::{Key, Setting},
    values::Places,
};
use super::{
    landings::{Landing, Leads},
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
    config_home: Option<&AbsolutePath>,
) -> Result<Vec<Landing>, Errno> {
    let roots = policy.allow_write.iter();
    let roots: Vec<_> = roots
        .filter_map(|allow| match &allow.rule.pattern {
            PathPattern::Subtree(root) => Some(root),
            PathPattern::Glob(_) => None,
        })
        .take(MOST_ROOTS)
        .collect();
    let mut search = Search {
        policy,
        roots: &roots,
        places: Places::new(starts)?,
        landings: Vec::new(),
    };
    let mut users = Vec::new();
    for home in starts {
        for name in [".gitconfig", ".config/git/config"] {
            search.read(&home.as_path().join(name), &mut users)?;
        }
    }
    if let Some(config_home) = config_home {
        let own = config_home.as_path().join("git");
        search.read(&own.join("config"), &mut users)?;
        let name = Path::new("the environment");
        search.close(&own, "XDG_CONFIG_HOME", ".config/git", name)?;
    }
    search.read(Path::new("/etc/gitconfig"), &mut users)?;
    search.add(&users, None)?;
    let mut seen = HashSet::new();
    for directory in roots.iter().copied().chain(starts) {
        for directory in directory.ancestors() {
            if !seen.insert(directory.clone()) {
                break;
            }
            let Some(repository) = Repository::at(directory.as_path())? else {
                continue;
            };
            let mut named = Vec::new();
            for file in repository.settings() {
                search.read(&file, &mut named)?;
            }
            search.add(&named, Some(&repository))?;
            search.add(&users, Some(&repository))?;
        }
    }
    Ok(search.landings)
}

/// A setting, and the file that it is in.
struct Named {
    setting: Setting,
    file: PathBuf,
}

struct Search<'s> {
    policy: &'s FilesystemPolicy,
    roots: &'s [&'s AbsolutePath],
    places: Places<'s>,
    landings: Vec<Landing>,
}

impl Search<'_> {
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
            let words = words.iter().flat_map(|word| {
                let places = |base: &Option<&Path>| self.places.of(word, *base);
                bases.iter().flat_map(places).collect::<Vec<_>>()
            });
            for place in words.collect::<Vec<_>>() {
                self.close(&place, key, row, file)?;
            }
        }
        Ok(())
    }

    fn close(
        &mut self,
        place: &Path,
        key: &'static str,
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
                leads: Leads::BySetting(key),
            }));
        Ok(())
    }

    /// Whether a place could be written, and is not named, nor anything in it, by who wrote the policy.
    fn is_concerned(&self, place: &AbsolutePath) -> bool {
        let is_own = |tree: &[u8]| is_within(place.as_bytes(), tree);
        let mut roots = self.policy.allow_write.iter();
        let is_open = roots.any(|root| root.rule.pattern.opens(place).is_some());
        let is_named = self.roots.iter().any(|root| root.is_within(place));
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
