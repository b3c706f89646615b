//! Interprets the mount plan.
//!
//! Host trees are cloned first, by descriptors of paths that are resolved without following any
//! symlink and compared with the object that was judged; then the operations run in the plan's order.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    },
};

use super::{Context, StageFailure, Step, devices};
use crate::{
    facts::{FileIdentity, PathKind},
    plan::BindAccess,
    prepare::{MountAction, PreparedMount},
    sys::{
        self, Errno,
        mount::{NO_DEVICES, NO_EXEC, NO_SUID, READ_ONLY, Reach},
    },
};

/// Files of procfs that change the host when uid 0 writes them, whatever its capabilities are.
const GUARDED: [&CStr; 5] = [c"sys", c"sysrq-trigger", c"irq", c"bus", c"fs"];

/// Mode of directories on the way to a mount point: what can be listed there are names of paths
/// that the policy opens.
const ON_THE_WAY: Mode = Mode::RWXU
    .union(Mode::RGRP)
    .union(Mode::XGRP)
    .union(Mode::ROTH)
    .union(Mode::XOTH);

/// Filesystems of our own that parts of are mounted: an empty directory that nobody may open, and
/// one for files.
struct Private {
    closed: OwnedFd,
    files: OwnedFd,
}

/// Runs the plan's operations.
pub(super) fn set_up(context: &mut Context<'_>) -> Result<(), StageFailure> {
    let prepared = context.prepared;
    for (index, (mount, slot)) in prepared.mounts.iter().zip(&mut context.sources).enumerate() {
        *slot = clone_source(mount).map_err(|(step, errno)| StageFailure {
            step,
            errno,
            operation: Some(index),
        })?;
    }
    let mut devices = Some(devices::clone_sources().map_err(StageFailure::at(Step::MountSource))?);
    let private = Private::new().map_err(StageFailure::at(Step::Mount))?;
    for (index, mount) in prepared.mounts.iter().enumerate() {
        let source = context.sources.get_mut(index).and_then(Option::take);
        let attached =
            perform(mount, source, &mut devices, &private).map_err(|errno| StageFailure {
                step: Step::Mount,
                errno,
                operation: Some(index),
            })?;
        grant(context, mount, attached.as_ref()).map_err(|errno| StageFailure {
            step: Step::Grant,
            errno,
            operation: Some(index),
        })?;
    }
    Ok(())
}

