//! Errors of building a sandbox and of starting a command.

use std::{io, net::IpAddr};

/// Why a policy can't be enforced here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The working directory is not known.
    #[error("cannot read the working directory")]
    WorkingDirectory {
        /// The reason.
        source: io::Error,
    },
    /// The platform can't enforce the policy.
    #[error(transparent)]
    Platform(#[from] crate::platform::PlatformError),
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// No such program.
    #[error("command not found")]
    NotFound,
    /// The program is there and can't be executed.
    #[error("command cannot be executed")]
    NotExecutable {
        /// The reason.
        source: io::Error,
    },
    /// A working directory that is not a path.
    #[error("unusable working directory")]
    WorkingDirectory {
        /// The reason.
        source: sandbox_policy::PathError,
    },
    /// A standard stream can't be made.
    #[error("cannot open a standard stream")]
    Stream {
        /// The reason.
        source: io::Error,
    },
    /// A proxy can't serve.
    #[error("cannot serve the sandbox's network")]
    Network {
        /// The reason.
        source: io::Error,
    },
    /// A published port can't be had on the host's loopback.
    #[error("cannot publish port {port} at `{address}`: {}", bind_failure(source))]
    Publish {
        /// The port.
        port: u16,
        /// The loopback address.
        address: IpAddr,
        /// The reason.
        source: io::Error,
    },
    /// The end of the command can't be learned.
    #[error("cannot wait for the command")]
    Wait {
        /// The reason.
        source: io::Error,
    },
    /// The sandbox can't be set up.
    #[error("{message}")]
    SetUp {
        /// What failed.
        message: String,
        /// What usually helps.
        hint: Option<&'static str>,
        /// The reason.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl SpawnError {
    /// Advice, where the error has a usual cause.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::SetUp { hint, .. } => *hint,
            Self::Publish { source, .. } => bind_hint(source),
            Self::NotFound
            | Self::NotExecutable { .. }
            | Self::WorkingDirectory { .. }
            | Self::Stream { .. }
            | Self::Network { .. }
            | Self::Wait { .. } => None,
        }
    }
}

/// Why a listener can't have its port.
fn bind_failure(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::AddrInUse {
        "another program of this machine has it"
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "the port is privileged"
    } else {
        "the system refuses it"
    }
}

/// What helps.
fn bind_hint(error: &io::Error) -> Option<&'static str> {
    if error.kind() == io::ErrorKind::AddrInUse {
        Some("publish the server at another port of the host: `-p OUTSIDE:INSIDE`")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        Some(
            "an ordinary user can publish ports from 1024 on: `-p 8080:80` leads to port 80 inside",
        )
    } else {
        None
    }
}
