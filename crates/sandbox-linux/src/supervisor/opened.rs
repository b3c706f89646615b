//! Files that were opened for callers, and how they get them.

use std::{
    ffi::CString,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::fs::{AtFlags, OFlags};

use crate::sys::{self, Errno, notify::Answer};

/// A file that was opened for a caller.
pub(super) struct Opened {
    pub(super) file: OwnedFd,
    /// What the caller asked for.
    pub(super) flags: OFlags,
    /// What was created for it, to be removed if the caller has no room for it.
    pub(super) created: Option<Created>,
}

/// A new file's name.
pub(super) struct Created {
    pub(super) directory: OwnedFd,
    pub(super) name: CString,
}

impl Opened {
    /// Gives the caller its descriptor. If its table is full, it is told so, and what was created for it
    /// is gone by then.
    pub(super) fn give(self, listener: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
        let flags = self.flags & OFlags::CLOEXEC;
        let Self { file, created, .. } = self;
        let answered = sys::notify::answer_with_descriptor(listener, id, file, flags);
        let errno = match answered {
            Ok(()) => return Ok(()),
            Err(errno @ (Errno::MFILE | Errno::NFILE)) => errno,
            Err(Errno::NOENT) => return Err(Errno::NOENT),
            Err(_other) => Errno::ACCESS,
        };
        // One that was removed already is gone as well.
        created.map_or(Ok(()), Created::remove).unwrap_or(());
        sys::notify::answer(listener, id, Answer::Error(errno))
    }
}

impl Created {
    fn remove(self) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty())
    }
}
