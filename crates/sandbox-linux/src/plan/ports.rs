//! Which ports of the two loopbacks are joined, and what is in the way.

use std::collections::BTreeSet;

use sandbox_policy::{HostPort, Policy, PortMapping};

use super::{PlanError, PlanNotice};
use crate::facts::{DNS_PORT, ENTRANCE_PORT, Endpoints, TRANSPARENT_PORT};

/// The sockets that join the two loopbacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortPlan {
    /// Ports of the host's loopback that are there inside: a listener for each and family.
    pub host_ports: Vec<HostPort>,
    /// Servers inside that appear on the host's loopback.
    pub published: Vec<PortMapping>,
}

impl PortPlan {
    /// Whether there is nothing to make.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.host_ports.is_empty() && self.published.is_empty()
    }
}

/// Lowers the policy's ports. Those that listeners of our own have inside are left to the proxies.
pub(super) fn lower(
    policy: &Policy,
    endpoints: Endpoints,
    notices: &mut Vec<PlanNotice>,
) -> Result<PortPlan, PlanError> {
    policy.check_ports().map_err(PlanError::Ports)?;
    let is_own = |port: u16| {
        let own = [endpoints.http_port, endpoints.socks_port];
        own.contains(&port) || [TRANSPARENT_PORT, ENTRANCE_PORT, DNS_PORT].contains(&port)
    };
    for published in &policy.published_ports {
        let port = published.mapping.inside.get();
        if is_own(port) {
            let origin = published.origin.to_string();
            return Err(PlanError::OwnPort { port, origin });
        }
    }
    let (taken, host_ports): (Vec<_>, Vec<_>) =
        (policy.network.host_ports().into_iter()).partition(|host| is_own(host.port.get()));
    notices.extend(taken.iter().map(|host| PlanNotice::HostPortTaken {
        port: host.port.get(),
    }));
    let published = policy.published_ports.iter().map(|port| port.mapping);
    let published: BTreeSet<_> = published.collect();
    Ok(PortPlan {
        host_ports,
        published: published.into_iter().collect(),
    })
}
