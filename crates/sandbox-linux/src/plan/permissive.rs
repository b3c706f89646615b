//! A permissive run: what the command may write it changes in a copy, and what the strict policy would
//! have refused is seen by the supervisor.

use sandbox_policy::{FilesystemPolicy, PathPattern};

use super::{
    BindAccess, MountKind, MountOp, MountPlan, PlanError, SocketGuard,
    mounts::{Region, Regions},
};
use crate::facts::{HostFacts, PathKind};

/// Every writable tree as a copy. Each write root gets a mount of its own, also inside of another one:
/// overlayfs can't copy a directory whose owner has no number in the user namespace, so what lies below
/// such a one has to be the root of a copy itself.
pub(super) fn copied(
    mounts: MountPlan,
    filesystem: &FilesystemPolicy,
    facts: &HostFacts,
) -> Result<MountPlan, PlanError> {
    let mut operations = mounts.into_operations();
    for operation in &mut operations {
        // overlayfs shows no mounts below its lower directory: of `/` there is no copy.
        if operation.kind == MountKind::RootWritable {
            operation.kind = MountKind::RootReadOnly;
        }
        if let MountKind::Bind { access, .. } = &mut operation.kind
            && *access == BindAccess::Writable
        {
            *access = BindAccess::Copied;
        }
    }
    let mut roots: Vec<_> = (filesystem.allow_write.iter())
        .filter_map(|allow| match &allow.rule.pattern {
            PathPattern::Subtree(path) => Some(path),
            PathPattern::Glob(_) => None,
        })
        .collect();
    roots.sort_by_key(|path| (path.depth(), *path));
    let judged = Regions::new(filesystem);
    for root in roots {
        // What a rule closes around it stays closed.
        if judged.of(root) != Region::Writable {
            continue;
        }
        let Some(found) = facts.paths.get(root) else {
            continue;
        };
        let is_mounted = operations.iter().any(|it| it.target == *root);
        if is_mounted || found.canonical != *root || found.kind != PathKind::Directory {
            continue;
        }
        // After what surrounds it, which stands before what lies in it.
        let inside = operations.iter().position(|it| it.target.is_within(root));
        let operation = MountOp {
            target: root.clone(),
            kind: MountKind::Bind {
                access: BindAccess::Copied,
                kind: found.kind,
                identity: found.identity,
            },
            creates_target: false,
        };
        operations.insert(inside.unwrap_or(operations.len()), operation);
    }
    MountPlan::new(operations)
}

/// A socket is not the same object in a copy: listed ones are found by their names.
pub(super) fn name_sockets(sockets: &mut SocketGuard, mounts: &MountPlan) {
    let SocketGuard::Supervisor { listed, .. } = sockets else {
        return;
    };
    let is_copy = |kind: &MountKind| {
        matches!(
            kind,
            MountKind::Bind {
                access: BindAccess::Copied,
                ..
            }
        )
    };
    let copies: Vec<_> = (mounts.operations().iter())
        .filter(|operation| is_copy(&operation.kind))
        .map(|operation| &operation.target)
        .collect();
    for socket in listed {
        let landing = socket.landing.as_ref();
        socket.is_hidden |=
            landing.is_some_and(|path| copies.iter().any(|copy| path.is_within(copy)));
    }
}
