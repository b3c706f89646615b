//! The platform behind the facade: the only place of this crate that knows which one it is.

use std::{collections::BTreeMap, ffi::OsString};

use sandbox_policy::{AbsolutePath, Origin, PathRule};

use crate::stdio::Inside;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod publish;
#[cfg(target_os = "linux")]
pub use linux::PlatformError;
#[cfg(target_os = "linux")]
pub(crate) use linux::{Backend, Process, inherited};
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
pub use signals::{Listening, ReceivedSignal, Signals};

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::{Backend, Process, inherited};
#[cfg(target_os = "macos")]
pub use macos::{Listening, PlatformError, ReceivedSignal, Signals};

/// What a command sees at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    target_os = "macos",
    expect(dead_code, reason = "there every path is the host's")
)]
pub(crate) enum Shown {
    /// The host's, not to be changed.
    ReadOnly,
    /// The host's.
    Writable,
    /// A private directory.
    Private,
    /// A device of the sandbox's own.
    Device,
    /// The sandbox's own `/dev`, which has nothing there.
    NoDevice,
    /// The sandbox's `/proc`.
    Proc,
    /// Nothing.
    Nothing,
    /// A closed file or directory, which nobody gets through.
    Mask,
    /// A symlink of the sandbox's own.
    Link(AbsolutePath),
    /// A file of the sandbox's own in place of the host's.
    Replaced,
}

/// Whether a Unix socket of the host's may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketVerdict {
    /// No, if the host made it.
    Closed,
    /// Yes, by this rule.
    Listed {
        rule: PathRule,
        /// What the rule gives away, if it reaches a service with more rights than the sandbox.
        consequence: Option<&'static str>,
        /// Whether the host's socket can be seen, or is found by its name alone.
        is_shown: bool,
    },
    /// All may, as far as they can be seen.
    Unfiltered(Origin),
}

/// A command as a platform starts it.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: OsString,
    pub(crate) argv: Vec<OsString>,
    pub(crate) environment: BTreeMap<OsString, OsString>,
    pub(crate) working_directory: AbsolutePath,
    pub(crate) streams: [Inside; 3],
}
