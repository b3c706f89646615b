//! What one sandbox's command has made and taken apart.

use std::{collections::HashSet, ffi::CStr, os::fd::BorrowedFd};

use super::{
    directory::Identity,
    parts::{is_among_modules, is_dot_git},
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
}

/// What is known of directories, for as long as the sandbox lives.
#[derive(Debug)]
pub(in crate::supervisor) struct Session {
    open: Vec<Protected>,
    /// Directories made as `.git` or below its `modules`, and git directories that were assembled.
    known: HashSet<Identity>,
    /// Foreign git directories of which a piece was taken away.
    taken_apart: HashSet<Identity>,
}

impl Session {
    /// A session in which nothing has been made; `open` are places that the settings don't protect.
    pub(in crate::supervisor) fn new(open: Vec<Protected>) -> Self {
        Self {
            open,
            known: HashSet::new(),
            taken_apart: HashSet::new(),
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
