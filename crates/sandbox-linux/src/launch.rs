//! Starts a prepared sandbox and follows it to its end.
//!
//! Each launch has a thread of its own that clones pid 1 and lives until it has ended: the kernel
//! kills pid 1 when the *thread* that cloned it exits (prctl(2), `PR_SET_PDEATHSIG`), so neither a
//! runtime's worker nor a blocking pool may do it.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{Arc, atomic::AtomicBool, mpsc},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags},
    fs::{Mode, OFlags},
    net::{AddressFamily, SocketFlags, SocketType},
    pipe::PipeFlags,
    process::{Pid, PidfdFlags, Signal},
};

use crate::{
    command::{CommandSpec, refuse_directories, stream_numbers},
    error::LaunchError,
    follow::{ChildEvent, Follower, reap},
    id_map,
    plan::IdMap,
    prepare::Prepared,
    ruleset,
    sockets::Sockets,
    stage::{
        self, CommandImage, Context, IdMaps, InitImage, InnerTask, NetworkTask, Progress,
        StageFailure, Step, handover::PortSockets,
    },
    supervisor::{self, RefusalSink},
    sys::{
        self, Errno,
        clone::{ChildCall, Stack},
        signal::SignalSet,
    },
};

/// A running sandbox. Dropping it kills everything inside.
#[derive(Debug)]
pub struct Running {
    pid: i32,
    process: OwnedFd,
    sockets: Option<Sockets>,
}

impl Running {
    /// Pid of the sandbox's pid 1 in the host program's pid namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The sockets, once.
    pub fn take_sockets(&mut self) -> Option<Sockets> {
        self.sockets.take()
    }

    /// Sends a signal to pid 1, which forwards it to the command; SIGKILL ends the whole sandbox.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
        rustix::process::pidfd_send_signal(&self.process, signal).map_err(io::Error::from)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // ESRCH only says that it has ended already.
        rustix::process::pidfd_send_signal(&self.process, Signal::KILL).unwrap_or(());
    }
}

/// Launches the command from a thread of its own. `refused` is called on the supervisor's thread, `on_event` is called on that thread, `Ended` last.
pub fn launch(
    prepared: Arc<Prepared>,
    command: CommandSpec,
    refused: RefusalSink,
    mut on_event: impl FnMut(ChildEvent) + Send + 'static,
) -> Result<Running, LaunchError> {
    let (started, outcome) = mpsc::sync_channel(1);
    let run = move || match launch_here(&prepared, command, refused) {
        Ok((running, follower)) => {
            // If the caller is gone, dropping the value kills the sandbox, and it is reaped below.
            drop(started.send(Ok(running)));
            follower.follow(&mut on_event);
        }
        Err(error) => drop(started.send(Err(error))),
    };
    thread::Builder::new()
        .name("sandbox-launch".into())
        .spawn(run)
        .map_err(|source| LaunchError::ThreadCall { source })?;
    outcome.recv().map_err(|_gone| LaunchError::ThreadGone)?
}

/// Launches the command from the calling thread, which must live as long as the command: the kernel
/// kills the sandbox when it exits. This spares the thread of [`launch`] and its wake-ups.
pub fn launch_here(
    prepared: &Prepared,
    command: CommandSpec,
    refused: RefusalSink,
) -> Result<(Running, Follower), LaunchError> {
    let call = |errno: Errno| LaunchError::PrepareCall {
        name: "pthread_sigmask",
        source: errno.into(),
    };
    // The child starts with this thread's mask, so none of the host's handlers runs in it.
    let mask = sys::signal::set_mask(&SignalSet::full()).map_err(call)?;
    let started = start(prepared, command, refused);
    sys::signal::set_mask(&mask).map_err(call)?;
    started
}

