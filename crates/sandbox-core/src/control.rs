//! Changing a sandbox's network rules while its commands run.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use rustix::event::{PollFd, PollFlags, poll};
use sandbox_policy::NetworkPolicy;
use sandbox_proxy::Proxy;

use crate::platform;

/// Changes the network rules of a sandbox, for all of its commands. Clones control the same sandbox.
///
/// Whoever holds this decides alone: nothing of the former rules remains. For rules of settings files,
/// [`Settings::network_update`](crate::settings::Settings::network_update) keeps what managed
/// settings and the refusals of other files say.
#[derive(Clone, Debug)]
pub struct NetworkControl(Proxy);

impl NetworkControl {
    pub(crate) fn new(proxy: Proxy) -> Self {
        Self(proxy)
    }

    /// The rules that hold now.
    #[must_use]
    pub fn policy(&self) -> Arc<NetworkPolicy> {
        self.0.policy()
    }

    /// Replaces the rules. Connections, requests and look-ups that begin from now on are judged by the
    /// new ones; what is open and would be refused now is cut off and reported. Can be called from any
    /// thread.
    pub fn replace(&self, policy: NetworkPolicy) {
        self.0.replace_policy(Arc::new(policy));
    }
}

/// A descriptor that this process was started with, to be read.
#[derive(Debug)]
pub struct Inherited(File);

impl Inherited {
    /// The descriptor of a number. The descriptor itself stays as it is, its blocking mode included.
    ///
    /// # Errors
    /// `EBADF` if there is none, or if it was not opened for reading (fcntl(2)).
    pub fn open(number: i32) -> io::Result<Self> {
        let file = File::from(platform::inherited(number)?);
        let mode = rustix::fs::fcntl_getfl(&file)? & rustix::fs::OFlags::RWMODE;
        if mode == rustix::fs::OFlags::WRONLY {
            return Err(io::Error::from(rustix::io::Errno::BADF));
        }
        Ok(Self(file))
    }
}

impl Read for Inherited {
    /// Waits for bytes, also where others have made the descriptor non-blocking.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut ready = [PollFd::new(&self.0, PollFlags::IN)];
                    poll(&mut ready, None)?;
                }
                outcome => return outcome,
            }
        }
    }
}
