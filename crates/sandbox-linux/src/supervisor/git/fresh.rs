//! New files of ours in a directory of the host's. Where the file system knows such files they have no name until they
//! are whole, so that nothing is left of them if this process dies.

use std::{
    ffi::CStr,
    fs::File,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};

use super::{directory::Identity, install::open_file};

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Fresh {
    writer: OwnedFd,
    is_named: bool,
}

/// One that is written and open for reading; nobody but this process could write to it as long as it had no name.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: File,
    is_named: bool,
}

impl Fresh {
    /// A file that is to have a name which nobody has yet.
    pub(super) fn create(directory: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        Self::without_name(directory)?.map_or_else(|| Self::named(directory, name), Ok)
    }

    /// A file without a name (`O_TMPFILE`, open(2)); none where the file system has no such files.
    fn without_name(directory: BorrowedFd<'_>) -> Result<Option<Self>, Errno> {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        match rustix::fs::openat(directory, c".", flags, OWN) {
            Ok(writer) => Ok(Some(Self {
                writer,
                is_named: false,
            })),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// A file that has its name from the beginning.
    fn named(directory: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let writer = rustix::fs::openat(directory, name, flags, OWN)?;
        Ok(Self {
            writer,
            is_named: true,
        })
    }

    pub(super) fn writer(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// Ends the writing.
    pub(super) fn written(self, directory: BorrowedFd<'_>, name: &CStr) -> Result<Written, Errno> {
        let Self { writer, is_named } = self;
        let file = if is_named {
            let file = open_file(directory, name)?;
            if Identity::of(file.as_fd())? != Identity::of(writer.as_fd())? {
                return Err(Errno::ACCESS);
            }
            file
        } else {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, own_path(writer.as_fd()), flags, Mode::empty())?
        };
        let file = File::from(file);
        Ok(Written { file, is_named })
    }

    /// Takes back the name of one that came to nothing.
    pub(super) fn give_up(is_named: bool, directory: BorrowedFd<'_>, name: &CStr) {
        if is_named {
            // The first error is the one to tell of.
            rustix::fs::unlinkat(directory, name, AtFlags::empty()).unwrap_or(());
        }
    }

    pub(super) fn is_named(&self) -> bool {
        self.is_named
    }
}

impl Written {
    /// Gives the file its name: `EEXIST` where another has it.
    pub(super) fn name(&self, directory: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        if self.is_named {
            return Ok(());
        }
        let path = own_path(self.file.as_fd());
        rustix::fs::linkat(CWD, path, directory, name, AtFlags::SYMLINK_FOLLOW)
    }
}

fn own_path(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Until it is whole.
const OWN: Mode = Mode::RUSR.union(Mode::WUSR);
