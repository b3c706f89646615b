//! The mount plan: an ordered list of operations.
//!
//! # Order
//!
//! 1. The root becomes read-only (or, where `/` is a write root, stays as the host has it; or, where the
//!    policy closes `/`, an empty one of our own takes its place), cut off from mount events of the host.
//!    The host's trees that later steps attach were cloned before.
//! 2. `/dev` and `/proc`, and the devices that settings open.
//! 3. Everything else, ancestors first: so a step can never hide what an earlier one attached, which
//!    [`MountPlan`]'s constructor checks.
//! 4. Private directories that hold only mount points are sealed: read-only, not listable.
//!
//! What each path is follows from the policy's own `judge_read` and `judge_write`, asked at every
//! path that a rule names; between those paths nothing changes.

mod named;
mod regions;

use std::collections::{BTreeSet, HashMap, HashSet};

use foldhash::fast::RandomState;
use sandbox_policy::{AbsolutePath, FilesystemPolicy};

use self::named::Known;
use self::regions::Openings;
pub(super) use self::{
    named::about,
    regions::{Region, Regions},
};
use super::{PlanError, kind_of};
use crate::facts::{FileIdentity, HostFacts, PathFacts, PathKind};

/// One step of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOp {
    /// Where it takes effect.
    pub target: AbsolutePath,
    /// What it does.
    pub kind: MountKind,
    /// Whether the mount point has to be made first, in a private directory of ours.
    pub creates_target: bool,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// The whole tree becomes read-only, without set-user-id programs and devices.
    RootReadOnly,
    /// The whole tree as the host has it, without set-user-id programs and devices: `/` is a write root.
    RootWritable,
    /// A new, empty root, to be sealed after the mount points in it are made.
    RootEmpty,
    /// A fresh proc filesystem.
    Proc {
        /// Whether files that change the host are made read-only: needed where uid 0 inside is uid
        /// 0 outside, which owns them (capabilities are not asked for).
        guards_sysctls: bool,
    },
    /// A minimal `/dev` with a private `/dev/pts` and `/dev/shm`.
    Devices,
    /// A device of the host's, or a directory of some, in our `/dev`. Its mode and owner can't be
    /// changed.
    Device {
        /// A node or a directory.
        kind: PathKind,
        /// Which object it must be.
        identity: FileIdentity,
    },
    /// A private writable directory, empty at the start.
    Scratch,
    /// A tree of the host's.
    Bind {
        /// May it be written?
        access: BindAccess,
        /// What it is.
        kind: PathKind,
        /// Which object it must be.
        identity: FileIdentity,
    },
    /// A symlink in a private directory.
    Symlink {
        /// Its text.
        to: AbsolutePath,
    },
    /// Closed for reading.
    MaskDirectory {
        /// Whether re-opened paths lie in it.
        holds_mount_points: bool,
    },
    /// Closed for reading.
    MaskFile,
    /// A read-only file of our own in place of the host's.
    File {
        /// What it holds.
        content: Vec<u8>,
    },
    /// The private directory becomes read-only.
    Seal,
}

/// Access through a bind mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindAccess {
    /// Read-only.
    ReadOnly,
    /// As the host has it.
    Writable,
    /// As the host has it, but what is changed stays in the sandbox.
    Copied,
}

/// The operations in order. A value of this type satisfies the order of the module header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPlan {
    operations: Vec<MountOp>,
}

impl MountPlan {
    pub(super) fn new(operations: Vec<MountOp>) -> Result<Self, PlanError> {
        // Each place above an earlier target, with that target.
        let mut above: HashMap<&[u8], &AbsolutePath, RandomState> = HashMap::default();
        for later in &operations {
            let hidden = above.get(later.target.as_bytes());
            if let Some(hidden) = hidden.filter(|_| later.kind != MountKind::Seal) {
                return Err(PlanError::HiddenMount {
                    hides: later.target.clone(),
                    hidden: (*hidden).clone(),
                });
            }
            for place in later.target.byte_ancestors().skip(1) {
                // What is above such a place is one too.
                if above.insert(place, &later.target).is_some() {
                    break;
                }
            }
        }
        Ok(Self { operations })
    }

    pub(super) fn into_operations(self) -> Vec<MountOp> {
        self.operations
    }

    /// The operations.
    #[must_use]
    pub fn operations(&self) -> &[MountOp] {
        &self.operations
    }
}

/// The file of names that are known without asking anybody.
pub(crate) const HOSTS: &str = "/etc/hosts";

