//! Files that were opened for callers, and how they get them.

use std::{
    ffi::CString,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::fs::{AtFlags, Mode, OFlags};

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
    /// What the caller wanted the file's mode to be, before its umask.
    pub(super) mode: Mode,
}

/// The bits of whom a file may be executed by.
const EXECUTABLE: Mode = Mode::XUSR.union(Mode::XGRP).union(Mode::XOTH);

impl Opened {
    /// Gives the caller its descriptor. If its table is full, it is told so, and what was created for it
    /// is gone by then.
    pub(super) fn give(self, listener: BorrowedFd<'_>, id: u64) -> Result<(), Errno> {
        let is_program = self.is_program_to_write();
        let flags = self.flags & OFlags::CLOEXEC;
        let Self { file, created, .. } = self;
        let answered = sys::notify::answer_with_descriptor(listener, id, file, flags, is_program);
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

    /// Whether the caller may be about to execute what it writes. One that becomes executable later is
    /// changed by another call, and by then this thread has closed its descriptor.
    fn is_program_to_write(&self) -> bool {
        if !self.flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
            return false;
        }
        if let Some(created) = &self.created {
            return created.mode.intersects(EXECUTABLE);
        }
        let status = rustix::fs::fstat(&self.file);
        status.is_ok_and(|status| Mode::from_raw_mode(status.st_mode).intersects(EXECUTABLE))
    }
}

impl Created {
    fn remove(self) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty())
    }
}
