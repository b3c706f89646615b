//! For programs that stand between a terminal and their command, as a command-line tool does.

mod prompt;

pub use prompt::Prompt;

use std::{io, os::fd::AsFd};

use rustix::termios::{self, OptionalActions, SpecialCodeIndex, Termios};

pub use crate::platform::{Listening, ReceivedSignal, Signals};

/// The modes of the terminal that standard input, output or error is.
#[derive(Debug)]
pub struct TerminalModes {
    modes: Option<Termios>,
}

impl TerminalModes {
    /// Remembers the modes; nothing where there is no terminal.
    #[must_use]
    pub fn save() -> Self {
        let modes = termios::tcgetattr(io::stdin().as_fd())
            .or_else(|_| termios::tcgetattr(io::stderr().as_fd()));
        Self { modes: modes.ok() }
    }

    /// Sets the modes as they were, if a command that was killed left them changed.
    pub fn restore(&self) {
        let Some(modes) = &self.modes else { return };
        for stream in [io::stdin().as_fd(), io::stderr().as_fd()] {
            let changed = termios::tcgetattr(stream).is_ok_and(|now| !same(&now, modes));
            // In the background the terminal belongs to somebody else.
            if changed && is_foreground(stream) {
                termios::tcsetattr(stream, OptionalActions::Drain, modes).unwrap_or(());
            }
        }
    }
}

fn same(one: &Termios, other: &Termios) -> bool {
    one.input_modes == other.input_modes
        && one.output_modes == other.output_modes
        && one.control_modes == other.control_modes
        && one.local_modes == other.local_modes
        && CODES
            .iter()
            .all(|code| one.special_codes[*code] == other.special_codes[*code])
}

/// The characters with a meaning in a line of text, termios(3).
const CODES: [SpecialCodeIndex; 13] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VERASE,
    SpecialCodeIndex::VKILL,
    SpecialCodeIndex::VEOF,
    SpecialCodeIndex::VEOL,
    SpecialCodeIndex::VEOL2,
    SpecialCodeIndex::VSTART,
    SpecialCodeIndex::VSTOP,
    SpecialCodeIndex::VSUSP,
    SpecialCodeIndex::VREPRINT,
    SpecialCodeIndex::VWERASE,
    SpecialCodeIndex::VLNEXT,
];

fn is_foreground(stream: impl AsFd) -> bool {
    termios::tcgetpgrp(stream).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Whether standard input is a terminal in whose foreground this process is: whether somebody can be
/// asked something.
#[must_use]
pub fn is_interactive() -> bool {
    is_foreground(io::stdin())
}

/// Ends this process by a signal, as if it had never been taken over; no core is dumped, which would
/// not be the command's.
///
/// A shell that was interrupted while it waited looks at how the program ended: where that died of
/// `SIGINT`, a loop or script ends too, and where it exited, whatever its status, the program has
/// dealt with the interruption and the shell goes on.
///
/// Returns only as pid 1, which no signal of its own can kill (pid_namespaces(7)), or with the
/// `EINVAL` of a signal that does not exist.
pub fn end_by(signal: i32) -> io::Result<()> {
    if rustix::process::getpid().is_init() {
        return Ok(());
    }
    let none = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Neither is worth staying alive for.
    rustix::process::setrlimit(rustix::process::Resource::Core, none).unwrap_or(());
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Where cores are piped to a program, the limit counts for nothing (core(5)).
        set_dumpable_behavior(DumpableBehavior::NotDumpable).unwrap_or(());
    }
    signal_hook::low_level::emulate_default_handler(signal)
}

/// Stops this process as the command was stopped, until a shell continues it.
pub fn stop_self() -> io::Result<()> {
    let own = rustix::process::getpid();
    let stop = || rustix::process::kill_process(own, rustix::process::Signal::STOP);
    // Other sandboxes must not wait for this one until somebody continues it.
    #[cfg(target_os = "linux")]
    let stopped = sandbox_linux::between_turns(stop);
    #[cfg(not(target_os = "linux"))]
    let stopped = stop();
    stopped.map_err(io::Error::from)
}