pub(super) fn lower(
    policy: &FilesystemPolicy,
    facts: &HostFacts,
    fresh_proc: bool,
    devices: Vec<MountOp>,
) -> Result<MountPlan, PlanError> {
    let known = Known::new(facts);
    let pins = pins(policy, &known);
    if let Some(path) = pins.iter().find(|path| !facts.paths.contains_key(*path)) {
        return Err(PlanError::MissingPin { path: path.clone() });
    }
    let points = named_paths(policy, facts, &known, &pins);
    let policy = &about(policy, &points, &[]);
    let judged = &Regions::new(policy);
    let mut regions = Mounted::default();
    let root = AbsolutePath::root();
    let base = judged.of(&root);
    regions.insert(root.as_bytes(), base);
    let mut operations = base_operations(base, facts, fresh_proc)?;
    operations.extend(devices);
    // Ancestors first; among equals the order of the paths, so that equal inputs give equal plans.
    let mut ordered: Vec<_> = points.iter().filter(|path| **path != root).collect();
    // They are sorted already.
    ordered.sort_by_cached_key(|path| path.depth());
    for path in ordered {
        let around = enclosing(&regions, path);
        let own = match (around, judged.of(path)) {
            // A private directory would hide the host's working directory and home.
            (Region::Scratch, Region::Scratch) if is_start(path, base, facts) => Region::ReadOnly,
            (_, own) => own,
        };
        let pin = || {
            pin(
                path,
                (around, own),
                facts.paths.get(path)?,
                pins.contains(path),
            )
        };
        let changed = transition(around, own, path, facts, &points, judged);
        if let Some(kind) = changed.or_else(pin) {
            let creates_target = matches!(around, Region::Hidden | Region::Scratch);
            operations.push(MountOp {
                target: path.clone(),
                kind,
                creates_target,
            });
            regions.insert(path.as_bytes(), own);
        }
    }
    operations.extend(hosts_file(judged, facts, &regions)?);
    let seals: Vec<_> = operations
        .iter()
        .filter(|op| needs_seal(&op.kind))
        .cloned()
        .collect();
    operations.extend(seals.into_iter().map(|op| MountOp {
        target: op.target,
        kind: MountKind::Seal,
        creates_target: false,
    }));
    MountPlan::new(operations)
}

/// `hosts(5)` with the loopback alone. A name that the host's file leads to an address would arrive
/// at the proxy as that address, and rules name names; the proxy itself resolves with the host's.
fn hosts_file(
    judged: &Regions<'_>,
    facts: &HostFacts,
    regions: &Mounted<'_>,
) -> Result<Option<MountOp>, PlanError> {
    let written = AbsolutePath::new(HOSTS).map_err(PlanError::Name)?;
    let Some(found) = facts.paths.get(&written) else {
        return Ok(None);
    };
    let target = found.canonical.clone();
    let own = judged.of(&target);
    let inside = [target.as_bytes(), b"/"].concat();
    let is_inside = |mounted: &&[u8]| *mounted == target.as_bytes() || mounted.starts_with(&inside);
    let hides_nothing = !regions.keys().any(is_inside);
    if own != Region::ReadOnly || found.kind != PathKind::File || !hides_nothing {
        return Ok(None);
    }
    let content = format!(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{}\n",
        facts.host_name
    );
    let kind = MountKind::File {
        content: content.into_bytes(),
    };
    Ok(Some(MountOp {
        target,
        kind,
        creates_target: false,
    }))
}

fn needs_seal(kind: &MountKind) -> bool {
    matches!(
        kind,
        MountKind::RootEmpty
            | MountKind::MaskDirectory {
                holds_mount_points: true
            }
    )
}

fn base_operations(
    base: Region,
    facts: &HostFacts,
    fresh_proc: bool,
) -> Result<Vec<MountOp>, PlanError> {
    let root = AbsolutePath::root();
    let hidden = base == Region::Hidden;
    let in_root = |name: &str| root.join(name).map_err(PlanError::Name);
    let kind = match base {
        Region::Hidden => MountKind::RootEmpty,
        Region::Writable => MountKind::RootWritable,
        Region::ReadOnly | Region::Scratch => MountKind::RootReadOnly,
    };
    // The host's proc is of the same tree as the root.
    let is_closed_apart = base != Region::ReadOnly;
    let mut operations = vec![MountOp {
        target: root.clone(),
        kind,
        creates_target: false,
    }];
    operations.push(MountOp {
        target: in_root("dev")?,
        kind: MountKind::Devices,
        creates_target: hidden,
    });
    let proc = in_root("proc")?;
    if fresh_proc {
        let guards_sysctls = facts.uid == 0;
        let kind = MountKind::Proc { guards_sysctls };
        operations.push(MountOp {
            target: proc,
            kind,
            creates_target: hidden,
        });
    } else if let (true, Some(found)) = (is_closed_apart, facts.paths.get(&proc)) {
        let kind = bind(BindAccess::ReadOnly, found.kind, found.identity);
        operations.push(MountOp {
            target: proc,
            kind,
            creates_target: hidden,
        });
    }
    Ok(operations)
}

fn bind(access: BindAccess, kind: PathKind, identity: FileIdentity) -> MountKind {
    MountKind::Bind {
        access,
        kind,
        identity,
    }
}

