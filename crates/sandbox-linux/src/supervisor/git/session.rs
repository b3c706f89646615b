//! What one sandbox's command has made and taken apart.

use std::{
    collections::{HashSet, VecDeque},
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    fs::{MemfdFlags, Mode, OFlags},
    io::Errno,
};

use super::{
    directory::Identity,
    install::Unfit,
    parts::{is_among_modules, is_dot_git, is_lock},
    pending::{Content, Pending, Settling},
};
use crate::supervisor::refusal::Writer;

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
    /// Lock files that the command has made, and what waits for its content.
    locks: VecDeque<Lock>,
    /// Told whether anything waits for its content.
    unsettled: Arc<AtomicBool>,
}

/// A lock file, or settings or an index that the command writes by their own name. While the handle is open, no other
/// file of its file system gets its inode.
#[derive(Debug)]
struct Lock {
    identity: Identity,
    handle: OwnedFd,
    /// What the command writes, where the file of that name stays as it is.
    content: Option<OwnedFd>,
    /// Where that goes when it is written, if it is no lock.
    pending: Option<Pending>,
}

/// A name that a file was just given or found by.
#[derive(Clone, Copy, Debug)]
pub(in crate::supervisor) struct NewName<'n> {
    pub(in crate::supervisor) directory: BorrowedFd<'n>,
    /// The path of the directory.
    pub(in crate::supervisor) path: &'n [u8],
    pub(in crate::supervisor) name: &'n CStr,
}

