//! Stands between a running command and the signals that are meant for it.

use std::{io, time::Duration};

use sandbox_core::{
    Child, DescriptorLimit, ExitStatus, Sandbox, StateChange,
    terminal::{self, Listening, ReceivedSignal, Signals},
};

use super::run::RunError;
use crate::{exit_code::End, invocation::CommandWords};

/// A command that has ended.
pub(super) struct Ended {
    status: ExitStatus,
    child: Child,
    /// The signal of the keyboard that it died of, if this process was sent it too.
    interruption: Option<i32>,
    signals: Listening,
}

impl Ended {
    /// Lets go of everything, to end this process too.
    pub(super) fn leave(mut self, runtime: tokio::runtime::Runtime, sandbox: Sandbox) -> End {
        // Whoever inherits this process's children may never reap them, as the first process of many
        // containers does not.
        runtime.block_on(self.child.reaped());
        // What arrived since the command ended is meant for whoever is left.
        let late = received(&self.signals);
        let late = late.iter().flatten().map(|signal| signal.number);
        let interruption =
            (self.interruption.into_iter().chain(late)).find(|number| is_interruption(*number));
        let status = self.status;
        // The process ends: the kernel closes everything faster than the tasks would.
        std::mem::forget((runtime, self, sandbox));
        End {
            status,
            interruption,
        }
    }
}

/// Starts the command and forwards signals until it has ended.
pub(super) async fn supervise(
    sandbox: &Sandbox,
    command: &CommandWords,
    signals: Signals,
) -> Result<Ended, RunError> {
    let signals = signals.listen().map_err(RunError::Signals)?;
    let early = received(&signals)?;
    // The terminal has not sent it to a command that was not there yet.
    if let Some(signal) = early.iter().find(|signal| is_interruption(signal.number)) {
        return Err(RunError::Interrupted(signal.number));
    }
    let mut process = (sandbox.command(&command.program))
        .args(&command.arguments)
        .key(command.display());
    if let Some(name) = &command.name {
        process = process.arg0(name);
    }
    let mut child = process.spawn().map_err(RunError::Spawn)?;
    // The command runs, with the limit that it should have. With a low one of our own, connections
    // beyond it wait.
    if let Err(error) = DescriptorLimit::current().raise() {
        tracing::debug!("the limit on descriptors stays: {error}");
    }
    tracing::debug!("running as process {}", child.id());
    let mut interruptions = Vec::new();
    for signal in early {
        forward(&child, signal, &mut interruptions);
    }
    loop {
        tokio::select! {
            change = child.changed() => match change.map_err(RunError::Wait)? {
                StateChange::Ended(status) => {
                    // What it died of may not have been looked at.
                    interruptions.extend(received(&signals)?.iter().map(|signal| signal.number));
                    let interruption = (status.signal())
                        .filter(|number| is_interruption(*number) && interruptions.contains(number));
                    return Ok(Ended { status, child, interruption, signals });
                }
                StateChange::Continued => {}
                StateChange::Stopped { .. } => {
                    stop_with(&child, &signals, &mut interruptions).await?;
                }
            },
            signal = signals.next() => {
                forward(&child, signal.map_err(RunError::Signals)?, &mut interruptions);
            }
        }
    }
}

/// The signals that have been received already.
fn received(signals: &Listening) -> Result<Vec<ReceivedSignal>, RunError> {
    std::iter::from_fn(|| signals.try_next().transpose())
        .collect::<io::Result<_>>()
        .map_err(RunError::Signals)
}

/// Whether a signal is one by which the keyboard ends programs.
fn is_interruption(signal: i32) -> bool {
    matches!(signal, SIGINT | SIGQUIT)
}

/// Stops this process as the command was stopped, so that the shell takes the terminal back.
async fn stop_with(
    child: &Child,
    signals: &Listening,
    interruptions: &mut Vec<i32>,
) -> Result<(), RunError> {
    // Whoever stopped and continued the whole process group at once has continued us already:
    // stopping now would be for good.
    tokio::select! {
        signal = signals.next() => {
            let signal = signal.map_err(RunError::Signals)?;
            forward(child, signal, interruptions);
            if signal.number == SIGCONT {
                return Ok(());
            }
        }
        () = tokio::time::sleep(SETTLE) => {}
    }
    tracing::debug!("stopped with the command");
    terminal::stop_self().map_err(RunError::Signals)
}

/// Sends the command a signal that it has not received itself; adds it to the interruptions if it is one.
fn forward(child: &Child, signal: ReceivedSignal, interruptions: &mut Vec<i32>) {
    let ReceivedSignal {
        number,
        from_kernel,
    } = signal;
    if is_interruption(number) && !interruptions.contains(&number) {
        interruptions.push(number);
    }
    // What the terminal sends, it sends to the whole foreground process group, the command
    // included; but a hang-up may reach the session's leader alone.
    if from_kernel && number != SIGHUP {
        return;
    }
    // The command may have ended in between.
    if let Err(error) = child.signal(number) {
        tracing::debug!("signal {number} was not forwarded: {error}");
    }
}

/// How long a stop must last before this process stops too.
const SETTLE: Duration = Duration::from_millis(10);

// Numbers are the same on every platform that there is a backend for, but SIGCONT.
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGCONT: i32 = if cfg!(target_os = "macos") { 19 } else { 18 };
