//! The process whose call is answered: its memory, its directories, its ids.

use std::{
    ffi::{CString, OsString},
    fmt::Write as _,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    thread::CapabilitySet,
};

use crate::sys::{self, Errno};

/// `PATH_MAX` of linux/limits.h, the terminator included.
pub(super) const PATH_MAX: usize = 4096;
/// What most paths fit into.
const USUAL_PATH: usize = 256;

/// A handle to a place, nothing more.
pub(super) const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// A thread that waits for its call's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'s> {
    /// Its thread id as the host numbers it.
    pub(super) thread: i32,
    /// The host's `/proc`.
    pub(super) proc: BorrowedFd<'s>,
}

impl Caller<'_> {
    /// The text at an address, up to its terminator.
    pub(super) fn text(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let mut text = vec![0; USUAL_PATH];
        if self.terminated(address, &mut text)? {
            return Ok(text);
        }
        text.resize(PATH_MAX, 0);
        if self.terminated(address, &mut text)? {
            Ok(text)
        } else {
            Err(Errno::NAMETOOLONG)
        }
    }

    /// Fills the buffer and cuts it before the terminator, if there is one.
    fn terminated(&self, address: u64, text: &mut Vec<u8>) -> Result<bool, Errno> {
        let length = sys::memory::read(self.thread, address, text)?;
        let read = text.get(..length).unwrap_or_default();
        match read.iter().position(|byte| *byte == 0) {
            Some(end) => {
                text.truncate(end);
                Ok(true)
            }
            // Less than was asked for: the memory ends before the text does.
            None if length < text.len() => Err(Errno::FAULT),
            None => Ok(false),
        }
    }

    /// Exactly that much memory.
    pub(super) fn bytes(&self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        // A read covers two pages at most.
        for (index, chunk) in into.chunks_mut(PATH_MAX).enumerate() {
            let offset = u64::try_from(index * PATH_MAX).map_err(|_large| Errno::FAULT)?;
            let length = sys::memory::read(self.thread, address.wrapping_add(offset), chunk)?;
            if length < chunk.len() {
                return Err(Errno::FAULT);
            }
        }
        Ok(())
    }

    /// The directory that relative paths of a call start from.
    pub(super) fn base(&self, directory: i32) -> Result<OwnedFd, Errno> {
        if directory == libc::AT_FDCWD {
            return self.open(format_args!("cwd"));
        }
        if directory < 0 {
            return Err(Errno::BADF);
        }
        match self.open(format_args!("fd/{directory}")) {
            Err(Errno::NOENT) => Err(Errno::BADF),
            other => other,
        }
    }

    /// What a descriptor has open: `EBADF` for a mere place (`O_PATH`), whose link in `/proc` has no permissions.
    pub(super) fn opened(&self, descriptor: i32) -> Result<OwnedFd, Errno> {
        if descriptor < 0 {
            return Err(Errno::BADF);
        }
        let file = self.base(descriptor)?;
        let link = self.entry(format_args!("fd/{descriptor}"))?;
        let status = rustix::fs::statat(self.proc, link.as_c_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        if Mode::from_raw_mode(status.st_mode).intersects(Mode::RUSR | Mode::WUSR) {
            Ok(file)
        } else {
            Err(Errno::BADF)
        }
    }

    /// The directory that absolute paths of a call start from.
    pub(super) fn root(&self) -> Result<OwnedFd, Errno> {
        self.open(format_args!("root"))
    }

    fn open(&self, entry: std::fmt::Arguments<'_>) -> Result<OwnedFd, Errno> {
        let path = self.entry(entry)?;
        rustix::fs::openat(self.proc, path.as_c_str(), PLACE, Mode::empty())
    }

    fn entry(&self, entry: std::fmt::Arguments<'_>) -> Result<CString, Errno> {
        let mut path = String::with_capacity(32);
        write!(path, "{}/{entry}", self.thread).map_err(|_error| Errno::NOMEM)?;
        CString::new(path).map_err(|_nul| Errno::INVAL)
    }

    /// Its user namespace (namespaces(7)).
    pub(super) fn user_namespace(&self) -> Result<OwnedFd, Errno> {
        let path = self.entry(format_args!("ns/user"))?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(self.proc, path.as_c_str(), flags, Mode::empty())
    }

    /// What it may do in there (capabilities(7)).
    pub(super) fn capabilities(&self) -> Result<CapabilitySet, Errno> {
        let status = self.status()?;
        let digits = field(&status, b"CapEff:").ok_or(Errno::ACCESS)?;
        let digits = str::from_utf8(digits).map_err(|_not_text| Errno::ACCESS)?;
        let bits = u64::from_str_radix(digits, 16).map_err(|_not_hexadecimal| Errno::ACCESS)?;
        Ok(CapabilitySet::from_bits_retain(bits))
    }

    /// Its memory, to be written.
    pub(super) fn memory(&self) -> Result<OwnedFd, Errno> {
        let path = self.entry(format_args!("mem"))?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(self.proc, path.as_c_str(), flags, Mode::empty())
    }

    /// What the kernel tells about the thread (proc_pid_status(5)).
    fn status(&self) -> Result<Vec<u8>, Errno> {
        self.read(format_args!("status"))
    }

    fn read(&self, entry: std::fmt::Arguments<'_>) -> Result<Vec<u8>, Errno> {
        let path = self.entry(entry)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.proc, path.as_c_str(), flags, Mode::empty())?;
        let mut content = vec![0; PATH_MAX];
        let length = rustix::io::read(&file, &mut content)?;
        content.truncate(length);
        Ok(content)
    }

    /// Its umask now.
    pub(super) fn umask(&self) -> Result<Mode, Errno> {
        let status = self.status()?;
        let digits = field(&status, b"Umask:").ok_or(Errno::ACCESS)?;
        let digits = str::from_utf8(digits).map_err(|_not_text| Errno::ACCESS)?;
        let bits = u32::from_str_radix(digits, 8).map_err(|_not_octal| Errno::ACCESS)?;
        Ok(Mode::from_bits_retain(bits))
    }

    /// Whether a signal waits that it has a handler for.
    pub(super) fn has_caught_signal(&self) -> bool {
        let Ok(status) = self.status() else {
            return false;
        };
        let mask = |name: &[u8]| {
            let digits = field(&status, name).and_then(|digits| str::from_utf8(digits).ok());
            digits
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .unwrap_or(0)
        };
        let pending = mask(b"SigPnd:") | mask(b"ShdPnd:");
        pending & mask(b"SigCgt:") & !mask(b"SigBlk:") != 0
    }

    /// The largest file that it may make (`RLIMIT_FSIZE`); none without a limit.
    pub(super) fn file_size_limit(&self) -> Result<Option<u64>, Errno> {
        let limits = self.read(format_args!("limits"))?;
        let soft = field(&limits, b"Max file size").ok_or(Errno::ACCESS)?;
        let soft = soft.split(u8::is_ascii_whitespace).next();
        let soft = soft.and_then(|soft| str::from_utf8(soft).ok());
        Ok(soft.and_then(|soft| soft.parse().ok()))
    }

    /// What its thread calls itself.
    pub(super) fn name(&self) -> Result<Vec<u8>, Errno> {
        let mut name = self.read(format_args!("comm"))?;
        if name.last() == Some(&b'\n') {
            name.pop();
        }
        Ok(name)
    }

    /// The file that it runs.
    pub(super) fn executable(&self) -> Result<OsString, Errno> {
        let path = self.entry(format_args!("exe"))?;
        let text =
            rustix::fs::readlinkat(self.proc, path.as_c_str(), Vec::with_capacity(PATH_MAX))?;
        Ok(OsString::from_vec(text.into_bytes()))
    }

    /// The user that the kernel judges its file accesses by (credentials(7)).
    pub(super) fn fs_user(&self) -> Result<u32, Errno> {
        let status = self.status()?;
        let mut numbers = field(&status, b"Uid:")
            .ok_or(Errno::ACCESS)?
            .split(u8::is_ascii_whitespace);
        // Real, effective, saved, and this one.
        let number = numbers.nth(3).ok_or(Errno::ACCESS)?;
        let number = str::from_utf8(number).map_err(|_not_text| Errno::ACCESS)?;
        number.parse().map_err(|_no_number| Errno::ACCESS)
    }

    /// Its process as the host numbers it.
    pub(super) fn process(&self) -> Result<i32, Errno> {
        let status = self.status()?;
        let number = field(&status, b"Tgid:").ok_or(Errno::ACCESS)?;
        let number = str::from_utf8(number).map_err(|_not_text| Errno::ACCESS)?;
        number.parse().map_err(|_no_number| Errno::ACCESS)
    }

    /// Its ids (process, thread) as a pid namespace numbers them: that of the host's `/proc`, or the
    /// sandbox's, one level below. The caller itself may be in a further one.
    pub(super) fn ids(&self, level: usize) -> Result<(u32, u32), Errno> {
        let status = self.status()?;
        let number = |name: &[u8]| {
            let numbers = field(&status, name)?;
            let mut levels = numbers
                .split(u8::is_ascii_whitespace)
                .filter(|digits| !digits.is_empty());
            str::from_utf8(levels.nth(level)?).ok()?.parse().ok()
        };
        number(b"NStgid:")
            .zip(number(b"NSpid:"))
            .ok_or(Errno::ACCESS)
    }

    /// Session and terminal (`/proc/pid/stat`, fields 6 and 7; proc_pid_stat(5)).
    pub(super) fn terminal(&self) -> Result<(i32, u32), Errno> {
        let stat = self.read(format_args!("stat"))?;
        // The name in parentheses may hold anything, parentheses too.
        let after_name = stat.iter().rposition(|byte| *byte == b')');
        let rest = after_name.and_then(|at| stat.get(at + 2..));
        let mut fields = rest.unwrap_or_default().split(|byte| *byte == b' ');
        let mut number =
            |index| -> Option<i64> { str::from_utf8(fields.nth(index)?).ok()?.parse().ok() };
        // After the name: state, parent, group, session, terminal.
        let (session, terminal) = number(3).zip(number(0)).ok_or(Errno::ACCESS)?;
        let session = i32::try_from(session).map_err(|_large| Errno::ACCESS)?;
        let terminal = u32::try_from(terminal).map_err(|_negative| Errno::ACCESS)?;
        Ok((session, terminal))
    }
}

/// The value of a field of `status`.
pub(super) fn field<'s>(status: &'s [u8], name: &[u8]) -> Option<&'s [u8]> {
    let mut lines = status.split(|byte| *byte == b'\n');
    lines
        .find_map(|line| line.strip_prefix(name))
        .map(<[u8]>::trim_ascii)
}
