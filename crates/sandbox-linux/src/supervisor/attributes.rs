//! Calls that change a file's length, mode, owner, times or extended attributes by its path.

use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, Uid, XattrFlags,
};

use super::{
    Answering, Outcome,
    git::Change,
    paths::handle_path,
    permit::Access,
    request::{InodeFlagRequest, PathArgument, TimesArgument},
    resolve::Object,
};
use crate::sys::{self, Errno};

/// `XATTR_SIZE_MAX` of linux/limits.h.
const LARGEST_ATTRIBUTE: u64 = 65_536;

impl Answering<'_> {
    pub(super) fn truncate(&mut self, path: PathArgument, length: u64) -> Result<Outcome, Errno> {
        if i64::try_from(length).is_err() {
            return Err(Errno::INVAL);
        }
        let object = self.view.object(path, true)?;
        // Nothing else is opened: that would wake whoever waits at a FIFO.
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&object.handle)?.st_mode);
        if !kind.is_file() {
            return Err(if kind.is_dir() {
                Errno::ISDIR
            } else {
                Errno::INVAL
            });
        }
        let limit = self.view.caller.file_size_limit()?;
        let handle = self.permit_object(object, Access::Write, &Change::OpenExistingForWrite)?;
        // The kernel would look at this process's limit.
        if limit.is_some_and(|limit| length > limit) {
            return Err(Errno::FBIG);
        }
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let link = handle_path(handle.as_fd())?;
        let file = rustix::fs::openat(&self.world.proc, link.as_c_str(), flags, Mode::empty())?;
        rustix::fs::ftruncate(&file, length)?;
        Ok(Outcome::Done)
    }

    pub(super) fn change_mode(&mut self, path: PathArgument, mode: Mode) -> Result<Outcome, Errno> {
        let object = self.object_of(path, true)?;
        let status = rustix::fs::fstat(&object.handle)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        let is_directory = kind.is_dir();
        // git asks with the file's type in the number as well.
        let wanted = Mode::from_raw_mode(mode.as_raw_mode());
        let difference = Mode::from_raw_mode(status.st_mode) ^ wanted;
        let change = if kind.is_file() && difference == Mode::XUSR {
            Change::TryExecution
        } else {
            Change::Metadata
        };
        let handle = self.permit_object(object, Access::Write, &change)?;
        let mode = if is_directory {
            mode
        } else {
            without_set_id(mode)
        };
        let link = handle_path(handle.as_fd())?;
        rustix::fs::chmodat(&self.world.proc, link.as_c_str(), mode, AtFlags::empty())?;
        Ok(Outcome::Done)
    }

    pub(super) fn change_owner(
        &mut self,
        path: PathArgument,
        (user, group): (u32, u32),
        flags: AtFlags,
    ) -> Result<Outcome, Errno> {
        let follow = !flags.contains(AtFlags::SYMLINK_NOFOLLOW);
        let handle = self.object_or_base(path, flags, follow)?;
        let user = (user != u32::MAX).then(|| Uid::from_raw(user));
        let group = (group != u32::MAX).then(|| Gid::from_raw(group));
        rustix::fs::chownat(&handle, c"", user, group, AtFlags::EMPTY_PATH)?;
        Ok(Outcome::Done)
    }

    pub(super) fn set_times(
        &mut self,
        path: PathArgument,
        times: TimesArgument,
        flags: AtFlags,
    ) -> Result<Outcome, Errno> {
        let times = self.times(times)?;
        let follow = !flags.contains(AtFlags::SYMLINK_NOFOLLOW);
        let handle = self.object_or_base(path, flags, follow)?;
        let link = handle_path(handle.as_fd())?;
        rustix::fs::utimensat(&self.world.proc, link.as_c_str(), &times, AtFlags::empty())?;
        Ok(Outcome::Done)
    }

    pub(super) fn set_attribute(
        &mut self,
        path: PathArgument,
        name: u64,
        (value, length): (u64, u64),
        flags: u32,
        follow: bool,
    ) -> Result<Outcome, Errno> {
        if length > LARGEST_ATTRIBUTE {
            return Err(Errno::TOOBIG);
        }
        let name = self.attribute_name(name)?;
        let length = usize::try_from(length).map_err(|_large| Errno::TOOBIG)?;
        let mut content = vec![0; length];
        self.view.caller.bytes(value, &mut content)?;
        let handle = self.subject(path, follow)?;
        let flags = XattrFlags::from_bits_retain(flags);
        rustix::fs::setxattr(absolute(handle.as_fd()), name.as_c_str(), &content, flags)?;
        Ok(Outcome::Done)
    }

    pub(super) fn remove_attribute(
        &mut self,
        path: PathArgument,
        name: u64,
        follow: bool,
    ) -> Result<Outcome, Errno> {
        let name = self.attribute_name(name)?;
        let handle = self.subject(path, follow)?;
        rustix::fs::removexattr(absolute(handle.as_fd()), name.as_c_str())?;
        Ok(Outcome::Done)
    }

    /// Inode flags (ioctl_iflags(2)) and a project, of a file that the caller has open.
    pub(super) fn set_inode_flags(
        &mut self,
        file: i32,
        request: InodeFlagRequest,
        address: u64,
    ) -> Result<Outcome, Errno> {
        let mut argument = [0_u8; InodeFlagRequest::LARGEST];
        let argument = argument.get_mut(..request.length()).ok_or(Errno::INVAL)?;
        self.view.caller.bytes(address, argument)?;
        let object = Object::of_descriptor(self.view.caller.opened(file)?);
        let handle = self.permit_object(object, Access::Write, &Change::Metadata)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let link = handle_path(handle.as_fd())?;
        let file = rustix::fs::openat(&self.world.proc, link.as_c_str(), flags, Mode::empty())?;
        sys::fd::set_inode_flags(file.as_fd(), request.number(), argument)?;
        Ok(Outcome::Done)
    }

    fn attribute_name(&self, address: u64) -> Result<CString, Errno> {
        let name = self.view.caller.text(address)?;
        CString::new(name).map_err(|_nul| Errno::INVAL)
    }

    /// As [`Self::subject`]; with `AT_EMPTY_PATH` an empty path means where it starts, also by a mere place (`O_PATH`).
    fn object_or_base(
        &mut self,
        path: PathArgument,
        flags: AtFlags,
        follow: bool,
    ) -> Result<OwnedFd, Errno> {
        let known = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
        if !known.contains(flags) || (path.is_descriptor && !flags.is_empty()) {
            return Err(Errno::INVAL);
        }
        let may_be_empty = flags.contains(AtFlags::EMPTY_PATH);
        if may_be_empty && self.view.caller.text(path.address)?.is_empty() {
            let object = Object::of_descriptor(self.view.caller.base(path.directory)?);
            return self.permit_object(object, Access::Write, &Change::Metadata);
        }
        self.subject(path, follow)
    }

    /// What is changed: the object of a path, or what a descriptor has open.
    fn subject(&mut self, path: PathArgument, follow: bool) -> Result<OwnedFd, Errno> {
        let object = self.object_of(path, follow)?;
        self.permit_object(object, Access::Write, &Change::Metadata)
    }

    fn object_of(&self, path: PathArgument, follow: bool) -> Result<Object, Errno> {
        if path.is_descriptor {
            Ok(Object::of_descriptor(
                self.view.caller.opened(path.directory)?,
            ))
        } else {
            self.view.object(path, follow)
        }
    }

    fn times(&self, argument: TimesArgument) -> Result<Timestamps, Errno> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let (address, count) = match argument {
            TimesArgument::Nanoseconds(address) | TimesArgument::Microseconds(address) => {
                (address, 4)
            }
            TimesArgument::Seconds(address) => (address, 2),
        };
        let mut numbers = [0_i64; 4];
        if address == 0 {
            return Ok(Timestamps {
                last_access: now,
                last_modification: now,
            });
        }
        let mut bytes = [0_u8; 32];
        let used = bytes.get_mut(..count * 8).ok_or(Errno::INVAL)?;
        self.view.caller.bytes(address, used)?;
        for (number, chunk) in numbers.iter_mut().zip(used.chunks_exact(8)) {
            let chunk = <[u8; 8]>::try_from(chunk).map_err(|_length| Errno::INVAL)?;
            *number = i64::from_ne_bytes(chunk);
        }
        let [a, b, c, d] = numbers;
        let microseconds = |seconds, micros: i64| {
            if (0..1_000_000).contains(&micros) {
                Ok(Timespec {
                    tv_sec: seconds,
                    tv_nsec: micros * 1000,
                })
            } else {
                Err(Errno::INVAL)
            }
        };
        let (last_access, last_modification) = match argument {
            TimesArgument::Nanoseconds(_) => (
                Timespec {
                    tv_sec: a,
                    tv_nsec: b,
                },
                Timespec {
                    tv_sec: c,
                    tv_nsec: d,
                },
            ),
            TimesArgument::Microseconds(_) => (microseconds(a, b)?, microseconds(c, d)?),
            TimesArgument::Seconds(_) => (microseconds(a, 0)?, microseconds(b, 0)?),
        };
        Ok(Timestamps {
            last_access,
            last_modification,
        })
    }
}

/// A set-user-id program in a write root would be one outside as well: whoever of the host executes it would run
/// the command's code as the user of `srt`, and under no sandbox.
pub(super) fn without_set_id(mode: Mode) -> Mode {
    mode - (Mode::SUID | Mode::SGID)
}

/// For calls that take no directory.
fn absolute(handle: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}
