//! macOS: `sandbox-macos`, with the proxies on loopback ports of the host.
//!
//! What is different from Linux, and shows in [`Backend::layers`]:
//!
//! * The proxies' ports are bound before the profile is made, as the profile names them, and every
//!   command of the sandbox uses the same two. Programs that ignore the proxy variables reach
//!   nothing.
//! * There is no process namespace. A command that shares none of this process's standard streams
//!   gets a process group of its own, which is killed as a whole; any other one stays in the group
//!   of the terminal, for job control, and what it leaves running is not killed.
//! * The program's own name (`arg0`) is the one that it was found by: `sandbox-exec` has no other.
//! * Descriptors that this process was started with, and that are not closed on exec, are
//!   inherited.

mod process;
mod signals;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
};

use sandbox_macos::{
    Endpoints, HostFacts, LaunchSpec, LocalBinding, ProbeError, ProfileError, SeatbeltProfile,
};
use sandbox_policy::{
    AbsolutePath, Denial, FileVerdict, FilesystemPolicy, HostPort, Policy, Port, ProxyPorts,
    UnixSocketPolicy, powerful_socket,
};
use sandbox_proxy::Proxy;

use super::{Launch, Shown, SocketVerdict};
use crate::{
    builder::LaunchThread,
    child::{Serving, StateChange},
    error::SpawnError,
    host,
    report::{Enforcement, LayerReport},
    violation::Reporter,
};

pub(crate) use process::Process;
/// The descriptor of a number: opening its name duplicates it here (fd(4)).
pub(crate) fn inherited(number: i32) -> io::Result<OwnedFd> {
    let named = File::open(format!("/dev/fd/{number}"))?;
    Ok(named.into())
}

pub use signals::{Listening, ReceivedSignal, Signals};

/// Why macOS can't enforce a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlatformError {
    /// The host can't be examined.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// There is no profile for this policy.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// There is no copy of files.
    #[error(
        "a permissive run needs a copy of files that is thrown away, which only Linux can make"
    )]
    NoCopy,
    /// The proxies have no place to listen.
    #[error("cannot listen on a loopback port for the proxies")]
    Listen {
        /// The reason.
        source: io::Error,
    },
}

/// A profile and the listeners that it names.
#[derive(Debug)]
pub(crate) struct Backend {
    profile: SeatbeltProfile,
    /// The policy as the profile enforces it.
    effective: Policy,
    facts: HostFacts,
    http: TcpListener,
    socks: TcpListener,
    ports: ProxyPorts,
    joined: Vec<HostPort>,
}

impl Backend {
    pub(crate) fn permissive(
        _policy: &Policy,
        _place: (&AbsolutePath, Option<&AbsolutePath>),
        _launch_thread: LaunchThread,
    ) -> Result<Self, PlatformError> {
        Err(PlatformError::NoCopy)
    }

    pub(crate) fn new(
        policy: &Policy,
        _place: (&AbsolutePath, Option<&AbsolutePath>),
        // No command depends on the thread that started it.
        _launch_thread: LaunchThread,
    ) -> Result<Self, PlatformError> {
        let facts = facts(policy)?;
        let (http, http_port) = listen()?;
        let (socks, socks_port) = listen()?;
        let endpoints = Endpoints {
            http_port: Some(http_port),
            socks_port: Some(socks_port),
            // No policy says otherwise: the loopback interface is the host's.
            local_binding: LocalBinding::Refused,
        };
        let profile = sandbox_macos::lower(policy, &facts, &endpoints)?;
        let effective = sandbox_macos::effective(policy, &facts)?;
        let ports = ProxyPorts {
            http: http_port,
            socks: socks_port,
        };
        Ok(Self {
            profile,
            effective,
            facts,
            http,
            socks,
            ports,
            joined: sandbox_macos::joined_ports(&policy.network),
        })
    }

