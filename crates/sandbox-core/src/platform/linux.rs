//! Linux: `sandbox-linux`, with the proxies on the listeners that each launch hands out.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    net::{IpAddr, TcpListener, UdpSocket},
    sync::{Arc, OnceLock},
};

use sandbox_linux::{
    BindAccess, ChildEvent, CommandSpec, Endpoints, Exit, Follower, HostFacts, IdMap, LaunchError,
    LinuxPlan, ListedSocket, MountKind, PlanError, PrepareError, Prepared, ProbeError,
    REPORT_BYTES, Running, Sockets, Stream, Supervision, Transparent, Transport,
};
use sandbox_policy::{AbsolutePath, Denial, FilesystemPolicy, Policy, Port, UnixSocketPolicy};
use sandbox_proxy::{FrontEnd, Proxy};
use tokio::{io::AsyncReadExt, net::unix::pipe};

use super::{
    Launch, Shown, SocketVerdict,
    publish::{self, Published},
};
use crate::{
    builder::LaunchThread,
    child::{ExitStatus, Serving, StateChange},
    error::SpawnError,
    host, permissive,
    report::{Enforcement, LayerReport},
    violation::{Refusee, Reporter},
};

pub(crate) use sandbox_linux::inherited;

/// Where programs are searched for without a `PATH` (`_PATH_DEFPATH` of paths.h).
const DEFAULT_SEARCH_PATH: &str = "/usr/bin:/bin";

const NOT_TRANSPARENT: &str =
    "the kernel lacks nf_tables TPROXY: programs must use the proxy variables";

/// Why Linux can't enforce a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// The host can't be examined.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// There is no plan for this policy here.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan can't be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

/// A prepared plan.
#[derive(Debug)]
pub(crate) struct Backend {
    prepared: Arc<Prepared>,
    unix_sockets: UnixSocketPolicy,
    launch_thread: LaunchThread,
    /// Whether the kernel leads connections to the transparent listener, which shows when the first
    /// command is launched.
    transparent: OnceLock<bool>,
}

impl Backend {
    pub(crate) fn new(
        policy: &Policy,
        place: (&AbsolutePath, Option<&AbsolutePath>),
        launch_thread: LaunchThread,
    ) -> Result<Self, PlatformError> {
        let policy = &*sandbox_linux::close_kernel_trees(policy)?;
        let facts = examine(policy, place)?;
        let plan = sandbox_linux::lower(policy, &facts, Endpoints::standard())?;
        Self::of_plan(plan, policy, launch_thread)
    }

    /// For a permissive run: files are changed in a copy, and what the policy would refuse is told.
    pub(crate) fn permissive(
        policy: &Policy,
        place: (&AbsolutePath, Option<&AbsolutePath>),
        launch_thread: LaunchThread,
    ) -> Result<Self, PlatformError> {
        let policy = &*sandbox_linux::close_kernel_trees(policy)?;
        let facts = examine(policy, place)?;
        let strict = sandbox_linux::lower(policy, &facts, Endpoints::standard())?;
        let copied = sandbox_linux::copied_places(policy, place.0, place.1)?;
        let open = permissive::opened(policy, (place.1, &host::homes(place.1)), &copied);
        let facts = examine(&open, place)?;
        let endpoints = Endpoints::standard();
        let plan = sandbox_linux::lower_permissive(&open, &facts, endpoints, &strict)?;
        Self::of_plan(plan, &open, launch_thread)
    }

    fn of_plan(
        plan: LinuxPlan,
        policy: &Policy,
        launch_thread: LaunchThread,
    ) -> Result<Self, PlatformError> {
        let prepared = Arc::new(Prepared::new(plan)?);
        Ok(Self {
            prepared,
            unix_sockets: policy.unix_sockets.clone(),
            launch_thread,
            transparent: OnceLock::new(),
        })
    }

    pub(crate) fn environment(
        &self,
        inherited: BTreeMap<OsString, OsString>,
        policy: &Policy,
    ) -> BTreeMap<OsString, OsString> {
        let plan = self.prepared.plan();
        sandbox_linux::environment(inherited, policy, plan.endpoints, &plan.ports.host_ports)
    }

    pub(crate) fn describe(&self) -> String {
        self.prepared.plan().to_string()
    }

    /// The file policy as it is enforced.
    pub(crate) fn filesystem(&self) -> &FilesystemPolicy {
        self.prepared.filesystem()
    }

