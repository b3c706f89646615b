//! Which entries of a directory are symlinks, for thousands of questions about the same directory.

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
#[derive(Default)]
pub(super) struct Listings {
    directory: Option<Arc<[u8]>>,
    questions: usize,
    links: Links,
}

/// What is known of a directory.
#[derive(Default)]
enum Links {
    /// Too few have asked yet.
    #[default]
    Unread,
    /// The names of all that may be symlinks, in lower case.
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
    /// Whether the directory certainly has no symlink of this name. `directory` has no symlinks
    /// in it.
    pub(super) fn has_no_link(&mut self, directory: &Arc<[u8]>, name: &[u8]) -> bool {
        if self.directory.as_ref() != Some(directory) {
            *self = Self {
                directory: Some(Arc::clone(directory)),
                ..Self::default()
            };
        }
        self.questions = self.questions.saturating_add(1);
        if matches!(self.links, Links::Unread) && self.questions > MANY {
            self.links = read(directory).map_or(Links::Unknown, Links::Known);
        }
        match &self.links {
            Links::Known(links) if links.is_empty() => true,
            // In some directories the case does not matter, of other letters than these too.
            Links::Known(links) => {
                name.is_ascii() && !links.contains(name.to_ascii_lowercase().as_slice())
            }
            Links::Unread | Links::Unknown => false,
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

fn read(directory: &[u8]) -> Option<HashSet<Vec<u8>>> {
    let opened = open_to_list(OsStr::from_bytes(directory)).ok()?;
    let mut links = HashSet::new();
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
        if matches!(entry.file_type(), FileType::Symlink | FileType::Unknown) {
            let name = entry.file_name().to_bytes();
            if !name.is_ascii() {
                return None;
            }
            links.insert(name.to_ascii_lowercase());
        }
    }
    Some(links)
}
