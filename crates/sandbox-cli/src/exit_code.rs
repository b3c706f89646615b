//! Exit codes: the command's own, or one of these.

use std::process::ExitCode;

use sandbox_core::ExitStatus;

/// Wrong usage of `srt`.
pub(crate) const USAGE: u8 = 2;
/// Settings are wrong or the sandbox can't be set up; nothing has run.
pub(crate) const SET_UP: u8 = 125;
/// The program is there and can't be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// There is no such program.
pub(crate) const NOT_FOUND: u8 = 127;

/// The command's own exit code, or 128 and the signal that killed it.
pub(crate) fn of(status: ExitStatus) -> ExitCode {
    // wait(2) reports eight bits, and signals are at most 64.
    ExitCode::from(u8::try_from(status.shell_code()).unwrap_or(u8::MAX))
}
