//! Unix sockets of the host: which may be connected to, and which are as good as no sandbox.

mod reach;
mod table;

use crate::filesystem::PathRule;
use crate::origin::Origin;
use crate::path::AbsolutePath;
use crate::pattern::PathPattern;
use crate::verdict::{Denial, DenialReason};

pub use table::POWERFUL_SOCKETS;

/// Which Unix sockets of the host may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixSocketPolicy {
    /// None.
    Blocked,
    /// These.
    Listed(Vec<PathRule>),
    /// All (`allowAllUnixSockets`).
    Unrestricted(Origin),
}

/// Services whose sockets give away what the sandbox keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerfulSocket {
    /// Where they are: a path, one in a home (`~/`), or the last names of a path anywhere. `*` is any run of
    /// characters in a name (a user's id), `**` at the end all that is below.
    pub places: &'static [&'static str],
    /// What whoever may connect can do.
    pub consequence: &'static str,
}

impl UnixSocketPolicy {
    /// The entry that lists a socket by its path.
    #[must_use]
    pub fn listed(&self, path: &AbsolutePath) -> Option<&PathRule> {
        match self {
            Self::Listed(rules) => rules.iter().find(|rule| rule.pattern.opens(path).is_some()),
            Self::Blocked | Self::Unrestricted(_) => None,
        }
    }
}

/// What listing a pattern gives away, if a known service listens at what it names, below that, or at what
/// it can match. Symlinks are the caller's to follow.
#[must_use]
pub fn powerful_socket(pattern: &PathPattern) -> Option<&'static PowerfulSocket> {
    POWERFUL_SOCKETS.iter().find(|row| {
        let mut places = row.places.iter();
        places.any(|place| reach::reaches(pattern, place))
    })
}

impl Denial {
    /// The refusal of a socket of the host's that no entry lists.
    #[must_use]
    pub fn unlisted_socket(object: String) -> Self {
        Self::by_default(DenialReason::SocketNotListed, object)
    }
}
