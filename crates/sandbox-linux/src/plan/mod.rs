//! `Policy × HostFacts × Endpoints → LinuxPlan`: everything is decided here, before the first clone.

mod describe;
mod devices;
mod environment;
mod landlock;
mod mounts;
mod notice;
mod permissive;
mod ports;
mod refused;
mod resolve;
mod seccomp;
mod shown;
mod sockets;
mod supervised;
mod surface;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, PathError, PathPattern, PathRule, Policy, PortConflict,
    ProcMount, PtracePolicy, ReadAllow, StrictReads, UserNamespaces,
};

pub use environment::environment;
pub use landlock::{LandlockRule, Reads, RuleAnchor, RulesetSpec};
pub use mounts::{BindAccess, MountKind, MountOp, MountPlan};
pub(crate) use mounts::{HOSTS, is_ours};
pub use notice::PlanNotice;
pub use ports::PortPlan;
pub use seccomp::{ArgumentTest, FilterAction, FilterSpec, SyscallRule};
pub use shown::Shown;
pub use sockets::{GivenAway, ListedSocket, SocketGuard, closes};
pub(crate) use supervised::{CONNECT, INODE_FLAG_REQUESTS, SENDS, SUPERVISED_CALLS};
pub use supervised::{SupervisedCall, Supervision};
pub use surface::{SURFACE, SurfaceRow, Widening};

use crate::facts::{Endpoints, HostFacts, MissingPath, PathKind, WriteLinks};

/// A complete description of one sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxPlan {
    /// How ids inside relate to ids outside.
    pub ids: IdMap,
    /// The mounts, in order.
    pub mounts: MountPlan,
    /// The Landlock ruleset; `None` where the kernel has no Landlock.
    pub landlock: Option<RulesetSpec>,
    /// The system call filter.
    pub filter: FilterSpec,
    /// What the supervisor sees of files.
    pub supervision: Supervision,
    /// Who keeps Unix sockets of the host's out of reach.
    pub sockets: SocketGuard,
    /// Write roots that the command may create.
    pub missing_roots: Vec<MissingPath>,
    /// Where the proxies listen.
    pub endpoints: Endpoints,
    /// Ports of the two loopbacks that are joined.
    pub ports: PortPlan,
    /// Whether the user namespace's limit of nested ones is set to 0.
    pub user_namespaces: NestedNamespaces,
    /// Whether processes inside may trace each other.
    pub tracing: Tracing,
    /// The file policy with symlinks resolved: what the mounts enforce, for explanations.
    pub filesystem: Arc<FilesystemPolicy>,
    /// The policy that would hold if this were not a permissive run: what it would refuse is told.
    pub observed: Option<Arc<FilesystemPolicy>>,
    /// The user's home and the working directory, whose protected names count as those of a write root where
    /// they lie in one.
    pub starts: Vec<AbsolutePath>,
    /// Where the user's programs outside look for their settings, if they are told.
    pub config_home: Option<AbsolutePath>,
    /// Whether `filesystem` names the places that symlinks among the write denies lead to.
    pub write_links: WriteLinks,
    /// What the plan does not enforce exactly, for the report.
    pub notices: Vec<PlanNotice>,
}

/// The uid and gid map of the user namespace (user_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMap {
    /// The caller's own ids only, written by the child itself.
    Own {
        /// The user id on both sides.
        uid: u32,
        /// The group id on both sides.
        gid: u32,
    },
    /// All ids to themselves, written by the host side with its capabilities.
    Identity,
}

/// What the user namespace allows below itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NestedNamespaces {
    /// None.
    Refused,
    /// As many as outside.
    Allowed,
}

