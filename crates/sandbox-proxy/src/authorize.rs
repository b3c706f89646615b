//! The one way from a target to a connection, for every front end.
//!
//! Target → verdict → (question → decider) → permit → addresses, looked up once → resolved target →
//! socket. Each step takes what only the step before can make. Where a proxy is on the way out, it opens
//! the socket, and mostly looks names up itself (see [`external`]).

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use sandbox_policy::{
    Denial, DenialReason, DomainRule, Host, HostName, LookupVerdict, NetworkPolicy, Permit,
    Question, ResolvedTarget, Target, Verdict,
};
use tokio::{net::TcpStream, sync::watch, task::JoinSet, time};

use crate::{
    config::ProxyConfig,
    decider::{Decide, Decision},
    event::{EventSink, FrontEnd, Outcome, ProxyEvent},
    external::{self, Destination, Errand, Way},
    lease::Lease,
    own::HostAddresses,
    resolve::{Resolve, distinct},
    upstream::{self, ConnectError},
};

/// Judges, resolves and dials.
#[derive(Clone)]
pub(crate) struct Gate {
    policy: Arc<watch::Sender<Arc<NetworkPolicy>>>,
    /// What is allowed besides, where no rule of the policy decides.
    besides: Option<Arc<NetworkPolicy>>,
    own: Arc<HostAddresses>,
    resolver: Arc<dyn Resolve>,
    decider: Option<Arc<dyn Decide>>,
    events: EventSink,
}

/// Who asks: for events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) port: u16,
}

/// Why a name may have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// A rule permits some port of it.
    Listed,
    /// The decider may permit it.
    Undecided,
}

/// A permit together with the policy that gave it, which also judges the addresses.
#[derive(Debug)]
pub(crate) struct Authorized {
    permit: Permit,
    policy: Arc<NetworkPolicy>,
    lease: Lease,
}