    /// What a command sees at a path without symlinks.
    pub(crate) fn shown(&self, path: &AbsolutePath) -> Shown {
        match self.prepared.plan().shown(path) {
            sandbox_linux::Shown::Host(BindAccess::ReadOnly) => Shown::ReadOnly,
            sandbox_linux::Shown::Host(BindAccess::Writable | BindAccess::Copied) => {
                Shown::Writable
            }
            sandbox_linux::Shown::Private => Shown::Private,
            sandbox_linux::Shown::Devices => device(path),
            sandbox_linux::Shown::Device => Shown::Device,
            sandbox_linux::Shown::Proc => Shown::Proc,
            sandbox_linux::Shown::Nothing => Shown::Nothing,
            sandbox_linux::Shown::Mask => Shown::Mask,
            sandbox_linux::Shown::Link(to) => Shown::Link(to),
            sandbox_linux::Shown::File(_) => Shown::Replaced,
        }
    }

    /// Whether a rule's name alone can close what mounts leave open for reading.
    pub(crate) fn judges_every_open(&self) -> bool {
        self.prepared.plan().supervision == Supervision::Opens
    }

    /// Why a path can't be changed that no rule names, if a closed or protected name leads to it.
    pub(crate) fn closed_elsewhere(&self, path: &AbsolutePath) -> Option<Denial> {
        self.prepared.closed_elsewhere(path)
    }

    /// Whether a path can't be changed because of the repository that it lies in.
    pub(crate) fn is_of_repository(&self, path: &AbsolutePath) -> bool {
        self.prepared.is_of_repository(path)
    }

    /// Whether nothing is changed through a symlink that a rule or the table of protected paths names.
    pub(crate) fn closes_links(&self) -> bool {
        self.prepared.plan().supervision != Supervision::Off
    }

    /// Whether a path belongs to a write root that does not exist yet.
    pub(crate) fn may_become_a_root(&self, path: &AbsolutePath) -> bool {
        self.prepared.plan().may_become_a_root(path)
    }

    /// Whether the file of names inside has a name.
    pub(crate) fn is_own_name(&self, name: &str) -> bool {
        let operations = self.prepared.plan().mounts.operations().iter();
        let mut texts = operations.filter_map(|operation| {
            if let MountKind::File { content } = &operation.kind {
                str::from_utf8(content).ok()
            } else {
                None
            }
        });
        texts.any(|text| {
            let mut words = text.split_whitespace();
            words.any(|word| word.eq_ignore_ascii_case(name))
        })
    }

    /// Whether a connection to this address of the sandbox's loopback leads to the host's.
    pub(crate) fn is_host_port(&self, address: IpAddr, port: Port) -> bool {
        let mut ports = self.prepared.plan().ports.host_ports.iter();
        ports.any(|host| host.port == port && host.has(address))
    }

    /// Whether a Unix socket of the host's may be connected to.
    pub(crate) fn judge_socket(
        &self,
        policy: &UnixSocketPolicy,
        path: &AbsolutePath,
    ) -> SocketVerdict {
        if let UnixSocketPolicy::Unrestricted(origin) = policy {
            return SocketVerdict::Unfiltered(origin.clone());
        }
        let listed = self.prepared.plan().sockets.listed();
        let filesystem = self.prepared.filesystem();
        let leads_there = |listed: &&ListedSocket| {
            let landing = listed.is_hidden.then(|| listed.landing_of(path)).flatten();
            match landing {
                Some(landing) => !sandbox_linux::closes(filesystem, &landing),
                None => listed.names(path),
            }
        };
        let mut named = listed.iter().filter(leads_there);
        match named.next() {
            Some(listed) => SocketVerdict::Listed {
                rule: listed.rule.clone(),
                consequence: listed.gives_away.as_ref().map(|given| given.consequence),
                is_shown: listed.is_hidden || self.shows_hosts(path),
            },
            None => SocketVerdict::Closed,
        }
    }

    fn shows_hosts(&self, path: &AbsolutePath) -> bool {
        matches!(self.shown(path), Shown::ReadOnly | Shown::Writable)
    }

    pub(crate) fn notices(&self) -> Vec<String> {
        let plan = self.prepared.plan().notices.iter().map(ToString::to_string);
        let missing = self.transparent.get() == Some(&false);
        plan.chain(missing.then(|| NOT_TRANSPARENT.to_owned()))
            .collect()
    }

