//! What runs between `clone` and `execve`, in memory shared with the host program.
//!
//! Two processes: the *outer* stage is pid 1 of the new namespaces and sets them up; it clones the
//! *inner* stage, which restricts itself and executes the command; then pid 1 executes the init
//! image. The host's launcher thread waits meanwhile and reads the outcome from the shared
//! [`Context`] then.
//!
//! Invariants: code here calls only `sys` and `rustix` with prepared arguments, so it does not
//! allocate, lock, unwind or decide policy. Each stage has a descriptor table of its own: what the
//! host is to have is sent to it.

mod devices;
pub(crate) mod handover;
mod inner;
mod messenger;
mod mounts;
mod network;
mod outer;
mod overlay;
mod ports;
mod private;

use std::{
    ffi::CString,
    os::fd::{BorrowedFd, OwnedFd, RawFd},
};

use crate::{
    id_map::HostMaps,
    prepare::Prepared,
    sys::{
        Errno,
        clone::{Stack, ThreadCall},
        exec::StringArray,
    },
};

pub use devices::names as device_names;
pub(crate) use network::{NetworkTask, Sockets, TransparentSockets};
pub(crate) use outer::{NAMESPACES, outer};

/// The parts of a set-up that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Closing the host's descriptors.
    Descriptors,
    /// Creating the namespaces.
    Namespaces,
    /// Writing the id maps.
    IdMap,
    /// Forbidding nested user namespaces.
    NamespaceLimit,
    /// Opening a host tree that is to be mounted.
    MountSource,
    /// The tree is no longer the one that was judged.
    MountIdentity,
    /// The private file system that keeps what a permissive run changes.
    CopyLayers,
    /// A directory that is changed in a copy.
    Copy,
    /// A mount.
    Mount,
    /// A Landlock grant for a mount.
    Grant,
    /// The loopback interface or a listener.
    Network,
    /// Starting the inner stage.
    InnerStage,
    /// Standard input, output, error.
    StandardStreams,
    /// Entering the working directory.
    WorkingDirectory,
    /// Dropping capabilities, `no_new_privs`.
    Privileges,
    /// Enforcing the Landlock ruleset.
    Landlock,
    /// Installing the system call filter.
    Filter,
    /// Handing the supervisor's end of it over.
    Supervisor,
    /// Executing the command.
    Execute,
    /// Executing the init image.
    InitImage,
}

/// A failed step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StageFailure {
    /// Which step.
    pub(crate) step: Step,
    /// The kernel's reason.
    pub(crate) errno: Errno,
    /// The mount operation that it belongs to, as an index into the plan's.
    pub(crate) operation: Option<usize>,
}

impl StageFailure {
    pub(crate) fn at(step: Step) -> impl FnOnce(Errno) -> Self {
        move |errno| Self {
            step,
            errno,
            operation: None,
        }
    }
}

/// What the stages read and write. It lives on the launcher thread, which waits while they run.
pub(crate) struct Context<'launch> {
    pub(crate) prepared: &'launch Prepared,
    pub(crate) ruleset: Option<OwnedFd>,
    pub(crate) rights: crate::ruleset::Rights,
    /// Host trees to attach, by operation; filled by the outer stage.
    pub(crate) sources: Vec<Option<OwnedFd>>,
    pub(crate) id_maps: IdMaps<'launch>,
    /// Taken by the outer stage.
    pub(crate) inner_stack: Option<Stack>,
    pub(crate) network: &'launch NetworkTask<'launch>,
    pub(crate) network_call: ThreadCall<NetworkTask<'launch>>,
    pub(crate) network_stack: &'launch Stack,
    pub(crate) command: &'launch CommandImage,
    pub(crate) streams: [RawFd; 3],
    pub(crate) init: InitImage,
    /// For the thread that hands the supervisor's descriptors over, where the filter has this one wait
    /// for the supervisor.
    pub(crate) handover_stack: Option<Stack>,
    /// Where the supervisor's descriptors go.
    pub(crate) supervisor: BorrowedFd<'launch>,
    /// The descriptors that the stages need, ascending; all others of the host's are closed first.
    pub(crate) kept: Vec<RawFd>,
    /// Whether the host program ignores SIGCHLD, as its command does then; written by the outer stage.
    pub(crate) ignores_children: bool,
    /// Written by either stage.
    pub(crate) failure: Option<StageFailure>,
}

/// How the id maps get written.
pub(crate) enum IdMaps<'launch> {
    /// By the child, for its own ids.
    Own { uid_map: CString, gid_map: CString },
    /// By the host program, beside the child.
    ByHost(&'launch HostMaps),
}

/// The command as `execve` takes it.
pub(crate) struct CommandImage {
    /// Paths to try in order, as a search of PATH gives them.
    pub(crate) candidates: Vec<CString>,
    pub(crate) argv: StringArray,
    pub(crate) envp: StringArray,
    pub(crate) working_directory: CString,
}

/// What pid 1 needs to become the init image.
pub(crate) struct InitImage {
    pub(crate) status: RawFd,
    pub(crate) lifeline: RawFd,
    /// Its name, and digits that take the command's pid.
    pub(crate) argv: StringArray,
    pub(crate) envp: StringArray,
}
