//! Directories of the host's that are changed in a copy: overlayfs (Documentation/filesystems/overlayfs.rst
//! of the kernel).
//!
//! The changes go to a tmpfs of our own. It lies on top of the root directory while the overlays are
//! made, where no look-up from the root gets to it: before Linux 6.15 a layer must belong to a mount that
//! is attached. Then it is detached. The overlays keep it, and it is gone with the last of them.

use std::{
    ffi::CStr,
    io::Write as _,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Uid, XattrFlags},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags},
    path::DecInt,
};

use super::{mounts::new_filesystem, places::Places};
use crate::sys::Errno;

const FLAGS: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// Where the changes are kept, while overlays are made.
#[derive(Debug)]
pub(super) struct Layers {
    root: OwnedFd,
    made: u32,
}

impl Layers {
    /// `EOPNOTSUPP` where a tmpfs has no extended attributes of users, by which overlayfs marks what was
    /// removed (they came with Linux 6.6).
    pub(super) fn new() -> Result<Self, Errno> {
        let root = new_filesystem(c"tmpfs", &[(c"mode", c"755")], FLAGS)?;
        Places::default().attach(c"/", &root)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let probe = rustix::fs::openat(&root, c".", flags, Mode::empty())?;
        rustix::fs::fsetxattr(&probe, c"user.overlay.probe", b"y", XattrFlags::CREATE)?;
        Ok(Self { root, made: 0 })
    }

    /// A detached mount that shows the directory and keeps changes to itself.
    pub(super) fn over(&mut self, lower: &OwnedFd) -> Result<OwnedFd, Errno> {
        let upper = self.directory()?;
        let work = self.directory()?;
        self.adopt_mode(lower, &upper)?;
        let overlay = rustix::mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let layers = [
            (c"lowerdir", lower),
            (c"upperdir", &upper),
            (c"workdir", &work),
        ];
        for (key, layer) in layers {
            let mut buffer = [0; 32];
            let path = path_of(layer, &mut buffer)?;
            rustix::mount::fsconfig_set_string(&overlay, key, path)?;
        }
        // The marks are attributes that a user namespace may set.
        rustix::mount::fsconfig_set_flag(&overlay, c"userxattr")?;
        rustix::mount::fsconfig_create(&overlay)?;
        rustix::mount::fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, FLAGS)
    }

    /// Takes the layers out of everybody's sight.
    pub(super) fn detach(self) -> Result<(), Errno> {
        rustix::process::fchdir(&self.root)?;
        rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
        rustix::process::chdir(c"/")
    }

    fn directory(&mut self) -> Result<OwnedFd, Errno> {
        let name = DecInt::new(self.made);
        self.made += 1;
        rustix::fs::mkdirat(&self.root, name.as_c_str(), Mode::RWXU)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.root, name.as_c_str(), flags, Mode::empty())
    }

    /// The upper directory is what the overlay's root shows of itself. Where its owner has no number here,
    /// ours owns it, and may do what everybody may.
    fn adopt_mode(&self, lower: &OwnedFd, upper: &OwnedFd) -> Result<(), Errno> {
        let status = rustix::fs::fstat(lower)?;
        let name = DecInt::new(self.made - 2);
        let (owner, group) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
        let flags = AtFlags::EMPTY_PATH;
        let is_owned = rustix::fs::chownat(upper, c"", Some(owner), Some(group), flags).is_ok();
        let found = Mode::from_raw_mode(status.st_mode);
        let mode = if is_owned {
            found
        } else {
            let others = found & (Mode::ROTH | Mode::WOTH | Mode::XOTH);
            let bits = others.bits();
            Mode::from_bits_truncate(bits | (bits << 3) | (bits << 6)) | (found & Mode::SVTX)
        };
        rustix::fs::chmodat(&self.root, name.as_c_str(), mode, AtFlags::empty())
    }
}

/// The path of a descriptor (proc_pid_fd(5)), which mount options can name.
fn path_of<'b>(file: &OwnedFd, buffer: &'b mut [u8; 32]) -> Result<&'b CStr, Errno> {
    let mut rest = buffer.as_mut_slice();
    let number = file.as_fd().as_raw_fd();
    write!(rest, "/proc/self/fd/{number}\0").map_err(|_full| Errno::NAMETOOLONG)?;
    CStr::from_bytes_until_nul(buffer).map_err(|_unended| Errno::NAMETOOLONG)
}
