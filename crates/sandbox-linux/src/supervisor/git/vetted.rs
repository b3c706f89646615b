//! Lets a file become an index: when what it names is harmless, and nobody can write to it any more.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt,
    },
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps},
    io::Errno,
};

use super::{
    Session,
    directory::{Identity, kind_of},
    fresh::Fresh,
    index::{self, Flaw, Hash, Tail},
    install::{open_file, read_up_to, write_all},
    parts::is_index,
};
use crate::sys;

/// While it lives, nobody opens the file for writing, as far as the file system has leases.
#[derive(Debug)]
pub(in crate::supervisor) struct Unheld(#[expect(dead_code, reason = "held")] File);

/// What is known of the length of object names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Sha1,
    /// The other one, or one that may change.
    Any,
}

/// Vets the file that is about to become an index of the directory `of`. One that somebody else could write to is
/// replaced by a copy.
pub(in crate::supervisor) fn vet_index(
    directory: BorrowedFd<'_>,
    name: &CStr,
    of: BorrowedFd<'_>,
) -> Result<Unheld, Errno> {
    vet_as(directory, name, Format::of(of)?)
}

fn vet_as(directory: BorrowedFd<'_>, name: &CStr, format: Format) -> Result<Unheld, Errno> {
    let file = File::from(open_file(directory, name)?);
    let status = rustix::fs::fstat(&file)?;
    if status.st_nlink == 1 && sys::fd::lease_for_reading(file.as_fd()).is_ok() {
        require_harmless(&file, format)?;
        return Ok(Unheld(file));
    }
    // What is refused anyway stays.
    require_harmless(&file, format)?;
    let original = Original {
        file: &file,
        mode: permissions(&status),
        times: times_of(&status),
    };
    // It stays until the copy is whole, whenever this process dies.
    let lock = free_lock(directory, name)?;
    let fresh = Fresh::create(directory, &lock)?;
    original.put(fresh, (directory, &lock), name, format)
}

/// Vets each index that lies in a directory which becomes a git directory.
pub(super) fn require_harmless_indexes(
    session: &Session,
    directory: BorrowedFd<'_>,
) -> Result<(), Errno> {
    vet_all(session, directory, Format::of(directory)?)
}

/// The same where another length of object names may count from now on.
pub(super) fn require_harmless_for_all(
    session: &Session,
    directory: BorrowedFd<'_>,
) -> Result<(), Errno> {
    vet_all(session, directory, Format::Any)
}

fn vet_all(session: &Session, directory: BorrowedFd<'_>, format: Format) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = rustix::fs::openat(directory, c".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for (count, entry) in Dir::new(listed)?.enumerate() {
        let entry = entry?;
        if count > ENTRIES_LIMIT {
            return Err(Errno::ACCESS);
        }
        if is_index(entry.file_name().to_bytes()) {
            names.push(entry.file_name().to_owned());
        }
    }
    let mut left = MOST_TOGETHER;
    for name in names {
        let is_pending = || {
            let identity = Identity::at(directory, &name);
            identity.is_ok_and(|identity| session.content_of(identity).is_some())
        };
        // git reads no directory.
        let is_file = kind_of(directory, &name)?.is_some_and(|kind| !kind.is_dir());
        if is_file && is_pending() {
            require_unheld(directory, &name, format)?;
        } else if is_file {
            let status = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let size = u64::try_from(status.st_size).map_err(|_negative| Errno::ACCESS)?;
            left = left.checked_sub(size).ok_or(Errno::ACCESS)?;
            vet_as(directory, &name, format)?;
        }
    }
    Ok(())
}

/// The same for one that waits for its content: while its directory was no git directory, it could be opened.
fn require_unheld(directory: BorrowedFd<'_>, name: &CStr, format: Format) -> Result<(), Errno> {
    let file = File::from(open_file(directory, name)?);
    sys::fd::lease_for_reading(file.as_fd()).map_err(|_held| Errno::ACCESS)?;
    if rustix::fs::fstat(&file)?.st_size == 0 {
        return Ok(());
    }
    require_harmless(&file, format)
}

/// Whether settings may say which object names a repository has.
pub(super) fn tells_object_format(settings: &[u8]) -> bool {
    let key = b"objectformat";
    let mut places = settings.windows(key.len());
    places.any(|place| place.eq_ignore_ascii_case(key))
}

impl Format {
    fn of(directory: BorrowedFd<'_>) -> Result<Self, Errno> {
        // Whose settings count can change.
        if kind_of(directory, c"commondir")?.is_some() {
            return Ok(Self::Any);
        }
        let settings = match kind_of(directory, c"config")? {
            None => return Ok(Self::Sha1),
            Some(_) => open_file(directory, c"config"),
        };
        let settings = settings.and_then(|file| read_up_to(file.as_fd(), SETTINGS_LIMIT));
        Ok(match settings {
            Ok(settings) if !tells_object_format(&settings) => Self::Sha1,
            Ok(_) | Err(_) => Self::Any,
        })
    }
}