/// Clones the host tree of a bind, whose object must be the one that was judged.
fn clone_source(mount: &PreparedMount) -> Result<Option<OwnedFd>, (Step, Errno)> {
    let MountAction::Bind {
        access, identity, ..
    } = &mount.action
    else {
        return Ok(None);
    };
    let found = resolve(&mount.target).map_err(|errno| (Step::MountSource, errno))?;
    let status = rustix::fs::fstat(&found).map_err(|errno| (Step::MountSource, errno))?;
    if (FileIdentity {
        device: status.st_dev,
        inode: status.st_ino,
    }) != *identity
    {
        return Err((Step::MountIdentity, Errno::STALE));
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree =
        rustix::mount::open_tree(&found, c"", flags).map_err(|errno| (Step::MountSource, errno))?;
    let read_only = match access {
        BindAccess::ReadOnly => READ_ONLY,
        BindAccess::Writable => 0,
    };
    let attributes = NO_SUID | NO_DEVICES | read_only;
    sys::mount::set_attributes(tree.as_fd(), c"", Reach::TreeMadePrivate, attributes)
        .map_err(|errno| (Step::Mount, errno))?;
    Ok(Some(tree))
}

/// Opens a path without following any symlink.
fn resolve(path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve) {
            // openat2(2): a rename raced with the look-up.
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
}

/// Runs one operation and returns the mount that it attached.
fn perform(
    mount: &PreparedMount,
    source: Option<OwnedFd>,
    devices: &mut Option<devices::DeviceSources>,
    private: &Private,
) -> Result<Option<OwnedFd>, Errno> {
    if mount.creates_target {
        create_target(mount)?;
    }
    let nosuid_nodev = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let attached = match &mount.action {
        MountAction::RootReadOnly => {
            let attributes = READ_ONLY | NO_SUID | NO_DEVICES;
            sys::mount::set_attributes(CWD, c"/", Reach::TreeMadePrivate, attributes)?;
            return resolve(c"/").map(Some);
        }
        MountAction::RootEmpty => return empty_root().map(Some),
        MountAction::Symlink { .. } => return Ok(None),
        MountAction::Seal => {
            let directory = resolve(&mount.target)?;
            sys::mount::set_attributes(directory.as_fd(), c"", Reach::One, READ_ONLY)?;
            return Ok(None);
        }
        MountAction::Bind { .. } => source.ok_or(Errno::BADF)?,
        MountAction::Scratch => new_filesystem(c"tmpfs", &[(c"mode", c"1777")], nosuid_nodev)?,
        MountAction::Devices => {
            let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            new_filesystem(c"tmpfs", &[(c"mode", c"755")], flags)?
        }
        MountAction::Proc { .. } => {
            let flags = nosuid_nodev | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            new_filesystem(c"proc", &[], flags)?
        }
        MountAction::MaskDirectory {
            holds_mount_points: true,
        } => {
            let flags = nosuid_nodev | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            new_filesystem(c"tmpfs", &[(c"mode", c"111")], flags)?
        }
        MountAction::MaskDirectory {
            holds_mount_points: false,
        } => clone_of(&private.closed)?,
        MountAction::MaskFile => private.closed_file()?,
        MountAction::File { content } => {
            private.file(c"hosts", Mode::from_raw_mode(0o444), content)?
        }
    };
    attach(&mount.target, &attached)?;
    if let MountAction::Devices = &mount.action {
        devices::populate(attached.as_fd(), devices.take().ok_or(Errno::BADF)?)?;
    }
    if let MountAction::Proc {
        guards_sysctls: true,
    } = &mount.action
    {
        guard(attached.as_fd())?;
    }
    Ok(Some(attached))
}

/// Creates a filesystem of its own, not attached anywhere yet.
pub(super) fn new_filesystem(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let filesystem = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(&filesystem, *key, *value)?;
    }
    rustix::mount::fsconfig_create(&filesystem)?;
    rustix::mount::fsmount(&filesystem, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Attaches a detached mount at a path that holds no symlink.
fn attach(target: &CStr, tree: &OwnedFd) -> Result<(), Errno> {
    let target = resolve(target)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", &target, c"", flags)
}

/// Makes a directory in a private one and attaches a mount there.
pub(super) fn attach_beneath(
    directory: BorrowedFd<'_>,
    name: &CStr,
    tree: &OwnedFd,
) -> Result<(), Errno> {
    rustix::fs::mkdirat(directory, name, Mode::RWXU)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", directory, name, flags)
}

fn clone_of(tree: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(tree, c"", flags)
}

impl Private {
    fn new() -> Result<Self, Errno> {
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let closed = new_filesystem(c"tmpfs", &[(c"mode", c"0")], flags)?;
        sys::mount::set_attributes(closed.as_fd(), c"", Reach::One, READ_ONLY)?;
        let files = new_filesystem(c"tmpfs", &[(c"mode", c"700")], flags)?;
        Ok(Self { closed, files })
    }

    /// A file with this content, detached and read-only.
    fn file(&self, name: &CStr, mode: Mode, content: &[u8]) -> Result<OwnedFd, Errno> {
        let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.files, name, create, mode)?;
        rustix::fs::fchmod(&file, mode)?;
        rustix::io::write(&file, content)?;
        self.clone_file(name)
    }

    fn clone_file(&self, name: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let file = rustix::mount::open_tree(&self.files, name, flags)?;
        let attributes = READ_ONLY | NO_SUID | NO_DEVICES | NO_EXEC;
        sys::mount::set_attributes(file.as_fd(), c"", Reach::One, attributes)?;
        Ok(file)
    }

    /// The file that nobody may open.
    fn closed_file(&self) -> Result<OwnedFd, Errno> {
        match self.clone_file(c"closed") {
            Err(Errno::NOENT) => self.file(c"closed", Mode::empty(), b""),
            other => other,
        }
    }
}

/// Makes the mount point of an operation, with its parents, in a private directory. Everything
/// around the private directories is read-only or a tree that exists, so nothing can be made on the
/// host.
fn create_target(mount: &PreparedMount) -> Result<(), Errno> {
    for parent in &mount.created_parents {
        make_directory(parent)?;
    }
    match &mount.action {
        MountAction::Symlink { to } => {
            rustix::fs::symlinkat(to.as_c_str(), CWD, mount.target.as_c_str())
        }
        MountAction::Bind {
            kind: PathKind::File,
            ..
        }
        | MountAction::File { .. }
        | MountAction::MaskFile => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, mount.target.as_c_str(), flags, Mode::empty()).map(drop)
        }
        MountAction::MaskDirectory { .. }
        | MountAction::Bind {
            kind: PathKind::Directory,
            ..
        }
        | MountAction::Scratch
        | MountAction::Devices
        | MountAction::Proc { .. }
        | MountAction::RootEmpty
        | MountAction::RootReadOnly
        | MountAction::Seal => make_directory(&mount.target),
    }
}

