//! Devices that settings open: which of them can be shared, and the mounts for them.

use std::collections::BTreeMap;

use sandbox_policy::{AbsolutePath, DeviceRule};

use super::{MountKind, MountOp, PlanError, PlanNotice};
use crate::facts::{DeviceKind, HostFacts, PathKind};

/// Names that every sandbox's `/dev` has, so that nothing is to be done for them.
const SHARED: [&str; 12] = [
    "null", "zero", "full", "random", "urandom", "tty", "ptmx", "fd", "stdin", "stdout", "stderr",
    "core",
];
/// Names of disks and of the host's memory, also those that are no block devices, and directories in
/// which such appear.
const RAW: [&str; 9] = [
    "block", "bsg", "disk", "kmem", "mapper", "md", "mem", "port", "zvol",
];
/// How the names of SCSI and NVMe disks' character devices begin (devices.txt of the kernel).
const RAW_PREFIXES: [&str; 4] = ["sg", "nvme", "ng", "st"];

/// Directories that are the sandbox's own.
const OWN: [&str; 2] = ["pts", "shm"];

/// The mounts, to be made right after the one of `/dev`.
pub(super) fn lower(
    rules: &[DeviceRule],
    facts: &HostFacts,
    notices: &mut Vec<PlanNotice>,
) -> Result<Vec<MountOp>, PlanError> {
    let mut operations: BTreeMap<AbsolutePath, MountKind> = BTreeMap::new();
    for rule in rules {
        let refuse = |reason| {
            Err(PlanError::Device {
                path: rule.path.clone(),
                reason,
                origin: rule.origin.to_string(),
            })
        };
        if is_below(&rule.path, &SHARED) {
            continue;
        }
        let Some(found) = facts.devices.get(&rule.path) else {
            if !rule.optional {
                notices.push(PlanNotice::MissingDevice {
                    path: rule.path.clone(),
                    origin: rule.origin.to_string(),
                });
            }
            continue;
        };
        if is_below(&rule.path, &OWN) || is_below(&found.canonical, &OWN) {
            return refuse("the sandbox has its own");
        }
        if is_raw(&rule.path) || is_raw(&found.canonical) {
            return refuse("whole disks, or the host's memory, lie behind such devices");
        }
        let kind = match found.kind {
            DeviceKind::Character => PathKind::File,
            DeviceKind::Directory => PathKind::Directory,
            DeviceKind::Block => {
                return refuse(
                    "a block device holds whole file systems, in which no rule would hold",
                );
            }
            DeviceKind::HoldsBlock => {
                return refuse("block devices lie in it, and those hold whole file systems");
            }
            DeviceKind::Other => return refuse("it is no device of /dev"),
        };
        if found.canonical != rule.path {
            let to = found.canonical.clone();
            operations.insert(rule.path.clone(), MountKind::Symlink { to });
        }
        let identity = found.identity;
        operations.insert(
            found.canonical.clone(),
            MountKind::Device { kind, identity },
        );
    }
    let directories: Vec<_> = operations.keys().cloned().collect();
    let is_covered = |path: &AbsolutePath| {
        let mut others = directories.iter().filter(|other| *other != path);
        others.any(|other| path.is_within(other))
    };
    operations.retain(|path, _| !is_covered(path));
    let operations = operations.into_iter().map(|(target, kind)| MountOp {
        target,
        kind,
        creates_target: true,
    });
    Ok(operations.collect())
}

/// Whether a path of `/dev` is, or lies in, what every sandbox has there.
pub(super) fn is_in_every_sandbox(path: &AbsolutePath) -> bool {
    is_below(path, &SHARED) || is_below(path, &OWN)
}

/// Whether a device, or one that may appear in a directory, knows no files and so no rules.
fn is_raw(path: &AbsolutePath) -> bool {
    let rest = path.as_path().strip_prefix("/dev").ok();
    let first = rest.and_then(|rest| rest.components().next());
    let name = first.and_then(|name| name.as_os_str().to_str());
    let is_numbered = |prefix: &&str| {
        let rest = name.and_then(|name| name.strip_prefix(prefix));
        rest.is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
    };
    is_below(path, &RAW) || RAW_PREFIXES.iter().any(is_numbered)
}

/// Whether a path is, or lies in, one of these names of `/dev`.
fn is_below(path: &AbsolutePath, names: &[&str]) -> bool {
    let Ok(rest) = path.as_path().strip_prefix("/dev") else {
        return false;
    };
    names.iter().any(|name| rest.starts_with(name))
}