    pub(crate) fn environment(
        &self,
        mut inherited: BTreeMap<OsString, OsString>,
        policy: &Policy,
    ) -> BTreeMap<OsString, OsString> {
        // Where nothing can be written, programs fail in odd ways.
        let tmp = Path::new("/tmp");
        if let Some(directory) = inherited.get_mut(OsStr::new(TMPDIR))
            && !self.is_writable(Path::new(directory))
            && self.is_writable(tmp)
        {
            *directory = tmp.into();
        }
        sandbox_policy::environment(inherited, policy, self.ports, &self.joined)
    }

    pub(crate) fn describe(&self) -> String {
        let parameters = self.profile.parameters().iter();
        let lines = parameters.map(|parameter| {
            let value = parameter.value().as_encoded_bytes();
            format!("; {} = {}\n", parameter.name(), value.escape_ascii())
        });
        let mut text: String = lines.collect();
        text.push_str(self.profile.text());
        text
    }

    /// The file policy as it is enforced.
    pub(crate) fn filesystem(&self) -> &FilesystemPolicy {
        &self.effective.filesystem
    }

    /// Everything is the host's, and the profile alone decides.
    pub(crate) fn shown(&self, _path: &AbsolutePath) -> Shown {
        Shown::Writable
    }

    /// The profile judges names at every open.
    pub(crate) fn judges_every_open(&self) -> bool {
        true
    }

    /// The profile judges a path by where it leads, and nothing else.
    pub(crate) fn closed_elsewhere(&self, _path: &AbsolutePath) -> Option<Denial> {
        None
    }

    /// The profile knows repositories by the names of the table alone.
    pub(crate) fn is_of_repository(&self, _path: &AbsolutePath) -> bool {
        false
    }

    /// Seatbelt judges the path that a link leads to.
    pub(crate) fn closes_links(&self) -> bool {
        false
    }

    /// What does not exist is opened by its name.
    pub(crate) fn may_become_a_root(&self, _path: &AbsolutePath) -> bool {
        false
    }

    /// The file of names is the host's.
    pub(crate) fn is_own_name(&self, _name: &str) -> bool {
        false
    }

    /// Whether a connection to this address of the loopback needs no proxy.
    pub(crate) fn is_host_port(&self, address: IpAddr, port: Port) -> bool {
        let mut ports = self.joined.iter();
        ports.any(|host| host.port == port && host.has(address))
    }

    /// Whether a Unix socket of the host's may be connected to.
    pub(crate) fn judge_socket(
        &self,
        _policy: &UnixSocketPolicy,
        path: &AbsolutePath,
    ) -> SocketVerdict {
        match &self.effective.unix_sockets {
            UnixSocketPolicy::Unrestricted(origin) => SocketVerdict::Unfiltered(origin.clone()),
            policy @ (UnixSocketPolicy::Blocked | UnixSocketPolicy::Listed(_)) => {
                match policy.listed(path) {
                    Some(rule) => SocketVerdict::Listed {
                        rule: rule.clone(),
                        consequence: powerful_socket(&rule.pattern)
                            .map(|socket| socket.consequence),
                        is_shown: true,
                    },
                    None => SocketVerdict::Closed,
                }
            }
        }
    }

    pub(crate) fn notices(&self) -> Vec<String> {
        let UnixSocketPolicy::Listed(rules) = &self.effective.unix_sockets else {
            return Vec::new();
        };
        let powerful = rules.iter().filter_map(|rule| {
            let socket = powerful_socket(&rule.pattern)?;
            Some(format!(
                "`{}` is as good as no sandbox: {} (listed by {})",
                rule.pattern, socket.consequence, rule.origin
            ))
        });
        powerful.collect()
    }

