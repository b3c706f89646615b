//! What a sandbox shows at a path, read off its mount operations: for explanations.

use sandbox_policy::AbsolutePath;

use super::{BindAccess, LinuxPlan, MountKind, MountOp, MountPlan};

/// What is at a path inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// What the host has there.
    Host(BindAccess),
    /// A private directory of the sandbox's, empty at the start.
    Private,
    /// The sandbox's own `/dev`.
    Devices,
    /// A device of the host's, or a directory of some.
    Device,
    /// The sandbox's `/proc`.
    Proc,
    /// Nothing: the region is closed.
    Nothing,
    /// A closed file or directory, which nobody gets through, not even back up.
    Mask,
    /// A symlink of the sandbox's that stands for the host's.
    Link(AbsolutePath),
    /// A read-only file of the sandbox's in place of the host's, with this content.
    File(Vec<u8>),
}

impl LinuxPlan {
    /// What is at a path without symlinks.
    #[must_use]
    pub fn shown(&self, path: &AbsolutePath) -> Shown {
        // Not always a mount of ours, but the supervisor judges all of it by the process it belongs to.
        if is_below(path, "/proc") {
            return Shown::Proc;
        }
        if is_below(path, PRIVATE_MEMORY) {
            return Shown::Private;
        }
        mounted(&self.mounts, path)
    }

    /// Whether a path is, or lies in, a write root that does not exist and that the command may create.
    #[must_use]
    pub fn may_become_a_root(&self, path: &AbsolutePath) -> bool {
        self.missing_roots
            .iter()
            .any(|root| path.is_within(&root.canonical))
    }
}

/// What the mounts show at a path.
pub(super) fn mounted(mounts: &MountPlan, path: &AbsolutePath) -> Shown {
    let operations = mounts.operations().iter();
    let above = operations.filter(|operation| path.is_within(&operation.target));
    let attached = above.filter(|operation| operation.kind != MountKind::Seal);
    // Of equally deep ones the later lies on top.
    let deepest = attached.max_by_key(|operation| operation.target.depth());
    deepest.map_or(Shown::Nothing, |operation| shown_by(operation, path))
}

fn shown_by(operation: &MountOp, path: &AbsolutePath) -> Shown {
    match &operation.kind {
        MountKind::RootReadOnly => Shown::Host(BindAccess::ReadOnly),
        MountKind::RootWritable => Shown::Host(BindAccess::Writable),
        MountKind::Bind { access, .. } => Shown::Host(*access),
        MountKind::Scratch => Shown::Private,
        MountKind::Devices => Shown::Devices,
        MountKind::Device { .. } => Shown::Device,
        MountKind::Proc { .. } => Shown::Proc,
        MountKind::Symlink { to } if *path == operation.target => Shown::Link(to.clone()),
        MountKind::File { content } => Shown::File(content.clone()),
        MountKind::MaskFile
        | MountKind::MaskDirectory {
            holds_mount_points: false,
        } => Shown::Mask,
        MountKind::Symlink { .. }
        | MountKind::RootEmpty
        | MountKind::MaskDirectory {
            holds_mount_points: true,
        }
        | MountKind::Seal => Shown::Nothing,
    }
}

/// Bytes of clean paths are compared: thousands of rules are asked.
pub(super) fn is_below(path: &AbsolutePath, directory: &str) -> bool {
    let rest = path.as_bytes().strip_prefix(directory.as_bytes());
    rest.is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

/// The one private directory that comes with `/dev` and has no operation of its own.
pub(super) const PRIVATE_MEMORY: &str = "/dev/shm";