    pub(crate) fn layers(&self) -> Vec<LayerReport> {
        let plan = self.prepared.plan();
        let ids = match plan.ids {
            IdMap::Own { uid, gid } => format!("ids {uid}:{gid}"),
            IdMap::Identity => "all ids, no capabilities".to_owned(),
        };
        let mounts = format!("{} operations", plan.mounts.operations().len());
        let landlock = match &plan.landlock {
            Some(spec) => (Enforcement::Full, format!("ABI {}", spec.abi)),
            None => (Enforcement::None, "the kernel has none".to_owned()),
        };
        let filter = match &self.unix_sockets {
            UnixSocketPolicy::Unrestricted(origin) => (
                Enforcement::Partial,
                format!("Unix sockets are not filtered: {origin}"),
            ),
            UnixSocketPolicy::Blocked | UnixSocketPolicy::Listed(_) => (
                Enforcement::Full,
                format!("{} rules", plan.filter.rules().len()),
            ),
        };
        let transparent = self.transparent.get().map(|available| {
            let (enforcement, detail) = if *available {
                (
                    Enforcement::Full,
                    "TCP and DNS of programs that know nothing of proxies",
                )
            } else {
                (Enforcement::None, "no nf_tables TPROXY")
            };
            LayerReport::new("transparent", enforcement, detail.to_owned())
        });
        let supervisor = match plan.supervision {
            Supervision::Off => "calls that are refused",
            Supervision::Changes => "calls that change files, and those that are refused",
            Supervision::Opens => "calls that change or open files, and those that are refused",
        };
        let supervisor = LayerReport::new("supervisor", Enforcement::Full, supervisor.to_owned());
        let layers = [
            LayerReport::new("namespaces", Enforcement::Full, ids),
            LayerReport::new("mounts", Enforcement::Full, mounts),
            LayerReport::new("landlock", landlock.0, landlock.1),
            LayerReport::new("seccomp", filter.0, filter.1),
            LayerReport::new("proxy", Enforcement::Full, "HTTP and SOCKS5".to_owned()),
            supervisor,
        ];
        layers.into_iter().chain(transparent).collect()
    }

    pub(crate) fn launch(
        &self,
        launch: Launch,
        proxy: &Proxy,
        reporter: &Reporter,
        on_change: impl Fn(StateChange) + Send + 'static,
    ) -> Result<(Process, Serving), SpawnError> {
        let search_path = launch.environment.get(OsStr::new("PATH"));
        let search_path =
            search_path.map_or_else(|| OsStr::new(DEFAULT_SEARCH_PATH), OsString::as_os_str);
        let spec = CommandSpec {
            candidates: sandbox_linux::candidates(&launch.program, search_path),
            argv: launch.argv,
            environment: launch.environment.into_iter().collect(),
            working_directory: launch.working_directory,
            streams: launch.streams.map(|stream| match stream {
                Some(descriptor) => Stream::Descriptor(descriptor),
                None => Stream::Inherited,
            }),
        };
        let refused = reporter.refusals();
        // Before anything runs: a port that can't be had is an error.
        let published = publish::listen(&self.prepared.plan().ports.published)?;
        let mut running = match self.launch_thread {
            LaunchThread::Own => {
                let on_event = move |event| on_change(state_change(event));
                sandbox_linux::launch(Arc::clone(&self.prepared), spec, refused, on_event)
                    .map_err(spawn_error)?
            }
            LaunchThread::Callers => {
                let launched = sandbox_linux::launch_here(&self.prepared, spec, refused);
                let (running, follower) = launched.map_err(spawn_error)?;
                let reports = follower.status().and_then(pipe::Receiver::from_owned_fd);
                let reports = reports.map_err(|source| SpawnError::Wait { source })?;
                tokio::spawn(follow(follower, reports, on_change));
                running
            }
        };
        let serving = match running.take_sockets() {
            Some(sockets) => {
                // Every launch of a sandbox finds the same kernel.
                self.transparent
                    .get_or_init(|| sockets.transparent.is_some());
                let first = running.pid();
                let events = reporter.events(move |front_end, port| client(first, front_end, port));
                serve(sockets, published, &proxy.telling(events))
                    .map_err(|source| SpawnError::Network { source })?
            }
            None => Serving::default(),
        };
        Ok((Process(running), serving))
    }
}

/// What the host has, with what its environment says.
fn examine(
    policy: &Policy,
    place: (&AbsolutePath, Option<&AbsolutePath>),
) -> Result<HostFacts, PlatformError> {
    let mut facts = sandbox_linux::probe(policy, place.0, place.1)?;
    facts.config_home = host::config_home();
    Ok(facts)
}

