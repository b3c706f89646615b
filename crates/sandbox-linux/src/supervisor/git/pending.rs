//! What is written to settings or an index by their own name: it waits in memory until nobody writes to it, is vetted,
//! and takes the place of what has the name.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Mode},
    io::Errno,
};

use super::{
    Session,
    directory::Identity,
    install::{self, Unfit},
    parts::{is_index, is_settings},
    session::NewName,
    turn::Turn,
    vetted::{self, permissions},
};
use crate::{supervisor::refusal::Writer, sys};

/// What a file is vetted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Content {
    Settings,
    Index,
}

impl Content {
    /// What a file of a name in a git directory is.
    pub(in crate::supervisor) fn of(name: &CStr) -> Option<Self> {
        let name = name.to_bytes();
        if is_index(name) {
            Some(Self::Index)
        } else {
            is_settings(name).then_some(Self::Settings)
        }
    }
}

/// What becomes of it at a look.
#[derive(Debug)]
pub(super) enum Settling {
    /// It is being written, or somebody has the lock.
    Waits,
    /// It has its place, or that is gone.
    Done,
    Refused(Unfit),
}

/// A file that waits for its content.
#[derive(Debug)]
pub(in crate::supervisor) struct Pending {
    pub(in crate::supervisor) content: Content,
    pub(in crate::supervisor) writer: Writer,
    directory: OwnedFd,
    /// The path of the directory when the file was opened.
    path: Vec<u8>,
    pub(in crate::supervisor) name: CString,
    identity: Identity,
    /// Of what is written to, before anybody changed it.
    mode: Mode,
    /// Whether it takes the place of an older one, which stays where it is refused.
    replaces: bool,
}

impl Pending {
    pub(super) fn new(
        content: Content,
        named: NewName<'_>,
        file: BorrowedFd<'_>,
        writer: Writer,
    ) -> Result<Self, Errno> {
        let status = rustix::fs::fstat(file)?;
        Ok(Self {
            content,
            writer,
            directory: rustix::io::fcntl_dupfd_cloexec(named.directory, 0)?,
            path: named.path.to_owned(),
            name: named.name.to_owned(),
            identity: Identity::of(file)?,
            // A file that could be executed is none of these, and one in memory can't be made such.
            mode: permissions(&status) - (Mode::XUSR | Mode::XGRP | Mode::XOTH),
            replaces: status.st_size > 0,
        })
    }

    /// The mode that what is written to begins with.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// The whole path.
    pub(in crate::supervisor) fn path(&self) -> Vec<u8> {
        [&self.path, &b"/"[..], self.name.to_bytes()].concat()
    }

    /// The path of the directory.
    pub(in crate::supervisor) fn parent_path(&self) -> &[u8] {
        &self.path
    }

    /// Another file has the name, with the same in it.
    pub(super) fn note_replaced(&mut self, identity: Identity) {
        self.identity = identity;
    }

    /// Puts what was written in the place of the file.
    pub(super) fn settle(&self, session: &Session, content: BorrowedFd<'_>) -> Settling {
        let directory = self.directory.as_fd();
        let is_there =
            || Identity::at(directory, &self.name).is_ok_and(|identity| identity == self.identity);
        if !is_there() {
            return Settling::Done;
        }
        // Nobody begins to write from here on.
        if sys::fd::lease_for_reading(content) == Err(Errno::AGAIN) {
            return Settling::Waits;
        }
        match self.install(session, content) {
            Err(Unfit::Error(Errno::EXIST)) => {
                // It may be opened once more.
                sys::fd::release_lease(content).unwrap_or(());
                Settling::Waits
            }
            Ok(()) => Settling::Done,
            Err(unfit) => {
                // git reads no empty index.
                if is_there() && !self.replaces {
                    rustix::fs::unlinkat(directory, &self.name, AtFlags::empty()).unwrap_or(());
                }
                Settling::Refused(unfit)
            }
        }
    }

    fn install(&self, session: &Session, content: BorrowedFd<'_>) -> Result<(), Unfit> {
        let directory = self.directory.as_fd();
        let written = permissions(&rustix::fs::fstat(content)?);
        // Changed through the descriptor, or else by name.
        let mode = if written == self.mode {
            let named = rustix::fs::statat(directory, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
            permissions(&named)
        } else {
            written
        };
        match self.content {
            Content::Index => Ok(vetted::replace(directory, &self.name, content, mode)?),
            Content::Settings => {
                // Another sandbox may be about to put an index there.
                let _turn = Turn::take()?;
                let place = (directory, self.path.as_slice());
                install::install_written(session, place, &self.name, content, mode)
            }
        }
    }
}