fn make_directory(path: &CStr) -> Result<(), Errno> {
    match rustix::fs::mkdirat(CWD, path, ON_THE_WAY) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // An ancestor above the private directory: it exists, and its tree is read-only.
        Err(errno) => {
            match rustix::fs::accessat(CWD, path, rustix::fs::Access::EXISTS, AtFlags::empty()) {
                Ok(()) => Ok(()),
                Err(_missing) => Err(errno),
            }
        }
    }
}

/// Replaces the root by an empty filesystem (pivot_root(2), the `.` variant of its notes).
fn empty_root() -> Result<OwnedFd, Errno> {
    sys::mount::set_attributes(CWD, c"/", Reach::TreeMadePrivate, 0)?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let root = new_filesystem(c"tmpfs", &[(c"mode", c"111")], flags)?;
    attach(c"/", &root)?;
    rustix::process::fchdir(&root)?;
    rustix::process::pivot_root(c".", c".")?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")?;
    Ok(root)
}

/// Makes parts of a procfs read-only by mounting them on themselves.
fn guard(proc: BorrowedFd<'_>) -> Result<(), Errno> {
    for name in GUARDED {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let part = match rustix::mount::open_tree(proc, name, flags) {
            Ok(part) => part,
            // Kernels are built without some of these.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        let attributes = READ_ONLY | NO_SUID | NO_DEVICES | NO_EXEC;
        sys::mount::set_attributes(part.as_fd(), c"", Reach::One, attributes)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&part, c"", proc, name, flags)?;
    }
    Ok(())
}

fn grant(
    context: &Context<'_>,
    mount: &PreparedMount,
    attached: Option<&OwnedFd>,
) -> Result<(), Errno> {
    let (Some(ruleset), Some(access), Some(attached)) = (&context.ruleset, mount.grant, attached)
    else {
        return Ok(());
    };
    let kind = match mount.action {
        MountAction::Bind {
            kind: PathKind::File,
            ..
        } => PathKind::File,
        MountAction::Bind { .. }
        | MountAction::RootReadOnly
        | MountAction::RootEmpty
        | MountAction::Proc { .. }
        | MountAction::Devices
        | MountAction::Scratch
        | MountAction::Symlink { .. }
        | MountAction::MaskDirectory { .. }
        | MountAction::MaskFile
        | MountAction::File { .. }
        | MountAction::Seal => PathKind::Directory,
    };
    let mask = context.rights.mask(access, kind);
    sys::landlock::add_path_beneath(ruleset.as_fd(), attached.as_fd(), mask)
}
