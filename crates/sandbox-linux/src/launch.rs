//! Starts a prepared sandbox and follows it to its end.
//!
//! Each launch has a thread of its own that clones pid 1 and lives until it has ended: the kernel
//! kills pid 1 when the *thread* that cloned it exits (prctl(2), `PR_SET_PDEATHSIG`), so neither a
//! runtime's worker nor a blocking pool may do it.

use std::{
    ffi::{CString, OsStr, OsString},
    io,
    net::{TcpListener, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd, RawFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};

use rustix::{
    fs::{FileType, Mode, OFlags},
    net::{AddressFamily, SocketFlags, SocketType},
    pipe::PipeFlags,
    process::{Pid, PidfdFlags, Signal},
};
use sandbox_policy::AbsolutePath;

use crate::{
    error::LaunchError,
    id_map,
    plan::IdMap,
    prepare::Prepared,
    ruleset,
    stage::{self, CommandImage, Context, IdMaps, InitImage, NetworkTask, StageFailure, Step},
    sys::{
        self, Errno,
        clone::{Stack, ThreadCall},
        exec::StringArray,
        signal::SignalSet,
    },
};

/// A command to run. Nothing is added to or taken from the words and variables given here.
#[derive(Debug)]
pub struct CommandSpec {
    /// Paths to try in order (see [`candidates`]).
    pub candidates: Vec<PathBuf>,
    /// All words, the program's name first.
    pub argv: Vec<OsString>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub working_directory: AbsolutePath,
    /// Standard input, output and error.
    pub streams: [Stream; 3],
}

/// A standard stream of the command.
#[derive(Debug)]
pub enum Stream {
    /// The host program's own.
    Inherited,
    /// This descriptor.
    Descriptor(OwnedFd),
}

/// What a running command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEvent {
    /// A signal stopped it.
    Stopped {
        /// The signal's number.
        signal: i32,
    },
    /// It goes on.
    Continued,
    /// It has ended, and everything else in the sandbox with it.
    Ended(Exit),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// A running sandbox. Dropping it kills everything inside.
#[derive(Debug)]
pub struct Running {
    pid: i32,
    process: OwnedFd,
    sockets: Option<Sockets>,
}

/// Sockets that are inside and served outside; all of them are non-blocking.
#[derive(Debug)]
pub struct Sockets {
    /// For the HTTP proxy.
    pub http: TcpListener,
    /// For the SOCKS5 proxy.
    pub socks: TcpListener,
    /// For programs that know nothing of proxies; none where the kernel lacks nf_tables or TPROXY.
    pub transparent: Option<Transparent>,
}

/// Sockets that every connection and name look-up inside arrives at.
#[derive(Debug)]
pub struct Transparent {
    /// The local address of an accepted connection is its original destination.
    pub tcp: Vec<TcpListener>,
    /// Name servers at every address; the ancillary data tells which one was asked.
    pub dns_udp: Vec<UdpSocket>,
    /// The same for TCP.
    pub dns_tcp: TcpListener,
}

impl From<stage::Sockets> for Sockets {
    fn from(sockets: stage::Sockets) -> Self {
        let stage::Sockets {
            http,
            socks,
            transparent,
        } = sockets;
        Self {
            http: http.into(),
            socks: socks.into(),
            transparent: transparent.map(Into::into),
        }
    }
}

impl From<stage::TransparentSockets> for Transparent {
    fn from(sockets: stage::TransparentSockets) -> Self {
        let stage::TransparentSockets {
            tcp_v4,
            tcp_v6,
            dns_udp_v4,
            dns_udp_v6,
            dns_tcp,
        } = sockets;
        let tcp = [Some(tcp_v4), tcp_v6].into_iter().flatten();
        let udp = [Some(dns_udp_v4), dns_udp_v6].into_iter().flatten();
        Self {
            tcp: tcp.map(Into::into).collect(),
            dns_udp: udp.map(Into::into).collect(),
            dns_tcp: dns_tcp.into(),
        }
    }
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

/// The paths that a program's name stands for: itself if it holds a slash, else one for each
/// directory of `search_path`, as execvp(3) reads it (an empty entry is the working directory).
#[must_use]
pub fn candidates(program: &OsStr, search_path: &OsStr) -> Vec<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    let directories = search_path.as_bytes().split(|byte| *byte == b':');
    let directory = |bytes: &[u8]| match bytes {
        [] => PathBuf::from("."),
        _ => PathBuf::from(OsStr::from_bytes(bytes)),
    };
    directories
        .map(|bytes| directory(bytes).join(program))
        .collect()
}

/// Launches the command from a thread of its own. `on_event` is called on that thread, `Ended` last.
pub fn launch(
    prepared: Arc<Prepared>,
    command: CommandSpec,
    mut on_event: impl FnMut(ChildEvent) + Send + 'static,
) -> Result<Running, LaunchError> {
    let (started, outcome) = mpsc::sync_channel(1);
    let run = move || match launch_here(&prepared, command) {
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
) -> Result<(Running, Follower), LaunchError> {
    let call = |errno: Errno| LaunchError::PrepareCall {
        name: "pthread_sigmask",
        source: errno.into(),
    };
    // The child starts with this thread's mask, so none of the host's handlers runs in it.
    let mask = sys::signal::set_mask(&SignalSet::full()).map_err(call)?;
    let started = start(prepared, command);
    sys::signal::set_mask(&mask).map_err(call)?;
    started
}

fn start(prepared: &Prepared, command: CommandSpec) -> Result<(Running, Follower), LaunchError> {
    let call = |name| {
        move |errno: Errno| LaunchError::PrepareCall {
            name,
            source: errno.into(),
        }
    };
    let abi = prepared.plan.landlock.as_ref().map_or(0, |spec| spec.abi);
    let ruleset = if abi == 0 {
        None
    } else {
        ruleset::create(abi).map_err(LaunchError::Ruleset)?
    };
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(call("pipe2"));
    let (status, status_inside) = pipe()?;
    let (lifeline_inside, lifeline) = pipe()?;
    let (handover, handover_inside) = socket_pair().map_err(call("socketpair"))?;
    let host_maps = match prepared.plan.ids {
        IdMap::Identity => Some(id_map::HostMaps::start().map_err(call("pipe2"))?),
        IdMap::Own { .. } => None,
    };
    let id_maps = match (&host_maps, prepared.plan.ids) {
        (Some(maps), _) => IdMaps::ByHost {
            ready: maps.ready(),
            done: maps.done(),
        },
        (None, ids) => id_map::own(ids),
    };
    let streams = command.streams;
    refuse_directories(&streams)?;
    let command_image = CommandImage::new(
        command.candidates,
        command.argv,
        command.environment,
        &command.working_directory,
    )?;
    let proc = rustix::fs::open(c"/proc", PROC_FLAGS, Mode::empty()).map_err(call("open"))?;
    let network = NetworkTask::new(prepared, handover_inside.as_fd(), proc.as_fd());
    let network_stack = Stack::new().map_err(call("mmap"))?;
    let mut context = Context {
        prepared,
        ruleset,
        rights: ruleset::Rights::new(abi),
        sources: prepared.mounts.iter().map(|_| None).collect(),
        id_maps,
        inner_stack: Some(Stack::new().map_err(call("mmap"))?),
        network: &network,
        network_call: ThreadCall::new(NetworkTask::run, &network),
        network_stack: &network_stack,
        command: &command_image,
        streams: stream_numbers(&streams),
        init: InitImage {
            status: status_inside.as_raw_fd(),
            lifeline: lifeline_inside.as_raw_fd(),
            // A pid has at most seven digits (PID_MAX_LIMIT is 2^22).
            argv: StringArray::new(vec![c"srt-init".into(), c"0000000".into()]),
            envp: StringArray::new(Vec::new()),
        },
        kept: Vec::new(),
        failure: None,
    };
    context.kept = kept(&context);
    let stack = Stack::new().map_err(call("mmap"))?;
    // No exit signal: pid 1 stays out of the host program's own wait loops.
    let flags = stage::NAMESPACES;
    let cloned = sys::clone::clone_into(&stack, flags, stage::outer, &mut context);
    // What is left here names descriptors of a table that is gone with the child, not of ours.
    context.sources.drain(..).for_each(std::mem::forget);
    let failed = |failure| LaunchError::stage(failure, prepared);
    let pid = cloned
        .map_err(StageFailure::at(Step::Namespaces))
        .map_err(failed)?;
    if let Some(failure) = context.failure {
        reap(pid);
        return Err(failed(failure));
    }
    let sockets = stage::handover::receive(handover.as_fd()).map_err(call("recvmsg"))?;
    let follower = Follower {
        pid,
        status,
        _lifeline: lifeline,
    };
    Ok((running(pid, sockets)?, follower))
}

fn running(pid: libc::pid_t, sockets: stage::Sockets) -> Result<Running, LaunchError> {
    // Nobody has waited for the child yet, so its pid can't have been given to another process.
    let process = Pid::from_raw(pid).ok_or(LaunchError::ThreadGone)?;
    let process = rustix::process::pidfd_open(process, PidfdFlags::empty()).map_err(|errno| {
        LaunchError::PrepareCall {
            name: "pidfd_open",
            source: errno.into(),
        }
    })?;
    Ok(Running {
        pid,
        process,
        sockets: Some(sockets.into()),
    })
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
    kept.extend(context.streams);
    kept.extend(context.ruleset.as_ref().map(AsRawFd::as_raw_fd));
    if let IdMaps::ByHost { ready, done } = &context.id_maps {
        kept.extend(ready.map(AsRawFd::as_raw_fd));
        kept.push(done.as_raw_fd());
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// Messages of one end arrive whole at the other.
fn socket_pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Through a directory all that is below it could be reached, past every mount.
fn refuse_directories(streams: &[Stream; 3]) -> Result<(), LaunchError> {
    let own = [
        rustix::stdio::stdin(),
        rustix::stdio::stdout(),
        rustix::stdio::stderr(),
    ];
    for (number, (stream, own)) in (0..).zip(streams.iter().zip(own)) {
        let descriptor = match stream {
            Stream::Inherited => own,
            Stream::Descriptor(descriptor) => descriptor.as_fd(),
        };
        // One that is closed is found out when it is placed.
        let Ok(status) = rustix::fs::fstat(descriptor) else {
            continue;
        };
        if FileType::from_raw_mode(status.st_mode).is_dir() {
            return Err(LaunchError::DirectoryStream { number });
        }
    }
    Ok(())
}

fn stream_numbers(streams: &[Stream; 3]) -> [i32; 3] {
    let [stdin, stdout, stderr] = streams;
    let number = |stream: &Stream, own| match stream {
        Stream::Inherited => own,
        Stream::Descriptor(descriptor) => descriptor.as_raw_fd(),
    };
    [number(stdin, 0), number(stdout, 1), number(stderr, 2)]
}

/// Reports what a launched command does. It must be kept until the command has ended: the sandbox
/// dies with it.
#[derive(Debug)]
pub struct Follower {
    pid: libc::pid_t,
    status: OwnedFd,
    _lifeline: OwnedFd,
}

/// Bytes of a report on the status pipe.
pub const REPORT_BYTES: usize = 4;

impl Follower {
    /// The pipe that reports arrive on, [`REPORT_BYTES`] each, until pid 1 has ended.
    pub fn status(&self) -> io::Result<OwnedFd> {
        self.status.try_clone()
    }

    /// What a report says.
    #[must_use]
    pub fn event(report: [u8; REPORT_BYTES]) -> ChildEvent {
        event(i32::from_ne_bytes(report))
    }

    /// After the pipe's end: takes pid 1's remains away, and everything inside is gone. `reported`
    /// is the end that was reported, if it was.
    #[must_use]
    pub fn end(self, reported: Option<Exit>) -> Exit {
        reap(self.pid);
        // Without a report pid 1 was killed, and the kernel has killed the rest.
        reported.unwrap_or(Exit::Signal(libc::SIGKILL))
    }

    /// Waits for every report.
    fn follow(self, on_event: &mut impl FnMut(ChildEvent)) {
        let mut reported = None;
        let mut report = [0; REPORT_BYTES];
        loop {
            match rustix::io::read(&self.status, &mut report) {
                Ok(REPORT_BYTES) => match Self::event(report) {
                    event @ ChildEvent::Ended(exit) => {
                        // Nothing inside runs any more; what is left is the kernel's bookkeeping.
                        reported = Some(exit);
                        on_event(event);
                    }
                    event @ (ChildEvent::Stopped { .. } | ChildEvent::Continued) => on_event(event),
                },
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => break,
            }
        }
        let exit = self.end(reported);
        if reported.is_none() {
            on_event(ChildEvent::Ended(exit));
        }
    }
}

/// Reaps pid 1. What its status says is known already, and ECHILD that it was reaped.
fn reap(pid: libc::pid_t) {
    match sys::wait::wait_for(pid) {
        Ok(_) | Err(_) => {}
    }
}

fn event(status: i32) -> ChildEvent {
    if libc::WIFSTOPPED(status) {
        ChildEvent::Stopped {
            signal: libc::WSTOPSIG(status),
        }
    } else if libc::WIFCONTINUED(status) {
        ChildEvent::Continued
    } else if libc::WIFSIGNALED(status) {
        ChildEvent::Ended(Exit::Signal(libc::WTERMSIG(status)))
    } else {
        ChildEvent::Ended(Exit::Code(libc::WEXITSTATUS(status)))
    }
}

impl CommandImage {
    fn new(
        candidates: Vec<PathBuf>,
        argv: Vec<OsString>,
        environment: Vec<(OsString, OsString)>,
        working_directory: &AbsolutePath,
    ) -> Result<Self, LaunchError> {
        let text = |word: OsString| {
            CString::new(word.into_vec()).map_err(|error| LaunchError::Nul {
                word: OsString::from_vec(error.into_vec()),
            })
        };
        let variable = |(mut name, value): (OsString, OsString)| {
            name.push("=");
            name.push(value);
            text(name)
        };
        let candidates = candidates
            .into_iter()
            .map(|path| text(path.into_os_string()));
        Ok(Self {
            candidates: candidates.collect::<Result<_, _>>()?,
            argv: StringArray::new(argv.into_iter().map(text).collect::<Result<_, _>>()?),
            envp: StringArray::new(
                environment
                    .into_iter()
                    .map(variable)
                    .collect::<Result<_, _>>()?,
            ),
            working_directory: text(working_directory.as_path().into())?,
        })
    }
}
