//! Trees that are the kernel's own controls: a write root of `/` does not mean them.
//!
//! Their files belong to root, and many of them ask for no capability: uid 0 inside could have the host
//! run a program (`/sys/kernel/uevent_helper`), and any user could end or freeze processes outside by the
//! files of a control group that was given to it (`cgroup.kill`). `/proc` and `/dev` are the sandbox's own;
//! this is about `/sys`, and about those of other root directories (`/srv/chroot/proc`).

use std::{borrow::Cow, ffi::OsString, fs, io, os::unix::ffi::OsStringExt, path::PathBuf};

use sandbox_policy::{AbsolutePath, Origin, PathPattern, Policy};

use super::{
    ProbeError,
    copies::{MOUNTS, unescaped},
};
use crate::{
    kernel_trees::{DEVICES, KERNEL_TREES, PROC},
    plan::is_ours,
};

const ORIGIN: Origin = Origin::BuiltIn(
    "it is the kernel's own, which a write root of `/` does not open: its mount point must be named",
);

const OTHER_PROC: Origin = Origin::BuiltIn(
    "it shows and changes other processes: no write root opens a /proc but the sandbox's own",
);

/// The policy with the kernel's trees closed for writing, where `/` is a write root. A tree whose mount
/// point is a write root too stays as its rule says, but for another `/proc`.
///
/// # Errors
/// If the table of mounts can't be read.
pub fn close_kernel_trees(policy: &Policy) -> Result<Cow<'_, Policy>, ProbeError> {
    let root = AbsolutePath::root();
    let mut roots = policy.filesystem.allow_write.iter();
    if !roots.any(|allow| allow.rule.pattern.opens(&root).is_some()) {
        return Ok(Cow::Borrowed(policy));
    }
    let failed = |source: io::Error| ProbeError::Start {
        path: MOUNTS.into(),
        source,
    };
    let table = fs::read(MOUNTS).map_err(failed)?;
    let mut policy = policy.clone();
    let named: Vec<_> = (policy.filesystem.allow_write.iter())
        .filter_map(|allow| match &allow.rule.pattern {
            PathPattern::Subtree(path) => Some(path.clone()),
            PathPattern::Glob(_) => None,
        })
        .collect();
    for Tree { place, is_proc } in outermost(&table) {
        if is_proc {
            policy.filesystem.guard(&place, OTHER_PROC);
        } else if !named.contains(&place) {
            policy.filesystem.guard(&place, ORIGIN);
        }
    }
    Ok(Cow::Owned(policy))
}

/// Where such a tree is mounted.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tree {
    place: AbsolutePath,
    is_proc: bool,
}

/// The mounts of such trees, but for those that lie in others.
fn outermost(table: &[u8]) -> Vec<Tree> {
    let lines = table.split(|byte| *byte == b'\n');
    let mut found: Vec<_> = lines.filter_map(kernel_mount).collect();
    found.retain(|tree| !is_ours(&tree.place) && tree.place != AbsolutePath::root());
    found.sort();
    found.dedup();
    let mut trees: Vec<Tree> = Vec::new();
    for tree in found {
        // What lies in a directory follows it, but `a-b` may come between `a` and `a/b`.
        let is_in = |outer: &Tree| tree.place.is_within(&outer.place) && !tree.is_proc;
        if !trees.iter().any(is_in) {
            trees.push(tree);
        }
    }
    trees
}

/// The mount point in a line about such a filesystem. Its type comes after a field `-`, which ends a list
/// of others.
fn kernel_mount(line: &[u8]) -> Option<Tree> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = fields.nth(4)?;
    let mut rest = fields.skip_while(|field| *field != b"-");
    rest.next()?;
    let kind = rest.next()?;
    let is_proc = kind == PROC.as_bytes();
    let mut known = KERNEL_TREES.iter();
    let is_known = kind == DEVICES.as_bytes() || known.any(|(known, _)| known.as_bytes() == kind);
    if !is_proc && !is_known {
        return None;
    }
    let place = AbsolutePath::new(PathBuf::from(OsString::from_vec(unescaped(point)))).ok()?;
    Some(Tree { place, is_proc })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_of_the_kernels_trees_are_found() {
        let table = b"21 1 8:1 / / rw - ext4 /dev/sda rw\n\
            22 21 0:5 / /proc rw shared:1 - proc proc rw\n\
            23 21 0:6 / /sys rw,relatime shared:2 master:3 - sysfs sysfs rw\n\
            24 23 0:7 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
            25 21 0:8 / /srv/a\\040b/proc rw - proc proc rw\n\
            26 21 0:9 / /home rw - ext4 proc rw\n\
            27 21 0:9 / /run/user/1000/-/sys rw - tmpfs sysfs rw\n\
            28 21 0:10 / /dev rw - devtmpfs dev rw\n\
            29 21 0:10 / /srv/dev rw - devtmpfs dev rw\n";
        let found = outermost(table);
        let texts: Vec<_> = found
            .iter()
            .map(|tree| tree.place.as_path().to_str())
            .collect();
        assert_eq!(
            texts,
            [Some("/srv/a b/proc"), Some("/srv/dev"), Some("/sys")]
        );
    }

    #[test]
    fn only_a_write_root_of_everything_is_narrowed_and_named_trees_are_not() {
        let judge = |policy: &Policy| {
            let path = AbsolutePath::new("/sys/kernel/x").unwrap();
            policy.filesystem.judge_write(&path).is_allowed()
        };
        let open = Policy::restrictive().allow_write("/").unwrap();
        assert!(judge(&open));
        assert!(!judge(&close_kernel_trees(&open).unwrap()));
        let named = open.allow_write("/sys").unwrap();
        assert!(judge(&close_kernel_trees(&named).unwrap()));
        let other = Policy::restrictive().allow_write("/sys").unwrap();
        assert_eq!(*close_kernel_trees(&other).unwrap(), other);
    }
}