/// Every existing path at which the verdict can change.
fn named_paths(
    policy: &FilesystemPolicy,
    facts: &HostFacts,
    known: &Known<'_>,
    pins: &BTreeSet<AbsolutePath>,
) -> Vec<AbsolutePath> {
    let FilesystemPolicy {
        deny_read,
        allow_read,
        allow_write,
        deny_write,
        scratch,
        protected: _,
    } = policy;
    let rules = (deny_read.iter().map(|deny| &deny.rule))
        .chain(allow_read.iter().map(|allow| &allow.rule))
        .chain(allow_write.iter().map(|allow| &allow.rule))
        .chain(deny_write)
        .chain(scratch);
    let mut paths: Vec<_> = known.named_by(rules).cloned().collect();
    paths.extend(pins.iter().cloned());
    paths.push(facts.working_directory.clone());
    paths.extend(facts.home.clone());
    paths.retain(|path| facts.paths.contains_key(path) && !is_ours(path));
    paths.sort();
    paths.dedup();
    paths
}

/// The directories between a write root and a closed or write-denied path in it.
///
/// A mount on the path alone can be carried away: `mv .git x; mkdir -p .git/hooks`. A directory that
/// is a mount point itself can't be renamed or removed (rename(2), `EBUSY`).
fn pins(policy: &FilesystemPolicy, known: &Known<'_>) -> BTreeSet<AbsolutePath> {
    let reads = policy.deny_read.iter().map(|deny| &deny.rule);
    let existing = known.named_by(reads.chain(&policy.deny_write));
    // Most lie beside each other.
    let mut directories: HashSet<&[u8], RandomState> = HashSet::default();
    let first = existing.filter(|path| {
        (path.byte_ancestors().nth(1)).is_some_and(|directory| directories.insert(directory))
    });
    let above = first.flat_map(|path| path.ancestors().skip(1).collect::<Vec<_>>());
    let roots = Openings::of(&policy.allow_write);
    let is_inside = |path: &AbsolutePath| {
        let parent = path.parent();
        parent.is_some_and(|parent| roots.deepest(&parent).is_some())
    };
    above.filter(is_inside).collect()
}

/// A bind of a pinned directory on itself, where nothing else is mounted there.
fn pin(
    path: &AbsolutePath,
    (around, own): (Region, Region),
    found: &PathFacts,
    is_pin: bool,
) -> Option<MountKind> {
    let stays_writable = (around, own) == (Region::Writable, Region::Writable);
    // What a symlink leads to has a pin of its own.
    let is_pin = is_pin && found.canonical == *path;
    (is_pin && stays_writable).then(|| bind(BindAccess::Writable, found.kind, found.identity))
}

/// `/dev` and `/proc` are made by us: rules about places in them name the host's.
pub(crate) fn is_ours(path: &AbsolutePath) -> bool {
    let bytes = path.as_bytes();
    let below = |directory: &[u8]| {
        bytes
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    below(b"/dev") || below(b"/proc")
}

/// Those of sorted places that lie in a directory.
fn below<'p>(
    points: &'p [AbsolutePath],
    directory: &AbsolutePath,
) -> impl Iterator<Item = &'p AbsolutePath> {
    let start = points.partition_point(|point| point <= directory);
    let rest = points.iter().skip(start);
    rest.take_while(move |point| point.is_within(directory))
}

/// What is mounted where.
type Mounted<'p> = HashMap<&'p [u8], Region, RandomState>;

fn enclosing(regions: &Mounted<'_>, path: &AbsolutePath) -> Region {
    let ancestors = path.byte_ancestors().skip(1);
    let mut known = ancestors.filter_map(|ancestor| regions.get(ancestor).copied());
    known.next().unwrap_or(Region::ReadOnly)
}

/// The command must be able to start where it was called, and to see its home where reads are open.
fn is_start(path: &AbsolutePath, base: Region, facts: &HostFacts) -> bool {
    let is_home = base != Region::Hidden && Some(path) == facts.home.as_ref();
    is_home || *path == facts.working_directory
}

/// The step that turns the region around a path into the path's own; none where nothing changes.
fn transition(
    around: Region,
    own: Region,
    path: &AbsolutePath,
    facts: &HostFacts,
    points: &[AbsolutePath],
    judged: &Regions<'_>,
) -> Option<MountKind> {
    let found = facts.paths.get(path)?;
    if found.canonical != *path {
        // A symlink: the place that it leads to has a step of its own. In a private directory the
        // link itself is missing and is made again.
        let missing = matches!(around, Region::Hidden | Region::Scratch) && own != Region::Hidden;
        return missing.then(|| MountKind::Symlink {
            to: found.canonical.clone(),
        });
    }
    match (around, own) {
        (Region::ReadOnly, Region::ReadOnly)
        | (Region::Writable, Region::Writable)
        | (Region::Scratch, Region::Scratch | Region::Hidden)
        | (Region::Hidden, Region::Hidden) => None,
        (_, Region::Writable) => Some(bind(BindAccess::Writable, found.kind, found.identity)),
        (_, Region::ReadOnly) => Some(bind(BindAccess::ReadOnly, found.kind, found.identity)),
        (_, Region::Scratch) => {
            (kind_of(facts, path) == Some(PathKind::Directory)).then_some(MountKind::Scratch)
        }
        (_, Region::Hidden) => Some(match found.kind {
            PathKind::File => MountKind::MaskFile,
            PathKind::Directory => MountKind::MaskDirectory {
                holds_mount_points: below(points, path)
                    .any(|point| judged.of(point) != Region::Hidden),
            },
        }),
    }
}
