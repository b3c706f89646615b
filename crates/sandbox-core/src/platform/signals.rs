//! Linux: signals that a host program receives for its command.

use std::io;

use sandbox_linux::SignalSource;
use tokio::io::unix::AsyncFd;

pub use sandbox_linux::ReceivedSignal;

/// Signals that this process receives for its command.
#[derive(Debug)]
pub struct Signals {
    source: SignalSource,
}

impl Signals {
    /// Takes the signals over. Call it first in `main`, before any thread is started.
    pub fn take_over() -> io::Result<Self> {
        Ok(Self {
            source: SignalSource::take_over()?,
        })
    }

    /// Makes them awaitable in the current tokio runtime.
    #[expect(
        deprecated,
        reason = "the successor is unsafe for sources that swap their descriptor; this one owns its"
    )]
    pub fn listen(self) -> io::Result<Listening> {
        Ok(Listening {
            source: AsyncFd::new(self.source)?,
        })
    }
}

/// Signals in a runtime.
#[derive(Debug)]
pub struct Listening {
    source: AsyncFd<SignalSource>,
}

impl Listening {
    /// The next signal. Cancel safe.
    pub async fn next(&self) -> io::Result<ReceivedSignal> {
        loop {
            let mut ready = self.source.readable().await?;
            match ready.try_io(|source| source.get_ref().read()) {
                Ok(received) => return received,
                Err(_would_block) => {}
            }
        }
    }

    /// A signal that has been received already.
    pub fn try_next(&self) -> io::Result<Option<ReceivedSignal>> {
        match self.source.get_ref().read() {
            Ok(received) => Ok(Some(received)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
