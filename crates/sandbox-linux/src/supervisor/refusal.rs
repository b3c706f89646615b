//! What is told of a refused call, and to whom.

use std::{ffi::OsString, fmt, os::unix::ffi::OsStringExt, path::PathBuf, sync::Arc};

use sandbox_policy::{Denial, Operation};

use super::caller::Caller;

/// A refused call, while its caller waits for the answer.
#[derive(Clone, Copy)]
pub struct Refusal<'s> {
    /// What was attempted.
    pub operation: Operation,
    /// The call's name in the kernel's table.
    pub call: &'static str,
    /// What was refused, and why.
    pub denial: &'s Denial,
    /// Whether it went on all the same, as this is a permissive run.
    pub permitted: bool,
    pub(super) who: Who<'s>,
}

/// Who made a call.
#[derive(Clone, Copy)]
pub(super) enum Who<'s> {
    /// It waits for the answer.
    Waiting(Caller<'s>),
    /// It has had that.
    Answered(&'s Writer),
}

/// Who opened a file that is judged when it is closed, and by which call.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) call: &'static str,
    thread: i32,
    program: Program,
}

/// The program that made a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// Its process id as the host numbers it.
    pub process: Option<i32>,
    /// What it calls itself (`/proc/pid/comm`).
    pub name: Option<OsString>,
    /// The file that it runs (`/proc/pid/exe`).
    pub executable: Option<PathBuf>,
}

/// Who is told of refusals, on the supervisor's thread: while it runs no call of the sandbox goes on,
/// so it must not wait for anybody.
pub type RefusalSink = Arc<dyn Fn(&Refusal<'_>) + Send + Sync>;

impl Refusal<'_> {
    /// The calling thread, as the host numbers it.
    #[must_use]
    pub fn thread(&self) -> i32 {
        match self.who {
            Who::Waiting(caller) => caller.thread,
            Who::Answered(writer) => writer.thread,
        }
    }

    /// Looks up who calls: three files of `/proc`, some 20 µs.
    #[must_use]
    pub fn program(&self) -> Program {
        match self.who {
            Who::Waiting(caller) => Program::of(caller),
            Who::Answered(writer) => writer.program.clone(),
        }
    }
}

impl Program {
    fn of(caller: Caller<'_>) -> Self {
        Self {
            process: caller.process().ok(),
            name: caller.name().ok().map(OsString::from_vec),
            executable: caller.executable().ok().map(PathBuf::from),
        }
    }
}

impl Writer {
    pub(super) fn new(call: &'static str, caller: Caller<'_>) -> Self {
        Self {
            call,
            thread: caller.thread,
            program: Program::of(caller),
        }
    }

    #[cfg(test)]
    pub(super) fn unknown() -> Self {
        Self {
            call: "openat",
            thread: 0,
            program: Program::default(),
        }
    }
}

impl fmt::Debug for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("thread", &self.thread())
            .field("operation", &self.operation)
            .field("call", &self.call)
            .field("denial", &self.denial)
            .finish_non_exhaustive()
    }
}
