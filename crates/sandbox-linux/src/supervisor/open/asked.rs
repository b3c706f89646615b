//! Whether a place may be opened, and what of it.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::{
    supervisor::{
        Answering, fifo,
        git::{self, Change, Content, NewName},
        permit::{Access, NewFile, Through, is_there},
        refusal::Writer,
        resolve::{Place, is_link, open_place},
    },
    sys::Errno,
};

/// What may be opened of a place.
pub(super) enum Permission {
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
pub(super) enum AskedAbout {
    /// Whatever has the name.
    Name,
    /// A file that is to be made.
    New(NewFile),
    /// This device and inode.
    File(u64, u64),
}

impl AskedAbout {
    /// Whether it is about no file that exists.
    pub(super) fn is_new(self) -> bool {
        matches!(self, Self::New(_))
    }

    /// Whether it is about a file that was opened.
    pub(super) fn is(self, file: BorrowedFd<'_>) -> Result<bool, Errno> {
        match self {
            Self::Name | Self::New(_) => Ok(true),
            Self::File(device, inode) => {
                let status = rustix::fs::fstat(file)?;
                Ok((status.st_dev, status.st_ino) == (device, inode))
            }
        }
    }
}

impl Answering<'_> {
    pub(super) fn stand_in(
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
    pub(super) fn permit_unless_link(
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
}