    pub(crate) fn layers(&self) -> Vec<LayerReport> {
        let profile = match &self.effective.unix_sockets {
            UnixSocketPolicy::Unrestricted(origin) => (
                Enforcement::Partial,
                format!("Unix sockets are not filtered: {origin}"),
            ),
            UnixSocketPolicy::Blocked | UnixSocketPolicy::Listed(_) => {
                let paths = self.profile.parameters().len();
                (Enforcement::Full, format!("a profile with {paths} paths"))
            }
        };
        let ProxyPorts { http, socks } = self.ports;
        let proxy = format!("HTTP on port {http}, SOCKS5 on port {socks}");
        let transparent = "programs that know nothing of proxies reach nothing";
        let processes = "what a command on a terminal leaves running is confined and not killed";
        vec![
            LayerReport::new("seatbelt", profile.0, profile.1),
            LayerReport::new("proxy", Enforcement::Full, proxy),
            LayerReport::new("transparent", Enforcement::None, transparent.to_owned()),
            LayerReport::new("processes", Enforcement::Partial, processes.to_owned()),
        ]
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
        process::require_program(&launch.program, search_path, &launch.working_directory)?;
        // The kernel tells nobody what a profile refuses, so the proxies are all there is to hear of.
        let events = reporter.events(|_front_end, _port| None);
        let serving = self
            .serve(&proxy.telling(events))
            .map_err(|source| SpawnError::Network { source })?;
        let Launch {
            program,
            argv,
            environment,
            working_directory,
            streams,
        } = launch;
        let environment = environment.into_iter().collect();
        let working_directory = working_directory.as_path();
        let mut spec = LaunchSpec::new(
            self.profile.clone(),
            program,
            working_directory,
            environment,
        )
        .args(argv.into_iter().skip(1));
        let group = process::Group::of(&streams);
        if group == process::Group::Own {
            spec = spec.own_process_group();
        }
        let command = sandbox_macos::command(&spec);
        let process = process::start(command, streams, group, on_change)?;
        Ok((process, serving))
    }

    /// Has the proxy accept for one command. Every command has accepting tasks of its own, so that
    /// it does not matter which runtime it is started in; which of them takes a connection does not
    /// matter either, as all belong to one proxy.
    fn serve(&self, proxy: &Proxy) -> io::Result<Serving> {
        let own = |listener: &TcpListener| tokio::net::TcpListener::from_std(listener.try_clone()?);
        let mut serving = Serving::default();
        serving.start(proxy.serve_http(own(&self.http)?));
        serving.start(proxy.serve_socks5(own(&self.socks)?));
        Ok(serving)
    }

    fn is_writable(&self, path: &Path) -> bool {
        AbsolutePath::new(path).is_ok_and(|path| {
            let real = self.facts.real_path(&path);
            matches!(
                self.effective.filesystem.judge_write(&real),
                FileVerdict::Allow(_)
            )
        })
    }
}

/// Examines the host. A variable opens the system's directories for temporary files and no others.
fn facts(policy: &Policy) -> Result<HostFacts, ProbeError> {
    let temp_dir = host::environment().find_map(|(name, value)| (name == TMPDIR).then_some(value));
    let temp_dir = temp_dir
        .as_deref()
        .map(Path::new)
        .filter(|path| path.is_absolute());
    let mut facts = HostFacts::probe(temp_dir)?.with_landings(policy)?;
    let is_for_this = |path: &AbsolutePath| {
        TEMPORARY
            .iter()
            .any(|directory| path.as_path().starts_with(directory))
    };
    facts.temp_dir = facts.temp_dir.filter(is_for_this);
    Ok(facts)
}

/// A listener on a port that is free, as tokio wants it, and the port.
fn listen() -> Result<(TcpListener, u16), PlatformError> {
    let bind = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    };
    bind().map_err(|source| PlatformError::Listen { source })
}

/// Where programs are searched for without a `PATH` (`_PATH_DEFPATH` of paths.h).
const DEFAULT_SEARCH_PATH: &str = "/usr/bin:/bin";

/// Where the system keeps temporary files, without symbolic links.
const TEMPORARY: [&str; 3] = ["/private/var/folders", "/private/tmp", "/private/var/tmp"];

/// The variable that names the user's directory for temporary files.
const TMPDIR: &str = "TMPDIR";
