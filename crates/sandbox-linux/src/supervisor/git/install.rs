//! Puts harmless settings in place, always in an inode that nobody else holds open.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, SeekFrom, Timestamps},
    io::Errno,
};

use super::{
    Session,
    config::{self, Flaw, SIZE_LIMIT},
    directory::{self, Identity, kind_of, open_directory},
    fresh::Fresh,
    inside::require_plain,
    parts::{Closed, is_among_modules},
    session::Protected,
    tracking::differs_in_tracking_only,
    vetted::{self, permissions, times_of},
};

/// Why a file does not become settings.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Unfit {
    /// For what is in it.
    Flaw(Flaw),
    /// For another reason.
    Error(Errno),
}

impl From<Errno> for Unfit {
    fn from(errno: Errno) -> Self {
        Self::Error(errno)
    }
}

impl From<Flaw> for Unfit {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl From<Unfit> for Errno {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Flaw(_) => Self::ACCESS,
            Unfit::Error(errno) => errno,
        }
    }
}

/// Does what the rename of a file, git's own lock file or another one, to `target` in a directory was meant to do.
///
/// The file may be open for writing, so that it goes, and a copy of what was vetted comes under the name of the
/// lock and is renamed. Nobody inside can open the copy before that: this thread is the one to answer, and no session
/// takes the copy for a lock file of its own. The host sees the names that git makes itself.
pub(in crate::supervisor) fn install_config(
    session: &Session,
    (from, source): (BorrowedFd<'_>, &CStr),
    (directory, path): (BorrowedFd<'_>, &[u8]),
    target: &CStr,
) -> Result<(), Unfit> {
    let settings = match session.content_of(Identity::at(from, source)?) {
        Some(content) => Settings::written(from, source, content)?,
        None => Settings::read(from, source)?,
    };
    settings.vet(session, (directory, path), target)?;
    let lock = vetted::lock_of(target)?;
    if directory::is_same(from, directory)? && *source == *lock {
        rustix::fs::unlinkat(from, source, AtFlags::empty())?;
        return Ok(settings.install(directory, &lock, target)?);
    }
    match settings.install(directory, &lock, target) {
        // Somebody changes the settings just now.
        Err(Errno::EXIST) => return Err(Errno::BUSY.into()),
        installed => installed?,
    }
    Ok(rustix::fs::unlinkat(from, source, AtFlags::empty())?)
}

/// Puts what was written to settings by their own name in place: `EEXIST` while somebody has their lock.
pub(super) fn install_written(
    session: &Session,
    (directory, path): (BorrowedFd<'_>, &[u8]),
    name: &CStr,
    content: BorrowedFd<'_>,
    mode: Mode,
) -> Result<(), Unfit> {
    let mut settings = Settings::written(directory, name, content)?;
    settings.mode = mode;
    settings.vet(session, (directory, path), name)?;
    Ok(settings.install(directory, &vetted::lock_of(name)?, name)?)
}

/// Makes sure that a directory may become a git directory, and remembers it as the session's own.
pub(in crate::supervisor) fn assemble(
    session: &mut Session,
    directory: BorrowedFd<'_>,
    path: &[u8],
) -> Result<(), Unfit> {
    let identity = Identity::of(directory)?;
    if session.was_taken_apart(identity) {
        return Err(Errno::ACCESS.into());
    }
    require_plain(directory)?;
    for (name, closed) in [
        (c"hooks", Closed::Hooks),
        (c"remotes", Closed::Remotes),
        (c"branches", Closed::Branches),
    ] {
        if !session.leaves_open(closed.protected()) {
            require_harmless_directory(directory, name, closed)?;
        }
    }
    if !session.leaves_open(Protected::Attributes) {
        require_no_attributes(directory)?;
    }
    for (place, name, lock) in [
        (Protected::Config, c"config", c"config.lock"),
        (
            Protected::WorktreeConfig,
            c"config.worktree",
            c"config.worktree.lock",
        ),
    ] {
        if session.leaves_open(place) {
            continue;
        }
        // Whoever holds it would rename it to settings that nobody has looked at.
        if kind_of(directory, lock)?.is_some() {
            return Err(Errno::ACCESS.into());
        }
        if kind_of(directory, name)?.is_some() {
            let before = Identity::at(directory, name)?;
            let settings = Settings::read(directory, name)?;
            settings.require_harmless(directory, path)?;
            settings.install(directory, lock, name)?;
            // What is being written to them goes to the new ones.
            session.note_replaced(before, directory, name)?;
        }
    }
    vetted::require_harmless_indexes(session, directory)?;
    session.adopt(identity);
    Ok(())
}

/// A file of settings.
struct Settings {
    content: Vec<u8>,
    mode: Mode,
    times: Timestamps,
}

impl Settings {
    fn read(directory: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        let file = open_file(directory, name)?;
        let status = rustix::fs::fstat(&file)?;
        Ok(Self {
            content: read_up_to(file.as_fd(), SIZE_LIMIT)?,
            mode: permissions(&status),
            times: times_of(&status),
        })
    }

    /// The content of a file for which another one stands in.
    fn written(
        directory: BorrowedFd<'_>,
        lock: &CStr,
        content: BorrowedFd<'_>,
    ) -> Result<Self, Errno> {
        let status = rustix::fs::statat(directory, lock, AtFlags::SYMLINK_NOFOLLOW)?;
        // Its offset is the command's too.
        rustix::fs::seek(content, SeekFrom::Start(0))?;
        Ok(Self {
            content: read_up_to(content, SIZE_LIMIT)?,
            mode: permissions(&status),
            times: times_of(&rustix::fs::fstat(content)?),
        })
    }

    /// Whether they may become those of a directory: harmless ones, if it is the session's own.
    fn vet(
        &self,
        session: &Session,
        (directory, path): (BorrowedFd<'_>, &[u8]),
        target: &CStr,
    ) -> Result<(), Unfit> {
        if session.knows(Identity::of(directory)?) {
            self.require_harmless(directory, path)?;
        } else {
            self.require_same_but_tracking(&Self::read(directory, target)?)?;
        }
        // An index is read in another way then.
        if vetted::tells_object_format(&self.content) {
            vetted::require_harmless_for_all(session, directory)?;
        }
        Ok(())
    }

    /// Only a submodule's repository may say where its working tree is, as git asks that tree for the repository
    /// first. Any other would be obeyed when something else is in the tree's place.
    fn require_harmless(&self, directory: BorrowedFd<'_>, path: &[u8]) -> Result<(), Unfit> {
        let harmless = config::vet(&self.content)?;
        let is_asked =
            |worktree| is_among_modules(path) && points_back(directory, worktree).unwrap_or(false);
        match harmless.worktree {
            Some(worktree) if !is_asked(worktree) => {
                Err(Flaw::Setting("core.worktree".to_owned()).into())
            }
            _ => Ok(()),
        }
    }

    fn require_same_but_tracking(&self, old: &Self) -> Result<(), Unfit> {
        if differs_in_tracking_only(&old.content, &self.content) {
            Ok(())
        } else {
            Err(Flaw::Change.into())
        }
    }

    /// Writes a new file, gives it a name that does not exist and moves it to its place.
    fn install(&self, directory: BorrowedFd<'_>, lock: &CStr, target: &CStr) -> Result<(), Errno> {
        let fresh = Fresh::create(directory, lock)?;
        let mut has_name = fresh.is_named();
        let installed = self.write(fresh.writer()).and_then(|()| {
            fresh.written(directory, lock)?.name(directory, lock)?;
            has_name = true;
            rustix::fs::renameat(directory, lock, directory, target)
        });
        if installed.is_err() {
            Fresh::give_up(has_name, directory, lock);
        }
        installed
    }

    fn write(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        write_all(file, &self.content)?;
        rustix::fs::fchmod(file, self.mode)?;
        rustix::fs::futimens(file, &self.times)
    }
}

/// Writes all of it.
pub(super) fn write_all(file: BorrowedFd<'_>, content: &[u8]) -> Result<(), Errno> {
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file, rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// A closed directory is missing, or empty. In `hooks` may be examples, which git never executes.
fn require_harmless_directory(
    directory: BorrowedFd<'_>,
    name: &CStr,
    closed: Closed,
) -> Result<(), Errno> {
    let Some(kind) = kind_of(directory, name)? else {
        return Ok(());
    };
    // What a link leads to may change.
    if !kind.is_dir() {
        return Err(Errno::ACCESS);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let closed_directory = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    for (count, entry) in Dir::new(closed_directory)?.enumerate() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        let is_sample = closed == Closed::Hooks && name.is_ascii() && name.ends_with(b".sample");
        if count > ENTRIES_LIMIT || !(is_sample || matches!(name, b"." | b"..")) {
            return Err(Errno::ACCESS);
        }
    }
    Ok(())
}

/// `info` is missing, or a directory without `attributes`.
fn require_no_attributes(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    match kind_of(directory, c"info")? {
        None => Ok(()),
        Some(FileType::Directory) if kind_of(directory, c"info/attributes")?.is_none() => Ok(()),
        Some(_) => Err(Errno::ACCESS),
    }
}

/// Whether a working tree has a `.git` file that names this git directory, as a submodule's has:
/// else a checkout could be made to write elsewhere.
fn points_back(directory: BorrowedFd<'_>, worktree: &str) -> Result<bool, Errno> {
    let worktree = CString::new(worktree).map_err(|_nul| Errno::ACCESS)?;
    let worktree = open_directory(directory, &worktree)?;
    let pointer = open_file(worktree.as_fd(), c".git")?;
    let pointer = read_up_to(pointer.as_fd(), POINTER_LIMIT)?;
    let Some(path) = pointer.strip_prefix(b"gitdir: ") else {
        return Ok(false);
    };
    let path = path.strip_suffix(b"\n").unwrap_or(path);
    // An absolute path means something else inside than here.
    if path.starts_with(b"/") {
        return Ok(false);
    }
    let path = CString::new(path).map_err(|_nul| Errno::ACCESS)?;
    let target = open_directory(worktree.as_fd(), &path)?;
    directory::is_same(target.as_fd(), directory)
}

/// Opens a regular file for reading, never a link, and waits for nobody.
pub(super) fn open_file(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // A FIFO or a device must not even be opened.
    if kind_of(directory, name)? != Some(FileType::RegularFile) {
        return Err(Errno::ACCESS);
    }
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    let status = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(status.st_mode).is_file() {
        Ok(file)
    } else {
        Err(Errno::ACCESS)
    }
}

/// The content of a file; one that is longer than the limit is refused.
pub(super) fn read_up_to(file: BorrowedFd<'_>, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut content = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = rustix::io::retry_on_intr(|| rustix::io::read(file, &mut buffer))?;
        let part = buffer.get(..read).unwrap_or_default();
        if part.is_empty() {
            return Ok(content);
        }
        content.extend_from_slice(part);
        if content.len() > limit {
            return Err(Errno::ACCESS);
        }
    }
}

const ENTRIES_LIMIT: usize = 4096;
const POINTER_LIMIT: usize = 4096;
