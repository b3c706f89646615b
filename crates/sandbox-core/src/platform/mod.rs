//! The platform behind the facade: the only place of this crate that knows which one it is.

use std::{collections::BTreeMap, ffi::OsString};

use sandbox_policy::AbsolutePath;

use crate::stdio::Inside;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{Backend, Process};
#[cfg(target_os = "linux")]
pub use linux::{Listening, PlatformError, ReceivedSignal, Signals};

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::{Backend, Process};
#[cfg(target_os = "macos")]
pub use macos::{Listening, PlatformError, ReceivedSignal, Signals};

/// A command as a platform starts it.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: OsString,
    pub(crate) argv: Vec<OsString>,
    pub(crate) environment: BTreeMap<OsString, OsString>,
    pub(crate) working_directory: AbsolutePath,
    pub(crate) streams: [Inside; 3],
}
