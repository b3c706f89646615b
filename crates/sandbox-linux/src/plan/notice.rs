//! What a user should know about a plan.

use sandbox_policy::AbsolutePath;

use super::shown::is_below;

/// Something that a user should know about the plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanNotice {
    /// A write root that does not exist, behind a symlink or in a place that the sandbox does not share with the host.
    #[error("`{}` does not exist and can't be created inside: it is a symlink to nothing, or the directory above is not the host's there (allowed by {origin})", path.as_path().display())]
    MissingWriteRoot {
        /// The path as written.
        path: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// A write root that does not exist, below a private directory such as `/tmp`.
    #[error("`{}` does not exist, and what lies above it is private inside: it can be created there with its directories, and nothing of it is left at the end (allowed by {origin})", path.as_path().display())]
    PrivateWriteRoot {
        /// The path as written.
        path: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// A write root below something that is no directory.
    #[error("`{}` does not exist and can't be created inside: `{}` is no directory (allowed by {origin})", path.as_path().display(), file.as_path().display())]
    BlockedWriteRoot {
        /// The path as written.
        path: AbsolutePath,
        /// What is in the way.
        file: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// A write root where names are compared otherwise than by their bytes.
    #[error("`{}` lies on a file system that may find a file by other spellings of its name (letters of another case, short names, dots at the end): rules and protected names close the usual spellings only", path.as_path().display())]
    FoldedNames {
        /// Where the write root is.
        path: AbsolutePath,
    },
    /// More files are closed for reading by their paths than get a mount each.
    #[error(
        "so many files are closed for reading that they are judged when they are opened: all opens of them are refused, but they can be executed, and looked at without opening them"
    )]
    FilesJudgedByName,
    /// A listed socket of a service with more rights than the sandbox.
    #[error("`{path} is as good as no sandbox: {consequence} (listed by {origin})")]
    PowerfulSocket {
        /// The entry, with a closing backtick and what it leads to, if its own words don't tell.
        path: String,
        /// What whoever connects can do.
        consequence: &'static str,
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
    /// A write root in a tree that the sandbox has of its own, for something that only the host has.
    #[error("`{}` opens nothing: /dev and /proc are the sandbox's own{} (allowed by {origin})", path.as_path().display(), device_hint(landing))]
    NotInOwnTree {
        /// The path as written.
        path: AbsolutePath,
        /// Where it leads.
        landing: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// A write root in the sandbox's own shared memory.
    #[error("`{}` is not shared with the host: /dev is the sandbox's own, and its shm is private and writable (allowed by {origin})", path.as_path().display())]
    StaysPrivate {
        /// The path as written.
        path: AbsolutePath,
        /// The rule's origin.
        origin: String,
    },
    /// A port of the host's loopback that a listener of our own has inside.
    #[error(
        "port {port} of the host's loopback is reached by way of the proxies only: inside, the sandbox's own listener has the port"
    )]
    HostPortTaken {
        /// The port.
        port: u16,
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

/// Nothing else that the host has in these trees can be shared.
fn device_hint(landing: &AbsolutePath) -> &'static str {
    if is_below(landing, "/dev") {
        "; devices are shared by `filesystem.devices`"
    } else {
        ""
    }
}
