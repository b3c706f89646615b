//! The choices that belong to a sandbox as a whole.

use std::{sync::Arc, time::Duration};

use sandbox_policy::{AbsolutePath, NetworkPolicy, Origin, ParentProxies, Policy, StrictReads};
use sandbox_proxy::{
    Decide, EventSink, ExternalProxies, HostAddresses, Proxy, ProxyConfig, Resolve, SystemResolver,
};
use sandbox_settings::{IgnoredViolation, Settings, SettingsNotice};

use crate::{
    descriptors,
    error::BuildError,
    host,
    permissive::{self, GlobalResolver, Recorder},
    platform::Backend,
    sandbox::Sandbox,
    violation::ViolationStore,
};

/// Builds a [`Sandbox`].
#[must_use]
pub struct SandboxBuilder {
    policy: Policy,
    working_directory: Option<AbsolutePath>,
    home: Option<AbsolutePath>,
    resolver: Arc<dyn Resolve>,
    decider: Option<Arc<dyn Decide>>,
    decision_timeout: Option<Duration>,
    max_connections: Option<u32>,
    external_proxies: ExternalProxies,
    parent_proxies: ParentProxies,
    launch_thread: LaunchThread,
    ignored: Vec<IgnoredViolation>,
    notices: Vec<String>,
    permissive: bool,
}

/// Which thread clones a command's first process. The kernel kills the sandbox when that thread
/// exits, so that nothing survives this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaunchThread {
    /// One of its own, which waits for the command's end.
    Own,
    /// The one that calls `spawn`.
    Callers,
}