impl Session {
    /// A session in which nothing has been made; `open` are places that the settings don't protect.
    pub(in crate::supervisor) fn new(open: Vec<Protected>) -> Self {
        Self {
            open,
            known: HashSet::new(),
            taken_apart: HashSet::new(),
            locks: VecDeque::new(),
            unsettled: Arc::default(),
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
        if is_lock(name.to_bytes()) {
            // One that is not remembered is another's.
            self.remember(parent, name, file, None).unwrap_or(());
        }
    }

    /// The same for the lock of a git directory, its settings or an index: the file stays as it is, and what is
    /// returned takes its place for whoever opened it. A lock that is left behind, or gets to another place with the
    /// directory that it lies in, holds nothing then that the host could rename to its settings. What is written to
    /// the others gets the name in [`Self::settle`].
    pub(in crate::supervisor) fn stand_in(
        &mut self,
        named: NewName<'_>,
        (file, flags): (BorrowedFd<'_>, OFlags),
        writer: impl FnOnce() -> Writer,
        reopen: impl Fn(BorrowedFd<'_>, OFlags) -> Result<OwnedFd, Errno>,
    ) -> Result<OwnedFd, Errno> {
        // Hosts may refuse files in memory that could be executed; before Linux 6.3 none could be another.
        let sealed = MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL;
        let content = match rustix::fs::memfd_create(c"lock", sealed) {
            Err(Errno::INVAL) => rustix::fs::memfd_create(c"lock", MemfdFlags::CLOEXEC),
            made => made,
        }?;
        let NewName {
            directory, name, ..
        } = named;
        // Whether it is still being written is told by leases, for which the first descriptor does not count.
        let flags = flags & (OFlags::RWMODE | OFlags::APPEND);
        let given = reopen(content.as_fd(), flags | OFlags::CLOEXEC)?;
        let Some(awaited) = Content::of(name) else {
            self.remember(directory, name, file, Some(content))?;
            return Ok(given);
        };
        let kept = reopen(content.as_fd(), OFlags::RDONLY | OFlags::CLOEXEC)?;
        let pending = Pending::new(awaited, named, file, writer())?;
        rustix::fs::fchmod(&given, pending.mode())?;
        self.remember(directory, name, file, Some(kept))?;
        if let Some(lock) = self.locks.back_mut() {
            lock.pending = Some(pending);
        }
        self.unsettled.store(true, Ordering::Release);
        Ok(given)
    }

    fn remember(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        file: BorrowedFd<'_>,
        content: Option<OwnedFd>,
    ) -> Result<(), Errno> {
        let has_names = |lock: &Lock| {
            let status = rustix::fs::fstat(&lock.handle);
            status.is_ok_and(|status| status.st_nlink > 0)
        };
        self.locks.retain(has_names);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        let identity = Identity::of(handle.as_fd())?;
        if identity != Identity::of(file)? {
            return Err(Errno::ACCESS);
        }
        if self.locks.len() >= MOST_LOCKS {
            // What was written to one that waits for its content would be lost.
            let oldest = self.locks.iter().position(|lock| lock.pending.is_none());
            self.locks.remove(oldest.ok_or(Errno::MFILE)?);
        }
        self.locks.push_back(Lock {
            identity,
            handle,
            content,
            pending: None,
        });
        Ok(())
    }

    /// Takes note that a file which may wait for its content has been replaced by an equal one.
    pub(super) fn note_replaced(
        &mut self,
        before: Identity,
        directory: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for lock in &mut self.locks {
            let Some(pending) = lock.pending.as_mut().filter(|_| lock.identity == before) else {
                continue;
            };
            lock.handle = rustix::fs::openat(directory, name, flags, Mode::empty())?;
            lock.identity = Identity::of(lock.handle.as_fd())?;
            pending.note_replaced(lock.identity);
        }
        Ok(())
    }

    /// Tells whoever waits for the end too whether anything waits for its content.
    pub(in crate::supervisor) fn tell(&mut self, unsettled: Arc<AtomicBool>) {
        self.unsettled = unsettled;
    }

    /// Whether anything waits for its content.
    pub(in crate::supervisor) fn has_pending(&self) -> bool {
        self.locks.iter().any(|lock| lock.pending.is_some())
    }

    /// Gives settings and each index that are written by their own name their content, once nobody writes to that any
    /// more. What is refused is told.
    pub(in crate::supervisor) fn settle(&mut self, tell: impl Fn(&Pending, &Unfit)) {
        if !self.unsettled.load(Ordering::Acquire) {
            return;
        }
        let look = |lock: &Lock| {
            let (Some(pending), Some(content)) = (&lock.pending, &lock.content) else {
                return true;
            };
            match pending.settle(self, content.as_fd()) {
                Settling::Waits => true,
                Settling::Done => false,
                Settling::Refused(unfit) => {
                    tell(pending, &unfit);
                    false
                }
            }
        };
        let waits: Vec<bool> = self.locks.iter().map(look).collect();
        let mut waits = waits.into_iter();
        self.locks.retain(|_| waits.next().unwrap_or(true));
        // Every call asks.
        if !self.has_pending() {
            self.unsettled.store(false, Ordering::Release);
        }
    }

    /// Tells what has not got its place when nobody waits for that any more.
    pub(in crate::supervisor) fn give_up(&mut self, tell: impl Fn(&Pending, &Unfit)) {
        for pending in self.locks.iter().filter_map(|lock| lock.pending.as_ref()) {
            tell(pending, &Unfit::Error(Errno::BUSY));
        }
        self.locks.clear();
    }

    /// Whether the command has made a lock file.
    pub(super) fn has_made(&self, identity: Identity) -> bool {
        self.locks.iter().any(|lock| lock.identity == identity)
    }

    /// What was written to a file for which another one stands in.
    pub(super) fn content_of(&self, identity: Identity) -> Option<BorrowedFd<'_>> {
        let lock = self.locks.iter().find(|lock| lock.identity == identity)?;
        lock.content.as_ref().map(AsFd::as_fd)
    }

    /// What stands in for the file of a name.
    pub(in crate::supervisor) fn kept_at(
        &self,
        parent: BorrowedFd<'_>,
        name: &CStr,
    ) -> Result<OwnedFd, Errno> {
        let content = self.content_of(Identity::at(parent, name)?);
        rustix::io::fcntl_dupfd_cloexec(content.ok_or(Errno::ACCESS)?, 0)
    }

    /// Whether a name is that of a file for which another one stands in.
    pub(in crate::supervisor) fn stands_in_at(&self, parent: BorrowedFd<'_>, name: &CStr) -> bool {
        let identity = Identity::at(parent, name);
        identity.is_ok_and(|identity| self.content_of(identity).is_some())
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
/// How many lock files are: each costs two descriptors.
const MOST_LOCKS: usize = 64;
