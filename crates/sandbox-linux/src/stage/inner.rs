//! The inner stage: it restricts itself and executes the command.
//!
//! # Order
//!
//! 1. Standard streams and working directory, while nothing is forbidden yet.
//! 2. Signals as a program expects them, and no core dumps.
//! 3. No capabilities, `no_new_privs`: required by the next two, and final.
//! 4. Landlock, before the filter could forbid its calls.
//! 5. The filter, last: everything above makes calls that it may refuse.
//! 6. Every descriptor but the standard three closes at `execve`, which waits until pid 1 is the init image, and so
//!    for the network, which pid 1 waits for.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatxFlags},
    process::{Resource, Rlimit},
};

use super::{
    CommandImage, OUT_OF_THE_WAY, StageFailure, Step, gate::Gate, handover, messenger::Messenger,
    outer,
};
use crate::{
    prepare::Prepared,
    supervisor::SupervisorSockets,
    sys::{
        self, Errno,
        clone::{ChildCall, Stack},
        signal::SignalSet,
    },
};

/// What the inner stage is to do. The outer one runs beside it.
#[derive(Debug)]
pub(crate) struct InnerTask<'launch> {
    pub(crate) prepared: &'launch Prepared,
    pub(crate) ruleset: Option<OwnedFd>,
    pub(crate) command: &'launch CommandImage,
    pub(crate) streams: [RawFd; 3],
    /// For the thread that hands the supervisor's descriptors over, where the filter has this one wait
    /// for the supervisor.
    pub(crate) handover_stack: Option<Stack>,
    /// Where the supervisor's descriptors go.
    pub(crate) supervisor: BorrowedFd<'launch>,
    pub(crate) progress: Progress,
}

/// What changes while the stages run.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Whether the host program ignores SIGCHLD, as its command does then; written by the outer stage.
    pub(super) ignores_children: AtomicBool,
    pub(super) gate: Gate,
    /// 1 while the stage is in this memory.
    pub(crate) running: AtomicU32,
    /// Written by this stage alone, so it never waits for another writer.
    pub(crate) failure: OnceLock<StageFailure>,
}

impl InnerTask<'_> {
    /// Entry of the inner stage.
    pub(crate) fn run(&self) -> libc::c_int {
        let ready = restrict(self).and_then(|()| {
            self.progress
                .gate
                .pass()
                .map_err(StageFailure::at(Step::InnerStage))
        });
        let failure = match ready {
            Ok(true) => execute(self),
            // What failed then is told by the outer stage.
            Ok(false) => return outer::FAILED,
            Err(failure) => failure,
        };
        // It is the first.
        self.progress.failure.set(failure).unwrap_or(());
        outer::FAILED
    }
}

fn restrict(task: &InnerTask<'_>) -> Result<(), StageFailure> {
    place_streams(task.streams).map_err(StageFailure::at(Step::StandardStreams))?;
    rustix::process::chdir(task.command.working_directory.as_c_str())
        .map_err(StageFailure::at(Step::WorkingDirectory))?;
    sys::signal::default_sigpipe().map_err(StageFailure::at(Step::Privileges))?;
    if task.progress.ignores_children.load(Ordering::SeqCst) {
        sys::signal::ignore_sigchld().map_err(StageFailure::at(Step::Privileges))?;
    }
    dump_no_core();
    rustix::thread::set_no_new_privs(true).map_err(StageFailure::at(Step::Privileges))?;
    outer::drop_capabilities().map_err(StageFailure::at(Step::Privileges))?;
    if let Some(ruleset) = &task.ruleset {
        sys::landlock::restrict_self(ruleset.as_fd()).map_err(StageFailure::at(Step::Landlock))?;
    }
    install_filter(task)?;
    sys::fd::close_on_exec_from(3).map_err(StageFailure::at(Step::StandardStreams))
}

/// No core dumps: where the host has them piped to a program, that program runs outside. A limit of 1
/// is the only one that stops those too (fs/coredump.c); it is less than the smallest dump to a file.
/// Fails only below a hard limit of 0, which stops all but the piped ones.
fn dump_no_core() {
    let limit = Rlimit {
        current: Some(1),
        maximum: Some(1),
    };
    rustix::process::setrlimit(Resource::Core, limit).unwrap_or(());
}

/// Installs the filter. The supervisor gets its notifications and the root as it is seen here: the thread that
/// launches starts it, and a call before that waits for it.
fn install_filter(task: &InnerTask<'_>) -> Result<(), StageFailure> {
    let filter = &task.prepared.filter;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(c"/", flags, Mode::empty()).map_err(StageFailure::at(Step::Supervisor))?;
    let install =
        || sys::seccomp::install_with_listener(filter).map_err(StageFailure::at(Step::Filter));
    let Some(stack) = &task.handover_stack else {
        let sockets = SupervisorSockets {
            listener: install()?,
            root,
        };
        return handover::send_supervisor(task.supervisor, &sockets)
            .map_err(StageFailure::at(Step::Supervisor));
    };
    // sendmsg(2) will wait for the supervisor, which waits for this message: a thread sends it, to which
    // the filter does not apply.
    let messenger = Messenger::new(task.supervisor);
    let call = ChildCall::new(Messenger::run, &messenger);
    sys::clone::start(stack, sys::clone::THREAD, &call, &messenger.running)
        .map_err(StageFailure::at(Step::Supervisor))?;
    let sockets = install().map(|listener| SupervisorSockets { listener, root });
    let (sockets, failure) = match sockets {
        Ok(sockets) => (Some(sockets), Ok(())),
        Err(failure) => (None, Err(failure)),
    };
    let sent = messenger.send(sockets);
    failure.and_then(|()| sent.map_err(StageFailure::at(Step::Supervisor)))
}

fn place_streams(streams: [libc::c_int; 3]) -> Result<(), Errno> {
    let [stdin, stdout, stderr] = streams;
    // Set aside first: one stream may be open at the number that another one takes.
    let aside = |descriptor| sys::fd::duplicate_above(descriptor, OUT_OF_THE_WAY);
    let (stdin, stdout, stderr) = (aside(stdin)?, aside(stdout)?, aside(stderr)?);
    sys::fd::place(stdin, 0)?;
    sys::fd::place(stdout, 1)?;
    sys::fd::place(stderr, 2)
}

/// Tries the candidates as execvp(3) does; returns the error that decides.
fn execute(task: &InnerTask<'_>) -> StageFailure {
    // The mask is inherited by the command, so it is opened last: the host's handlers must not run
    // in this process.
    sys::signal::set_mask(&SignalSet::empty())
        .map(drop)
        .unwrap_or(());
    let mut decisive = Errno::NOENT;
    for candidate in &task.command.candidates {
        // By `rustix`, as most directories of a search hold nothing of the name: `errno` is the host's too.
        let there = rustix::fs::statx(CWD, candidate, AtFlags::empty(), StatxFlags::empty());
        let errno = match there {
            Err(errno @ (Errno::NOENT | Errno::NOTDIR)) => errno,
            Ok(_) | Err(_) => sys::exec::execve(candidate, &task.command.argv, &task.command.envp),
        };
        match errno {
            Errno::NOENT | Errno::NOTDIR => {}
            // Another directory may hold one that can be executed; if none does, this is the error.
            Errno::ACCESS => decisive = errno,
            _ => {
                decisive = errno;
                break;
            }
        }
    }
    StageFailure {
        step: Step::Execute,
        errno: decisive,
        operation: None,
    }
}
