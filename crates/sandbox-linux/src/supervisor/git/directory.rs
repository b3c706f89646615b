//! Looks at a directory: whether git takes it for its own, and which one it is.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, StatxFlags},
    io::Errno,
};

/// A name that makes a directory a git directory together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Head,
    Objects,
    References,
    CommonDirectory,
}

/// Which pieces a directory has: a bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout(u8);

impl Layout {
    /// Looks for the pieces. Only `HEAD` has a type that git can't take: `objects` and `refs` may be
    /// links, also to what is made later.
    pub(super) fn read(directory: BorrowedFd<'_>) -> Result<Self, Errno> {
        let mut layout = Self(0);
        for piece in [
            Piece::Head,
            Piece::Objects,
            Piece::References,
            Piece::CommonDirectory,
        ] {
            if has(directory, piece)? {
                layout = layout.with(piece);
            }
        }
        Ok(layout)
    }

    /// The layout with one more piece.
    pub(super) const fn with(self, piece: Piece) -> Self {
        Self(self.0 | Self::bit(piece))
    }

    /// Whether git may take the directory for a repository, or for the common part of one.
    pub(super) const fn is_git_directory(self) -> bool {
        (self.has(Piece::Objects) && (self.has(Piece::References) || self.has(Piece::Head)))
            || (self.has(Piece::Head) && self.has(Piece::CommonDirectory))
    }

    const fn has(self, piece: Piece) -> bool {
        self.0 & Self::bit(piece) != 0
    }

    const fn bit(piece: Piece) -> u8 {
        match piece {
            Piece::Head => 1,
            Piece::Objects => 2,
            Piece::References => 4,
            Piece::CommonDirectory => 8,
        }
    }
}

/// As [`Layout::is_git_directory`] of what is there now, which of most directories two names tell.
pub(super) fn is_git_directory(directory: BorrowedFd<'_>) -> Result<bool, Errno> {
    let has = |piece| has(directory, piece);
    Ok(if has(Piece::Objects)? {
        has(Piece::References)? || has(Piece::Head)?
    } else {
        has(Piece::Head)? && has(Piece::CommonDirectory)?
    })
}

fn has(directory: BorrowedFd<'_>, piece: Piece) -> Result<bool, Errno> {
    let name = match piece {
        Piece::Head => c"HEAD",
        Piece::Objects => c"objects",
        Piece::References => c"refs",
        Piece::CommonDirectory => c"commondir",
    };
    let kind = kind_of(directory, name)?;
    Ok(kind.is_some_and(|kind| piece != Piece::Head || !kind.is_dir()))
}

/// Which directory it is, also after another one got its inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: (u32, u32),
    inode: u64,
    /// 0 where the file system keeps none.
    born: (i64, u32),
}

impl Identity {
    pub(super) fn of(directory: BorrowedFd<'_>) -> Result<Self, Errno> {
        Self::at(directory, c"")
    }

    pub(super) fn at(directory: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let status = rustix::fs::statx(directory, name, flags, wanted)?;
        let mask = StatxFlags::from_bits_retain(status.stx_mask);
        let born = if mask.contains(StatxFlags::BTIME) {
            (status.stx_btime.tv_sec, status.stx_btime.tv_nsec)
        } else {
            (0, 0)
        };
        Ok(Self {
            device: (status.stx_dev_major, status.stx_dev_minor),
            inode: status.stx_ino,
            born,
        })
    }
}

/// The type of what a name is, links not followed; none where there is nothing.
pub(super) fn kind_of(directory: BorrowedFd<'_>, name: &CStr) -> Result<Option<FileType>, Errno> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => Ok(Some(FileType::from_raw_mode(status.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// A way up from a directory, which is not gone twice.
#[derive(Debug)]
pub(super) struct Ascent<'d> {
    start: BorrowedFd<'d>,
    above: usize,
    found: Option<OwnedFd>,
}

impl<'d> Ascent<'d> {
    pub(super) const fn new(start: BorrowedFd<'d>) -> Self {
        Self {
            start,
            above: 0,
            found: None,
        }
    }

    /// The directory that many levels above the start. To go down again is to begin anew.
    pub(super) fn at(&mut self, above: usize) -> Result<BorrowedFd<'_>, Errno> {
        if above < self.above {
            *self = Self::new(self.start);
        }
        while self.above < above {
            let here = self.found.as_ref().map_or(self.start, AsFd::as_fd);
            let steps = (above - self.above).min(STEPS);
            // Each `..` but the last has a slash.
            let way = UP.get(..3 * steps - 1).unwrap_or_default();
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.found = Some(rustix::fs::openat(here, way, flags, Mode::empty())?);
            self.above += steps;
        }
        Ok(self.found.as_ref().map_or(self.start, AsFd::as_fd))
    }
}

const UP: &[u8; 3 * STEPS] = b"../../../../../../../../../../../../../../../../";
/// How many are made at once.
const STEPS: usize = 16;

/// Opens a directory as a place only.
pub(super) fn open_directory(from: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(from, path, flags, Mode::empty())
}

/// Whether two descriptors are of one directory.
pub(super) fn is_same(left: BorrowedFd<'_>, right: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(Identity::of(left)? == Identity::of(right)?)
}
