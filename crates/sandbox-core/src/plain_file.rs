//! Files of the host program's in places that commands may write.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileTypeExt as _,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};
use sandbox_policy::{AbsolutePath, FilesystemPolicy};

/// Opens a file to add to it; it is created if it is missing. Neither the file nor a directory on the way
/// may be a symlink that a command under this policy could have put there, and the file may be none at
/// all: it would lead what is written to wherever the command likes. Where a command may write, the file
/// is an ordinary one: a FIFO of the command's would keep its opener waiting for a reader.
///
/// Errors: such a symlink, such a file, and what open(2) says.
pub fn append_to(base: &AbsolutePath, path: &Path, policy: &FilesystemPolicy) -> io::Result<File> {
    let written = base.as_path().join(path);
    let name = written.file_name().ok_or(Errno::ISDIR)?;
    let directory = written.parent().unwrap_or_else(|| Path::new("/"));
    let directory = without_links(directory, policy)?;
    let flags = OFlags::CREATE
        | OFlags::APPEND
        | OFlags::WRONLY
        | OFlags::NOFOLLOW
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
    // From here on no name is looked up twice.
    let real = AbsolutePath::new(directory.join(name)).map_err(io::Error::other)?;
    let directory = open_directory(&directory)?;
    let is_exposed = policy.judge_write(&real).is_allowed();
    // A FIFO without a reader is an error then (`ENXIO`), and no wait.
    let patience = if is_exposed {
        OFlags::NONBLOCK
    } else {
        OFlags::empty()
    };
    let opened = rustix::fs::openat(&directory, name, flags | patience, mode);
    let file: File = match opened {
        Ok(opened) => opened.into(),
        Err(Errno::LOOP) => return Err(io::Error::other(LINK)),
        Err(Errno::NXIO) if is_exposed => return Err(io::Error::other(SPECIAL)),
        Err(error) => return Err(error.into()),
    };
    if is_exposed {
        let kind = file.metadata()?.file_type();
        // No command can make a device.
        if !kind.is_file() && !kind.is_char_device() {
            return Err(io::Error::other(SPECIAL));
        }
        rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    }
    Ok(file)
}

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

/// To look names up needs no permission to list them, where there is such a descriptor.
#[cfg(target_os = "linux")]
const HANDLE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const HANDLE: OFlags = OFlags::RDONLY;

/// Opens a directory by a path that has no symlink.
fn open_directory(path: &Path) -> io::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::DIRECTORY | HANDLE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory = rustix::fs::openat(CWD, "/", flags, Mode::empty())?;
    for component in path.components() {
        if let Component::Normal(name) = component {
            directory = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
        }
    }
    Ok(directory)
}