/// An open connection to what was authorized.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) lease: Lease,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// No policy or decider permits the target.
    #[error("`{}` is not permitted", .0.object)]
    Denied(Denial),
    /// The name is permitted, but not where it leads.
    #[error("`{}` leads to an address that is not permitted", .0.object)]
    AddressDenied(Denial),
    /// The name has no address, or none in time.
    #[error("cannot resolve `{target}`")]
    Resolve {
        target: Target,
        #[source]
        source: std::io::Error,
    },
    /// No address accepted.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Gate {
    pub(crate) fn new(
        policy: Arc<NetworkPolicy>,
        own: HostAddresses,
        resolver: Arc<dyn Resolve>,
        decider: Option<Arc<dyn Decide>>,
        events: EventSink,
    ) -> Self {
        Self {
            policy: Arc::new(watch::Sender::new(policy)),
            besides: None,
            own: Arc::new(own),
            resolver,
            decider,
            events,
        }
    }

    /// The same gate, which also permits what these rules allow and no rule of the policy decides.
    pub(crate) fn with_besides(&self, allowed: Vec<DomainRule>) -> Self {
        let besides = NetworkPolicy::new(allowed, Vec::new(), Vec::new());
        Self {
            besides: Some(Arc::new(besides)),
            ..self.clone()
        }
    }

    /// Judges a target.
    pub(crate) fn judge(&self, policy: &NetworkPolicy, target: Target) -> Verdict {
        match (policy.judge(target), &self.besides) {
            (Verdict::Ask(question), Some(besides)) => besides.judge(question.target().clone()),
            (verdict, _) => verdict,
        }
    }

    /// The policy that holds now.
    pub(crate) fn policy(&self) -> Arc<NetworkPolicy> {
        Arc::clone(&self.policy.borrow())
    }

    /// The same gate with its events told to another.
    pub(crate) fn telling(&self, events: EventSink) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
            own: Arc::clone(&self.own),
            resolver: Arc::clone(&self.resolver),
            decider: self.decider.clone(),
            besides: self.besides.clone(),
            events,
        }
    }

    /// Replaces the policy for what is asked from now on.
    pub(crate) fn replace_policy(&self, policy: Arc<NetworkPolicy>) {
        self.policy.send_replace(policy);
    }

    /// Judges the target; asks the decider where no rule decides.
    pub(crate) async fn authorize(
        &self,
        target: Target,
        config: &ProxyConfig,
    ) -> Result<Authorized, Denial> {
        let mut policies = self.policy.subscribe();
        let policy = Arc::clone(&policies.borrow_and_update());
        let permit = match self.judge(&policy, target) {
            Verdict::Allow(permit) => permit,
            Verdict::Deny(denial) => return Err(denial),
            Verdict::Ask(question) => self.ask(question, config).await?,
        };
        let lease = Lease::new(permit.target().clone(), permit.rule().is_none(), policies);
        Ok(Authorized {
            permit,
            policy,
            lease,
        })
    }

    /// May an address of the name be told? What only a decider could permit is told if there is
    /// one, which is asked when the port is known.
    pub(crate) fn judge_lookup(&self, name: &HostName) -> Result<Lookup, Denial> {
        let besides = || self.besides.as_ref().map(|list| list.judge_lookup(name));
        match self.policy.borrow().judge_lookup(name) {
            LookupVerdict::Ask if besides() == Some(LookupVerdict::Allow) => Ok(Lookup::Listed),
            LookupVerdict::Allow => Ok(Lookup::Listed),
            LookupVerdict::Ask if self.decider.is_some() => Ok(Lookup::Undecided),
            LookupVerdict::Ask => Err(Denial::by_default(
                DenialReason::HostNotAllowed,
                name.to_string(),
            )),
            LookupVerdict::Deny(denial) => Err(denial),
        }
    }

    /// Has name servers asked; the query is about a name that was judged.
    pub(crate) async fn exchange(&self, query: &[u8]) -> std::io::Result<Vec<u8>> {
        self.resolver.exchange(query).await
    }

    async fn ask(&self, question: Question, config: &ProxyConfig) -> Result<Permit, Denial> {
        let Some(decider) = &self.decider else {
            return Err(question.unanswered());
        };
        let decider = Arc::clone(decider);
        let target = question.target().clone();
        // A task of its own turns a panic into an error, and the set ends it when the client leaves.
        let mut deciding = JoinSet::new();
        deciding.spawn(async move { decider.decide(&target).await });
        match time::timeout(config.decision_timeout, deciding.join_next()).await {
            Ok(Some(Ok(Decision::Approve))) => Ok(question.approve()),
            Ok(Some(Ok(Decision::Refuse(note)))) => Err(question.refuse(note)),
            Ok(Some(Err(_)) | None) => {
                Err(question.refuse(Some("permission prompt failed".to_owned())))
            }
            Err(_elapsed) => {
                Err(question.refuse(Some("nobody answered the permission prompt".to_owned())))
            }
        }
    }

    /// Looks the name up, once, and judges where it leads.
    pub(crate) async fn resolve(
        &self,
        authorized: Authorized,
        config: &ProxyConfig,
    ) -> Result<ResolvedTarget, OpenError> {
        let Authorized { permit, policy, .. } = authorized;
        let addresses = match &permit.target().host {
            Host::Ip(address) => vec![*address],
            Host::Name(name) => {
                let lookup = time::timeout(config.resolve_timeout, self.resolver.resolve(name))
                    .await
                    .unwrap_or_else(|_elapsed| Err(std::io::ErrorKind::TimedOut.into()));
                lookup
                    .and_then(some_addresses)
                    .map_err(|source| OpenError::Resolve {
                        target: permit.target().clone(),
                        source,
                    })?
            }
        };
        let own = self.own.get().map_err(|source| OpenError::Resolve {
            target: permit.target().clone(),
            source,
        })?;
        permit
            .resolve(&policy, &addresses, &own)
            .map_err(OpenError::AddressDenied)
    }

    /// Judges, resolves and dials, and reports what came of it.
    pub(crate) async fn open(
        &self,
        client: Client,
        front_end: FrontEnd,
        target: Target,
        config: &ProxyConfig,
    ) -> Result<Connection, OpenError> {
        let authorized = match self.authorize(target.clone(), config).await {
            Ok(authorized) => authorized,
            Err(denial) => return Err(self.refuse(client, front_end, target, denial)),
        };
        self.connect(client, front_end, authorized, Errand::Tunnel, config)
            .await
    }

    /// Resolves and dials what was authorized, and reports what came of it.
    pub(crate) async fn connect(
        &self,
        client: Client,
        front_end: FrontEnd,
        authorized: Authorized,
        errand: Errand,
        config: &ProxyConfig,
    ) -> Result<Connection, OpenError> {
        let target = authorized.target().clone();
        let allowed = authorized.outcome();
        let opened = self.reach(front_end, authorized, errand, config).await;
        self.report_opened(client, front_end, target, allowed, &opened);
        opened
    }

    /// Reports what came of an attempt that was authorized.
    pub(crate) fn report_opened(
        &self,
        client: Client,
        front_end: FrontEnd,
        target: Target,
        allowed: Outcome,
        opened: &Result<Connection, OpenError>,
    ) {
        let outcome = match opened {
            Ok(_) => allowed,
            Err(OpenError::Denied(denial) | OpenError::AddressDenied(denial)) => {
                Outcome::Denied(denial.clone())
            }
            Err(error @ (OpenError::Resolve { .. } | OpenError::Connect(_))) => Outcome::Failed {
                message: failure_text(error),
            },
        };
        self.report(client, front_end, Some(target), outcome);
    }

    /// Reports a refusal, and gives it back.
    pub(crate) fn refuse(
        &self,
        client: Client,
        front_end: FrontEnd,
        target: Target,
        denial: Denial,
    ) -> OpenError {
        let outcome = Outcome::Denied(denial.clone());
        self.report(client, front_end, Some(target), outcome);
        OpenError::Denied(denial)
    }

    /// The host's own addresses.
    pub(crate) fn own(&self) -> &HostAddresses {
        &self.own
    }

    /// Dials what was authorized, or has the proxy on the way do it.
    pub(crate) async fn reach(
        &self,
        front_end: FrontEnd,
        authorized: Authorized,
        errand: Errand,
        config: &ProxyConfig,
    ) -> Result<Connection, OpenError> {
        let lease = authorized.lease.clone();
        let route = match external::way(config, front_end, authorized.target()) {
            Way::By(route) => route,
            Way::Blocked(error) => {
                let target = authorized.target().clone();
                return Err(external::blocked(target, error).into());
            }
            Way::Direct => {
                let resolved = self.resolve(authorized, config).await?;
                let stream = upstream::dial(&resolved, config).await?;
                let lease = match stream.peer_addr() {
                    Ok(address) => lease.dialled(address.ip()),
                    // It is closed again already.
                    Err(_) => lease,
                };
                return Ok(Connection { stream, lease });
            }
        };
        let (destination, lease) = match &authorized.target().host {
            host if route.looks_up(host) => (Destination::Named(authorized.permit), lease),
            Host::Ip(address) => {
                let lease = lease.dialled(*address);
                let resolved = self.resolve(authorized, config).await?;
                (Destination::Resolved(resolved), lease)
            }
            Host::Name(_) => {
                let resolved = self.resolve(authorized, config).await?;
                (Destination::Resolved(resolved), lease)
            }
        };
        let resolver = &*self.resolver;
        let stream = external::open(route, errand, &destination, resolver, config).await?;
        Ok(Connection { stream, lease })
    }

    pub(crate) fn report(
        &self,
        client: Client,
        front_end: FrontEnd,
        target: Option<Target>,
        outcome: Outcome,
    ) {
        tracing::debug!(
            ?front_end,
            client.port,
            ?target,
            ?outcome,
            "network attempt"
        );
        self.events.send(ProxyEvent {
            time: SystemTime::now(),
            front_end,
            client_port: client.port,
            target,
            outcome,
        });
    }
}

