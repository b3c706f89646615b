//! Why an attempt is allowed or refused, as stable codes and as phrases.

use std::fmt;

use sandbox_policy::DenialReason;

/// The verdict and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a verdict is one of the two")]
pub enum ExplainedReason {
    /// It would be permitted.
    Allowed(AllowReason),
    /// It would be refused.
    Refused(RefusalReason),
}

/// Why something is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllowReason {
    /// A rule opens it.
    Rule,
    /// Reads are open, and no rule closes this one.
    ReadsOpen,
    /// It lies in a private directory.
    Private,
    /// It is a device, or a file of `/proc`, of the sandbox's own.
    OwnTree,
    /// The sandbox knows the name itself: its own loopback.
    OwnName,
    /// An address needs no look-up.
    IsAddress,
    /// Unix sockets are not filtered.
    SocketsOpen,
    /// Commands run without a sandbox.
    NoSandbox,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "who gives advice on a refusal should meet a new one"
)]
pub enum RefusalReason {
    /// The policy's own reason.
    Policy(DenialReason),
    /// A closed or protected path leads there: it is a symlink, perhaps through others, or settings of git that name it.
    BehindProtectedLink,
    /// Git takes programs or settings from it, in a repository that has another name than `.git`.
    InRepository,
    /// A rule opens it, but the sandbox has no writable directory of the host's there.
    NotShared,
    /// The sandbox's own `/dev` or `/proc` has no such thing, or can't be changed there.
    OwnTree,
    /// Unix sockets of the host are closed, and this one is not listed.
    SocketsClosed,
    /// The socket is open, but nothing of the host's is shown there.
    SocketHidden,
    /// A loop of symlinks.
    LinkLoop,
}

impl ExplainedReason {
    /// The stable code, such as `write_not_allowed`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Allowed(AllowReason::Rule) => "allowed_by_rule",
            Self::Allowed(AllowReason::ReadsOpen) => "reads_open",
            Self::Allowed(AllowReason::Private) => "private_directory",
            Self::Allowed(AllowReason::OwnTree) => "own_tree",
            Self::Allowed(AllowReason::OwnName) => "own_name",
            Self::Allowed(AllowReason::IsAddress) => "is_address",
            Self::Allowed(AllowReason::SocketsOpen) => "unix_sockets_open",
            Self::Allowed(AllowReason::NoSandbox) => "no_sandbox",
            Self::Refused(RefusalReason::Policy(reason)) => reason.code(),
            Self::Refused(RefusalReason::BehindProtectedLink) => "behind_protected_link",
            Self::Refused(RefusalReason::InRepository) => "in_repository",
            Self::Refused(RefusalReason::NotShared) => "not_shared",
            Self::Refused(RefusalReason::OwnTree) => "not_in_own_tree",
            Self::Refused(RefusalReason::SocketsClosed) => "unix_sockets_closed",
            Self::Refused(RefusalReason::SocketHidden) => "unix_socket_hidden",
            Self::Refused(RefusalReason::LinkLoop) => "symlink_loop",
        }
    }
}

/// The phrase for people.
impl fmt::Display for ExplainedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed(AllowReason::Rule) => "a rule opens it",
            Self::Allowed(AllowReason::ReadsOpen) => "reads are open, and no rule closes this one",
            Self::Allowed(AllowReason::Private) => {
                "it lies in a directory that is private to the sandbox and empty at the start"
            }
            Self::Allowed(AllowReason::OwnTree) => {
                "/dev and /proc are the sandbox's own, and rules mean nothing there"
            }
            Self::Allowed(AllowReason::OwnName) => {
                "the sandbox knows the name itself: it is its own loopback"
            }
            Self::Allowed(AllowReason::IsAddress) => "an address needs no look-up",
            Self::Allowed(AllowReason::SocketsOpen) => "Unix sockets are not filtered",
            Self::Allowed(AllowReason::NoSandbox) => "commands run without a sandbox",
            Self::Refused(RefusalReason::Policy(reason)) => reason.phrase(),
            Self::Refused(RefusalReason::BehindProtectedLink) => {
                "a closed or protected path leads here"
            }
            Self::Refused(RefusalReason::InRepository) => {
                "git takes programs or settings from it, in the repository that it lies in"
            }
            Self::Refused(RefusalReason::NotShared) => {
                "a rule opens it, but the sandbox shares no writable directory with the host there"
            }
            Self::Refused(RefusalReason::OwnTree) => {
                "/dev and /proc are the sandbox's own, and what is not in them can't be made there"
            }
            Self::Refused(RefusalReason::SocketsClosed) => {
                "sockets of the host are closed unless they are listed"
            }
            Self::Refused(RefusalReason::SocketHidden) => {
                "the sandbox shows nothing of the host's there"
            }
            Self::Refused(RefusalReason::LinkLoop) => "its symlinks lead round in circles",
        })
    }
}

impl From<AllowReason> for ExplainedReason {
    fn from(reason: AllowReason) -> Self {
        Self::Allowed(reason)
    }
}

impl From<RefusalReason> for ExplainedReason {
    fn from(reason: RefusalReason) -> Self {
        Self::Refused(reason)
    }
}
