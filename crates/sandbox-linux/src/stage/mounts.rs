//! Interprets the mount plan.
//!
//! Host trees are cloned first, by descriptors of paths that are resolved without following any
//! symlink and compared with the object that was judged; then the operations run in the plan's order.

use std::{
    ffi::CStr,
    mem::ManuallyDrop,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    },
    process::{Resource, Rlimit},
};

use super::{
    Context, StageFailure, Step, devices,
    overlay::Layers,
    places::{Places, resolve},
    private::Private,
};
use crate::{
    facts::{FileIdentity, PathKind},
    plan::{BindAccess, MountKind},
    prepare::PreparedMount,
    sys::{
        self, Errno,
        mount::{NO_DEVICES, NO_EXEC, NO_SUID, READ_ONLY, Reach},
    },
};

/// Fewer mounts than this fit below every usual limit of descriptors.
const FEW: usize = 256;

/// Files of procfs that change the host when uid 0 writes them, whatever its capabilities are.
const GUARDED: [&CStr; 9] = [
    c"sys",
    c"sysrq-trigger",
    c"irq",
    c"bus",
    c"fs",
    c"mtrr",
    c"acpi",
    c"scsi",
    c"dynamic_debug",
];

/// Mode of directories on the way to a mount point: what can be listed there are names of paths
/// that the policy opens.
const ON_THE_WAY: Mode = Mode::RWXU
    .union(Mode::RGRP)
    .union(Mode::XGRP)
    .union(Mode::ROTH)
    .union(Mode::XOTH);

/// Runs the plan's operations.
pub(super) fn set_up(context: &mut Context<'_>) -> Result<(), StageFailure> {
    let limits = room_for(&context.prepared.mounts);
    mount_all(context)?;
    // What the host gave the command is the command's.
    limits.map_or(Ok(()), |limits| {
        rustix::process::setrlimit(Resource::Nofile, limits)
            .map_err(StageFailure::at(Step::Descriptors))
    })
}

/// Makes room for a descriptor of each mount, as far as everybody may (getrlimit(2)). Returns the limits as
/// they were, if they are others now.
fn room_for(mounts: &[PreparedMount]) -> Option<Rlimit> {
    if mounts.len() < FEW {
        return None;
    }
    let limits = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    // Where that is refused, a mount may be.
    let is_raised = rustix::process::setrlimit(Resource::Nofile, raised).is_ok();
    is_raised.then_some(limits)
}

