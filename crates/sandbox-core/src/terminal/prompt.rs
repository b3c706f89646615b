//! Questions to the user while a command has the terminal.
//!
//! A question takes the terminal from the command as far as it can: what was typed before counts for
//! nothing, the modes are those of a line of text, and a job of a shell that runs inside is in the
//! background meanwhile, so it can't read the answer. A command in the process group of `srt` itself
//! can, and though the filter refuses to type in the user's place (ioctl_tty(2), `TIOCSTI`), it can
//! have a terminal type that answers queries (xterm's `OSC 11`), and change what the characters of
//! line editing do to that. So a yes has to repeat a code that only the screen shows, and a question
//! under which the modes change is over.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, getpgrp},
    termios::{self, InputModes, LocalModes, OptionalActions, OutputModes, QueueSelector, Termios},
};

/// The controlling terminal, to ask on.
#[derive(Debug)]
pub struct Prompt {
    terminal: File,
    /// The modes before a command had the terminal: what its user means by erase, kill and the rest.
    users: Termios,
}

/// What a question changes, put back when it is over.
struct Borrowed<'a> {
    terminal: &'a File,
    before: Termios,
    /// The modes as the terminal reports them while it is borrowed.
    during: Termios,
    foreground: Option<Pid>,
}

impl Prompt {
    /// The controlling terminal of this process, which must be in its foreground.
    ///
    /// # Errors
    /// `ENXIO` where there is no such terminal, `ENOTTY` where it belongs to other programs.
    pub fn open() -> io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        if !super::is_foreground(&terminal) {
            return Err(rustix::io::Errno::NOTTY.into());
        }
        let users = termios::tcgetattr(&terminal)?;
        Ok(Self { terminal, users })
    }

    /// Three random digits, for an answer that a program can't know before it was shown.
    ///
    /// # Errors
    /// There are no random bytes (random(4)).
    pub fn code() -> io::Result<String> {
        let mut bytes = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(format!("{:03}", u64::from_ne_bytes(bytes) % 1000))
    }

    /// Shows a text and reads a line; `None` where it ends in another way, or is `given_up` first.
    ///
    /// # Errors
    /// The terminal is gone, or belongs to other programs than the command's, or its modes were
    /// changed before the line was there.
    pub fn ask(&self, text: &str, given_up: impl Fn() -> bool) -> io::Result<Option<String>> {
        let borrowed = Borrowed::take(&self.terminal, &self.users)?;
        self.say(text)?;
        let line = self.line(&borrowed, given_up);
        drop(borrowed);
        line
    }

    /// Shows a text.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn say(&self, text: &str) -> io::Result<()> {
        (&self.terminal).write_all(text.as_bytes())
    }

    fn line(
        &self,
        borrowed: &Borrowed<'_>,
        given_up: impl Fn() -> bool,
    ) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        while !given_up() {
            let mut ready = [PollFd::new(&self.terminal, PollFlags::IN)];
            let is_ready = match poll(&mut ready, Some(&TURN)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => false,
                Ok(_) => true,
                Err(error) => return Err(error.into()),
            };
            // What was typed under other modes is not what was meant.
            if !borrowed.is_unchanged() {
                return Err(io::Error::other(
                    "the command changed the terminal's modes meanwhile",
                ));
            }
            if !is_ready {
                continue;
            }
            let mut bytes = [0; 256];
            let length = (&self.terminal).read(&mut bytes)?;
            let read = bytes.get(..length).unwrap_or_default();
            line.extend_from_slice(read);
            if length == 0 || line.len() > LONGEST {
                return Ok(None);
            }
            if line.contains(&b'\n') {
                return Ok(String::from_utf8(line).ok());
            }
        }
        Ok(None)
    }
}

impl<'a> Borrowed<'a> {
    fn take(terminal: &'a File, users: &Termios) -> io::Result<Self> {
        let foreground = termios::tcgetpgrp(terminal)?;
        let own = getpgrp();
        let taken = if foreground == own {
            None
        } else {
            if !is_of_command(foreground) {
                return Err(rustix::io::Errno::NOTTY.into());
            }
            // Needs SIGTTOU blocked, as it is where signals were taken over.
            termios::tcsetpgrp(terminal, own)?;
            Some(foreground)
        };
        let before = termios::tcgetattr(terminal)?;
        let mut borrowed = Self {
            terminal,
            during: before.clone(),
            before,
            foreground: taken,
        };
        // Not the command's: its line ends and kill characters may make another answer of one.
        let mut modes = users.clone();
        modes.local_modes |= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        modes.input_modes |= InputModes::ICRNL;
        modes.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
        termios::tcsetattr(terminal, OptionalActions::Flush, &modes)?;
        termios::tcflush(terminal, QueueSelector::IFlush)?;
        borrowed.during = termios::tcgetattr(terminal)?;
        Ok(borrowed)
    }

    fn is_unchanged(&self) -> bool {
        termios::tcgetattr(self.terminal).is_ok_and(|now| super::same(&now, &self.during))
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        // The command may have set its own meanwhile.
        if self.is_unchanged() {
            termios::tcsetattr(self.terminal, OptionalActions::Now, &self.before).unwrap_or(());
        }
        if let Some(before) = self.foreground
            && super::is_foreground(self.terminal)
        {
            termios::tcsetpgrp(self.terminal, before).unwrap_or(());
        }
    }
}

/// Whether a process group is one of the command's: it lives in a pid namespace below this one.
fn is_of_command(group: Pid) -> bool {
    let depth = |process: &str| -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let numbers = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        Some(numbers.split_whitespace().count())
    };
    // No answer, as on systems without such namespaces, is no.
    match (depth("self"), depth(&group.as_raw_nonzero().to_string())) {
        (Some(own), Some(other)) => other > own,
        _ => false,
    }
}

/// How often it is looked whether somebody still waits for the answer.
const TURN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
const LONGEST: usize = 4096;
