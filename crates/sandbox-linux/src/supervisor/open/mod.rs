//! Opening files.

mod asked;
mod terminal;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use self::asked::{AskedAbout, Permission};
use super::{
    Answering, Outcome,
    attributes::without_set_id,
    fifo::{self, End, WaitingOpen},
    git::Change,
    opened::{Created, Opened},
    paths::handle_path,
    permit::{Access, NewFile, Through},
    request::PathArgument,
    resolve::{Ending, Landing, Object, Place, is_link, open_place},
};
use crate::sys::Errno;

/// What open(2) lets a file keep, other than its mode.
const STATUS_FLAGS: OFlags = OFlags::APPEND
    .union(OFlags::ASYNC)
    .union(OFlags::DIRECT)
    .union(OFlags::NOATIME);

/// Added to every open: a FIFO must not make this thread wait, nor a terminal become its own.
const ALWAYS: OFlags = OFlags::CLOEXEC
    .union(OFlags::NOCTTY)
    .union(OFlags::NONBLOCK);

/// What an attempt to open a place comes to.
enum Attempt {
    File(OwnedFd),
    /// It did not exist; through which mount it was made.
    Created(OwnedFd, Through),
    /// It is a symlink.
    Link(OwnedFd),
    /// It is a FIFO whose other end is not open.
    Fifo(OwnedFd),
    /// It is another one than was asked about, or there is one now.
    Changed,
}