fn mount_all(context: &mut Context<'_>) -> Result<(), StageFailure> {
    let prepared = context.prepared;
    let copies = prepared.mounts.iter().any(is_copied);
    let layers = copies.then(Layers::new).transpose();
    let mut layers = layers.map_err(StageFailure::at(Step::CopyLayers))?;
    let mut places = Places::default();
    for (index, (mount, slot)) in prepared.mounts.iter().zip(&mut context.sources).enumerate() {
        let source = clone_source(mount, &mut layers, &mut places);
        let source = source.map_err(|(step, errno)| StageFailure {
            step,
            errno,
            operation: Some(index),
        })?;
        *slot = source.map(ManuallyDrop::new);
    }
    if let Some(layers) = layers {
        layers
            .detach()
            .map_err(StageFailure::at(Step::CopyLayers))?;
    }
    let mut stock = Stock {
        devices: Some(devices::clone_sources().map_err(StageFailure::at(Step::MountSource))?),
        // Made first: the kernel gives a proc only to who can see one, and an empty root shows none.
        proc: new_proc(&prepared.mounts).map_err(StageFailure::at(Step::Mount))?,
        private: None,
        places: Places::default(),
    };
    for (index, mount) in prepared.mounts.iter().enumerate() {
        let source = context.sources.get_mut(index).and_then(Option::take);
        let source = source.map(ManuallyDrop::into_inner);
        let attached = perform(mount, source, &mut stock).map_err(|errno| StageFailure {
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
    match stock.private {
        Some(private) => private.seal().map_err(StageFailure::at(Step::Mount)),
        None => Ok(()),
    }
}

/// What operations attach, and where.
struct Stock<'p> {
    devices: Option<devices::DeviceSources>,
    proc: Option<OwnedFd>,
    /// Parts for masks and files: they lie in `/dev`, which every plan makes first.
    private: Option<Private>,
    places: Places<'p>,
}

impl<'p> Stock<'p> {
    fn private(&self) -> Result<&Private, Errno> {
        self.private.as_ref().ok_or(Errno::BADF)
    }

    fn populate_devices(&mut self, mount: &OwnedFd) -> Result<(), Errno> {
        let sources = self.devices.take().ok_or(Errno::BADF)?;
        self.private = Some(devices::populate(mount, sources)?);
        Ok(())
    }

    fn close_file(&mut self, target: &'p CStr) -> Result<(), Errno> {
        let private = self.private.as_mut().ok_or(Errno::BADF)?;
        private.close_file(target, &mut self.places)
    }
}

/// Whether a directory is changed in a copy.
fn is_copied(mount: &PreparedMount) -> bool {
    matches!(
        mount.kind,
        MountKind::Bind {
            access: BindAccess::Copied,
            ..
        }
    )
}

/// The proc of the new pid namespace, if the plan has one.
fn new_proc(mounts: &[PreparedMount]) -> Result<Option<OwnedFd>, Errno> {
    let has_proc = mounts
        .iter()
        .any(|mount| matches!(mount.kind, MountKind::Proc { .. }));
    if !has_proc {
        return Ok(None);
    }
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    new_filesystem(c"proc", &[], flags).map(Some)
}

/// Clones the host tree of a bind or a device, whose object must be the one that was judged.
fn clone_source<'p>(
    mount: &'p PreparedMount,
    layers: &mut Option<Layers>,
    places: &mut Places<'p>,
) -> Result<Option<OwnedFd>, (Step, Errno)> {
    let (attributes, identity) = match &mount.kind {
        MountKind::Bind {
            access: BindAccess::ReadOnly,
            identity,
            ..
        } => (NO_SUID | NO_DEVICES | READ_ONLY, identity),
        MountKind::Bind {
            access: BindAccess::Writable | BindAccess::Copied,
            identity,
            ..
        } => (NO_SUID | NO_DEVICES, identity),
        // A device on a read-only mount can be written; its mode and owner can't be changed.
        MountKind::Device { identity, .. } => (NO_SUID | NO_EXEC | READ_ONLY, identity),
        MountKind::RootReadOnly
        | MountKind::RootWritable
        | MountKind::RootEmpty
        | MountKind::Proc { .. }
        | MountKind::Devices
        | MountKind::Scratch
        | MountKind::Symlink { .. }
        | MountKind::MaskDirectory { .. }
        | MountKind::MaskFile
        | MountKind::File { .. }
        | MountKind::Seal => return Ok(None),
    };
    let found = match is_copied(mount) {
        true => resolve(&mount.target),
        false => places.clone_tree(&mount.target),
    };
    let found = match found {
        // One of many that were found beside each other, gone since: nothing is to be copied.
        Err(Errno::NOENT) if is_copied(mount) => return Ok(None),
        found => found.map_err(|errno| (Step::MountSource, errno))?,
    };
    let status = rustix::fs::fstat(&found).map_err(|errno| (Step::MountSource, errno))?;
    if (FileIdentity {
        device: status.st_dev,
        inode: status.st_ino,
    }) != *identity
    {
        return Err((Step::MountIdentity, Errno::STALE));
    }
    if is_copied(mount) {
        let layers = layers.as_mut().ok_or((Step::CopyLayers, Errno::BADF))?;
        return layers
            .over(&found)
            .map(Some)
            .map_err(|errno| (Step::Copy, errno));
    }
    sys::mount::set_attributes(found.as_fd(), c"", Reach::TreeMadePrivate, attributes)
        .map_err(|errno| (Step::Mount, errno))?;
    Ok(Some(found))
}

/// Runs one operation and returns the mount that it attached.
fn perform<'p>(
    mount: &'p PreparedMount,
    source: Option<OwnedFd>,
    stock: &mut Stock<'p>,
) -> Result<Option<OwnedFd>, Errno> {
    if mount.creates_target {
        create_target(mount)?;
    }
    let nosuid_nodev = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let attached = match &mount.kind {
        MountKind::RootReadOnly => return host_root(READ_ONLY | NO_SUID | NO_DEVICES),
        MountKind::RootWritable => return host_root(NO_SUID | NO_DEVICES),
        MountKind::RootEmpty => return empty_root().map(Some),
        MountKind::Symlink { .. } => return Ok(None),
        MountKind::MaskFile => return stock.close_file(&mount.target).map(|()| None),
        MountKind::Seal => return seal(&mount.target).map(|()| None),
        MountKind::Bind { .. } if source.is_none() && is_copied(mount) => return Ok(None),
        MountKind::Bind { .. } | MountKind::Device { .. } => source.ok_or(Errno::BADF)?,
        MountKind::Scratch => new_filesystem(c"tmpfs", &[(c"mode", c"1777")], nosuid_nodev)?,
        MountKind::Devices => {
            let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            new_filesystem(c"tmpfs", &[(c"mode", c"755")], flags)?
        }
        MountKind::Proc { .. } => stock.proc.take().ok_or(Errno::BADF)?,
        MountKind::MaskDirectory {
            holds_mount_points: true,
        } => {
            let flags = nosuid_nodev | MountAttrFlags::MOUNT_ATTR_NOEXEC;
            new_filesystem(c"tmpfs", &[(c"mode", c"111")], flags)?
        }
        MountKind::MaskDirectory {
            holds_mount_points: false,
        } => stock.private()?.closed_directory()?,
        MountKind::File { content } => stock.private()?.file(content)?,
    };
    stock.places.attach(&mount.target, &attached)?;
    if let MountKind::Devices = &mount.kind {
        stock.populate_devices(&attached)?;
    }
    if let MountKind::Proc {
        guards_sysctls: true,
    } = &mount.kind
    {
        guard(attached.as_fd())?;
    }
    Ok(Some(attached))
}

