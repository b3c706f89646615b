//! A minimal `/dev`: devices that are safe to share, a private `pts` and `shm`.

use std::{
    ffi::CStr,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    mount::{MountAttrFlags, MoveMountFlags, OpenTreeFlags},
};

use super::{
    mounts::{attach_beneath, new_filesystem},
    private::Private,
};
use crate::sys::{
    self, Errno,
    mount::{NO_EXEC, NO_SUID, READ_ONLY, Reach},
};

/// Devices whose drivers keep no state between processes, and the caller's own terminal.
const SHARED: [(&CStr, &CStr); 6] = [
    (c"null", c"/dev/null"),
    (c"zero", c"/dev/zero"),
    (c"full", c"/dev/full"),
    (c"random", c"/dev/random"),
    (c"urandom", c"/dev/urandom"),
    (c"tty", c"/dev/tty"),
];

const LINKS: [(&CStr, &CStr); 6] = [
    (c"/proc/self/fd", c"fd"),
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
    (c"pts/ptmx", c"ptmx"),
    (c"/proc/kcore", c"core"),
];

/// The names in the sandbox's `/dev`, its two directories aside.
pub fn names() -> impl Iterator<Item = &'static CStr> {
    let shared = SHARED.into_iter().map(|(name, _)| name);
    shared.chain(LINKS.into_iter().map(|(_, name)| name))
}

/// The shared devices' mounts, cloned while the host's `/dev` can still be reached.
pub(super) struct DeviceSources([Option<OwnedFd>; SHARED.len()]);

/// Clones the shared devices; one that the host lacks is left out.
pub(super) fn clone_sources() -> Result<DeviceSources, Errno> {
    let mut sources = [const { None }; SHARED.len()];
    for (slot, (_, path)) in sources.iter_mut().zip(SHARED) {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        *slot = match rustix::mount::open_tree(CWD, path, flags) {
            Ok(device) => {
                // A device on a read-only mount can be written; its mode and owner can't be changed.
                let attributes = READ_ONLY | NO_SUID | NO_EXEC;
                sys::mount::set_attributes(device.as_fd(), c"", Reach::One, attributes)?;
                Some(device)
            }
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(errno),
        };
    }
    Ok(DeviceSources(sources))
}

/// Fills an attached, empty `/dev`. It stays writable until the private parts in it are sealed.
pub(super) fn populate(device_mount: &OwnedFd, sources: DeviceSources) -> Result<Private, Errno> {
    let directory = device_mount.as_fd();
    for (source, (name, _)) in sources.0.into_iter().zip(SHARED) {
        let Some(source) = source else { continue };
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        drop(rustix::fs::openat(
            directory,
            name,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?);
        let target_flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&source, c"", directory, name, target_flags)?;
    }
    for (text, name) in LINKS {
        rustix::fs::symlinkat(text, directory, name)?;
    }
    let pts = new_filesystem(
        c"devpts",
        &[(c"mode", c"620"), (c"ptmxmode", c"666")],
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?;
    attach_beneath(directory, c"pts", &pts)?;
    let shared_memory = new_filesystem(
        c"tmpfs",
        &[(c"mode", c"1777")],
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )?;
    attach_beneath(directory, c"shm", &shared_memory)?;
    Private::new(device_mount.try_clone().map_err(|_full| Errno::MFILE)?)
}