/// Whether ptrace(2) and its kin pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracing {
    /// No.
    Refused,
    /// Within the sandbox, as the kernel permits it.
    Allowed,
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// An allow rule with a glob, which mounts can't express.
    #[error(
        "`{pattern}` can't be enforced: on Linux an allow rule names a path, not a pattern (from {origin}); \
         a file of that very name is `{{\"path\": …, \"literal\": true}}` in the settings"
    )]
    AllowGlob {
        /// The pattern.
        pattern: String,
        /// The rule's origin.
        origin: String,
    },
    /// A write root or a listed socket behind a symlink that the command itself could have planted.
    #[error("`{}` leads through a symlink inside a write root to `{}`: name the target itself (from {origin})", path.as_path().display(), target.as_path().display())]
    PlantedLink {
        /// The path as written.
        path: AbsolutePath,
        /// Where it leads.
        target: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// A deny through a symlink that the command could replace.
    #[error("`{}` leads through the symlink `{}` inside a write root, which the command could replace: deny the target as well, and the link by a write deny of its directory (from {origin})", path.as_path().display(), link.as_path().display())]
    LinkedDeny {
        /// The path as written.
        path: AbsolutePath,
        /// The symlink.
        link: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// Something below `/dev` that can't be shared.
    #[error("`{}` can't be opened: {reason} (from {origin})", path.as_path().display())]
    Device {
        /// The path as written.
        path: AbsolutePath,
        /// Why.
        reason: &'static str,
        /// The rule's origin.
        origin: String,
    },
    /// A directory above a closed path that the probe did not look at.
    #[error("internal error: `{}` was not examined", path.as_path().display())]
    MissingPin {
        /// The directory.
        path: AbsolutePath,
    },
    /// The working directory can't be read.
    #[error("the working directory `{}` is closed for reading: {denial}", path.as_path().display())]
    ClosedWorkingDirectory {
        /// The directory.
        path: AbsolutePath,
        /// The denial's text.
        denial: String,
    },
    /// Ports that can't all be had at once.
    #[error(transparent)]
    Ports(PortConflict),
    /// A published port that a listener of our own has.
    #[error("port {port} can't be published ({origin}): inside, the sandbox's own listener has it")]
    OwnPort {
        /// The port inside.
        port: u16,
        /// Where it was written.
        origin: String,
    },
    /// A name that is none.
    #[error("internal error: unusable name")]
    Name(#[source] PathError),
    /// An operation of the plan would hide an earlier one's result.
    #[error("internal error: mounting `{}` would hide `{}`", hides.as_path().display(), hidden.as_path().display())]
    HiddenMount {
        /// The later mount.
        hides: AbsolutePath,
        /// The earlier one.
        hidden: AbsolutePath,
    },
}

/// The first Landlock ABI that keeps signals inside (Linux 6.12).
const SCOPES_SIGNALS: u32 = 6;

/// Lowers a policy to a plan.
pub fn lower(
    policy: &Policy,
    facts: &HostFacts,
    endpoints: Endpoints,
) -> Result<LinuxPlan, PlanError> {
    lower_as(policy, facts, endpoints, None)
}

/// Lowers the policy of a permissive run. What it lets the command write is changed in a copy; what
/// `strict` would refuse of files is told.
pub fn lower_permissive(
    policy: &Policy,
    facts: &HostFacts,
    endpoints: Endpoints,
    strict: &LinuxPlan,
) -> Result<LinuxPlan, PlanError> {
    lower_as(policy, facts, endpoints, Some(strict))
}

fn lower_as(
    policy: &Policy,
    facts: &HostFacts,
    endpoints: Endpoints,
    strict: Option<&LinuxPlan>,
) -> Result<LinuxPlan, PlanError> {
    let mut notices = Vec::new();
    let filesystem = resolve::resolve(&policy.filesystem, facts, &mut notices)?;
    // Of thousands of rules a few are about anything that exists.
    let near = &near(&filesystem, facts);
    if let sandbox_policy::FileVerdict::Deny(denial) = near.judge_read(&facts.working_directory) {
        return Err(PlanError::ClosedWorkingDirectory {
            path: facts.working_directory.clone(),
            denial: denial.to_string(),
        });
    }
    let ids = if facts.maps_all_ids {
        IdMap::Identity
    } else {
        IdMap::Own {
            uid: facts.uid,
            gid: facts.gid,
        }
    };
    let fresh_proc = match policy.process.proc_mount {
        ProcMount::Fresh => true,
        ProcMount::Inherited(_) => false,
    };
    let devices = devices::lower(&policy.process.devices, facts, &mut notices)?;
    let mounts = mounts::lower(near, facts, fresh_proc, devices)?;
    let mounts = match strict {
        Some(_) => permissive::copied(mounts, near, facts)?,
        None => mounts,
    };
    let landlock = landlock::lower(facts.landlock_abi, &mounts, &policy.unix_sockets);
    match &landlock {
        None => notices.push(PlanNotice::NoLandlock),
        Some(spec) if spec.abi < SCOPES_SIGNALS => {
            notices.push(PlanNotice::NoSignalScope { abi: spec.abi });
        }
        Some(_) => {}
    }
    let mut sockets = SocketGuard::new(policy, &filesystem, facts)?;
    notices.extend(sockets::warnings(&sockets));
    let user_namespaces = match policy.process.user_namespaces {
        UserNamespaces::Refused => NestedNamespaces::Refused,
        UserNamespaces::Allowed(_) => NestedNamespaces::Allowed,
    };
    let mut missing_roots = missing_roots(near, facts, &mounts, &mut notices);
    let ports = ports::lower(policy, endpoints, &mut notices)?;
    let mut supervision = supervision(policy, &filesystem, facts, &missing_roots);
    if strict.is_some() {
        // The host's directories are not to be written, by nobody.
        missing_roots.clear();
        // It closes reads of its own, and what a mount closes nobody is told of.
        supervision = Supervision::Opens;
        permissive::name_sockets(&mut sockets, &mounts);
    }
    let tracing = match policy.process.ptrace {
        PtracePolicy::Refused => Tracing::Refused,
        PtracePolicy::Allowed(_) => Tracing::Allowed,
    };
    let filter = FilterSpec::new(&sockets, user_namespaces, tracing, supervision);
    Ok(LinuxPlan {
        ids,
        mounts,
        landlock,
        filter,
        supervision,
        sockets,
        missing_roots,
        endpoints,
        ports,
        user_namespaces,
        tracing,
        filesystem: Arc::new(filesystem),
        observed: strict.map(|strict| Arc::clone(&strict.filesystem)),
        starts: starts(facts).cloned().collect(),
        config_home: facts.config_home.clone(),
        write_links: facts.write_links,
        notices,
    })
}

/// Where a command starts, and most of what it does begins.
fn starts(facts: &HostFacts) -> impl Iterator<Item = &AbsolutePath> {
    facts.home.iter().chain([&facts.working_directory])
}

/// The rules that say something about a place of the facts.
fn near(filesystem: &FilesystemPolicy, facts: &HostFacts) -> FilesystemPolicy {
    let missing = facts.missing_roots.values();
    let missing = missing.flat_map(|root| [&root.canonical, &root.above]);
    let places = facts.paths.keys().chain(starts(facts)).chain(missing);
    let places: Vec<_> = places.cloned().collect();
    mounts::about(filesystem, &places, &facts.inner_roots)
}

/// The write roots that can be created: where the directory above is the host's and not writable yet.
fn missing_roots(
    filesystem: &FilesystemPolicy,
    facts: &HostFacts,
    mounts: &MountPlan,
    notices: &mut Vec<PlanNotice>,
) -> Vec<MissingPath> {
    let mut roots = Vec::new();
    if facts.missing_roots.is_empty() {
        return roots;
    }
    let found = facts.missing_roots.values();
    let found: BTreeMap<_, _> = found.map(|root| (&root.canonical, root)).collect();
    let judged = mounts::Regions::new(filesystem);
    for allow in &filesystem.allow_write {
        let PathPattern::Subtree(path) = &allow.rule.pattern else {
            continue;
        };
        let Some(found) = found.get(path) else {
            continue;
        };
        // It stays private, which is told.
        if shown::is_below(path, shown::PRIVATE_MEMORY) {
            continue;
        }
        let shown = || shown::mounted(mounts, &found.above);
        match judged.of(&found.above) {
            mounts::Region::Writable => {}
            _ if found.kind == PathKind::File => notices.push(PlanNotice::BlockedWriteRoot {
                path: path.clone(),
                file: found.above.clone(),
                origin: allow.rule.origin.to_string(),
            }),
            mounts::Region::ReadOnly => roots.push((*found).clone()),
            // A working directory below `/tmp` is the host's, whatever is around it.
            mounts::Region::Hidden | mounts::Region::Scratch
                if shown() == Shown::Host(BindAccess::ReadOnly) =>
            {
                roots.push((*found).clone());
            }
            mounts::Region::Scratch if shown() == Shown::Private => {
                notices.push(PlanNotice::PrivateWriteRoot {
                    path: path.clone(),
                    origin: allow.rule.origin.to_string(),
                });
            }
            mounts::Region::Hidden | mounts::Region::Scratch => {
                notices.push(PlanNotice::MissingWriteRoot {
                    path: path.clone(),
                    origin: allow.rule.origin.to_string(),
                });
            }
        }
    }
    roots
}

/// What mounts and Landlock can't express is the supervisor's.
fn supervision(
    policy: &Policy,
    filesystem: &FilesystemPolicy,
    facts: &HostFacts,
    missing_roots: &[MissingPath],
) -> Supervision {
    let is_glob = |rule: &PathRule| matches!(rule.pattern, PathPattern::Glob(_));
    let by_name = filesystem.deny_read.iter().any(|deny| is_glob(&deny.rule));
    let is_strict = match policy.process.strict_reads {
        StrictReads::Off => false,
        StrictReads::On(_) => !filesystem.deny_read.is_empty(),
    };
    if by_name || is_strict || facts.leaves_reads_open {
        return Supervision::Opens;
    }
    // Mounts refuse without telling anybody: what may be refused goes to the supervisor, which does.
    let root = AbsolutePath::root();
    let opens_all = |allow: &ReadAllow| allow.rule.pattern.opens(&root).is_some();
    let refuses_nothing = filesystem.deny_read.is_empty()
        && filesystem.deny_write.is_empty()
        && filesystem.protected.is_empty()
        && missing_roots.is_empty()
        && filesystem.allow_write.iter().any(opens_all);
    if refuses_nothing {
        Supervision::Off
    } else {
        Supervision::Changes
    }
}

/// Whether the path is a directory as far as the facts tell.
fn kind_of(facts: &HostFacts, path: &AbsolutePath) -> Option<PathKind> {
    facts.paths.get(path).map(|found| found.kind)
}
