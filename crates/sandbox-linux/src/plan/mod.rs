//! `Policy × HostFacts × Endpoints → LinuxPlan`: everything is decided here, before the first clone.

mod describe;
mod devices;
mod environment;
mod landlock;
mod mounts;
mod resolve;
mod seccomp;
mod shown;
mod supervised;
mod surface;
#[cfg(test)]
mod tests;

use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, PathError, PathPattern, PathRule, Policy, ProcMount,
    PtracePolicy, UnixSocketPolicy, UserNamespaces,
};

pub use environment::environment;
pub use landlock::{LandlockRule, Reads, RuleAnchor, RulesetSpec};
pub(crate) use mounts::HOSTS;
pub use mounts::{BindAccess, MountKind, MountOp, MountPlan};
pub use seccomp::{ArgumentTest, FilterAction, FilterSpec, SyscallRule};
pub use shown::Shown;
pub(crate) use supervised::{INODE_FLAG_REQUESTS, SUPERVISED_CALLS};
pub use supervised::{SupervisedCall, Supervision};
pub use surface::{SURFACE, SurfaceRow, Widening};

use crate::facts::{Endpoints, HostFacts, MissingPath, PathKind};

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
    /// What the supervisor sees.
    pub supervision: Supervision,
    /// Write roots that the command may create.
    pub missing_roots: Vec<MissingPath>,
    /// Where the proxies listen.
    pub endpoints: Endpoints,
    /// Whether the user namespace's limit of nested ones is set to 0.
    pub user_namespaces: NestedNamespaces,
    /// Whether processes inside may trace each other.
    pub tracing: Tracing,
    /// The file policy with symlinks resolved: what the mounts enforce, for explanations.
    pub filesystem: FilesystemPolicy,
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

/// Something that a user should know about the plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanNotice {
    /// A write root that does not exist, in a place that the sandbox does not share with the host.
    #[error("`{}` does not exist and can't be created inside: the directory above is not the host's there (allowed by {origin})", path.as_path().display())]
    MissingWriteRoot {
        /// The path as written.
        path: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// Host sockets that the settings list.
    #[error(
        "`{path}` stays closed: on Linux sockets of the host can't be opened one by one yet (listed by {origin})"
    )]
    UnixSocket {
        /// The socket's path.
        path: String,
        /// The rule's origin.
        origin: String,
    },
    /// A device that the host does not have.
    #[error("`{}` does not exist, or can't be looked at (allowed by {origin})", path.as_path().display())]
    MissingDevice {
        /// The path as written.
        path: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// A deny in a tree that the sandbox has of its own.
    #[error("`{}` names a place of the host's: /dev and /proc are the sandbox's own (denied by {origin})", path.as_path().display())]
    OwnTree {
        /// The path as written.
        path: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// Landlock is there, but older than its scopes.
    #[error(
        "the kernel's Landlock (ABI {abi}) does not scope signals: the command can signal processes of the process group that it was started from"
    )]
    NoSignalScope {
        /// The kernel's ABI.
        abi: u32,
    },
    /// Landlock is missing.
    #[error(
        "the kernel has no Landlock: mounts and the system call filter enforce the policy alone"
    )]
    NoLandlock,
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// An allow rule with a glob, which mounts can't express.
    #[error(
        "`{pattern}` can't be enforced: on Linux an allow rule names a path, not a pattern (from {origin})"
    )]
    AllowGlob {
        /// The pattern.
        pattern: String,
        /// The rule's origin.
        origin: String,
    },
    /// A write root behind a symlink that the command itself could have planted.
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
    let mut notices = Vec::new();
    let filesystem = resolve::resolve(&policy.filesystem, facts, &mut notices)?;
    let start = std::slice::from_ref(&facts.working_directory);
    if let sandbox_policy::FileVerdict::Deny(denial) =
        mounts::about(&filesystem, start).judge_read(&facts.working_directory)
    {
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
    let mounts = mounts::lower(&filesystem, facts, fresh_proc, devices)?;
    let landlock = landlock::lower(facts.landlock_abi, &mounts);
    match &landlock {
        None => notices.push(PlanNotice::NoLandlock),
        Some(spec) if spec.abi < SCOPES_SIGNALS => {
            notices.push(PlanNotice::NoSignalScope { abi: spec.abi });
        }
        Some(_) => {}
    }
    if let UnixSocketPolicy::Listed(sockets) = &policy.unix_sockets {
        notices.extend(sockets.iter().map(|rule| PlanNotice::UnixSocket {
            path: rule.pattern.to_string(),
            origin: rule.origin.to_string(),
        }));
    }
    let user_namespaces = match policy.process.user_namespaces {
        UserNamespaces::Refused => NestedNamespaces::Refused,
        UserNamespaces::Allowed(_) => NestedNamespaces::Allowed,
    };
    let missing_roots = missing_roots(&filesystem, facts, &mut notices);
    let supervision = supervision(&filesystem, facts, &missing_roots);
    let tracing = match policy.process.ptrace {
        PtracePolicy::Refused => Tracing::Refused,
        PtracePolicy::Allowed(_) => Tracing::Allowed,
    };
    let filter = FilterSpec::new(&policy.unix_sockets, user_namespaces, tracing, supervision);
    Ok(LinuxPlan {
        ids,
        mounts,
        landlock,
        filter,
        supervision,
        missing_roots,
        endpoints,
        user_namespaces,
        tracing,
        filesystem,
        notices,
    })
}

/// The write roots that can be created: where the directory above is the host's and not writable yet.
fn missing_roots(
    filesystem: &FilesystemPolicy,
    facts: &HostFacts,
    notices: &mut Vec<PlanNotice>,
) -> Vec<MissingPath> {
    let mut roots = Vec::new();
    for allow in &filesystem.allow_write {
        let PathPattern::Subtree(path) = &allow.rule.pattern else {
            continue;
        };
        let Some(found) = (facts.missing_roots.values()).find(|root| root.canonical == *path)
        else {
            continue;
        };
        match mounts::region(filesystem, &found.above) {
            mounts::Region::ReadOnly => roots.push(found.clone()),
            mounts::Region::Writable => {}
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
    filesystem: &FilesystemPolicy,
    facts: &HostFacts,
    missing_roots: &[MissingPath],
) -> Supervision {
    let is_glob = |rule: &PathRule| matches!(rule.pattern, PathPattern::Glob(_));
    let by_name = filesystem.deny_read.iter().any(|deny| is_glob(&deny.rule));
    if by_name || facts.leaves_reads_open {
        return Supervision::Opens;
    }
    // A mount closes an object, not a name.
    let reads = filesystem.deny_read.iter().map(|deny| &deny.rule);
    let is_name = |path: &AbsolutePath| match facts.paths.get(path) {
        Some(found) => found.canonical != *path,
        None => true,
    };
    let mut denies = reads.chain(&filesystem.deny_write);
    let names = denies.any(|rule| match &rule.pattern {
        PathPattern::Subtree(path) => is_name(path),
        PathPattern::Glob(_) => true,
    });
    let has_roots = !filesystem.allow_write.is_empty();
    let names = names || !filesystem.protected.is_empty();
    if !missing_roots.is_empty() || (has_roots && names) {
        Supervision::Changes
    } else {
        Supervision::Off
    }
}

/// Whether the path is a directory as far as the facts tell.
fn kind_of(facts: &HostFacts, path: &AbsolutePath) -> Option<PathKind> {
    facts.paths.get(path).map(|found| found.kind)
}
