//! Exit codes: the command's own, or one of these.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use sandbox_core::{ExitStatus, terminal};

/// Wrong usage of `srt`.
pub(crate) const USAGE: u8 = 2;
/// Settings are wrong or the sandbox can't be set up; nothing has run.
pub(crate) const SET_UP: u8 = 125;
/// The program is there and can't be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// There is no such program.
pub(crate) const NOT_FOUND: u8 = 127;

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    /// The interruption that the command died of and this process was sent too, or that came later.
    pub(crate) interruption: Option<i32>,
}

/// The command's own exit code, or 128 and the signal that killed it; or no return at all where that
/// was an interruption that this process was sent too.
///
/// The loop of a shell must end with a command that was interrupted, and goes on after every exit,
/// whatever its code. Other signals are told as a code: no shell looks twice at them, and whoever
/// sent them to `srt` finds the documented number.
pub(crate) fn of(end: End) -> ExitCode {
    let End {
        status,
        interruption,
    } = end;
    if let Some(signal) = interruption {
        return interrupted(signal);
    }
    // wait(2) reports eight bits, and signals are at most 64.
    ExitCode::from(u8::try_from(status.shell_code()).unwrap_or(u8::MAX))
}

/// Ends this process by an interruption; a code only where that can't be.
pub(crate) fn interrupted(signal: i32) -> ExitCode {
    // A signal leaves no time to write what is buffered.
    io::stdout().flush().unwrap_or(());
    if let Err(error) = terminal::end_by(signal) {
        tracing::debug!("signal {signal} did not end this process: {error}");
    }
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
