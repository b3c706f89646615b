//! The host's own addresses: asked for when the first name has been resolved, since most commands
//! never come that far and the question costs system calls.

use std::{io, sync::OnceLock};

use sandbox_policy::OwnAddresses;

/// The addresses of the host's interfaces, known or to be found out.
#[derive(Debug)]
pub struct HostAddresses {
    find: fn() -> io::Result<OwnAddresses>,
    found: OnceLock<OwnAddresses>,
}

impl HostAddresses {
    /// Finds them out once, when they are needed. A failure refuses the connection that needed them.
    #[must_use]
    pub const fn found_by(find: fn() -> io::Result<OwnAddresses>) -> Self {
        Self {
            find,
            found: OnceLock::new(),
        }
    }

    pub(crate) fn get(&self) -> io::Result<&OwnAddresses> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let found = (self.find)()?;
        Ok(self.found.get_or_init(|| found))
    }
}

impl From<OwnAddresses> for HostAddresses {
    fn from(known: OwnAddresses) -> Self {
        Self {
            find: || Ok(OwnAddresses(Vec::new())),
            found: OnceLock::from(known),
        }
    }
}