impl Answering<'_> {
    pub(super) fn open(
        &mut self,
        path: PathArgument,
        flags: OFlags,
        mode: Mode,
    ) -> Result<Outcome, Errno> {
        if flags.contains(OFlags::TMPFILE | OFlags::CREATE) {
            return Err(Errno::INVAL);
        }
        let mut place = self.view.place(path)?;
        let (mut links, mut changes) = (0, 0);
        loop {
            let link = match self.open_place(&place, flags, mode)? {
                Attempt::File(file) => return self.opened(file, flags),
                Attempt::Created(file, through) => {
                    let created = Created {
                        directory: through.into_directory(place.directory),
                        name: place.name,
                    };
                    return Ok(Outcome::Descriptor(Opened {
                        file,
                        flags,
                        created: Some(created),
                    }));
                }
                Attempt::Fifo(fifo) => return self.wait(fifo, flags, End::Writer),
                Attempt::Link(link) => link,
                Attempt::Changed if changes < MOST_CHANGES => {
                    changes += 1;
                    continue;
                }
                Attempt::Changed => return Err(Errno::ACCESS),
            };
            if flags.contains(OFlags::NOFOLLOW) {
                // As open(2) has it: with both flags it is no directory.
                let is_directory = flags.contains(OFlags::DIRECTORY);
                return Err(if is_directory {
                    Errno::NOTDIR
                } else {
                    Errno::LOOP
                });
            }
            place = match self.view.follow(&place, link.as_fd(), &mut links)? {
                Landing::Place(next) => next,
                Landing::Object(object) => return self.open_object(object, flags, mode),
            };
        }
    }

    fn open_place(&mut self, place: &Place, flags: OFlags, mode: Mode) -> Result<Attempt, Errno> {
        let is_named_directory = place.slash && place.ending == Ending::Name;
        if is_named_directory && flags.contains(OFlags::CREATE) {
            return Err(Errno::ISDIR);
        }
        if place.path == b"/dev/tty" {
            return self.terminal(flags).map(Attempt::File);
        }
        let creates = flags.contains(OFlags::CREATE);
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC);
        let access = if writes || creates {
            Access::Write
        } else {
            Access::Read
        };
        let (through, flags, asked_about) = match self.permit_unless_link(place, access, flags)? {
            Permission::Link(link) => return Ok(Attempt::Link(link)),
            Permission::Granted(through) => (through, flags, AskedAbout::Name),
            // Nothing is created, so it is opened for reading alone.
            Permission::Existing(through) => (through, flags - OFlags::CREATE, AskedAbout::Name),
            Permission::Judged(through, asked_about) => (through, flags, asked_about),
            Permission::Kept(content) => {
                let (proc, flags) = (self.world.proc.as_fd(), fifo::plain(flags));
                return fifo::reopen(proc, content.as_fd(), flags).map(Attempt::File);
            }
        };
        if let Some(name) = self.id_map(&place.path).filter(|_| writes) {
            return self.open_id_map(name, flags).map(Attempt::File);
        }
        if creates || flags.contains(OFlags::TMPFILE) {
            self.adopt_umask()?;
        }
        let directory = through.directory(place);
        let name = place.name.as_c_str();
        let mode = without_set_id(mode);
        if creates && !flags.contains(OFlags::TMPFILE) {
            // A new file is a regular one, so there is nothing to wait for.
            let fresh = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::EXCL;
            match rustix::fs::openat(directory, name, fresh, mode) {
                Ok(file) => {
                    let file = self.created((place, directory), (file, flags), asked_about)?;
                    return Ok(Attempt::Created(file, through));
                }
                Err(Errno::EXIST) if flags.contains(OFlags::EXCL) => return Err(Errno::EXIST),
                Err(Errno::EXIST) if asked_about.is_new() => return Ok(Attempt::Changed),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.open_existing(place, directory, (flags, mode), (access, asked_about))
    }

    /// Opens what has the name now.
    fn open_existing(
        &mut self,
        place: &Place,
        directory: BorrowedFd<'_>,
        (flags, mode): (OFlags, Mode),
        (access, asked_about): (Access, AskedAbout),
    ) -> Result<Attempt, Errno> {
        let name = place.name.as_c_str();
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC);
        let mut asked = flags | ALWAYS | OFlags::NOFOLLOW;
        if place.slash {
            asked |= OFlags::DIRECTORY;
        }
        // Who writes to the file can keep that waiting, so it is done when all else is.
        let truncates = self.state.git_turn.is_some() && flags.contains(OFlags::TRUNC);
        if truncates {
            asked -= OFlags::TRUNC;
        }
        match rustix::fs::openat(directory, name, asked, mode) {
            Ok(file) => {
                if writes {
                    self.require_no_tree(file.as_fd(), &place.path, access)?;
                }
                if !asked_about.is(file.as_fd())? {
                    return Ok(Attempt::Changed);
                }
                if truncates {
                    self.state.git_turn = None;
                    self.truncate_opened(file.as_fd())?;
                }
                Ok(Attempt::File(file))
            }
            Err(errno @ (Errno::LOOP | Errno::NOTDIR)) => {
                let handle = open_place(directory, &place.name)?;
                if is_link(&rustix::fs::fstat(&handle)?) {
                    Ok(Attempt::Link(handle))
                } else {
                    Err(errno)
                }
            }
            Err(Errno::NXIO) if !flags.contains(OFlags::NONBLOCK) => {
                let handle = open_place(directory, &place.name)?;
                let status = rustix::fs::fstat(&handle)?;
                if FileType::from_raw_mode(status.st_mode).is_fifo() {
                    Ok(Attempt::Fifo(handle))
                } else {
                    Err(Errno::NXIO)
                }
            }
            Err(errno) => Err(errno),
        }
    }

    /// What `O_TRUNC` means for a file that is open, for reading alone perhaps.
    fn truncate_opened(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        if !FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode).is_file() {
            return Ok(());
        }
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let link = handle_path(file)?;
        let writable = rustix::fs::openat(&self.world.proc, link.as_c_str(), flags, Mode::empty())?;
        rustix::fs::ftruncate(&writable, 0)
    }

    /// What the caller gets for a file that was made. If it gets nothing, there is none.
    fn created(
        &mut self,
        (place, directory): (&Place, BorrowedFd<'_>),
        (file, flags): (OwnedFd, OFlags),
        asked_about: AskedAbout,
    ) -> Result<OwnedFd, Errno> {
        let name = place.name.as_c_str();
        let given = match asked_about {
            AskedAbout::New(NewFile::StandIn) => {
                self.stand_in(place, directory, (file.as_fd(), flags))
            }
            AskedAbout::New(NewFile::Given) | AskedAbout::Name | AskedAbout::File(..) => {
                let session = &mut self.state.git;
                session.note_file(directory, name, file.as_fd());
                return Ok(file);
            }
        };
        if given.is_err() {
            let own = rustix::fs::fstat(&file)?;
            let there = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino) {
                rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
            }
        }
        given
    }

    /// Opens what a descriptor of a process refers to, once more.
    fn open_object(&mut self, object: Object, flags: OFlags, mode: Mode) -> Result<Outcome, Errno> {
        if flags.contains(OFlags::CREATE | OFlags::EXCL) {
            return Err(Errno::EXIST);
        }
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC);
        let access = if writes { Access::Write } else { Access::Read };
        let handle = self.permit_object(object, access, &Change::OpenExistingForWrite)?;
        let link = handle_path(handle.as_fd())?;
        let asked = (flags | ALWAYS) - OFlags::NOFOLLOW - OFlags::CREATE;
        let mode = if flags.contains(OFlags::TMPFILE) {
            self.adopt_umask()?;
            without_set_id(mode)
        } else {
            Mode::empty()
        };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode);
        if flags.contains(OFlags::CREATE) && kind.is_dir() {
            return Err(Errno::ISDIR);
        }
        match rustix::fs::openat(&self.world.proc, link.as_c_str(), asked, mode) {
            Ok(file) => self.opened(file, flags),
            Err(Errno::NXIO) if !flags.contains(OFlags::NONBLOCK) => {
                if kind.is_fifo() {
                    self.wait(handle, flags, End::Writer)
                } else {
                    Err(Errno::NXIO)
                }
            }
            Err(errno) => Err(errno),
        }
    }

    /// What the caller gets for an open file. A FIFO that was opened for reading waits for a writer.
    fn opened(&mut self, file: OwnedFd, flags: OFlags) -> Result<Outcome, Errno> {
        let reads = !flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::NONBLOCK);
        if reads {
            let status = rustix::fs::fstat(&file)?;
            let is_fifo = FileType::from_raw_mode(status.st_mode).is_fifo();
            if is_fifo && !fifo::has_partner(file.as_fd(), &mut self.state.fifo_probe)? {
                return self.wait(file, flags, End::Reader);
            }
        }
        descriptor(file, flags)
    }

    fn wait(&mut self, fifo: OwnedFd, flags: OFlags, end: End) -> Result<Outcome, Errno> {
        if self.state.waiting.len() >= WaitingOpen::MOST {
            return Err(Errno::AGAIN);
        }
        self.state.waiting.push(WaitingOpen {
            id: self.id,
            thread: self.view.caller.thread,
            flags,
            fifo,
            end,
            held: self.world.holdings.hold(1)?,
        });
        Ok(Outcome::Later)
    }
}

/// How often a name is asked about anew that the host changes meanwhile.
const MOST_CHANGES: usize = 16;
/// Takes off what was added for this thread's sake.
pub(super) fn descriptor(file: OwnedFd, flags: OFlags) -> Result<Outcome, Errno> {
    if !flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(&file, flags & STATUS_FLAGS)?;
    }
    Ok(Outcome::Descriptor(Opened {
        file,
        flags,
        created: None,
    }))
}