fn start(
    prepared: &Prepared,
    command: CommandSpec,
    refused: RefusalSink,
) -> Result<(Running, Follower), LaunchError> {
    let call = failed_call;
    let landlock = prepared.plan.landlock.as_ref();
    let ruleset = match landlock {
        None => None,
        Some(spec) => ruleset::create(spec).map_err(LaunchError::Ruleset)?,
    };
    let (ours, inside) = Channels::new()?;
    let host_maps = host_maps(prepared.plan.ids)?;
    let id_maps = match &host_maps {
        Some(maps) => IdMaps::ByHost(maps),
        None => id_map::own(prepared.plan.ids),
    };
    let streams = command.streams;
    refuse_directories(&streams)?;
    let command_image = CommandImage::new(
        command.candidates,
        command.argv,
        command.environment,
        &command.working_directory,
    )?;
    let proc = own_proc()?;
    let network = NetworkTask::new(prepared, inside.handover.as_fd(), proc.as_fd());
    let new_stack = || Stack::new().map_err(call("mmap"));
    let inner = InnerTask {
        prepared,
        ruleset,
        command: &command_image,
        streams: stream_numbers(&streams),
        handover_stack: handover_stack(prepared).map_err(call("mmap"))?,
        supervisor: inside.supervisor.as_fd(),
        progress: Progress::default(),
    };
    let (stack, inner_stack, network_stack) = (new_stack()?, new_stack()?, new_stack()?);
    let mut context = Context {
        prepared,
        rights: ruleset::Rights::new(landlock),
        sources: prepared.mounts.iter().map(|_| None).collect(),
        id_maps,
        inner: &inner,
        inner_call: ChildCall::new(InnerTask::run, &inner),
        inner_stack: &inner_stack,
        network: &network,
        network_call: ChildCall::new(NetworkTask::run, &network),
        network_stack: &network_stack,
        init: InitImage::new(inside.status.as_fd(), inside.lifeline.as_fd()),
        kept: Vec::new(),
        failure: None,
    };
    context.kept = kept(&context);
    let (pid, supervised) = run_stages(&stack, &mut context, |child| {
        if let Some(maps) = &host_maps {
            maps.write(child);
        }
        let channel = ours.supervisor.as_fd();
        start_supervisor(prepared, channel, child, proc.as_fd(), refused)
    })?;
    follow(prepared, pid, ours, supervised)
}

/// Runs the stages, with what serves them beside, until both have left this memory.
fn run_stages(
    stack: &Stack,
    context: &mut Context<'_>,
    beside: impl FnOnce(libc::pid_t) -> Result<Supervised, LaunchError>,
) -> Result<(libc::pid_t, Supervised), LaunchError> {
    let (prepared, progress) = (context.prepared, &context.inner.progress);
    // No exit signal: pid 1 stays out of the host program's own wait loops.
    let flags = stage::NAMESPACES;
    let (entry, inner) = (stage::outer, &progress.running);
    let failed = |failure| LaunchError::stage(failure, prepared);
    let (pid, supervised) = sys::clone::clone_beside(stack, flags, entry, context, inner, beside)
        .map_err(StageFailure::at(Step::Namespaces))
        .map_err(failed)?;
    let failure = context.failure.or_else(|| progress.failure.get().copied());
    let failure = failure.map(failed);
    match failure.map_or(supervised, Err) {
        Ok(supervised) => Ok((pid, supervised)),
        Err(error) => {
            end(pid);
            Err(error)
        }
    }
}

/// Kills what has failed, in part or whole. Nobody has waited for it, so the pid is still its own.
fn end(pid: libc::pid_t) {
    if let Some(process) = Pid::from_raw(pid) {
        rustix::process::kill_process(process, Signal::KILL).unwrap_or(());
    }
    reap(pid);
}

/// One end of each of what joins the host program and the sandbox.
struct Channels {
    status: OwnedFd,
    lifeline: OwnedFd,
    handover: OwnedFd,
    supervisor: OwnedFd,
}

impl Channels {
    /// The host program's ends, and those inside.
    fn new() -> Result<(Self, Self), LaunchError> {
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed_call("pipe2"));
        // Messages of one end arrive whole at the other.
        let socket_pair = || {
            let flags = SocketFlags::CLOEXEC;
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
                .map_err(failed_call("socketpair"))
        };
        let (status, status_inside) = pipe()?;
        let (lifeline_inside, lifeline) = pipe()?;
        let (handover, handover_inside) = socket_pair()?;
        let (supervisor, supervisor_inside) = socket_pair()?;
        let ours = Self {
            status,
            lifeline,
            handover,
            supervisor,
        };
        let inside = Self {
            status: status_inside,
            lifeline: lifeline_inside,
            handover: handover_inside,
            supervisor: supervisor_inside,
        };
        Ok((ours, inside))
    }
}

/// What the host program has of a sandbox whose command has been executed.
fn follow(
    prepared: &Prepared,
    pid: libc::pid_t,
    channels: Channels,
    Supervised { process, unsettled }: Supervised,
) -> Result<(Running, Follower), LaunchError> {
    let mut running = Running {
        pid,
        process,
        sockets: None,
    };
    let sockets = receive(prepared, channels.handover.as_fd()).map_err(|errno| {
        end(pid);
        failed_call("recvmsg")(errno)
    })?;
    running.sockets = Some(sockets);
    let follower = Follower {
        unsettled,
        pid,
        status: channels.status,
        lifeline: channels.lifeline,
    };
    Ok((running, follower))
}

