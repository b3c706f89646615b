//! Repositories further down: a directory is looked at when something in it, or below, is changed first.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    ops::Bound,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::Arc,
};

use rustix::io::Errno;
use sandbox_policy::FilesystemPolicy;

use super::{Named, Repository, Search, User};
use crate::supervisor::{landings::Landing, rules::is_within};

/// What was looked at, and what it named.
///
/// With a directory all above it were looked at as well.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Nearby {
    directories: BTreeSet<Vec<u8>>,
    /// By their places.
    landings: BTreeMap<Vec<u8>, Arc<Landing>>,
    /// What the user's own settings name, relative to each repository.
    users: Option<Arc<[Named]>>,
}

impl Nearby {
    /// Looks at the directories above a path that were not looked at yet.
    ///
    /// # Errors
    /// What can't be told now may be told later.
    pub(in crate::supervisor) fn look_around(
        &mut self,
        policy: &FilesystemPolicy,
        user: User<'_>,
        path: &[u8],
    ) -> Result<(), Errno> {
        let new: Vec<&[u8]> = above(path)
            .take_while(|directory| !self.directories.contains(*directory))
            .collect();
        if self.directories.len() >= MOST {
            self.directories.clear();
            return self.look_around(policy, user, path);
        }
        // From the top, so that an error leaves nothing out above what was looked at.
        let mut is_told = true;
        for directory in new.into_iter().rev() {
            is_told &= self.look_at(policy, user, directory)?;
            if is_told {
                self.directories.insert(directory.to_vec());
            }
        }
        Ok(())
    }

    /// Tells whether the answer will be the same until something is changed there.
    fn look_at(
        &mut self,
        policy: &FilesystemPolicy,
        user: User<'_>,
        directory: &[u8],
    ) -> Result<bool, Errno> {
        let directory = Path::new(OsStr::from_bytes(directory));
        let Some(repository) = Repository::at(directory)? else {
            return Repository::is_absent(directory);
        };
        let mut search = Search::new(policy, user)?;
        let users = match &self.users {
            Some(users) => Arc::clone(users),
            None => Arc::clone(self.users.insert(search.users(user.config_home)?.into())),
        };
        search.add_all(&repository, &users)?;
        for landing in search.landings {
            let place = landing.place.clone();
            self.landings
                .entry(place)
                .or_insert_with(|| Arc::new(landing));
        }
        repository.has_settings()
    }

    /// What names a path, or what it lies in.
    pub(in crate::supervisor) fn landing(&self, path: &[u8]) -> Option<&Arc<Landing>> {
        if self.landings.is_empty() {
            return None;
        }
        let mut places = std::iter::once(path).chain(above(path));
        places.find_map(|place| self.landings.get(place))
    }

    /// What is named below a path.
    pub(in crate::supervisor) fn landings_below(
        &self,
        path: &[u8],
    ) -> impl Iterator<Item = &Arc<Landing>> {
        let start = below(path);
        let later = (Bound::Included(&*start), Bound::Unbounded);
        let later = self.landings.range::<[u8], _>(later);
        let inside = later.take_while(move |(place, _)| place.starts_with(&start));
        inside.map(|(_, landing)| landing)
    }

    /// Looks at a directory and all below again, when something there is changed next. What was named stays closed:
    /// who puts back what names it must not find another thing there.
    pub(in crate::supervisor) fn forget(&mut self, path: &[u8]) {
        self.directories.remove(path);
        let start = below(path);
        let inside = (Bound::Included(&*start), Bound::Unbounded);
        let inside = self.directories.range::<[u8], _>(inside);
        let inside: Vec<_> = inside
            .take_while(|directory| directory.starts_with(&start))
            .cloned()
            .collect();
        for directory in inside {
            self.directories.remove(&directory);
        }
    }

    /// A directory was moved, or two exchanged: what was named goes along.
    pub(in crate::supervisor) fn note_moved(&mut self, from: &[u8], to: &[u8], exchanged: bool) {
        let mut taken = self.take_below(from, to);
        if exchanged {
            taken.extend(self.take_below(to, from));
        }
        for landing in taken {
            self.landings
                .entry(landing.place.clone())
                .or_insert_with(|| Arc::new(landing));
        }
        self.forget(from);
        self.forget(to);
    }

    /// A directory is gone, which was empty. What something elsewhere names there stays closed.
    pub(in crate::supervisor) fn note_removed(&mut self, path: &[u8]) {
        let gone: Vec<_> = self
            .landings_below(path)
            .filter(|landing| is_within(&landing.name, path))
            .map(|landing| landing.place.clone())
            .collect();
        for place in gone {
            self.landings.remove(&place);
        }
        self.forget(path);
    }

    /// What was named below a path, as it is below another one.
    fn take_below(&mut self, from: &[u8], to: &[u8]) -> Vec<Landing> {
        let places: Vec<_> = self
            .landings_below(from)
            .map(|landing| landing.place.clone())
            .collect();
        let moved = |path: &[u8]| match path.strip_prefix(from) {
            Some(rest) if is_within(path, from) => [to, rest].concat(),
            Some(_) | None => path.to_vec(),
        };
        let taken = places
            .iter()
            .filter_map(|place| self.landings.remove(place));
        let taken = taken.map(|landing| Landing {
            place: moved(&landing.place),
            name: moved(&landing.name),
            ..Landing::clone(&landing)
        });
        taken.collect()
    }

    /// What settings name that would be parted from their tree, if the directory that they lie in were moved.
    pub(in crate::supervisor) fn parted_from(&self, directory: &[u8]) -> Option<&Arc<Landing>> {
        let mut landings = self.landings.values();
        landings.find(|landing| {
            above(&landing.name).next() == Some(directory) && !is_within(&landing.place, directory)
        })
    }
}

/// The directories above a path, from the nearest to `/`.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| {
        let end = path.iter().rposition(|byte| *byte == b'/')?;
        match path.get(..end) {
            Some(b"") if path.len() > 1 => Some(b"/"),
            above => above.filter(|above| !above.is_empty()),
        }
    })
    .skip(1)
}

/// What all paths below a directory begin with.
fn below(directory: &[u8]) -> Vec<u8> {
    [directory.strip_suffix(b"/").unwrap_or(directory), b"/"].concat()
}

/// So many directories are kept in mind.
const MOST: usize = 65_536;
