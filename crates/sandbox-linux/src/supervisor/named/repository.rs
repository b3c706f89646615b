//! From a directory to the settings of the repository there.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, FileType, Mode, OFlags},
    io::Errno,
};

use crate::probe::is_out_of_reach;

/// Where git works.
pub(super) struct Repository {
    /// Relative paths to hooks begin there: at the top of the working tree, or where there is none in the directory.
    pub(super) top: PathBuf,
    /// git's own directory.
    pub(super) directory: PathBuf,
    /// That of all working trees.
    common: PathBuf,
}

impl Repository {
    /// The repository whose working tree, or bare directory, this is.
    pub(super) fn at(top: &Path) -> Result<Option<Self>, Errno> {
        let own = top.join(".git");
        let directory = match kind(&own)? {
            Some(FileType::Directory) => own,
            Some(_) => match pointer(&own)? {
                Some(directory) => top.join(directory),
                None => return Ok(None),
            },
            None if top.file_name() != Some(OsStr::new(".git")) && is_bare(top)? => {
                top.to_path_buf()
            }
            None => return Ok(None),
        };
        let common = match read_file(&directory.join("commondir"))? {
            Some(text) => directory.join(path(text.trim_ascii_end())),
            None => directory.clone(),
        };
        Ok(Some(Self {
            top: top.to_path_buf(),
            directory,
            common,
        }))
    }

    /// Whether a directory is certainly none, and not one that can't be looked at now.
    pub(super) fn is_absent(top: &Path) -> Result<bool, Errno> {
        let is_absent = |name: &str| match rustix::fs::lstat(top.join(name)) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(true),
            Err(errno) if !is_out_of_reach(errno) => Err(errno),
            Ok(_) | Err(_) => Ok(false),
        };
        Ok(
            is_absent(".git")? && (is_absent("HEAD")? || is_absent("objects")?)
                || top.file_name() == Some(OsStr::new(".git")),
        )
    }

    /// Whether its settings are there to be read.
    pub(super) fn has_settings(&self) -> Result<bool, Errno> {
        let [settings, _of_worktree] = self.settings();
        match rustix::fs::access(&settings, Access::READ_OK) {
            Ok(()) => Ok(true),
            Err(errno) if is_out_of_reach(errno) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// git's own directory, and that of all working trees if it is another one.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        let common = Some(&self.common).filter(|common| **common != self.directory);
        std::iter::once(self.directory.as_path()).chain(common.map(PathBuf::as_path))
    }

    pub(super) fn settings(&self) -> [PathBuf; 2] {
        [
            self.common.join("config"),
            self.directory.join("config.worktree"),
        ]
    }
}

fn is_bare(directory: &Path) -> Result<bool, Errno> {
    Ok(kind(&directory.join("HEAD"))?.is_some() && kind(&directory.join("objects"))?.is_some())
}

/// Where a `.git` file leads (gitrepository-layout(5)).
fn pointer(file: &Path) -> Result<Option<PathBuf>, Errno> {
    let text = read_file(file)?;
    let text = text
        .as_deref()
        .and_then(|text| text.strip_prefix(b"gitdir: "));
    Ok(text.map(|text| path(text.trim_ascii_end())))
}

fn path(text: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(text))
}

/// What a path leads to.
fn kind(path: &Path) -> Result<Option<FileType>, Errno> {
    match rustix::fs::stat(path) {
        Ok(status) => Ok(Some(FileType::from_raw_mode(status.st_mode))),
        Err(errno) if is_out_of_reach(errno) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The content of a regular file, of which only its beginning counts. Reading leaves no trace in the times of one's own.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, Errno> {
    if kind(path)? != Some(FileType::RegularFile) {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = |flags| rustix::fs::open(path, flags, Mode::empty());
    let opened = match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        opened => opened,
    };
    let file = match opened {
        Err(errno) if is_out_of_reach(errno) => return Ok(None),
        opened => opened?,
    };
    if !FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode).is_file() {
        return Ok(None);
    }
    let mut text = Vec::new();
    match File::from(file).take(LONGEST).read_to_end(&mut text) {
        Ok(_length) => Ok(Some(text)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(errno) if !is_out_of_reach(errno) => Err(errno),
            Some(_) | None => Ok(None),
        },
    }
}

/// No settings are longer.
const LONGEST: u64 = 1 << 20;
