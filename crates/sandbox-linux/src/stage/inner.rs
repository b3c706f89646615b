//! The inner stage: it restricts itself and executes the command.
//!
//! # Order
//!
//! 1. Standard streams and working directory, while nothing is forbidden yet.
//! 2. Signals as a program expects them, and no core dumps.
//! 3. No capabilities, `no_new_privs`: required by the next two, and final.
//! 4. Landlock, before the filter could forbid its calls.
//! 5. The filter, last: everything above makes calls that it may refuse.
//! 6. Every descriptor but the standard three closes at `execve`, which waits for the network.

use std::os::fd::AsFd;

use rustix::{
    fs::{Mode, OFlags},
    process::{Resource, Rlimit},
};

use super::{Context, StageFailure, Step, handover, messenger::Messenger, outer};
use crate::{
    supervisor::SupervisorSockets,
    sys::{self, Errno, clone::ThreadCall, signal::SignalSet},
};

/// Where the standard streams wait while they are placed.
const OUT_OF_THE_WAY: libc::c_int = 16;

/// Entry of the inner stage.
pub(super) fn inner(context: &mut Context<'_>) -> libc::c_int {
    // The command may use the network at once, so it waits for the last of it.
    let ready = restrict(context).and_then(|()| {
        context
            .network
            .finish()
            .map_err(StageFailure::at(Step::Network))
    });
    let failure = match ready {
        Ok(()) => execute(context),
        Err(failure) => failure,
    };
    context.failure.get_or_insert(failure);
    outer::FAILED
}

fn restrict(context: &Context<'_>) -> Result<(), StageFailure> {
    place_streams(context.streams).map_err(StageFailure::at(Step::StandardStreams))?;
    rustix::process::chdir(context.command.working_directory.as_c_str())
        .map_err(StageFailure::at(Step::WorkingDirectory))?;
    sys::signal::default_sigpipe().map_err(StageFailure::at(Step::Privileges))?;
    if context.ignores_children {
        sys::signal::ignore_sigchld().map_err(StageFailure::at(Step::Privileges))?;
    }
    dump_no_core();
    rustix::thread::set_no_new_privs(true).map_err(StageFailure::at(Step::Privileges))?;
    outer::drop_capabilities().map_err(StageFailure::at(Step::Privileges))?;
    if let Some(ruleset) = &context.ruleset {
        sys::landlock::restrict_self(ruleset.as_fd()).map_err(StageFailure::at(Step::Landlock))?;
    }
    install_filter(context)?;
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
fn install_filter(context: &Context<'_>) -> Result<(), StageFailure> {
    let filter = &context.prepared.filter;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(c"/", flags, Mode::empty()).map_err(StageFailure::at(Step::Supervisor))?;
    let install =
        || sys::seccomp::install_with_listener(filter).map_err(StageFailure::at(Step::Filter));
    let Some(stack) = &context.handover_stack else {
        let sockets = SupervisorSockets {
            listener: install()?,
            root,
        };
        return handover::send_supervisor(context.supervisor, &sockets)
            .map_err(StageFailure::at(Step::Supervisor));
    };
    // sendmsg(2) will wait for the supervisor, which waits for this message: a thread sends it, to which
    // the filter does not apply.
    let messenger = Messenger::new(context.supervisor);
    let mut call = ThreadCall::new(Messenger::run, &messenger);
    sys::clone::start_thread(stack, &mut call, &messenger.running)
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
fn execute(context: &Context<'_>) -> StageFailure {
    // The mask is inherited by the command, so it is opened last: the host's handlers must not run
    // in this process.
    sys::signal::set_mask(&SignalSet::empty())
        .map(drop)
        .unwrap_or(());
    let mut decisive = Errno::NOENT;
    for candidate in &context.command.candidates {
        let errno = sys::exec::execve(candidate, &context.command.argv, &context.command.envp);
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
