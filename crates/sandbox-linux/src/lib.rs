//! Enforces a policy on Linux with the kernel's own means: no helper programs, no privileges.
//!
//! The way of a command, in order:
//!
//! 1. [`probe()`] reads what the host has ([`HostFacts`]).
//! 2. [`lower`] makes a [`LinuxPlan`] of policy, facts and proxy endpoints: a pure function.
//! 3. [`Prepared::new`] makes it flat: C strings, BPF programs, descriptors.
//! 4. [`launch`] clones pid 1 into new namespaces; the stages set them up, restrict themselves and
//!    execute the command; pid 1 becomes the init image.
//! 5. [`Running`] and its events follow the command to its end.
//!
//! `facts` and `plan` are pure and build everywhere; the rest needs Linux. `unsafe` code is in `sys`
//! alone.
#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "facts and plans are plain data; a new field or variant must break every match"
)]

mod facts;
mod plan;

#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod entrance;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod follow;
#[cfg(target_os = "linux")]
mod id_map;
#[cfg(target_os = "linux")]
mod inherited;
#[cfg(target_os = "linux")]
mod kernel_trees;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod netlink;
#[cfg(target_os = "linux")]
mod prepare;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod ruleset;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod supervisor;
#[cfg(target_os = "linux")]
mod sys;

pub use facts::{
    DeviceFacts, DeviceKind, Endpoints, FileIdentity, HostFacts, KnownPaths, MissingPath,
    PathFacts, PathKind, WriteLinks,
};
pub use plan::{
    ArgumentTest, BindAccess, FilterAction, FilterSpec, GivenAway, IdMap, LandlockRule, LinuxPlan,
    ListedSocket, MountKind, MountOp, MountPlan, NestedNamespaces, PlanError, PlanNotice, PortPlan,
    Reads, RuleAnchor, RulesetSpec, SURFACE, Shown, SocketGuard, SupervisedCall, Supervision,
    SurfaceRow, SyscallRule, Tracing, Widening, closes, environment, lower, lower_permissive,
};

#[cfg(target_os = "linux")]
pub use self::{
    client::{Transport, client},
    command::{CommandSpec, Stream, candidates},
    entrance::Entrance,
    error::LaunchError,
    filter::FilterError,
    follow::{ChildEvent, Exit, Follower, REPORT_BYTES, Unsettled},
    inherited::inherited,
    launch::{Running, launch, launch_here},
    prepare::{PrepareError, Prepared},
    probe::{ProbeError, close_kernel_trees, copied_places, probe},
    signals::{ReceivedSignal, SignalSource},
    sockets::{Sockets, Transparent},
    stage::{Step, device_names},
    supervisor::{Program, Refusal, RefusalSink, between_turns},
};
