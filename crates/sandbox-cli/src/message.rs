//! Everything that is said on standard error, and the output of tools on standard output.
//!
//! Texts from settings, the command line and the network may come from people who wish the reader
//! no good: what could move the cursor or reorder text is escaped. A reader that went away is no
//! reason to fail, so write errors on standard error are ignored.

use std::{
    error::Error,
    fmt,
    io::{self, ErrorKind, Write as _},
    process::ExitCode,
};

pub(crate) use sandbox_core::{deceives, visible};

use crate::exit_code;

/// Something the user should know about the run: one line.
pub(crate) fn notice(text: &str) {
    say(format_args!("srt: notice: {}", visible(text)));
}

/// A line about the command itself, as shells write them.
pub(crate) fn command_line_error(name: &str, text: &str) {
    say(format_args!("srt: {}: {text}", visible(name)));
}

/// Why nothing runs: the error, its causes, and advice.
pub(crate) fn set_up_error(error: &dyn Error, hint: Option<&str>) -> ExitCode {
    say(format_args!("error: {}", visible(&error.to_string())));
    let mut cause = error.source();
    while let Some(source) = cause {
        say(format_args!("caused by: {}", visible(&source.to_string())));
        cause = source.source();
    }
    if let Some(hint) = hint {
        say(format_args!("hint: {}", visible(hint)));
    }
    ExitCode::from(exit_code::SET_UP)
}

/// Wrong usage, or the help and version that were asked for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let code = u8::try_from(error.exit_code()).unwrap_or(exit_code::USAGE);
    match error.print() {
        Ok(()) | Err(_) => ExitCode::from(code),
    }
}

/// A line on standard error.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let mut stderr = io::stderr().lock();
    // Nobody is left to tell.
    writeln!(stderr, "{line}").unwrap_or(());
}

/// A tool's output, on standard output.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has had enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => set_up_error(&error, None),
    }
}
