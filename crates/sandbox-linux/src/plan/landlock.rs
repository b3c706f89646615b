//! The Landlock ruleset: the same file policy by inode, as a second layer.
//!
//! Landlock grants; it can't take away below a grant. So where reads are open, they are left to the
//! mounts, and masks alone close regions; where `/` is closed, reading is granted on what is
//! re-opened. Writing is granted on write roots, scratch and our own `/dev` and `/proc`; where `/` is a
//! write root, mounts alone keep what is closed in it. A domain
//! also forbids every mount call, signals to the outside and abstract sockets of the outside.

use sandbox_policy::UnixSocketPolicy;

use super::{
    mounts::{BindAccess, MountKind, MountPlan},
    sockets::RESOLVES_SOCKETS,
};

/// The ruleset to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesetSpec {
    /// The kernel's ABI: rights that it does not know can't be handled.
    pub abi: u32,
    /// The grants.
    pub rules: Vec<LandlockRule>,
    /// Whether Unix sockets that were made outside are closed (`LANDLOCK_ACCESS_FS_RESOLVE_UNIX`).
    pub closes_sockets: bool,
}

/// Whether everything may be read, as far as Landlock can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// A grant on the root permits it; masks close regions.
    Open,
    /// Only what grants name.
    Closed,
}

impl RulesetSpec {
    /// Whether there is anything to refuse to readers.
    #[must_use]
    pub fn reads(&self) -> Reads {
        let is_root = |rule: &LandlockRule| rule.anchor == RuleAnchor::Root;
        if self.rules.iter().any(is_root) {
            Reads::Open
        } else {
            Reads::Closed
        }
    }
}

/// One grant, for everything beneath its anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LandlockRule {
    /// Beneath what.
    pub anchor: RuleAnchor,
    /// Whether writing is granted too.
    pub access: BindAccess,
}

/// The object that a grant hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleAnchor {
    /// The sandbox's root directory.
    Root,
    /// The mount that the operation of this index attaches.
    Operation(usize),
}

pub(super) fn lower(
    abi: u32,
    mounts: &MountPlan,
    unix_sockets: &UnixSocketPolicy,
) -> Option<RulesetSpec> {
    if abi == 0 {
        return None;
    }
    let rules = mounts
        .operations()
        .iter()
        .enumerate()
        .filter_map(|(index, operation)| {
            let (anchor, access) = match &operation.kind {
                MountKind::RootReadOnly => (RuleAnchor::Root, BindAccess::ReadOnly),
                MountKind::RootWritable => (RuleAnchor::Root, BindAccess::Writable),
                MountKind::Proc { .. } | MountKind::Devices | MountKind::Scratch => {
                    (RuleAnchor::Operation(index), BindAccess::Writable)
                }
                MountKind::Bind {
                    access: BindAccess::ReadOnly,
                    ..
                } => (RuleAnchor::Operation(index), BindAccess::ReadOnly),
                MountKind::Bind { .. } => (RuleAnchor::Operation(index), BindAccess::Writable),
                // The grant on `/dev` covers it.
                MountKind::Device { .. }
                | MountKind::RootEmpty
                | MountKind::Symlink { .. }
                | MountKind::MaskDirectory { .. }
                | MountKind::MaskFile
                | MountKind::File { .. }
                | MountKind::Seal => return None,
            };
            Some(LandlockRule { anchor, access })
        });
    let closes_sockets = abi >= RESOLVES_SOCKETS
        && match unix_sockets {
            UnixSocketPolicy::Blocked | UnixSocketPolicy::Listed(_) => true,
            UnixSocketPolicy::Unrestricted(_) => false,
        };
    Some(RulesetSpec {
        abi,
        rules: rules.collect(),
        closes_sockets,
    })
}
