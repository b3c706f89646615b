//! Opening files.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::{
    Answering, Outcome,
    attributes::without_set_id,
    caller::Caller,
    fifo::{self, End, WaitingOpen},
    git::{self, Change, Content, NewName},
    opened::{Created, Opened},
    paths::handle_path,
    permit::{Access, NewFile, Through, is_there},
    refusal::Writer,
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

    fn stand_in(
        &mut self,
        place: &Place,
        directory: BorrowedFd<'_>,
        file: (BorrowedFd<'_>, OFlags),
    ) -> Result<OwnedFd, Errno> {
        let (proc, call, caller) = (self.world.proc.as_fd(), self.call, self.view.caller);
        let named = NewName {
            directory,
            path: place.parent_path(),
            name: place.name.as_c_str(),
        };
        let reopen = |file: BorrowedFd<'_>, flags| fifo::reopen(proc, file, flags);
        let session = &mut self.state.git;
        session.stand_in(named, file, || Writer::new(call, caller), reopen)
    }

    /// What is written to in the place of a file that is there: its content so far.
    fn write_beside(&mut self, place: &Place, directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let name = place.name.as_c_str();
        let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
        // What is no file has no content.
        if !FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode).is_file() {
            return Err(Errno::ACCESS);
        }
        let given = self.stand_in(place, directory, (file.as_fd(), OFlags::RDWR))?;
        let (mut file, mut content) = (File::from(file), File::from(given));
        let copied = std::io::copy(&mut file, &mut content);
        copied.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(content.into())
    }

    /// Permission to open a place; what is refused may still be a symlink to something permitted.
    fn permit_unless_link(
        &mut self,
        place: &Place,
        access: Access,
        flags: OFlags,
    ) -> Result<Permission, Errno> {
        let concerns_git =
            access == Access::Write && git::is_concerned(place.parent_path(), &place.name);
        if !concerns_git && self.would_permit(place, access)? {
            return self.grant(place, access).map(Permission::Granted);
        }
        let directory = place.directory.as_fd();
        let name = place.name.as_c_str();
        let exclusive = flags.contains(OFlags::CREATE | OFlags::EXCL);
        let mut change = Change::CreateFile;
        let mut asked_about = AskedAbout::New(NewFile::Given);
        match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) if exclusive => return Err(Errno::EXIST),
            Ok(status) if is_link(&status) => {
                return open_place(directory, &place.name).map(Permission::Link);
            }
            // As open(2) has it before anything is asked about permissions.
            Ok(status)
                if access == Access::Write
                    && FileType::from_raw_mode(status.st_mode).is_dir()
                    && !flags.intersects(OFlags::DIRECTORY) =>
            {
                return Err(Errno::ISDIR);
            }
            Ok(status) => {
                change = Change::OpenExistingForWrite;
                asked_about = if git::may_be_stood_in_for(&place.name) {
                    AskedAbout::File(status.st_dev, status.st_ino)
                } else {
                    AskedAbout::Name
                };
            }
            Err(Errno::NOENT)
                if flags.contains(OFlags::CREATE) && !place.path.starts_with(b"/proc/") => {}
            Err(errno) => return Err(errno),
        }
        let writes = flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC);
        if access == Access::Read {
            return self.permit(place, access).map(Permission::Granted);
        }
        if !writes && is_there(directory, place) {
            return self.permit(place, Access::Read).map(Permission::Existing);
        }
        let permitted = self.permit_change(place, access, &change)?;
        // That is about renames.
        if permitted.vets == Some(Content::Settings) {
            self.report_settings(place, None);
            return Err(Errno::ACCESS);
        }
        match &mut asked_about {
            AskedAbout::New(new) => *new = permitted.new_file,
            AskedAbout::File(..) if permitted.new_file == NewFile::StandIn => {
                let kept = if self.state.git.stands_in_at(directory, name) {
                    self.state.git.kept_at(directory, name)?
                } else {
                    self.write_beside(place, directory)?
                };
                return Ok(Permission::Kept(kept));
            }
            AskedAbout::File(..) | AskedAbout::Name => {}
        }
        Ok(Permission::Judged(permitted.through, asked_about))
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

    /// `/dev/tty` is whatever terminal the opener has, and the opener is this thread.
    fn terminal(&mut self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let (session, terminal) = self.view.caller.terminal()?;
        self.is_still_waiting()?;
        if terminal == 0 {
            return Err(Errno::NXIO);
        }
        let asked = (flags | ALWAYS) - OFlags::CREATE - OFlags::EXCL - OFlags::TRUNC;
        let this_thread = Caller {
            thread: rustix::thread::gettid().as_raw_nonzero().get(),
            ..self.view.caller
        };
        if session == this_thread.terminal()?.0 {
            return rustix::fs::open(c"/dev/tty", asked, Mode::empty());
        }
        // A terminal that was made inside (proc_pid_stat(5): the minor number in bits 31 to 20 and 7
        // to 0, the major in 15 to 8).
        let (major, minor) = (
            (terminal >> 8) & 0xff,
            (terminal & 0xff) | ((terminal >> 12) & 0xff_f00),
        );
        let number = u64::from(major.checked_sub(FIRST_TERMINAL).ok_or(Errno::NXIO)?) * 256
            + u64::from(minor);
        let path = format!("dev/pts/{number}");
        rustix::fs::openat(
            self.view.root,
            path.as_str(),
            asked | OFlags::NOFOLLOW,
            Mode::empty(),
        )
    }
}

enum Permission {
    Granted(Through),
    /// To open what exists for reading, although nothing may be created there.
    Existing(Through),
    Link(OwnedFd),
    /// What stands in for a file that stays as it is.
    Kept(OwnedFd),
    /// What was found there, or nothing, may be opened or made.
    Judged(Through, AskedAbout),
}

/// What a permission is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedAbout {
    /// Whatever has the name.
    Name,
    /// A file that is to be made.
    New(NewFile),
    /// This device and inode.
    File(u64, u64),
}

impl AskedAbout {
    /// Whether it is about no file that exists.
    fn is_new(self) -> bool {
        matches!(self, Self::New(_))
    }

    /// Whether it is about a file that was opened.
    fn is(self, file: BorrowedFd<'_>) -> Result<bool, Errno> {
        match self {
            Self::Name | Self::New(_) => Ok(true),
            Self::File(device, inode) => {
                let status = rustix::fs::fstat(file)?;
                Ok((status.st_dev, status.st_ino) == (device, inode))
            }
        }
    }
}

/// How often a name is asked about anew that the host changes meanwhile.
const MOST_CHANGES: usize = 16;
/// The first major number of pseudo-terminals.
const FIRST_TERMINAL: u32 = 136;

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
