//! Looking many paths up, each of their directories once: a policy may name thousands.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RawMode},
    io::Errno,
};
use sandbox_policy::AbsolutePath;

use super::{
    listing::{Listings, Wanted},
    way,
};
use crate::facts::{FileIdentity, KnownPaths, PathFacts, PathKind};

/// What has been found.
pub(super) struct Lookup {
    /// What exists, as the facts have it.
    pub(super) paths: KnownPaths,
    directories: HashMap<Vec<u8>, Directory>,
    /// The directory of the latest question, which the next one is probably about too.
    latest: Option<(Vec<u8>, Directory)>,
    handle: Option<Handle>,
    /// What the latest look found where no symlink leads.
    found: Option<FileType>,
    links: Listings,
    irregular: Listings,
}

/// A place that paths lie in.
#[derive(Clone)]
struct Directory {
    /// Where it is without symlinks, or would be.
    canonical: Arc<[u8]>,
    exists: bool,
    /// Whether that is where it is written.
    is_straight: bool,
}

/// What the latest entry was looked up in.
struct Handle {
    directory: Arc<[u8]>,
    /// Opened when it is asked about again.
    opened: Option<OwnedFd>,
}

/// What is at a path.
pub(super) enum Found {
    /// This.
    There(PathFacts),
    /// Nothing; where it would be, if symlinks lead somewhere else than it is written.
    Missing(Option<AbsolutePath>),
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            paths: KnownPaths::default(),
            directories: HashMap::new(),
            latest: None,
            handle: None,
            found: None,
            links: Listings::of(Wanted::Links),
            irregular: Listings::of(Wanted::Irregular),
        }
    }
}

impl Lookup {
    /// Looks a path up and records what is there, also at the place that its symlinks lead to.
    /// Returns that place.
    pub(super) fn learn(&mut self, path: &AbsolutePath) -> io::Result<Option<AbsolutePath>> {
        if let Some(known) = self.paths.get(path) {
            return Ok(Some(known.canonical.clone()));
        }
        match self.find(path)? {
            Found::There(found) => {
                let canonical = found.canonical.clone();
                self.record(path, found);
                Ok(Some(canonical))
            }
            Found::Missing(_) => Ok(None),
        }
    }

    /// Whether symlinks lead anything elsewhere that was recorded.
    pub(super) fn has_moved(&self) -> bool {
        let mut paths = self.paths.iter();
        paths.any(|(path, found)| found.canonical != *path)
    }

    /// Records what was found at a path.
    pub(super) fn record(&mut self, path: &AbsolutePath, found: PathFacts) {
        if found.canonical != *path {
            self.paths.insert(found.canonical.clone(), found.clone());
        }
        self.paths.insert(path.clone(), found);
    }

    /// Looks a path up.
    pub(super) fn find(&mut self, path: &AbsolutePath) -> io::Result<Found> {
        self.found = None;
        let Some((parent, name)) = split(path.as_bytes()) else {
            return followed(path);
        };
        if self.is_missing(parent) {
            return Ok(Found::Missing(None));
        }
        let directory = self.directory(parent)?;
        let is_straight = directory.is_straight;
        let canonical = || match is_straight {
            true => Ok(path.clone()),
            false => place(&directory.canonical, name),
        };
        let missing = || Ok(Found::Missing((!is_straight).then(canonical).transpose()?));
        if !directory.exists {
            return missing();
        }
        let status = match self.status(&directory.canonical, name) {
            Ok(status) => status,
            Err(Errno::NOENT | Errno::NOTDIR) => return missing(),
            Err(errno) => return Err(errno.into()),
        };
        let kind = FileType::from_raw_mode(status.mode);
        if kind.is_symlink() {
            return followed(path);
        }
        self.found = Some(kind);
        let kind = if kind.is_dir() {
            PathKind::Directory
        } else {
            PathKind::File
        };
        Ok(Found::There(PathFacts {
            canonical: canonical()?,
            kind,
            identity: status.identity,
        }))
    }

    /// Whether what was found last is a regular file in its own place.
    pub(super) fn found_regular_file(&self) -> bool {
        self.found.is_some_and(FileType::is_file)
    }

    /// Whether a path is certainly no symlink and not behind one: asked about thousands in a few
    /// directories, that costs less than a look at each.
    pub(super) fn is_no_link(&mut self, path: &AbsolutePath) -> bool {
        self.straight(path)
            .is_some_and(|(directory, name)| self.links.lacks(&directory, name))
    }

    /// Whether a path, which is behind no symlink, is certainly a regular file, or missing.
    pub(super) fn is_plain(&mut self, path: &AbsolutePath) -> bool {
        self.straight(path)
            .is_some_and(|(directory, name)| self.irregular.lacks(&directory, name))
    }

