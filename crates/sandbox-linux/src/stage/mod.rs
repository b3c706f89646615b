//! What runs between `clone` and `execve`, in memory shared with the host program.
//!
//! Two processes: the *outer* stage is pid 1 of the new namespaces and sets them up; it clones the
//! *inner* stage, which restricts itself while pid 1 executes the init image, and executes the command when that is
//! done. The host's launcher thread waits until both have left its memory and reads the outcome from the shared
//! [`Context`] and [`InnerTask`] then.
//!
//! Invariants: code here calls only `sys` and `rustix` with prepared arguments, so it does not
//! allocate, lock, unwind or decide policy. Each stage has a descriptor table of its own: what the
//! host is to have is sent to it.

mod devices;
mod gate;
pub(crate) mod handover;
mod inner;
mod messenger;
mod mounts;
mod network;
mod outer;
mod overlay;
mod places;
mod ports;
mod private;

use std::{
    ffi::CString,
    mem::ManuallyDrop,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use crate::{
    id_map::HostMaps,
    prepare::Prepared,
    sys::{
        Errno,
        clone::{ChildCall, Stack},
        exec::StringArray,
    },
};

pub use devices::names as device_names;
pub(crate) use inner::{InnerTask, Progress};
pub(crate) use network::{NetworkTask, Sockets, TransparentSockets};
pub(crate) use outer::{NAMESPACES, outer};

/// Where descriptors wait while others are placed: above every number that is given a meaning.
const OUT_OF_THE_WAY: RawFd = 16;

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

/// What the outer stage reads and writes. It lives on the launcher thread, which waits while they run.
pub(crate) struct Context<'launch> {
    pub(crate) prepared: &'launch Prepared,
    pub(crate) rights: crate::ruleset::Rights,
    /// Host trees to attach, by operation: filled and emptied by the outer stage. What a failed one leaves are numbers of
    /// its own table, which the host must not close in its own.
    pub(crate) sources: Vec<Option<ManuallyDrop<OwnedFd>>>,
    pub(crate) id_maps: IdMaps<'launch>,
    pub(crate) inner: &'launch InnerTask<'launch>,
    pub(crate) inner_call: ChildCall<InnerTask<'launch>>,
    pub(crate) inner_stack: &'launch Stack,
    pub(crate) network: &'launch NetworkTask<'launch>,
    pub(crate) network_call: ChildCall<NetworkTask<'launch>>,
    pub(crate) network_stack: &'launch Stack,
    pub(crate) init: InitImage,
    /// The descriptors that the stages need, ascending; all others of the host's are closed first.
    pub(crate) kept: Vec<RawFd>,
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
#[derive(Debug)]
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

impl InitImage {
    pub(crate) fn new(status: BorrowedFd<'_>, lifeline: BorrowedFd<'_>) -> Self {
        Self {
            status: status.as_raw_fd(),
            lifeline: lifeline.as_raw_fd(),
            // A pid has at most seven digits (PID_MAX_LIMIT is 2^22).
            argv: StringArray::new(vec![c"srt-init".into(), c"0000000".into()]),
            envp: StringArray::new(Vec::new()),
        }
    }
}
