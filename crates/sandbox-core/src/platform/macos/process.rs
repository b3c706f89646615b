//! A command as a process: `sandbox-exec` becomes it.
//!
//! A thread waits for it. `tokio::process` would do for the end, but it does not tell when a
//! command stops, which a program on a terminal must know.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus};
use sandbox_policy::AbsolutePath;

use crate::{
    child::{ExitStatus, StateChange},
    error::SpawnError,
    stdio::Inside,
};

/// A launched command. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    group: Group,
    life: Arc<Mutex<Life>>,
}

/// Which process group a command runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// That of this process: the terminal's foreground.
    Shared,
    /// Its own.
    Own,
}

/// Whether the pid is still the command's. The lock is held while a signal is sent and while the
/// command is reaped, so that no signal reaches a process that got the number afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Reaped,
}

impl Group {
    /// A command that shares a standard stream with this process may share its terminal.
    pub(super) fn of(streams: &[Inside; 3]) -> Self {
        if streams.iter().all(Option::is_some) {
            Self::Own
        } else {
            Self::Shared
        }
    }
}

/// Starts the command and a thread that follows it.
pub(super) fn start(
    mut command: process::Command,
    streams: [Inside; 3],
    group: Group,
    on_change: impl Fn(StateChange) + Send + 'static,
) -> Result<Process, SpawnError> {
    let [stdin, stdout, stderr] = streams;
    let stdio = |inside: Inside| inside.map_or_else(process::Stdio::inherit, process::Stdio::from);
    command
        .stdin(stdio(stdin))
        .stdout(stdio(stdout))
        .stderr(stdio(stderr));
    let (started, outcome) = mpsc::sync_channel(1);
    // The thread comes first: a command whose end nobody could wait for is never started.
    let thread = thread::Builder::new()
        .name("sandbox-launch".into())
        .spawn(move || {
            let child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            // This process's ends of the streams would keep pipes open.
            drop(command);
            let life = Arc::new(Mutex::new(Life::Running));
            let pid = Pid::from_child(&child);
            let process = Process {
                pid,
                group,
                life: Arc::clone(&life),
            };
            // If the caller is gone, dropping the value kills the command, and it is reaped below.
            drop(started.send(Ok(process)));
            follow(pid, group, &life, on_change);
        });
    let set_up = |source: io::Error| SpawnError::SetUp {
        message: "cannot start `sandbox-exec`".to_owned(),
        hint: None,
        source: Some(Box::new(source)),
    };
    thread.map_err(set_up)?;
    let outcome = outcome
        .recv()
        .map_err(|gone| set_up(io::Error::other(gone)))?;
    outcome.map_err(set_up)
}

/// Reports what the command does, until it has ended.
fn follow(pid: Pid, group: Group, life: &Mutex<Life>, on_change: impl Fn(StateChange)) {
    let anything = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::CONTINUED;
    loop {
        // Only looks, without reaping: until the lock is held, the pid must stay taken.
        // A look that failed is made again below, where its failure is told.
        let seen = rustix::process::waitid(WaitId::Pid(pid), anything | WaitIdOptions::NOWAIT);
        let mut life = lock(life);
        if let Ok(Some(seen)) = &seen
            && (seen.exited() || seen.killed() || seen.dumped())
            && group == Group::Own
        {
            // What the command leaves behind ends with it. Its pid still names the group.
            rustix::process::kill_process_group(pid, Signal::KILL).unwrap_or(());
        }
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED | WaitOptions::CONTINUED;
        match rustix::process::waitpid(Some(pid), options) {
            Ok(Some((_, status))) => {
                let change = state_change(status);
                if let StateChange::Ended(_) = change {
                    *life = Life::Reaped;
                }
                drop(life);
                on_change(change);
                if let StateChange::Ended(_) = change {
                    return;
                }
            }
            Ok(None) => {
                drop(life);
                // The change that was seen is over already, or was reported before.
                thread::sleep(PAUSE);
            }
            Err(_) => {
                // Somebody else in this process reaped it. Its status is lost, which the receiver
                // learns when the sender is dropped.
                *life = Life::Reaped;
                return;
            }
        }
    }
}

fn state_change(status: WaitStatus) -> StateChange {
    if status.continued() {
        StateChange::Continued
    } else if let Some(signal) = status.stopping_signal() {
        StateChange::Stopped { signal }
    } else if let Some(signal) = status.terminating_signal() {
        StateChange::Ended(ExitStatus::killed(signal))
    } else {
        StateChange::Ended(ExitStatus::exited(
            status.exit_status().unwrap_or(UNKNOWN_STATUS),
        ))
    }
}

fn lock(life: &Mutex<Life>) -> MutexGuard<'_, Life> {
    life.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    pub(crate) fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub(crate) fn signal(&self, number: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(number).ok_or(rustix::io::Errno::INVAL)?;
        self.send(|| rustix::process::kill_process(self.pid, signal))
    }

    pub(crate) fn kill(&self) -> io::Result<()> {
        self.send(|| match self.group {
            Group::Own => rustix::process::kill_process_group(self.pid, Signal::KILL),
            Group::Shared => rustix::process::kill_process(self.pid, Signal::KILL),
        })
    }

    fn send(&self, call: impl FnOnce() -> rustix::io::Result<()>) -> io::Result<()> {
        let life = lock(&self.life);
        match *life {
            Life::Running => call().map_err(io::Error::from),
            Life::Reaped => Err(rustix::io::Errno::SRCH.into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A command that has ended can't be killed.
        self.kill().unwrap_or(());
    }
}

/// Finds the program as the launcher will, which would report a missing one by an exit status that
/// is the program's own for all that can be told.
pub(super) fn require_program(
    program: &OsStr,
    search_path: &OsStr,
    working_directory: &AbsolutePath,
) -> Result<(), SpawnError> {
    let mut unusable = None;
    for candidate in candidates(program, search_path) {
        let candidate = working_directory.as_path().join(candidate);
        match fs::metadata(&candidate) {
            Ok(found) if found.is_file() && found.permissions().mode() & ANY_EXECUTE != 0 => {
                return Ok(());
            }
            Ok(_) => unusable = Some(io::Error::from(io::ErrorKind::PermissionDenied)),
            Err(error) if is_absence(&error) => {}
            Err(error) => unusable = Some(error),
        }
    }
    Err(
        unusable.map_or(SpawnError::NotFound, |source| SpawnError::NotExecutable {
            source,
        }),
    )
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn candidates(program: &OsStr, search_path: &OsStr) -> Vec<PathBuf> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    let directories = search_path.as_bytes().split(|byte| *byte == b':');
    // An empty entry is the working directory.
    directories
        .map(|directory| Path::new(OsStr::from_bytes(directory)).join(program))
        .collect()
}

/// The execute bits of owner, group and others.
const ANY_EXECUTE: u32 = 0o111;

/// Between two looks at a change that can't be fetched.
const PAUSE: Duration = Duration::from_millis(10);

/// For a status that is neither an exit nor a signal, which no system gives.
const UNKNOWN_STATUS: i32 = 255;