/// The maps that the host program writes, if it does.
fn host_maps(ids: IdMap) -> Result<Option<id_map::HostMaps>, LaunchError> {
    let failed = |source| LaunchError::PrepareCall {
        name: "read",
        source,
    };
    match ids {
        IdMap::Identity => id_map::HostMaps::prepare().map(Some).map_err(failed),
        IdMap::Own { .. } => Ok(None),
    }
}

/// Where the filter has the inner stage's sendmsg(2) wait for the supervisor, another thread sends.
fn handover_stack(prepared: &Prepared) -> Result<Option<Stack>, Errno> {
    let sends = prepared.plan.sockets.sends_datagrams();
    sends.then(Stack::new).transpose()
}

fn failed_call(name: &'static str) -> impl FnOnce(Errno) -> LaunchError {
    move |errno| LaunchError::PrepareCall {
        name,
        source: errno.into(),
    }
}

/// Receives what the network thread made.
fn receive(prepared: &Prepared, channel: BorrowedFd<'_>) -> Result<Sockets, Errno> {
    let sockets = stage::handover::receive(channel)?;
    let ports = if prepared.plan.ports.is_empty() {
        PortSockets::default()
    } else {
        stage::handover::receive_ports(channel)?
    };
    Ok(Sockets::new(sockets, ports))
}

/// A sandbox whose supervisor runs.
struct Supervised {
    process: OwnedFd,
    unsettled: Arc<AtomicBool>,
}

/// Starts the supervisor as soon as the inner stage has handed over what it needs: the command is executed meanwhile, and
/// may make its first call at once. Where the child ends without that it has failed, which the launch tells, or was killed.
fn start_supervisor(
    prepared: &Prepared,
    channel: BorrowedFd<'_>,
    child: libc::pid_t,
    proc: BorrowedFd<'_>,
    refused: RefusalSink,
) -> Result<Supervised, LaunchError> {
    // Nobody has waited for the child yet, so its pid can't have been given to another process.
    let process = Pid::from_raw(child).ok_or(LaunchError::ThreadGone)?;
    let process = rustix::process::pidfd_open(process, PidfdFlags::empty())
        .map_err(failed_call("pidfd_open"))?;
    let proc = rustix::io::fcntl_dupfd_cloexec(proc, 0).map_err(failed_call("fcntl"))?;
    let mut either = [
        PollFd::new(&channel, PollFlags::IN),
        PollFd::new(&process, PollFlags::IN),
    ];
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut either, None))
        .map_err(failed_call("poll"))?;
    let sockets = stage::handover::receive_supervisor(channel).map_err(|errno| match errno {
        // It ended, and nothing has come.
        Errno::AGAIN => LaunchError::Killed,
        errno => failed_call("recvmsg")(errno),
    })?;
    let unsettled = supervisor::start(sockets, proc, Arc::clone(&prepared.rules), refused)
        .map_err(|source| LaunchError::SupervisorCall { source })?;
    Ok(Supervised { process, unsettled })
}

/// `/proc`, which has to number processes as this process does: the supervisor finds callers in it.
fn own_proc() -> Result<OwnedFd, LaunchError> {
    let proc =
        rustix::fs::open(c"/proc", PROC_FLAGS, Mode::empty()).map_err(failed_call("open"))?;
    let own =
        rustix::fs::readlinkat(&proc, c"self", Vec::new()).map_err(failed_call("readlinkat"))?;
    if own.to_bytes() == rustix::process::getpid().to_string().as_bytes() {
        Ok(proc)
    } else {
        Err(LaunchError::ForeignProc)
    }
}

/// A place to look up from, nothing more.
const PROC_FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The descriptors that the stages use, ascending.
fn kept(context: &Context<'_>) -> Vec<RawFd> {
    let mut kept = vec![
        context.init.status,
        context.init.lifeline,
        context.prepared.init_image.as_raw_fd(),
    ];
    kept.extend(context.network.descriptors());
    kept.push(context.inner.supervisor.as_raw_fd());
    kept.extend(context.inner.streams);
    kept.extend(context.inner.ruleset.as_ref().map(AsRawFd::as_raw_fd));
    kept.sort_unstable();
    kept.dedup();
    kept
}
