//! The host's own addresses: asked for when a name has been resolved, since most commands never come
//! that far, and again when the answer is no longer fresh, since interfaces come and go.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sandbox_policy::OwnAddresses;

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(1);

/// The addresses of the host's interfaces, known or to be found out.
#[derive(Debug)]
pub struct HostAddresses(Source);

#[derive(Debug)]
enum Source {
    Known(Arc<OwnAddresses>),
    Found {
        find: fn() -> io::Result<OwnAddresses>,
        latest: Mutex<Option<(Instant, Arc<OwnAddresses>)>>,
    },
}

impl HostAddresses {
    /// Finds them out when they are needed. A failure refuses the connection that needed them.
    #[must_use]
    pub const fn found_by(find: fn() -> io::Result<OwnAddresses>) -> Self {
        Self(Source::Found {
            find,
            latest: Mutex::new(None),
        })
    }

    pub(crate) fn get(&self) -> io::Result<Arc<OwnAddresses>> {
        let (find, latest) = match &self.0 {
            Source::Known(known) => return Ok(Arc::clone(known)),
            Source::Found { find, latest } => (find, latest),
        };
        // The pair is replaced as a whole, so a panic elsewhere leaves a usable one.
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, found)) = &*latest
            && asked.elapsed() < FRESH
        {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(find()?);
        *latest = Some((Instant::now(), Arc::clone(&found)));
        Ok(found)
    }
}

impl From<OwnAddresses> for HostAddresses {
    fn from(known: OwnAddresses) -> Self {
        Self(Source::Known(Arc::new(known)))
    }
}
