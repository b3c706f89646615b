//! What was attempted, in classes that reports and settings speak of.

use std::fmt;

/// A class of attempts. Codes are API: see [`Operation::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Opening a file for reading, listing a directory.
    FileRead,
    /// Creating, changing or removing what is at a path.
    FileWrite,
    /// Connecting to a host.
    Connect,
    /// Looking a name up.
    Lookup,
    /// Reaching a Unix socket of the host.
    UnixSocket,
    /// Making a socket of a kind that is closed.
    Socket,
    /// Making or entering a namespace.
    Namespace,
    /// Changing what paths mean.
    Mount,
    /// Reaching into another process.
    Trace,
    /// Keys that are shared with the session outside.
    Keyring,
    /// The terminal of the session outside.
    Terminal,
    /// Priorities of processes outside.
    Priority,
    /// Everything else that only the kernel offers.
    Kernel,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::FileRead,
        Self::FileWrite,
        Self::Connect,
        Self::Lookup,
        Self::UnixSocket,
        Self::Socket,
        Self::Namespace,
        Self::Mount,
        Self::Trace,
        Self::Keyring,
        Self::Terminal,
        Self::Priority,
        Self::Kernel,
    ];

    /// The stable code, such as `file-write`. Those that macOS knows are spelt as it spells them.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::FileRead => "file-read",
            Self::FileWrite => "file-write",
            Self::Connect => "network-outbound",
            Self::Lookup => "name-lookup",
            Self::UnixSocket => "unix-socket",
            Self::Socket => "socket",
            Self::Namespace => "namespace",
            Self::Mount => "mount",
            Self::Trace => "process-trace",
            Self::Keyring => "keyring",
            Self::Terminal => "terminal",
            Self::Priority => "priority",
            Self::Kernel => "kernel",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