/// Makes a private directory read-only.
fn seal(target: &CStr) -> Result<(), Errno> {
    let directory = resolve(target)?;
    sys::mount::set_attributes(directory.as_fd(), c"", Reach::One, READ_ONLY)
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

/// Makes the mount point of an operation, with its parents, in a private directory. Everything
/// around the private directories is read-only or a tree that exists, so nothing can be made on the
/// host.
fn create_target(mount: &PreparedMount) -> Result<(), Errno> {
    for parent in &mount.created_parents {
        make_directory(parent)?;
    }
    match &mount.kind {
        MountKind::Symlink { .. } => {
            let text = mount.link.as_deref().ok_or(Errno::INVAL)?;
            rustix::fs::symlinkat(text, CWD, mount.target.as_c_str())
        }
        MountKind::Bind {
            kind: PathKind::File,
            ..
        }
        | MountKind::Device {
            kind: PathKind::File,
            ..
        }
        | MountKind::File { .. }
        | MountKind::MaskFile => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, mount.target.as_c_str(), flags, Mode::empty()).map(drop)
        }
        MountKind::MaskDirectory { .. }
        | MountKind::Bind {
            kind: PathKind::Directory,
            ..
        }
        | MountKind::Device {
            kind: PathKind::Directory,
            ..
        }
        | MountKind::Scratch
        | MountKind::Devices
        | MountKind::Proc { .. }
        | MountKind::RootEmpty
        | MountKind::RootReadOnly
        | MountKind::RootWritable
        | MountKind::Seal => make_directory(&mount.target),
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

/// Sets attributes on the host's whole tree and cuts it off from mount events.
fn host_root(attributes: u64) -> Result<Option<OwnedFd>, Errno> {
    sys::mount::set_attributes(CWD, c"/", Reach::TreeMadePrivate, attributes)?;
    resolve(c"/").map(Some)
}

/// Replaces the root by an empty filesystem (pivot_root(2), the `.` variant of its notes).
fn empty_root() -> Result<OwnedFd, Errno> {
    sys::mount::set_attributes(CWD, c"/", Reach::TreeMadePrivate, 0)?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let root = new_filesystem(c"tmpfs", &[(c"mode", c"111")], flags)?;
    Places::default().attach(c"/", &root)?;
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
    let (Some(ruleset), Some(access), Some(attached)) =
        (&context.inner.ruleset, mount.grant, attached)
    else {
        return Ok(());
    };
    let kind = match mount.kind {
        MountKind::Bind {
            kind: PathKind::File,
            ..
        } => PathKind::File,
        MountKind::Bind { .. }
        | MountKind::Device { .. }
        | MountKind::RootReadOnly
        | MountKind::RootWritable
        | MountKind::RootEmpty
        | MountKind::Proc { .. }
        | MountKind::Devices
        | MountKind::Scratch
        | MountKind::Symlink { .. }
        | MountKind::MaskDirectory { .. }
        | MountKind::MaskFile
        | MountKind::File { .. }
        | MountKind::Seal => PathKind::Directory,
    };
    let mask = context.rights.mask(access, kind);
    sys::landlock::add_path_beneath(ruleset.as_fd(), attached.as_fd(), mask)
}