fn require_harmless(file: &File, format: Format) -> Result<(), Errno> {
    let mut signature = [0; 4];
    let read = file.read_exact_at(&mut signature, 0);
    // Nothing reads it then.
    if read.is_ok() && signature != *b"DIRC" {
        return Ok(());
    }
    let vetted = match format {
        Format::Sha1 => vet(file, Hash::Sha1),
        Format::Any => match vet(file, Hash::Sha1) {
            Ok(()) => require_no_other(file, Hash::Sha256),
            Err(_) => vet(file, Hash::Sha256).and_then(|()| require_no_other(file, Hash::Sha1)),
        },
    };
    vetted.map_err(|_flaw| Errno::ACCESS)
}

fn vet(file: &File, hash: Hash) -> Result<(), Flaw> {
    let tail = tail(file, hash)?;
    index::vet(from_start(file)?, hash, &tail)
}

/// Nothing else is in it for a reader who takes object names to be of another length.
fn require_no_other(file: &File, hash: Hash) -> Result<(), Flaw> {
    // The rest of the last page, for who maps it.
    let input = from_start(file)?.chain(io::repeat(0).take(PAGE));
    if index::misleads(input, hash) {
        Err(Flaw::Path)
    } else {
        Ok(())
    }
}

fn from_start(file: &File) -> Result<&File, Flaw> {
    // It is this process's own descriptor.
    let sought = rustix::fs::seek(file, SeekFrom::Start(0));
    sought.map_err(|_errno| Flaw::Malformed)?;
    Ok(file)
}

/// Reads what git reads from the end of an index.
fn tail(file: &File, hash: Hash) -> Result<Tail, Flaw> {
    let size = file.metadata()?.len();
    if size > SIZE_LIMIT {
        return Err(Flaw::Malformed);
    }
    let end = size.checked_sub(hash.length()).ok_or(Flaw::Malformed)?;
    let mut tail = Tail {
        size,
        ..Tail::default()
    };
    // git looks at the first place whatever its object names are.
    for length in [SHORT_EOIE, 12 + hash.length()] {
        let Some(place) = end.checked_sub(length) else {
            continue;
        };
        let (signature, _) = header(file, place)?;
        if signature != *b"EOIE" {
            continue;
        }
        let told = u64::from(number(file, place + 8)?);
        if tail
            .end_of_entries
            .replace(told)
            .is_some_and(|other| other != told)
        {
            return Err(Flaw::Malformed);
        }
    }
    if let Some(start) = tail.end_of_entries {
        tail.blocks = blocks(file, start, end)?;
    }
    Ok(tail)
}

/// The blocks of entries that git's threads read, by the extensions that begin at a place.
fn blocks(file: &File, start: u64, end: u64) -> Result<Vec<(u64, u64)>, Flaw> {
    let mut place = start;
    let mut blocks = Vec::new();
    while place + 8 <= end {
        let (signature, length) = header(file, place)?;
        if signature != *b"IEOT" {
            place += 8 + length;
            continue;
        }
        let count = length.checked_sub(4).ok_or(Flaw::Malformed)? / 8;
        if number(file, place + 8)? != 1 || count > MOST_BLOCKS {
            return Err(Flaw::Malformed);
        }
        let mut before = 0;
        for block in 0..count {
            let at = place + 12 + 8 * block;
            blocks.push((u64::from(number(file, at)?), before));
            before += u64::from(number(file, at + 4)?);
        }
        blocks.push((start, before));
        break;
    }
    Ok(blocks)
}

fn header(file: &File, place: u64) -> Result<([u8; 4], u64), Flaw> {
    let mut signature = [0; 4];
    file.read_exact_at(&mut signature, place)?;
    Ok((signature, u64::from(number(file, place + 4)?)))
}

fn number(file: &File, place: u64) -> Result<u32, Flaw> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, place)?;
    Ok(u32::from_be_bytes(bytes))
}

/// What is to be copied.
struct Original<'f> {
    file: &'f File,
    mode: Mode,
    times: Timestamps,
}