impl std::fmt::Debug for SandboxBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxBuilder")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl SandboxBuilder {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            working_directory: None,
            home: host::home(),
            resolver: Arc::new(SystemResolver::new()),
            decider: None,
            decision_timeout: None,
            max_connections: None,
            external_proxies: ExternalProxies::default(),
            parent_proxies: ParentProxies::none(),
            launch_thread: LaunchThread::Own,
            ignored: Vec::new(),
            notices: Vec::new(),
            permissive: false,
        }
    }

    /// What loaded settings say: their policy, the proxies that they name and the refusals that they
    /// ignore. Choices of the settings that are a caller's matter, such as commands that are excluded
    /// from the sandbox, are not made here.
    pub fn from_settings(settings: Settings) -> Self {
        let Settings {
            policy,
            external_proxies,
            parent_proxies,
            ignore_violations,
            notices,
            ..
        } = settings;
        let external = ExternalProxies {
            http: external_proxies.http.as_ref().map(|port| port.value),
            socks: external_proxies.socks.as_ref().map(|port| port.value),
        };
        let mut builder = Self::new(policy)
            .external_proxies(external)
            .parent_proxies(parent_proxies.proxies())
            .ignore_violations(ignore_violations);
        builder.notices = told(&notices);
        builder
    }

    /// Where commands start unless they say otherwise; the process's own by default. It is visible
    /// inside also if it lies in a private directory such as `/tmp`.
    pub fn working_directory(mut self, directory: AbsolutePath) -> Self {
        self.working_directory = Some(directory);
        self
    }

    /// The home directory that stays visible inside; `$HOME` of this process by default.
    pub fn home(mut self, home: Option<AbsolutePath>) -> Self {
        self.home = home;
        self
    }

    /// Looks names up; the host's resolver by default.
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Decides targets that no rule decides; without one they are refused.
    pub fn decider(mut self, decider: Arc<dyn Decide>) -> Self {
        self.decider = Some(decider);
        self
    }

    /// How long the decider may take before the answer is no; a minute by default.
    pub fn decision_timeout(mut self, limit: Duration) -> Self {
        self.decision_timeout = Some(limit);
        self
    }

    /// How many connections of all commands are served at once; further ones wait. Each takes two
    /// descriptors of this process. By default half of those that it may have (getrlimit(2)) are for
    /// connections, 16,384 connections at most.
    pub fn max_connections(mut self, limit: u32) -> Self {
        self.max_connections = Some(limit);
        self
    }

    /// Proxies of the user's own by which permitted hosts are reached; none by default. They get to
    /// hear of nothing that the policy refuses, but look permitted names up themselves, so the
    /// policy's rules about where a name leads do not apply.
    pub fn external_proxies(mut self, proxies: ExternalProxies) -> Self {
        self.external_proxies = proxies;
        self
    }

    /// Proxies between this host and the internet; none by default. They get to hear of nothing that the
    /// policy refuses. Those that are handed names look them up themselves, so the policy's rules about
    /// where a name leads do not apply to them. A proxy that fails is never gone around. Variables that
    /// hold a login of theirs are not inherited, unless a rule names them.
    pub fn parent_proxies(mut self, proxies: ParentProxies) -> Self {
        self.parent_proxies = proxies;
        self
    }

    /// Refusals that nobody wants to hear of: they are neither counted nor kept nor told.
    pub fn ignore_violations(mut self, ignored: Vec<IgnoredViolation>) -> Self {
        self.ignored = ignored;
        self
    }

    /// Tells of every refused read, at some 25 µs for each open where the policy closes anything for
    /// reading (as [`StrictReads::On`]). Without it the kernel refuses what is closed by its path, and tells
    /// nobody.
    pub fn tell_refused_reads(mut self) -> Self {
        if self.policy.process.strict_reads == StrictReads::Off {
            self.policy.process.strict_reads = StrictReads::On(Origin::Program);
        }
        self
    }

    /// Lets commands do what the policy would refuse them because nothing opens it, and tells of that: what
    /// they change of files is a copy that nobody else sees and that ends with them. They reach every host
    /// of the internet; what the `secrets` preset names is closed to them in exchange. What the policy
    /// closes by a rule stays closed, and so does what has no copy: sockets of the host, the machine's own
    /// network, devices. Linux only.
    pub fn permissive(mut self) -> Self {
        self.permissive = true;
        self
    }

    /// Starts commands from the thread that calls `spawn` instead of one of their own, which is a
    /// little faster. That thread must live as long as the commands: they are killed when it exits.
    /// For programs whose main thread runs the runtime.
    pub fn launch_from_callers_thread(mut self) -> Self {
        self.launch_thread = LaunchThread::Callers;
        self
    }

    /// Examines the host and makes the plan. An error here means that the policy can't be enforced;
    /// nothing has run.
    pub fn build(self) -> Result<Sandbox, BuildError> {
        let Self {
            mut policy,
            working_directory,
            home,
            resolver,
            decider,
            decision_timeout,
            max_connections,
            external_proxies,
            parent_proxies,
            launch_thread,
            ignored,
            notices,
            permissive,
        } = self;
        let inherited = host::environment();
        policy.environment.deny_logins(&parent_proxies, inherited);
        let working_directory = match working_directory {
            Some(directory) => directory,
            None => host::working_directory()
                .map_err(|source| BuildError::WorkingDirectory { source })?,
        };
        let place = (&working_directory, home.as_ref());
        let violations = ViolationStore::new(ignored);
        let backend = if permissive {
            permissive::close_variables(&mut policy);
            Backend::permissive(&policy, place, launch_thread)?
        } else {
            Backend::new(&policy, place, launch_thread)?
        };
        let own = HostAddresses::found_by(host::own_addresses);
        let network = Arc::new(policy.network.clone());
        let mut config = ProxyConfig::standard();
        config.external = external_proxies;
        config.parents = parent_proxies;
        let published = policy.published_ports.iter();
        config.inward_ports = published.map(|port| port.mapping.outside).collect();
        config.max_connections = max_connections.unwrap_or_else(descriptors::connections);
        config.decision_timeout = decision_timeout.unwrap_or(config.decision_timeout);
        // Each command has a sink of its own.
        let nobody = EventSink::discard();
        let (resolver, decider) = if permissive {
            recorded(resolver, decider, &network, &violations, &config)
        } else {
            (resolver, decider)
        };
        let proxy = Proxy::new(network, own, resolver, decider, nobody, config);
        Ok(Sandbox::from_parts(
            policy,
            working_directory,
            backend,
            proxy,
            (violations, notices),
        ))
    }
}

/// The first notices about settings: a file can bring any number along.
fn told(notices: &[SettingsNotice]) -> Vec<String> {
    let mut texts: Vec<_> = notices
        .iter()
        .take(NOTICES)
        .map(ToString::to_string)
        .collect();
    if let Some(more) = notices.len().checked_sub(NOTICES).filter(|more| *more > 0) {
        texts.push(format!(
            "{more} more entries of the settings need a look: `srt settings` lists them"
        ));
    }
    texts
}

/// Notices about settings that are told one by one.
const NOTICES: usize = 10;

type Choices = (Arc<dyn Resolve>, Option<Arc<dyn Decide>>);

/// What finds and decides about hosts in a permissive run, unless the host program decides itself.
fn recorded(
    inner: Arc<dyn Resolve>,
    decider: Option<Arc<dyn Decide>>,
    network: &Arc<NetworkPolicy>,
    violations: &ViolationStore,
    config: &ProxyConfig,
) -> Choices {
    let resolver = GlobalResolver {
        inner: Arc::clone(&inner),
        network: Arc::clone(network),
    };
    let decider = decider.unwrap_or_else(|| {
        Arc::new(Recorder {
            store: violations.clone(),
            resolver: inner,
            resolve_timeout: config.resolve_timeout,
            external: config.external,
            parents: config.parents.clone(),
        })
    });
    (Arc::new(resolver), Some(decider))
}
