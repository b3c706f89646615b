//! Signals that a program receives for the command that it runs.

use std::{
    future::poll_fn,
    io,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// What a program that stands for its command takes instead of dying of it: everything that is sent
/// to ask for something, and what the terminal sends.
const TAKEN: [Signal; 13] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::CONT,
    Signal::WINCH,
    Signal::TSTP,
    Signal::TTIN,
    Signal::TTOU,
    Signal::VTALARM,
];

/// What a terminal sends to its whole foreground process group.
const OF_TERMINALS: [Signal; 6] = [
    Signal::INT,
    Signal::QUIT,
    Signal::WINCH,
    Signal::TSTP,
    Signal::TTIN,
    Signal::TTOU,
];

/// A received signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data, the same on every platform"
)]
pub struct ReceivedSignal {
    /// Its number.
    pub number: i32,
    /// Whether the terminal sent it, so that the command, in the same process group, has it too.
    ///
    /// The system does not tell. A signal that terminals send counts as the terminal's while this
    /// process is in the foreground of one.
    pub from_kernel: bool,
}

/// Signals that this process receives for its command.
#[derive(Debug)]
#[non_exhaustive]
pub struct Signals {}

impl Signals {
    /// Takes the signals over. Until [`Signals::listen`] they still end this process, which has
    /// started nothing yet.
    pub fn take_over() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Makes them awaitable in the current tokio runtime.
    pub fn listen(self) -> io::Result<Listening> {
        let stream = |signal: Signal| {
            let stream = unix::signal(SignalKind::from_raw(signal.as_raw()))?;
            Ok((signal, stream))
        };
        let streams: io::Result<Vec<_>> = TAKEN.into_iter().map(stream).collect();
        Ok(Listening {
            streams: Mutex::new(streams?),
        })
    }
}

/// Signals in a runtime.
#[derive(Debug)]
pub struct Listening {
    streams: Mutex<Vec<(Signal, unix::Signal)>>,
}

impl Listening {
    /// The next signal. Cancel safe.
    pub async fn next(&self) -> io::Result<ReceivedSignal> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// A signal that has been received already, as far as the runtime has heard of it.
    pub fn try_next(&self) -> io::Result<Option<ReceivedSignal>> {
        match self.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(received) => received.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<io::Result<ReceivedSignal>> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for (signal, stream) in streams.iter_mut() {
            match stream.poll_recv(context) {
                Poll::Ready(Some(())) => {
                    return Poll::Ready(Ok(ReceivedSignal {
                        number: signal.as_raw(),
                        from_kernel: OF_TERMINALS.contains(signal) && is_in_foreground(),
                    }));
                }
                Poll::Ready(None) => {
                    return Poll::Ready(Err(io::Error::other("the runtime receives no signals")));
                }
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }
}

/// Whether one of the standard streams is a terminal in whose foreground this process is.
fn is_in_foreground() -> bool {
    let own = rustix::process::getpgrp();
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]
        .iter()
        .any(|stream| rustix::termios::tcgetpgrp(stream).is_ok_and(|group| group == own))
}
