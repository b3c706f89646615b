//! Repositories below a write root: whoever removes one has to empty it first.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags};
use sandbox_policy::is_alias;

use super::{
    Answering,
    caller::PLACE,
    resolve::{Place, mount_and_inode, open_place},
    rules::is_within,
    trees::is_old,
};
use crate::{probe::is_out_of_reach, sys::Errno};

/// Directories of each kind that are remembered. Where there are more, nothing is removed that the table protects.
const MOST_REMEMBERED: usize = 100_000;

/// The number of a mount, and of a directory on it.
pub(super) type Identity = (u64, u64);

/// Whether a name is a repository's, also where the case does not matter.
pub(super) fn names_repository(place: &Place) -> bool {
    is_alias(place.name.as_bytes(), ".git")
}

impl Answering<'_> {
    /// A repository somewhere below a write root may be removed with all that is in it, whatever the
    /// table protects there: nothing is planted by that.
    pub(super) fn is_in_nested_repository(&self, place: &Place) -> Result<bool, Errno> {
        Ok(self.nested_repository(place)?.is_some())
    }

    /// The innermost of the repositories with which a place may be removed. There is none for what was carried into
    /// one while the sandbox ran: it would be a way to remove anything.
    fn nested_repository(&self, place: &Place) -> Result<Option<Identity>, Errno> {
        let carried = &self.state.carried_directories;
        let root = self.world.rules.write_root(&place.path);
        let Some(root) = root.filter(|_| carried.len() < MOST_REMEMBERED) else {
            return Ok(None);
        };
        let mut current = rustix::io::fcntl_dupfd_cloexec(&place.directory, 0)?;
        let mut path = place.parent_path();
        loop {
            // At the top nothing of the path is left: `..` leads nowhere else from there.
            if path.is_empty() || !is_within(path, &root) || path == root {
                return Ok(None);
            }
            let identity = mount_and_inode(current.as_fd())?;
            let is_former = self.state.former_repositories.contains(&identity);
            if is_former || self.had_repository(current.as_fd())? {
                return Ok(Some(identity));
            }
            if carried.contains(&identity) {
                return Ok(None);
            }
            let end = path.iter().rposition(|byte| *byte == b'/');
            path = path.get(..end.unwrap_or(0)).unwrap_or_default();
            let flags = PLACE | OFlags::DIRECTORY;
            current = match rustix::fs::openat(&current, c"..", flags, Mode::empty()) {
                Err(errno) if is_out_of_reach(errno) => return Ok(None),
                above => above?,
            };
        }
    }

    /// The directory, if it is moved into a repository: it is not one of those that go with it.
    pub(super) fn carried(&self, from: &Place, to: &Place) -> Result<Option<Identity>, Errno> {
        if from.parent_path() == to.parent_path() {
            return Ok(None);
        }
        let into = self.nested_repository(to)?;
        if into.is_none() || self.nested_repository(from)? == into {
            return Ok(None);
        }
        let carried = open_place(from.directory.as_fd(), &from.name)?;
        mount_and_inode(carried.as_fd()).map(Some)
    }

    /// Takes note of such, once they have been moved.
    pub(super) fn note_carried(&mut self, carried: [Option<Identity>; 2]) {
        let carried = carried.into_iter().flatten();
        self.state.carried_directories.extend(carried);
    }

    /// Whether a directory has a repository that is older than the sandbox, and was there then.
    pub(super) fn had_repository(&self, directory: BorrowedFd<'_>) -> Result<bool, Errno> {
        let moved = &self.state.moved_repositories;
        let is_known =
            is_old(directory, c".git", self.world.started) && moved.len() < MOST_REMEMBERED;
        if !is_known {
            return Ok(false);
        }
        let own = open_place(directory, &c".git".to_owned())?;
        Ok(!moved.contains(&mount_and_inode(own.as_fd())?))
    }

    /// Takes note of what gets the name of a repository: it is as old as before, but was not there.
    pub(super) fn note_named(&mut self, object: BorrowedFd<'_>, to: &Place) -> Result<(), Errno> {
        // When there are so many, every one is taken to have been moved.
        let has_room = self.state.moved_repositories.len() < MOST_REMEMBERED;
        if has_room && names_repository(to) {
            let identity = mount_and_inode(object)?;
            self.state.moved_repositories.insert(identity);
        }
        Ok(())
    }

    /// The same for what is moved.
    pub(super) fn note_moved(&mut self, from: &Place, to: &Place) -> Result<(), Errno> {
        if !names_repository(to) {
            return Ok(());
        }
        let moved = open_place(from.directory.as_fd(), &from.name)?;
        self.note_named(moved.as_fd(), to)
    }

    /// The rest of a repository may be removed after its `.git`.
    pub(super) fn note_former_repository(&mut self, place: &Place) -> Result<(), Errno> {
        let identity = mount_and_inode(place.directory.as_fd())?;
        let known = &mut self.state.former_repositories;
        if known.len() < MOST_REMEMBERED {
            known.insert(identity);
        }
        Ok(())
    }
}
