//! How many descriptors this process may have, and so how many connections it can carry.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit on descriptors of this process (getrlimit(2), `RLIMIT_NOFILE`), which may be raised once
/// commands have been started: they inherit what holds when they are.
///
/// Programs that use select(2), or make a table of all possible descriptors, get into trouble with
/// a high limit; so it is not raised for a command, nor ever without being asked for.
#[derive(Clone, Copy, Debug)]
pub struct DescriptorLimit {
    limits: Rlimit,
}

impl DescriptorLimit {
    /// The limit as it is.
    #[must_use]
    pub fn current() -> Self {
        Self {
            limits: getrlimit(Resource::Nofile),
        }
    }

    /// How many connections a process can carry that does little else, when the limit has been raised.
    #[must_use]
    pub fn connections_when_raised(self) -> u32 {
        let most = self.limits.maximum.unwrap_or(u64::MAX);
        let waiting = (most / WAITING_SHARE).min(MOST_WAITING);
        at_most(most.saturating_sub(OWN + waiting) / EACH)
    }

    /// Whether this process can open as many descriptors at once, besides those that it has, as the
    /// launch of a command takes. Not everything that runs out of them says so.
    ///
    /// # Errors
    /// `EMFILE` or `ENFILE` (open(2)).
    pub fn require_room(self) -> io::Result<()> {
        let (first, _second) = rustix::pipe::pipe()?;
        let copies: io::Result<Vec<_>> = (2..LAUNCH).map(|_| first.try_clone()).collect();
        copies.map(drop)
    }

    /// Raises the limit as far as everybody may.
    ///
    /// # Errors
    /// The limit is as it was.
    pub fn raise(self) -> io::Result<()> {
        let raised = Rlimit {
            current: self.limits.maximum,
            maximum: self.limits.maximum,
        };
        if self.limits.current == raised.current {
            return Ok(());
        }
        Ok(setrlimit(Resource::Nofile, raised)?)
    }
}

/// How many connections there may be in a process that has its own uses for half of its descriptors.
pub(crate) fn connections() -> u32 {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    at_most(limit / 2 / EACH)
}

fn at_most(connections: u64) -> u32 {
    let connections = connections.clamp(FEWEST, MOST);
    u32::try_from(connections).unwrap_or(u32::MAX)
}

/// Descriptors of a connection: the client's and the server's.
const EACH: u64 = 2;
/// Descriptors that an event loop and the launch of one command take.
const LAUNCH: u64 = 28;
/// Descriptors that a process with one command needs for itself, pipes of busy tunnels included.
const OWN: u64 = 160;
/// What calls of a command may hold that wait, of which the supervisor keeps account (`sandbox-linux`).
const WAITING_SHARE: u64 = 8;
const MOST_WAITING: u64 = 1280;
const FEWEST: u64 = 16;
/// More are no command's legitimate need, and the kernel's memory for them is the user's.
const MOST: u64 = 16_384;
