//! Parts of our own that are mounted over the host's: an empty directory and an empty file that
//! nobody may open, and files with content.
//!
//! They are made in the private `/dev`, cloned from there, and unlinked at the end: a mount keeps its
//! root alive. A filesystem of their own would have to be let go detached, and the kernel waits for
//! every CPU before it frees such a mount (`namespace_unlock`), a tenth of a millisecond each.

use std::{
    ffi::CStr,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    mount::OpenTreeFlags,
};

use super::places::Places;
use crate::sys::{
    self, Errno,
    mount::{NO_DEVICES, NO_EXEC, NO_SUID, READ_ONLY, Reach},
};

const CLOSED_DIRECTORY: &CStr = c".closed";
const CLOSED_FILE: &CStr = c".closed-file";
const FILE: &CStr = c".file";

/// The parts, while they can still be cloned.
#[derive(Debug)]
pub(super) struct Private {
    devices: OwnedFd,
    /// The first mount of the closed file. Attached, it can be cloned with its attributes.
    closed_file: Option<OwnedFd>,
}

impl Private {
    /// Makes the parts that nobody may open.
    pub(super) fn new(devices: OwnedFd) -> Result<Self, Errno> {
        rustix::fs::mkdirat(&devices, CLOSED_DIRECTORY, Mode::empty())?;
        let private = Self {
            devices,
            closed_file: None,
        };
        private.create(CLOSED_FILE, Mode::empty(), b"")?;
        Ok(private)
    }

    /// A detached mount of the closed directory.
    pub(super) fn closed_directory(&self) -> Result<OwnedFd, Errno> {
        self.part(CLOSED_DIRECTORY)
    }

    /// Mounts the closed file over one of the host's. There may be hundreds.
    pub(super) fn close_file<'p>(
        &mut self,
        target: &'p CStr,
        places: &mut Places<'p>,
    ) -> Result<(), Errno> {
        let mount = match &self.closed_file {
            Some(first) => {
                let flags = OpenTreeFlags::OPEN_TREE_CLONE
                    | OpenTreeFlags::OPEN_TREE_CLOEXEC
                    | OpenTreeFlags::AT_EMPTY_PATH;
                rustix::mount::open_tree(first, c"", flags)?
            }
            None => self.part(CLOSED_FILE)?,
        };
        places.attach(target, &mount)?;
        self.closed_file.get_or_insert(mount);
        Ok(())
    }

    /// A detached mount of a file that everybody may read.
    pub(super) fn file(&self, content: &[u8]) -> Result<OwnedFd, Errno> {
        self.create(FILE, Mode::RUSR | Mode::RGRP | Mode::ROTH, content)?;
        self.part(FILE)
    }

    /// Takes the parts' names away and makes `/dev` read-only.
    pub(super) fn seal(self) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.devices, CLOSED_DIRECTORY, AtFlags::REMOVEDIR)?;
        rustix::fs::unlinkat(&self.devices, CLOSED_FILE, AtFlags::empty())?;
        match rustix::fs::unlinkat(&self.devices, FILE, AtFlags::empty()) {
            // The plan has no file.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        sys::mount::set_attributes(self.devices.as_fd(), c"", Reach::One, READ_ONLY)
    }

    fn create(&self, name: &CStr, mode: Mode, content: &[u8]) -> Result<(), Errno> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.devices, name, flags, mode)?;
        // The mode that openat(2) gives is cut by the caller's umask.
        rustix::fs::fchmod(&file, mode)?;
        rustix::io::write(&file, content).map(drop)
    }

    fn part(&self, name: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let part = rustix::mount::open_tree(&self.devices, name, flags)?;
        let attributes = READ_ONLY | NO_SUID | NO_DEVICES | NO_EXEC;
        sys::mount::set_attributes(part.as_fd(), c"", Reach::One, attributes)?;
        Ok(part)
    }
}
