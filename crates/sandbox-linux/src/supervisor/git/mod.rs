//! Which changes would plant something that git executes, in repositories of any name.
//!
//! The table of protected paths knows `.git/hooks` and its like. A bare repository, the directory of
//! `--separate-git-dir` or of a submodule has no name to go by: git knows it by what lies in it, and
//! so does this module. It is asked before every change of a name below a write root.
//!
//! # How it is used
//!
//! - One [`Session`] lives as long as the sandbox. After every successful `mkdir`:
//!   [`Session::note_created`] (a byte scan, unless the path has a component `.git`).
//!   After every file that was created by `open`: [`Session::note_file`].
//! - Before a change: [`judge`] for each end of it. A rename asks [`Change::RenameAway`] of the old
//!   name and [`Change::RenameOnto`] of the new one, an exchange both of both; a hard link
//!   [`Change::LinkAway`] and [`Change::LinkOnto`]. The strictest answer counts for the call.
//! - [`GitVerdict::Pass`]: the table decides. [`GitVerdict::Refuse`]: `EACCES`.
//! - [`GitVerdict::Permit`]: what a row of the table's git group refuses is permitted; no other
//!   refusal is lifted.
//! - [`GitVerdict::PermitStandIn`]: as `Permit`, but the caller gets [`Session::stand_in`]'s file for the settings.
//! - [`GitVerdict::VetConfig`]: as `Permit`, but [`install_config`] is called in place of the rename.
//! - [`GitVerdict::VetIndex`]: as `Pass`, but [`vet_index`] has to succeed, and what it returns is kept until the
//!   rename is done.
//! - [`GitVerdict::StandIn`]: as `Pass`, but the caller gets [`Session::stand_in`]'s file for the lock or index.
//! - [`GitVerdict::Assemble`]: as `Pass`, but [`assemble`] has to succeed right before the change.
//!
//! # Terms
//!
//! A *git directory* holds `objects` and `refs`, or `HEAD` (not a directory) and either `objects` or
//! `commondir`. This is wider than git's own test: a common directory needs no `HEAD`, and what a
//! piece contains is not looked at, since it can be written through a descriptor at any time.
//!
//! Whose it is decides what may happen in it:
//!
//! - *own*: it became a git directory in this session, and [`assemble`] saw that nothing in it is
//!   dangerous;
//! - *foreign*: any other; hooks and attributes stay as they are, and so do settings but for those
//!   that tell which remote branch a branch follows;
//! - *draft*: not a git directory yet, but made in this session as `.git` or below its
//!   `modules`: what
//!   `git init` makes there is permitted, as in an own one.
//!
//! Invariants:
//!
//! - A directory becomes a git directory only through [`assemble`], except by the host's doing. Among
//!   several sandboxes over one directory [`Turn`] sees to that.
//! - The inode of an own repository's settings was never open for writing by the command: they are
//!   always copied to a fresh one, under the name of git's own lock file. What is written by their own name takes their
//!   place when it is closed and harmless ([`Session::settle`]).
//! - A lock file of settings (`config.lock`, `config.worktree.lock`, and those of `.gitmodules` and
//!   `.gitconfig`) is the session's that made it: whoever made one renames whatever has that name by
//!   then. A session makes it only where there is none, and nobody else changes it, or removes it, or
//!   puts something in its place. What a command writes to one of a git directory does not get its name: the
//!   directory could be moved to where the host's git has its own lock.
//! - The command makes no symlink in a git directory, but for `HEAD` in its old form, nor a FIFO: git writes through the
//!   one, and would wait for the other ([`is_in_git_directory`]). What a whole directory brings along is looked at before
//!   it is moved there ([`require_plain`]).
//! - What an index of a git directory names was vetted since the command could write to it. A file gets such a name
//!   when nobody has it open for writing, or a copy does. What is created by that name stays empty; what was
//!   written takes its place when nobody has it open for writing any more ([`Session::settle`]).
//! - A foreign git directory that was taken apart is not put together again in this session.
//! - A name that nothing is decided about costs a scan of its bytes, no call and no allocation; but for symlinks, FIFOs
//!   and directories that are moved, for which two names are looked for in their directory, and in those above from
//!   where git would know the way by a name of its own.