impl Original<'_> {
    /// Makes a file that nobody has had open, and vets that: the content may have changed since.
    fn copy(
        &self,
        fresh: Fresh,
        (directory, name): (BorrowedFd<'_>, &CStr),
        format: Format,
    ) -> Result<Unheld, Errno> {
        let is_named = fresh.is_named();
        let made = self.fill(fresh.writer()).and_then(|()| {
            let written = fresh.written(directory, name)?;
            // Another sandbox has opened it. Any other error: the file system has no leases.
            if sys::fd::lease_for_reading(written.file.as_fd()) == Err(Errno::AGAIN) {
                return Err(Errno::ACCESS);
            }
            require_harmless(&written.file, format)?;
            written.name(directory, name)?;
            Ok(Unheld(written.file))
        });
        if made.is_err() {
            Fresh::give_up(is_named, directory, name);
        }
        made
    }

    /// The same by way of a lock's name, whose file takes the place of `name` when it is whole.
    fn put(
        &self,
        fresh: Fresh,
        (directory, lock): (BorrowedFd<'_>, &CStr),
        name: &CStr,
        format: Format,
    ) -> Result<Unheld, Errno> {
        let unheld = self.copy(fresh, (directory, lock), format)?;
        let renamed = rustix::fs::renameat(directory, lock, directory, name);
        if renamed.is_err() {
            Fresh::give_up(true, directory, lock);
        }
        renamed.map(|()| unheld)
    }

    fn fill(&self, fresh: BorrowedFd<'_>) -> Result<(), Errno> {
        let content = from_start(self.file).map_err(|_flaw| Errno::IO)?;
        let mut buffer = vec![0; BUFFER];
        let mut written = 0;
        loop {
            let read =
                rustix::io::retry_on_intr(|| rustix::io::read(content.as_fd(), &mut buffer))?;
            let part = buffer.get(..read).unwrap_or_default();
            written += part.len();
            if part.is_empty() {
                break;
            }
            // It may be written to as fast as it is read.
            if u64::try_from(written).map_or(true, |written| written > SIZE_LIMIT) {
                return Err(Errno::FBIG);
            }
            write_all(fresh, part)?;
        }
        rustix::fs::fchmod(fresh, self.mode)?;
        // git compares it with the times of what the entries are about.
        rustix::fs::futimens(fresh, &self.times)
    }
}

pub(super) fn permissions(status: &Stat) -> Mode {
    Mode::from_raw_mode(status.st_mode) & Mode::from_bits_truncate(0o777)
}

pub(super) fn times_of(status: &Stat) -> Timestamps {
    let time = |tv_sec, nanoseconds| Timespec {
        tv_sec,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    Timestamps {
        last_access: time(status.st_atime, status.st_atime_nsec),
        last_modification: time(status.st_mtime, status.st_mtime_nsec),
    }
}

/// Puts what was written in the place of an index, once it is vetted. Its lock is the name that it comes by.
pub(super) fn replace(
    directory: BorrowedFd<'_>,
    name: &CStr,
    content: BorrowedFd<'_>,
    mode: Mode,
) -> Result<(), Errno> {
    let content = File::from(rustix::io::fcntl_dupfd_cloexec(content, 0)?);
    let times = times_of(&rustix::fs::fstat(&content)?);
    let lock = lock_of(name)?;
    // It is not copied in vain.
    if kind_of(directory, &lock)?.is_some() {
        return Err(Errno::EXIST);
    }
    let format = Format::of(directory)?;
    let original = Original {
        file: &content,
        mode,
        times,
    };
    let fresh = Fresh::create(directory, &lock)?;
    let _unheld = original.put(fresh, (directory, &lock), name, format)?;
    Ok(())
}

/// The name of a file's lock.
pub(super) fn lock_of(name: &CStr) -> Result<CString, Errno> {
    let lock = [name.to_bytes(), b".lock"].concat();
    CString::new(lock).map_err(|_nul| Errno::INVAL)
}

/// A lock's name that nobody has: somebody may hold the first one, or have been killed with it.
fn free_lock(directory: BorrowedFd<'_>, name: &CStr) -> Result<CString, Errno> {
    let mut lock = lock_of(name)?;
    for _ in 0..MOST_LOCKS {
        if kind_of(directory, &lock)?.is_none() {
            return Ok(lock);
        }
        lock = lock_of(&lock)?;
    }
    Err(Errno::EXIST)
}

const ENTRIES_LIMIT: usize = 4096;
const SETTINGS_LIMIT: usize = 1 << 20;
/// Of some ten million files.
const SIZE_LIMIT: u64 = 1 << 30;
/// What the indexes of a directory may be together where all sandboxes of the user wait for the answer: those of a
/// million files.
const MOST_TOGETHER: u64 = 128 << 20;
const MOST_LOCKS: usize = 8;
const BUFFER: usize = 64 << 10;
/// The largest that an architecture has.
const PAGE: u64 = 64 << 10;
/// The extension `EOIE` of a repository with short object names.
const SHORT_EOIE: u64 = 32;
/// git makes one for each of its threads.
const MOST_BLOCKS: u64 = 4096;