/// The program with a socket of the sandbox's. A look-up over TCP, which is rare, is not found.
fn client(first: i32, front_end: FrontEnd, port: u16) -> Option<Refusee> {
    let transport = if front_end == FrontEnd::Dns {
        Transport::Datagram
    } else {
        Transport::Stream
    };
    sandbox_linux::client(first, transport, port).map(Refusee::from)
}

/// What the sandbox's own `/dev` has at a path.
fn device(path: &AbsolutePath) -> Shown {
    let Ok(below) = path.as_path().strip_prefix("/dev") else {
        return Shown::NoDevice;
    };
    let bytes = below.as_os_str().as_encoded_bytes();
    let is_known = sandbox_linux::device_names().any(|name| name.to_bytes() == bytes);
    if is_known || below.as_os_str().is_empty() || below.starts_with("pts") {
        Shown::Device
    } else {
        Shown::NoDevice
    }
}

/// Passes a command's reports on, until it has ended.
async fn follow(
    follower: Follower,
    mut reports: pipe::Receiver,
    on_change: impl Fn(StateChange) + Send,
) {
    let mut reported = None;
    let mut report = [0; REPORT_BYTES];
    while reports.read_exact(&mut report).await.is_ok() {
        match Follower::event(report) {
            event @ ChildEvent::Ended(exit) => {
                // Nothing inside runs any more; what is left is the kernel's bookkeeping.
                reported = Some(exit);
                if let Some(unsettled) = follower.unsettled() {
                    // Others go on meanwhile. It can fail only where the runtime ends, and then nobody asks.
                    let waiting = tokio::task::spawn_blocking(|| unsettled.wait());
                    waiting.await.unwrap_or(());
                }
                on_change(state_change(event));
            }
            event @ (ChildEvent::Stopped { .. } | ChildEvent::Continued) => {
                on_change(state_change(event));
            }
        }
    }
    let exit = follower.end(reported);
    if reported.is_none() {
        on_change(state_change(ChildEvent::Ended(exit)));
    }
}

/// Has the proxy serve a command's sockets.
fn serve(sockets: Sockets, published: Vec<Published>, proxy: &Proxy) -> io::Result<Serving> {
    let Sockets {
        http,
        socks,
        transparent,
        host_ports,
        entrance,
    } = sockets;
    let mut serving = Serving::default();
    serving.start(proxy.serve_http(listener(http)?));
    serving.start(proxy.serve_socks5(listener(socks)?));
    if let Some(Transparent {
        tcp,
        dns_udp,
        dns_tcp,
    }) = transparent
    {
        for socket in tcp {
            serving.start(proxy.serve_transparent(listener(socket)?));
        }
        for socket in dns_udp {
            serving.start(proxy.serve_dns_udp(datagrams(socket)?));
        }
        serving.start(proxy.serve_dns_tcp(listener(dns_tcp)?));
    }
    for socket in host_ports {
        serving.start(proxy.serve_host_port(listener(socket)?));
    }
    if let Some(entrance) = entrance {
        publish::serve(published, entrance, proxy, &mut serving)?;
    }
    Ok(serving)
}

/// The launcher hands out non-blocking listeners, as tokio wants them.
pub(super) fn listener(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener)
}

fn datagrams(socket: UdpSocket) -> io::Result<tokio::net::UdpSocket> {
    tokio::net::UdpSocket::from_std(socket)
}

fn state_change(event: ChildEvent) -> StateChange {
    match event {
        ChildEvent::Stopped { signal } => StateChange::Stopped { signal },
        ChildEvent::Continued => StateChange::Continued,
        ChildEvent::Ended(Exit::Code(code)) => StateChange::Ended(ExitStatus::exited(code)),
        ChildEvent::Ended(Exit::Signal(signal)) => StateChange::Ended(ExitStatus::killed(signal)),
    }
}

fn spawn_error(error: LaunchError) -> SpawnError {
    if let LaunchError::NotFound = error {
        return SpawnError::NotFound;
    }
    if let LaunchError::NotExecutable { source } = error {
        return SpawnError::NotExecutable { source };
    }
    SpawnError::SetUp {
        message: "cannot set the sandbox up".to_owned(),
        hint: error.hint(),
        source: Some(Box::new(error)),
    }
}

/// A launched sandbox.
#[derive(Debug)]
pub(crate) struct Process(Running);

impl Process {
    pub(crate) fn id(&self) -> i32 {
        self.0.pid()
    }

    pub(crate) fn signal(&self, number: i32) -> io::Result<()> {
        self.0.signal(number)
    }

    pub(crate) fn kill(&self) -> io::Result<()> {
        const SIGKILL: i32 = 9;
        self.0.signal(SIGKILL)
    }
}