mod config;
mod directory;
mod fresh;
mod index;
mod index_names;
mod inside;
mod install;
mod judge;
mod keys;
mod parts;
mod pending;
mod session;
mod tracking;
mod turn;
mod vetted;

use std::{
    ffi::{CStr, OsStr},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::ffi::OsStrExt as _,
    },
};

use rustix::fs::{Mode, OFlags};

pub use self::turn::between_turns;
pub(super) use self::{
    config::Flaw,
    inside::{is_harmless_link, is_in_git_directory, require_plain},
    install::{Unfit, assemble, install_config},
    pending::{Content, Pending},
    session::{NewName, Protected, Session},
    turn::Turn,
    vetted::{Unheld, vet_index},
};
use self::{
    directory::{Ascent, Identity, Layout},
    judge::{Answer, Question},
    parts::{Part, Site},
};
use super::caller::PLACE;

/// A change of the name that is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    /// `open` with `O_CREAT` of a name that does not exist.
    CreateFile,
    /// `open` for writing, or `truncate`, of a file that exists.
    OpenExistingForWrite,
    /// `mkdir`.
    MakeDirectory,
    /// The new name of a rename.
    RenameOnto {
        /// Whether a directory is moved.
        source_is_directory: bool,
        /// The directory of the old name.
        from_parent: BorrowedFd<'a>,
        /// The old name.
        from_name: &'a CStr,
    },
    /// The old name of a rename.
    RenameAway,
    /// The new name of a hard link.
    LinkOnto,
    /// The existing name of a hard link: what is written to the new one lands here.
    LinkAway,
    /// `symlink`.
    SymlinkOnto,
    /// `mknod`, `bind`.
    MakeNode,
    /// `unlink`, `rmdir`.
    Remove,
    /// Mode, owner, times or extended attributes.
    Metadata,
    /// A mode that differs in nothing but whether the owner may execute the file: git tries that on its settings to
    /// learn whether modes mean anything.
    TryExecution,
}

impl Change<'_> {
    /// Whether neither a name nor any content is changed.
    pub(super) fn is_of_attributes(&self) -> bool {
        matches!(self, Self::Metadata | Self::TryExecution)
    }
}

/// The answer: see the module's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GitVerdict {
    /// Nothing to say: the table decides.
    Pass,
    /// Permitted, although the table's git rows refuse it.
    Permit,
    /// As [`GitVerdict::Permit`], but what is written to the settings waits until it is vetted: see
    /// [`Session::stand_in`].
    PermitStandIn,
    /// Permitted if the settings are harmless.
    VetConfig,
    /// As [`GitVerdict::Pass`], but the file has to be a harmless index.
    VetIndex,
    /// The directory becomes a git directory if nothing in it is dangerous.
    Assemble,
    /// As [`GitVerdict::Pass`], but the file stays as it is: see [`Session::stand_in`].
    StandIn,
    /// Refused.
    Refuse,
}

/// Whether there may be something to say about a name.
pub(super) fn is_concerned(parent_path: &[u8], name: &CStr) -> bool {
    parts::is_concerned(parent_path, name.to_bytes())
}

/// Judges one end of a change of `name` in the directory `parent`, whose real path is `parent_path`.
pub(super) fn judge(
    session: &mut Session,
    parent: BorrowedFd<'_>,
    parent_path: &[u8],
    name: &CStr,
    change: &Change<'_>,
) -> GitVerdict {
    let name = name.to_bytes();
    if !parts::is_concerned(parent_path, name) {
        return GitVerdict::Pass;
    }
    let question = Question {
        parent,
        parent_path,
        name,
        change,
    };
    let mut answer = Answer::Nothing;
    let mut ascent = Ascent::new(parent);
    for (count, site) in parts::sites(parent_path, name).enumerate() {
        // What can't be looked at may be anything.
        let found = question.judge_site(session, &mut ascent, site);
        answer = answer.max(found.unwrap_or(Answer::Refuse));
        if count >= MOST_SITES {
            answer = Answer::Refuse;
        }
        if answer == Answer::Refuse {
            break;
        }
    }
    match answer {
        Answer::Nothing | Answer::Table => GitVerdict::Pass,
        Answer::Permit => GitVerdict::Permit,
        Answer::PermitStandIn => GitVerdict::PermitStandIn,
        Answer::VetConfig => GitVerdict::VetConfig,
        Answer::Assemble => GitVerdict::Assemble,
        Answer::VetIndex => GitVerdict::VetIndex,
        Answer::StandIn => GitVerdict::StandIn,
        Answer::Refuse => GitVerdict::Refuse,
    }
}

