//! Files of the host program's in places that commands may write.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt as _, MetadataExt as _},
    },
    path::{Component, Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags},
    io::Errno,
};
use sandbox_policy::{AbsolutePath, FilesystemPolicy};

/// A file that the host program writes.
#[derive(Debug)]
#[non_exhaustive]
pub struct Appended {
    /// It is open for writing at its end.
    pub file: File,
    /// Its path without symlinks, to be closed to commands ([`FilesystemPolicy::guard`]); none of a device,
    /// which is shared by all.
    pub guarded: Option<AbsolutePath>,
}

/// Opens a file to add to it; it is created if it is missing. Neither the file nor a directory on the way
/// may be a symlink that a command under this policy could have put there, and the file may be none at
/// all: it would lead what is written to wherever the command likes. Where a command may write, the file
/// is an ordinary one, with one name: others would be ways to it. A FIFO may wait for its reader for five seconds.
///
/// Errors: such a symlink, such a file, a FIFO that nobody reads, and what open(2) says.
pub fn append_to(
    base: &AbsolutePath,
    path: &Path,
    policy: &FilesystemPolicy,
) -> io::Result<Appended> {
    let written = base.as_path().join(path);
    let name = written.file_name().ok_or(Errno::ISDIR)?;
    let directory = written.parent().unwrap_or_else(|| Path::new("/"));
    let directory = without_links(directory, policy)?;
    // From here on no name is looked up twice.
    let real = AbsolutePath::new(directory.join(name)).map_err(io::Error::other)?;
    let directory = open_directory(&directory)?;
    let is_exposed = policy.judge_write(&real).is_allowed();
    let file = match open(&directory, name, is_exposed) {
        Ok(file) => file,
        Err(Errno::LOOP) => return Err(io::Error::other(LINK)),
        Err(Errno::NXIO) if is_exposed => return Err(io::Error::other(SPECIAL)),
        Err(Errno::NXIO) if is_fifo(&directory, name) => return Err(io::Error::other(UNREAD)),
        Err(error) => return Err(error.into()),
    };
    let found = file.metadata()?;
    let kind = found.file_type();
    if is_exposed {
        // No command can make a device.
        if !kind.is_file() && !kind.is_char_device() {
            return Err(io::Error::other(SPECIAL));
        }
        if kind.is_file() && found.nlink() != 1 {
            return Err(io::Error::other(NAMES));
        }
    }
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    let guarded = (kind.is_file() || kind.is_fifo()).then_some(real);
    Ok(Appended { file, guarded })
}

/// Without waiting in the kernel: a FIFO without a reader is an error there (`ENXIO`), also after a while
/// if no command can have made it.
fn open(directory: &OwnedFd, name: &OsStr, is_exposed: bool) -> Result<File, Errno> {
    let flags = OFlags::CREATE
        | OFlags::APPEND
        | OFlags::WRONLY
        | OFlags::NOFOLLOW
        | OFlags::NOCTTY
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
    let start = Instant::now();
    loop {
        match rustix::fs::openat(directory, name, flags, mode) {
            Err(Errno::NXIO)
                if !is_exposed && is_fifo(directory, name) && start.elapsed() < PATIENCE =>
            {
                thread::sleep(PAUSE);
            }
            opened => return opened.map(File::from),
        }
    }
}

fn is_fifo(directory: &OwnedFd, name: &OsStr) -> bool {
    let status = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    status.is_ok_and(|status| FileType::from_raw_mode(status.st_mode).is_fifo())
}

/// How long a FIFO may have no reader, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// The path without symlinks, of which none can be the command's.
fn without_links(path: &Path, policy: &FilesystemPolicy) -> io::Result<PathBuf> {
    let mut real = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => real.push(name),
            Component::ParentDir => drop(real.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        }
        if !fs::symlink_metadata(&real)?.is_symlink() {
            continue;
        }
        let place = AbsolutePath::new(&real).map_err(io::Error::other)?;
        if policy.judge_write(&place).is_allowed() {
            return Err(io::Error::other(LINK));
        }
        real = fs::canonicalize(&real)?;
    }
    Ok(real)
}

const LINK: &str = "it is a symlink, or leads through one that a command could have put there: use `--violations-fd N`";
const SPECIAL: &str =
    "it is no ordinary file, and lies where a command could have put it: use `--violations-fd N`";

const NAMES: &str = "it has other names (hard links), by which a command could change it";
const UNREAD: &str = "nobody reads it: start its reader first";

/// To look names up needs no permission to list them, where there is such a descriptor.
#[cfg(target_os = "linux")]
const HANDLE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const HANDLE: OFlags = OFlags::RDONLY;

/// Opens a directory by a path that has no symlink.
fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | HANDLE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory = rustix::fs::openat(CWD, "/", flags, Mode::empty())?;
    for component in path.components() {
        if let Component::Normal(name) = component {
            directory = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
        }
    }
    Ok(directory)
}
