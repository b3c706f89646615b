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

/// Stops this process as the command was stopped, until a shell continues it.
pub fn stop_self() -> io::Result<()> {
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::STOP).map_err(io::Error::from)
}
