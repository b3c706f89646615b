//! What is found through a descriptor (`/proc/self/fd/3`) and is at no place inside.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, FsWord, OFlags};

use super::{
    Answering,
    git::{Change, Content},
    permit::{Access, NewFile, Through},
    resolve::{Place, mount_and_inode},
};
use crate::sys::Errno;

/// Major numbers of pseudo-terminals (Documentation/admin-guide/devices.txt of the kernel).
const TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// linux/magic.h.
const FUSE_SUPER_MAGIC: FsWord = 0x6573_5546;

impl Answering<'_> {
    /// Something that was found through a descriptor and is at no place inside. Where names close files
    /// for reading, a handle to one that was closed can outlive its name.
    pub(super) fn permit_unplaced(
        &self,
        handle: OwnedFd,
        access: Access,
        link: Option<&[u8]>,
    ) -> Result<OwnedFd, Errno> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode);
        let rules = &self.world.rules;
        if access != Access::Read || !kind.is_file() || !rules.judges_opens() {
            return Ok(handle);
        }
        if link.is_some_and(|link| self.reads_already(link, handle.as_fd())) {
            return Ok(handle);
        }
        let path = self.view.path_of(handle.as_fd())?;
        // A memory file (memfd_create(2)) has such a path, and nothing else can.
        let is_memory = path.starts_with(b"/memfd:");
        let is_gone = path.ends_with(b" (deleted)");
        if is_memory || (!is_gone && rules.may_read(&path)) {
            Ok(handle)
        } else {
            Err(Errno::ACCESS)
        }
    }

    /// A file whose name is gone, while it has others, which nobody can find: it is judged by the one that it
    /// had. The command can have given it no other one without the same permission, and made its first one so.
    pub(super) fn permit_former(
        &mut self,
        handle: OwnedFd,
        access: Access,
        change: &Change<'_>,
    ) -> Result<OwnedFd, Errno> {
        let place = self.former_place(handle.as_fd())?;
        let permitted = self.permit_change(&place, access, change)?;
        match permitted.through {
            Through::Sandbox
                if permitted.vets != Some(Content::Settings)
                    && permitted.new_file != NewFile::StandIn =>
            {
                Ok(handle)
            }
            // What is at that name now is another file.
            Through::Sandbox | Through::Host(_) => Err(Errno::ACCESS),
        }
    }

    fn former_place(&self, handle: BorrowedFd<'_>) -> Result<Place, Errno> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(handle)?.st_mode);
        let path = self.view.path_of(handle)?;
        let former = path.strip_suffix(b" (deleted)").filter(|_| kind.is_file());
        let former = former.ok_or(Errno::NOENT)?;
        let place = self.view.place_of_text(libc::AT_FDCWD, former)?;
        let (mount, _) = mount_and_inode(handle)?;
        // It was opened in that very directory: a descriptor that came from elsewhere has another mount, and so
        // has a file that is closed by a mount of its own.
        let is_it = place.path == former && mount == place.mount()?;
        is_it.then_some(place).ok_or(Errno::NOENT)
    }

    /// Whether a link below `/proc` is one of the caller's own descriptors by which it can read the file
    /// anyway.
    fn reads_already(&self, link: &[u8], file: BorrowedFd<'_>) -> bool {
        let own = || {
            let below = link.strip_prefix(b"/proc/")?;
            let mut components = below.split(|byte| *byte == b'/');
            let process = str::from_utf8(components.next()?).ok()?.parse().ok()?;
            let number = str::from_utf8(components.next_back()?).ok()?.parse().ok()?;
            let is_descriptor = components.next_back() == Some(b"fd");
            (is_descriptor && self.view.is_own(process).ok()?).then_some(number)
        };
        let reads = |number| -> Result<bool, Errno> {
            let descriptor = self.descriptor(number)?;
            let flags = rustix::fs::fcntl_getfl(&descriptor)?;
            let (one, other) = (rustix::fs::fstat(&descriptor)?, rustix::fs::fstat(file)?);
            let is_same = (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
            let is_handle = flags.contains(OFlags::PATH);
            Ok(is_same && !is_handle && flags & OFlags::RWMODE != OFlags::WRONLY)
        };
        own().is_some_and(|number| reads(number).unwrap_or(false))
    }

    /// What was found through a descriptor and has no name that a rule could mean: pipes, sockets,
    /// removed files, and terminals, whose names are of the host. Some file systems (FUSE) count no names, so the
    /// count alone does not tell.
    pub(super) fn is_nameless(&self, handle: BorrowedFd<'_>) -> Result<bool, Errno> {
        self.is_still_waiting()?;
        let status = rustix::fs::fstat(handle)?;
        let is_terminal = FileType::from_raw_mode(status.st_mode).is_char_device()
            && TERMINALS.contains(&rustix::fs::major(status.st_rdev));
        if status.st_nlink != 0 || is_terminal {
            return Ok(is_terminal);
        }
        let path = self.view.path_of(handle)?;
        // A program that serves files may serve this one again by the name that it had: that name is asked about.
        let is_served = rustix::fs::fstatfs(handle)?.f_type == FUSE_SUPER_MAGIC;
        let is_gone = !path.starts_with(b"/") || (path.ends_with(b" (deleted)") && !is_served);
        Ok(is_gone && !matches!(self.view.place_of(handle), Ok(Some(_))))
    }
}