/// Which protected place a change was refused for that [`judge`] refuses, if it was for one.
pub(super) fn refused_part(
    session: &mut Session,
    parent: BorrowedFd<'_>,
    parent_path: &[u8],
    name: &CStr,
    change: &Change<'_>,
) -> Option<Protected> {
    let name = name.to_bytes();
    let question = Question {
        parent,
        parent_path,
        name,
        change,
    };
    let mut ascent = Ascent::new(parent);
    let mut sites = parts::sites(parent_path, name).enumerate();
    let refused = sites.find(|(count, site)| {
        let found = question.judge_site(session, &mut ascent, *site);
        found.unwrap_or(Answer::Refuse) == Answer::Refuse || *count >= MOST_SITES
    });
    refused?.1.part.protected()
}

/// Whether a name is `.git`.
pub(super) fn is_dot_git(name: &CStr) -> bool {
    parts::is_dot_git(name.to_bytes())
}

/// Whether a name is that of a lock file of something protected.
pub(super) fn is_lock(name: &CStr) -> bool {
    parts::is_lock(name.to_bytes())
}

/// Whether a name is one that an index has.
pub(super) fn is_index(name: &CStr) -> bool {
    parts::is_index(name.to_bytes())
}

/// Whether a name is one of a file for which another may stand in.
pub(super) fn may_be_stood_in_for(name: &CStr) -> bool {
    is_lock(name) || Content::of(name).is_some()
}

/// The protected place that a name may be.
pub(super) fn named_part(parent_path: &[u8], name: &CStr) -> Option<Protected> {
    let mut sites = parts::sites(parent_path, name.to_bytes());
    sites.find_map(|site| site.part.protected())
}

/// Whether a place is closed by a git directory that is there now: for explanations, before anything is done. What
/// leads to the place need not exist. A lock file that is there is another's.
pub(super) fn closes(session: &Session, parent_path: &[u8], name: &CStr) -> bool {
    let open = |path: &[u8]| {
        let flags = PLACE | OFlags::DIRECTORY;
        rustix::fs::open(OsStr::from_bytes(path), flags, Mode::empty())
    };
    let is_there = || {
        let parent = open(parent_path);
        parent.is_ok_and(|parent| Identity::at(parent.as_fd(), name).is_ok())
    };
    parts::sites(parent_path, name.to_bytes()).any(|Site { part, above }| {
        if part.protected().is_some_and(|row| session.leaves_open(row)) {
            return false;
        }
        let path = parts::strip_components(parent_path, above);
        let is_git_directory = || {
            let layout = open(path).and_then(|directory| Layout::read(directory.as_fd()));
            layout.is_ok_and(|layout| layout.is_git_directory())
        };
        match part {
            Part::PlainLock(_) => is_there(),
            Part::Lock(_) => {
                is_there() && (is_git_directory() || parts::is_place_of_repository(parent_path))
            }
            Part::Information
            | Part::ObjectInformation
            | Part::Head
            | Part::Objects
            | Part::References
            | Part::Index => false,
            Part::Directory(_)
            | Part::Below { .. }
            | Part::Config
            | Part::WorktreeConfig
            | Part::Attributes
            | Part::Alternates
            | Part::CommonDirectory => is_git_directory(),
        }
    })
}

/// Parts that a path may be; what lies in more directories of such names is refused. All that is looked
/// at is so under the turn of all sandboxes of the user.
const MOST_SITES: usize = 64;

#[cfg(test)]
mod index_tests;
#[cfg(test)]
mod tests;