impl Authorized {
    pub(crate) fn target(&self) -> &Target {
        self.permit.target()
    }

    /// The event of a permitted attempt that reached its host.
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome::Allowed {
            rule: self.permit.rule().cloned(),
        }
    }

    /// Another target that the same policy permits, where nobody has to be asked.
    pub(crate) fn also(&self, target: Target) -> Option<Self> {
        let policy = Arc::clone(&self.policy);
        match policy.judge(target) {
            Verdict::Allow(permit) => {
                let lease = self.lease.for_target(permit.target().clone());
                Some(Self {
                    permit,
                    policy,
                    lease,
                })
            }
            Verdict::Ask(_) | Verdict::Deny(_) => None,
        }
    }

    /// Whether a connection made under `policy` may carry this.
    pub(crate) fn policy(&self) -> &Arc<NetworkPolicy> {
        &self.policy
    }
}

/// The denial of something that is not a host.
pub(crate) fn malformed_host(text: &[u8]) -> Denial {
    Denial::by_default(DenialReason::MalformedHost, text.escape_ascii().to_string())
}

fn some_addresses(addresses: Vec<IpAddr>) -> std::io::Result<Vec<IpAddr>> {
    let addresses = distinct(addresses);
    if addresses.is_empty() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(addresses)
}

fn failure_text(error: &OpenError) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