    /// The directory and the name of a path that no symlink leads to.
    fn straight<'p>(&mut self, path: &'p AbsolutePath) -> Option<(Arc<[u8]>, &'p [u8])> {
        let (parent, name) = split(path.as_bytes())?;
        let directory = self.directory(parent).ok()?;
        let is_straight = directory.exists && directory.is_straight;
        is_straight.then_some((directory.canonical, name))
    }

    /// Whether symlinks lead to a directory, or nobody can tell.
    pub(super) fn is_behind_link(&mut self, directory: &[u8]) -> bool {
        let found = self.directory(directory);
        found.is_ok_and(|found| !found.is_straight)
    }

    /// Whether the directory of the latest question is asked about again, which is not there, nor anywhere else.
    fn is_missing(&self, directory: &[u8]) -> bool {
        let latest = self.latest.as_ref();
        let missing = latest.filter(|(_, known)| known.is_straight && !known.exists);
        missing.is_some_and(|(latest, _)| latest == directory)
    }

    /// The directory at a path: not a path of a rule, but one that leads there.
    fn directory(&mut self, path: &[u8]) -> io::Result<Directory> {
        if let Some((latest, known)) = &self.latest
            && latest == path
        {
            return Ok(known.clone());
        }
        let found = match self.directories.get(path) {
            Some(known) => known.clone(),
            None => {
                let found = self.look_for_directory(path)?;
                self.directories.insert(path.to_vec(), found.clone());
                found
            }
        };
        self.latest = Some((path.to_vec(), found.clone()));
        Ok(found)
    }

    fn look_for_directory(&mut self, path: &[u8]) -> io::Result<Directory> {
        let Some((parent, name)) = split(path) else {
            return Ok(Directory {
                canonical: Arc::from(&b"/"[..]),
                exists: true,
                is_straight: true,
            });
        };
        let above = self.directory(parent)?;
        let mut found = Directory {
            canonical: joined(&above.canonical, name).into(),
            exists: false,
            is_straight: above.is_straight,
        };
        if !above.exists {
            return Ok(found);
        }
        let canonical = Path::new(OsStr::from_bytes(&found.canonical));
        let kind = match rustix::fs::lstat(canonical) {
            Ok(status) => FileType::from_raw_mode(status.st_mode),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(found),
            Err(errno) => return Err(errno.into()),
        };
        if kind.is_symlink() {
            let link = AbsolutePath::new(canonical).map_err(io::Error::other)?;
            match followed(&link)? {
                Found::There(place) => {
                    found.canonical = place.canonical.as_bytes().into();
                    found.exists = place.kind == PathKind::Directory;
                }
                Found::Missing(place) => {
                    found.canonical =
                        place.map_or(found.canonical, |place| place.as_bytes().into());
                }
            }
            found.is_straight = *found.canonical == *path;
        } else {
            found.exists = kind.is_dir();
        }
        Ok(found)
    }

    fn status(&mut self, directory: &Arc<[u8]>, name: &[u8]) -> Result<Status, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let known = self.handle.as_mut();
        let status = match known.filter(|handle| handle.directory == *directory) {
            Some(Handle { opened, .. }) => {
                let handle = match opened.take() {
                    Some(handle) => handle,
                    None => rustix::fs::open(OsStr::from_bytes(directory), HANDLE, Mode::empty())?,
                };
                let handle = opened.insert(handle);
                rustix::fs::statat(handle, OsStr::from_bytes(name), flags)?
            }
            None => {
                self.handle = Some(Handle {
                    directory: Arc::clone(directory),
                    opened: None,
                });
                rustix::fs::lstat(OsStr::from_bytes(&joined(directory, name)))?
            }
        };
        Ok(Status {
            mode: status.st_mode,
            identity: FileIdentity {
                device: status.st_dev,
                inode: status.st_ino,
            },
        })
    }
}

/// What matters of a `stat(2)` answer.
struct Status {
    mode: RawMode,
    identity: FileIdentity,
}

/// A place to look up from, nothing more.
const HANDLE: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What is where a symlink leads.
fn followed(path: &AbsolutePath) -> io::Result<Found> {
    let found = fs::canonicalize(path.as_path()).and_then(|canonical| {
        let metadata = fs::metadata(&canonical)?;
        Ok((canonical, metadata))
    });
    let (canonical, metadata) = match found {
        Ok(found) => found,
        Err(error) => {
            absent(error)?;
            let place = way::walk(path.as_path())?.end;
            return Ok(Found::Missing(place.filter(|place| place != path)));
        }
    };
    let kind = if metadata.is_dir() {
        PathKind::Directory
    } else {
        PathKind::File
    };
    Ok(Found::There(PathFacts {
        canonical: AbsolutePath::new(&canonical).map_err(io::Error::other)?,
        kind,
        identity: FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
        },
    }))
}

/// What does not exist has no facts; any other error is one.
fn absent(error: io::Error) -> io::Result<()> {
    let is_absence = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    );
    if is_absence { Ok(()) } else { Err(error) }
}

/// A clean path's directory and name; none for `/`.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    let (parent, name) = path.split_at(slash);
    let name = name.get(1..).filter(|name| !name.is_empty())?;
    Some((if parent.is_empty() { b"/" } else { parent }, name))
}

/// The directory that a path lies in; `/` for itself.
pub(super) fn directory(path: &AbsolutePath) -> &[u8] {
    split(path.as_bytes()).map_or(b"/", |(directory, _)| directory)
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    [directory, b"/", name].concat()
}

fn place(directory: &[u8], name: &[u8]) -> io::Result<AbsolutePath> {
    AbsolutePath::new(OsStr::from_bytes(&joined(directory, name))).map_err(io::Error::other)
}
