//! What one sandbox's command has made and taken apart.

use std::{
    collections::{HashSet, VecDeque},
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::fs::{Mode, OFlags};

use super::{
    directory::Identity,
    parts::{is_among_modules, is_dot_git, is_lock},
};

/// A place inside of git directories that stays closed, unless a setting opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Protected {
    /// `hooks`.
    Hooks,
    /// `config`.
    Config,
    /// `config.worktree`.
    WorktreeConfig,
    /// `info/attributes`.
    Attributes,
    /// `objects/info/alternates`.
    Alternates,
    /// `remotes`.
    Remotes,
    /// `branches`.
    Branches,
    /// `.gitmodules` of a working tree.
    Modules,
    /// `.gitconfig`.
    UserConfig,
}

/// What is known of directories, for as long as the sandbox lives.
#[derive(Debug)]
pub(in crate::supervisor) struct Session {
    open: Vec<Protected>,
    /// Directories made as `.git` or below its `modules`, and git directories that were assembled.
    known: HashSet<Identity>,
    /// Foreign git directories of which a piece was taken away.
    taken_apart: HashSet<Identity>,
    /// Lock files that the command has made.
    locks: VecDeque<Lock>,
}

/// A lock file. While the handle is open, no other file of its file system gets its inode.
#[derive(Debug)]
struct Lock {
    identity: Identity,
    handle: OwnedFd,
}

impl Session {
    /// A session in which nothing has been made; `open` are places that the settings don't protect.
    pub(in crate::supervisor) fn new(open: Vec<Protected>) -> Self {
        Self {
            open,
            known: HashSet::new(),
            taken_apart: HashSet::new(),
            locks: VecDeque::new(),
        }
    }

    /// Takes note of a directory that the command has just made.
    pub(in crate::supervisor) fn note_created(
        &mut self,
        parent: BorrowedFd<'_>,
        parent_path: &[u8],
        name: &CStr,
    ) {
        if !is_dot_git(name.to_bytes()) && !is_among_modules(parent_path) {
            return;
        }
        // One that is gone already is of no interest.
        if let Ok(identity) = Identity::at(parent, name) {
            self.adopt(identity);
        }
    }

    /// Takes note of a file that the command has just made, if its name is that of a lock file.
    pub(in crate::supervisor) fn note_file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        file: BorrowedFd<'_>,
    ) {
        if !is_lock(name.to_bytes()) {
            return;
        }
        let has_names = |lock: &Lock| {
            let status = rustix::fs::fstat(&lock.handle);
            status.is_ok_and(|status| status.st_nlink > 0)
        };
        self.locks.retain(has_names);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // One that is not remembered is another's.
        let Ok(handle) = rustix::fs::openat(parent, name, flags, Mode::empty()) else {
            return;
        };
        let identities = (Identity::of(handle.as_fd()), Identity::of(file));
        let (Ok(identity), Ok(made)) = identities else {
            return;
        };
        if identity == made {
            if self.locks.len() >= MOST_LOCKS {
                self.locks.pop_front();
            }
            self.locks.push_back(Lock { identity, handle });
        }
    }

    /// Whether the command has made a lock file.
    pub(super) fn has_made(&self, identity: Identity) -> bool {
        self.locks.iter().any(|lock| lock.identity == identity)
    }

    pub(super) fn leaves_open(&self, place: Protected) -> bool {
        self.open.contains(&place)
    }

    /// Makes a directory the command's own. Beyond the limit it just stays foreign.
    pub(super) fn adopt(&mut self, identity: Identity) {
        if self.known.len() < LIMIT {
            self.known.insert(identity);
        }
    }

    pub(super) fn knows(&self, identity: Identity) -> bool {
        self.known.contains(&identity)
    }

    pub(super) fn note_taken_apart(&mut self, identity: Identity) {
        if self.taken_apart.len() < LIMIT {
            self.taken_apart.insert(identity);
        }
    }

    /// Whether a directory may not become a git directory again. Beyond the limit none may.
    pub(super) fn was_taken_apart(&self, identity: Identity) -> bool {
        self.taken_apart.len() >= LIMIT || self.taken_apart.contains(&identity)
    }
}

/// How many directories are remembered: some megabytes at most.
const LIMIT: usize = 1 << 16;
/// How many lock files are: each costs a descriptor.
const MOST_LOCKS: usize = 16;
