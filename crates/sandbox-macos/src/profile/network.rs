//! The network: the proxies' ports on this machine, listed Unix sockets, and nothing else.
//!
//! Which hosts may be reached is the proxies' decision. A socket that is not connected to one of
//! them goes nowhere, so a program that ignores the proxy variables is refused, not let through.
//!
//! Outbound rules filter by the *remote* address. A filter on the local address of an outgoing
//! connection matches every socket that is not bound yet, and would let everything out.

use sandbox_policy::{
    HostPort, NetworkPolicy, PathPattern, Policy, Port, PublishedPort, UnixSocketPolicy,
};

use super::{
    ProfileError,
    fold::Case,
    glob::{self, Coverage},
    parameters::Parameters,
    sbpl::{Filter, Form, IpTerm, Operation, Regex, Rule, SocketPath},
};

/// Where the proxies listen: TCP ports on the host's loopback interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a caller must think of every endpoint"
)]
pub struct Endpoints {
    /// Port of the HTTP proxy.
    pub http_port: Option<u16>,
    /// Port of the SOCKS proxy.
    pub socks_port: Option<u16>,
    /// Servers and clients on the loopback interface.
    pub local_binding: LocalBinding,
}

/// Whether the command may run servers, and talk to any server of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new kind must break every match on purpose"
)]
pub enum LocalBinding {
    /// No.
    Refused,
    /// Yes. The interface is the host's: its other servers are within reach too.
    Allowed,
}

/// The ports of the loopback interface that commands reach without a proxy. The interface is the
/// host's, so they need no listener. Filters can't tell its addresses apart: a port whose rules name
/// only one of them is left to the proxies.
#[must_use]
pub fn joined_ports(policy: &NetworkPolicy) -> Vec<HostPort> {
    let mut ports = policy.host_ports();
    ports.retain(|host| host.v4 && host.v6);
    ports
}

/// Single ports of the loopback interface: servers of the host, and the command's own.
fn single_ports(policy: &Policy) -> Result<Vec<Form>, ProfileError> {
    policy.check_ports().map_err(ProfileError::Ports)?;
    let mut forms = Vec::new();
    let joined = joined_ports(&policy.network).into_iter();
    let joined: Vec<_> = joined.map(|host| localhost(host.port)).collect();
    if !joined.is_empty() {
        forms.push(Form::Comment("Single servers of the loopback interface."));
        let remote = joined.into_iter().map(Filter::RemoteIp);
        forms.push(Rule::allow(&[Operation::NetworkOutbound], remote.collect()));
    }
    let mut published = Vec::new();
    for PublishedPort { mapping, origin } in &policy.published_ports {
        if mapping.outside != mapping.inside {
            return Err(ProfileError::PortMapping {
                mapping: *mapping,
                origin: origin.to_string(),
            });
        }
        published.push(Filter::LocalIp(localhost(mapping.inside)));
    }
    if !published.is_empty() {
        forms.push(Form::Comment("The command's own servers, by port."));
        forms.push(Rule::allow(&[Operation::NetworkBind], published.clone()));
        forms.push(Rule::allow(&[Operation::NetworkInbound], published));
    }
    Ok(forms)
}

fn localhost(port: Port) -> IpTerm {
    IpTerm::LocalhostPort(port.get())
}

/// The rules about sockets.
pub(crate) fn rules(
    endpoints: &Endpoints,
    policy: &Policy,
    parameters: &mut Parameters,
) -> Result<Vec<Form>, ProfileError> {
    let mut forms = Vec::new();
    let mut ports: Vec<u16> = [endpoints.http_port, endpoints.socks_port]
        .into_iter()
        .flatten()
        .collect();
    ports.dedup();
    if !ports.is_empty() {
        forms.push(Form::Comment("The proxies, which judge every host."));
        let ports = ports
            .into_iter()
            .map(|port| Filter::RemoteIp(IpTerm::LocalhostPort(port)));
        forms.push(Rule::allow(&[Operation::NetworkOutbound], ports.collect()));
    }
    if endpoints.local_binding == LocalBinding::Allowed {
        forms.push(Form::Comment(
            "Servers on the loopback interface, and their clients.",
        ));
        let local = vec![Filter::LocalIp(IpTerm::Any)];
        forms.push(Rule::allow(&[Operation::NetworkBind], local.clone()));
        forms.push(Rule::allow(&[Operation::NetworkInbound], local));
        let remote = vec![Filter::RemoteIp(IpTerm::Localhost)];
        forms.push(Rule::allow(&[Operation::NetworkOutbound], remote));
    }
    forms.extend(single_ports(policy)?);
    forms.extend(unix_sockets(&policy.unix_sockets, parameters)?);
    Ok(forms)
}

fn unix_sockets(
    sockets: &UnixSocketPolicy,
    parameters: &mut Parameters,
) -> Result<Vec<Form>, ProfileError> {
    let mut paths = Vec::new();
    match sockets {
        UnixSocketPolicy::Blocked => {}
        UnixSocketPolicy::Listed(rules) => {
            for rule in rules {
                match &rule.pattern {
                    PathPattern::Subtree(path) => {
                        paths.push(SocketPath::Subpath(parameters.term(path)));
                    }
                    PathPattern::Glob(pattern) => {
                        let regex = glob::regex(
                            &pattern.tokens(),
                            Coverage::Matches,
                            Case::Exact,
                            pattern,
                        )?;
                        paths.push(SocketPath::Regex(regex));
                        paths.push(SocketPath::Subpath(parameters.term(pattern.literal())));
                    }
                }
            }
        }
        UnixSocketPolicy::Unrestricted(_) => paths.push(SocketPath::Regex(Regex("^/".to_owned()))),
    }
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let local = paths.iter().cloned().map(Filter::LocalUnixSocket);
    let remote = paths.iter().cloned().map(Filter::RemoteUnixSocket);
    Ok(vec![
        Form::Comment("Unix sockets: making one, binding it and connecting it are three things."),
        Rule::allow(&[Operation::SystemSocket], vec![Filter::UnixSocketDomain]),
        Rule::allow(&[Operation::NetworkBind], local.collect()),
        Rule::allow(&[Operation::NetworkOutbound], remote.collect()),
    ])
}
