//! How many descriptors of this process calls may hold that wait.
//!
//! All threads of the process have one table of descriptors: what waits in one sandbox must leave room to decide
//! about every other call, and for the connections of the proxies.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rustix::process::{Resource, getrlimit};

use crate::sys::Errno;

/// The descriptors that waiting calls of one command hold.
#[derive(Debug, Default)]
pub(super) struct Holdings(Arc<AtomicU64>);

/// Some of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    own: Arc<AtomicU64>,
    count: u64,
}

/// Those of all commands of this process.
static ALL: AtomicU64 = AtomicU64::new(0);

/// A command may hold this share of what the process may have (getrlimit(2), `RLIMIT_NOFILE`).
const SHARE: u64 = 8;
/// All commands together may hold this one.
const SHARE_OF_ALL: u64 = 4;
/// No command needs more.
const MOST: u64 = 1280;

impl Holdings {
    /// Takes note of descriptors that a call is going to hold; `EAGAIN` if they would be too many.
    pub(super) fn hold(&self, count: u64) -> Result<Held, Errno> {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let before = self.0.fetch_add(count, Ordering::Relaxed);
        let all_before = ALL.fetch_add(count, Ordering::Relaxed);
        // Given back at once if there is no room.
        let held = Held {
            own: Arc::clone(&self.0),
            count,
        };
        let has_room = before + count <= (limit / SHARE).min(MOST);
        if has_room && all_before + count <= limit / SHARE_OF_ALL {
            Ok(held)
        } else {
            Err(Errno::AGAIN)
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.own.fetch_sub(self.count, Ordering::Relaxed);
        ALL.fetch_sub(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_held_and_given_back() {
        let holdings = Holdings::default();
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let share = (limit / SHARE).min(MOST);
        let most = holdings.hold(share).unwrap();
        assert_eq!(holdings.hold(1).unwrap_err(), Errno::AGAIN);
        drop(most);
        drop(holdings.hold(1).unwrap());
        assert_eq!(holdings.0.load(Ordering::Relaxed), 0);
    }
}
