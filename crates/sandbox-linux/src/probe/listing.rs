//! Which entries of a directory are symlinks, or no regular files, for thousands of questions about the same
//! directory.

use std::{
    collections::HashSet,
    ffi::OsStr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    sync::Arc,
};

use rustix::{
    fs::{FileType, Mode, OFlags, RawDir},
    io::Errno,
};

/// The directory that the latest questions were about.
pub(super) struct Listings {
    wanted: Wanted,
    directory: Option<Arc<[u8]>>,
    questions: usize,
    names: Names,
}

/// What the questions are about.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// Symlinks.
    Links,
    /// All but regular files.
    Irregular,
}

/// What is known of a directory.
enum Names {
    /// Too few have asked yet.
    Unread,
    /// The names of all that may be what is wanted, in lower case.
    Known(HashSet<Vec<u8>>),
    /// It can't be read, or has too many entries.
    Unknown,
}

/// From so many questions on a directory is read.
const MANY: usize = 128;

/// Larger directories are not read: that would take longer than to look at what is asked about.
const LARGEST: usize = 16_384;

/// Room for what one getdents(2) returns.
const BUFFER: usize = 64 * 1024;

impl Listings {
    pub(super) fn of(wanted: Wanted) -> Self {
        Self {
            wanted,
            directory: None,
            questions: 0,
            names: Names::Unread,
        }
    }

    /// Whether the directory certainly has nothing of this name that is wanted. `directory` has no symlinks
    /// in it.
    pub(super) fn lacks(&mut self, directory: &Arc<[u8]>, name: &[u8]) -> bool {
        if self.directory.as_ref() != Some(directory) {
            *self = Self {
                directory: Some(Arc::clone(directory)),
                ..Self::of(self.wanted)
            };
        }
        self.questions = self.questions.saturating_add(1);
        if matches!(self.names, Names::Unread) && self.questions > MANY {
            self.names = read(directory, self.wanted).map_or(Names::Unknown, Names::Known);
        }
        match &self.names {
            Names::Known(names) if names.is_empty() => true,
            // In some directories the case does not matter, of other letters than these too.
            Names::Known(names) => {
                name.is_ascii() && !names.contains(name.to_ascii_lowercase().as_slice())
            }
            Names::Unread | Names::Unknown => false,
        }
    }
}

/// Opens a directory to list it. That leaves no trace in its times where it is one's own.
pub(crate) fn open_to_list(directory: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::open(directory, flags, Mode::empty());
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        opened => opened,
    }
}

fn read(directory: &[u8], wanted: Wanted) -> Option<HashSet<Vec<u8>>> {
    let opened = open_to_list(OsStr::from_bytes(directory)).ok()?;
    let mut names = HashSet::new();
    // Nothing is allocated for an entry.
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut entries = RawDir::new(&opened, buffer.spare_capacity_mut());
    let mut count = 0_usize;
    while let Some(entry) = entries.next() {
        let entry = entry.ok()?;
        count += 1;
        if count > LARGEST {
            return None;
        }
        // Some file systems do not tell.
        let is_wanted = match wanted {
            Wanted::Links => matches!(entry.file_type(), FileType::Symlink | FileType::Unknown),
            Wanted::Irregular => {
                let name = entry.file_name().to_bytes();
                entry.file_type() != FileType::RegularFile && !matches!(name, b"." | b"..")
            }
        };
        if is_wanted {
            let name = entry.file_name().to_bytes();
            if !name.is_ascii() {
                return None;
            }
            names.insert(name.to_ascii_lowercase());
        }
    }
    Some(names)
}
