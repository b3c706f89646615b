//! A running command.

use std::{convert::Infallible, fmt, io, net::TcpListener, sync::Arc, time::Duration};

use sandbox_proxy::Proxy;
use tokio::{sync::mpsc, task::AbortHandle, time};

use crate::{
    control::NetworkControl,
    error::SpawnError,
    platform::{Launch, Process},
    sandbox::Shared,
    stdio::{ChildInput, ChildOutput},
    violation::Reporter,
};

/// A running command with everything that it has started. Dropping it kills all of them.
#[derive(Debug)]
pub struct Child {
    /// The writing end of its standard input, if piped.
    pub stdin: Option<ChildInput>,
    /// The reading end of its standard output, if piped.
    pub stdout: Option<ChildOutput>,
    /// The reading end of its standard error, if piped.
    pub stderr: Option<ChildOutput>,
    process: Process,
    changes: mpsc::UnboundedReceiver<StateChange>,
    ended: Option<ExitStatus>,
    /// Until the command has ended.
    serving: Option<Serving>,
    /// After its end, until its published servers' last words have been passed on.
    inbound: Option<mpsc::Receiver<Infallible>>,
    // The policy's proxies live as long as a command that uses them.
    shared: Arc<Shared>,
}

/// A change of a command's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a further state must break every match"
)]
pub enum StateChange {
    /// A signal stopped it.
    Stopped {
        /// The signal's number.
        signal: i32,
    },
    /// It goes on.
    Continued,
    /// It has ended.
    Ended(ExitStatus),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitStatus {
    code: Option<i32>,
    signal: Option<i32>,
}

/// The proxy tasks of one command; they end with it.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    tasks: Vec<AbortHandle>,
    listeners: Vec<TcpListener>,
    /// Closed when no connection to a published server is left.
    inbound: Option<mpsc::Receiver<Infallible>>,
}

impl Serving {
    /// Has a task run until the command ends.
    pub(crate) fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task).abort_handle());
    }

    /// Has a listener that others can reach stop listening at the end, and not only when its task
    /// gets to hear of it.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux publishes ports itself")
    )]
    pub(crate) fn close_at_end(&mut self, listener: TcpListener) {
        self.listeners.push(listener);
    }

    /// Has the connections to published servers hold a sender, so that it shows when they are over.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux publishes ports itself")
    )]
    pub(crate) fn track_inbound(&mut self) -> mpsc::Sender<Infallible> {
        let (open, over) = mpsc::channel(1);
        self.inbound = Some(over);
        open
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for listener in &self.listeners {
            // ENOTCONN only says that it has stopped already.
            rustix::net::shutdown(listener, rustix::net::Shutdown::Both).unwrap_or(());
        }
    }
}

/// How long clients of a published server have to take what it said before it ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Child {
    pub(crate) fn launch(
        shared: &Arc<Shared>,
        proxy: &Proxy,
        launch: Launch,
        reporter: &Reporter,
        (stdin, stdout, stderr): (Option<ChildInput>, Option<ChildOutput>, Option<ChildOutput>),
    ) -> Result<Self, SpawnError> {
        let (sender, changes) = mpsc::unbounded_channel();
        // When the receiver is gone, nobody waits for the command any more.
        let on_change = move |change| sender.send(change).unwrap_or(());
        let (process, serving) = (shared.backend).launch(launch, proxy, reporter, on_change)?;
        let shared = Arc::clone(shared);
        Ok(Self {
            stdin,
            stdout,
            stderr,
            process,
            changes,
            ended: None,
            serving: Some(serving),
            inbound: None,
            shared,
        })
    }

    /// Pid of the sandbox's first process.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.process.id()
    }

    /// What changes the network rules of its sandbox while it runs.
    #[must_use]
    pub fn network_control(&self) -> NetworkControl {
        NetworkControl::new(self.shared.proxy.clone())
    }

    /// The next change of its state; the end again and again once it has ended. Cancel safe.
    pub async fn changed(&mut self) -> io::Result<StateChange> {
        if let Some(status) = self.ended {
            return Ok(StateChange::Ended(status));
        }
        let lost = || io::Error::other("the launch thread ended without a status");
        let change = self.changes.recv().await.ok_or_else(lost)?;
        if let StateChange::Ended(status) = change {
            self.ended = Some(status);
            let mut serving = self.serving.take();
            self.inbound = serving.as_mut().and_then(|serving| serving.inbound.take());
        }
        Ok(change)
    }

    /// Waits until it has ended, and with it everything that it has started. Closes standard input
    /// first, as a command may wait for its end. Cancel safe.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        loop {
            if let StateChange::Ended(status) = self.changed().await? {
                return Ok(status);
            }
        }
    }

    /// Waits, after the end, until the kernel has taken down what the command ran in and the process
    /// table holds no trace of it. Nothing of the command runs any more before this. What its
    /// published servers said last is passed on to their clients, which get a second to take it.
    pub async fn reaped(&mut self) {
        while self.changes.recv().await.is_some() {}
        if let Some(mut inbound) = self.inbound.take() {
            // Nothing is ever sent: this ends with the last connection.
            match time::timeout(LAST_WORDS, inbound.recv()).await {
                Ok(None) | Err(_) => {}
                Ok(Some(never)) => match never {},
            }
        }
    }

    /// Sends a signal to the command.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        self.process.signal(number)
    }

    /// Kills the command and everything that it has started.
    pub fn kill(&self) -> io::Result<()> {
        self.process.kill()
    }
}

impl ExitStatus {
    pub(crate) const fn exited(code: i32) -> Self {
        Self {
            code: Some(code),
            signal: None,
        }
    }

    pub(crate) const fn killed(signal: i32) -> Self {
        Self {
            code: None,
            signal: Some(signal),
        }
    }

    /// Whether it exited with status 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.code == Some(0)
    }

    /// Its exit status; none if a signal killed it.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        self.code
    }

    /// The signal that killed it.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        self.signal
    }

    /// One number for both, as shells give it: the exit status, or 128 + the signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match (self.code, self.signal) {
            (Some(code), _) => code,
            (None, Some(signal)) => 128 + signal,
            (None, None) => 0,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (_, Some(signal)) => write!(f, "killed by signal {signal}"),
            (code, None) => write!(f, "exit status {}", code.unwrap_or(0)),
        }
    }
}
