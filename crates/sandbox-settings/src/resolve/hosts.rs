//! Host rules of all layers.

use sandbox_policy::{AddressRule, DomainPattern, DomainRule, NetworkPolicy};

use super::{Entry, Hosts};
use crate::{
    layer::Layer,
    statement::{Effect, HostEffect},
};

/// The rules of layers, in order.
#[derive(Default)]
pub(crate) struct HostRules {
    allowed: Vec<DomainRule>,
    denied: Vec<DomainRule>,
    addresses: Vec<AddressRule>,
}

impl HostRules {
    /// Adds what these layers say, whose lists and entries are in order of precedence.
    pub(crate) fn add(&mut self, hosts: Vec<Hosts>, entries: &[Entry]) {
        let ports = entries.iter().filter_map(of_port);
        let mut ports = ports.peekable();
        for Hosts { layer, list, .. } in hosts {
            // A layer's list comes before its ports.
            while let Some((_, rule)) = ports.next_if(|(other, _)| *other < layer) {
                self.allowed.push(rule);
            }
            let rules = match list.effect {
                HostEffect::Allow => &mut self.allowed,
                HostEffect::Deny => &mut self.denied,
            };
            // Nothing is copied where one list is all there is.
            if rules.is_empty() {
                *rules = list.rules;
            } else {
                rules.extend(list.rules);
            }
        }
        self.allowed.extend(ports.map(|(_, rule)| rule));
        for Entry { statement, .. } in entries {
            if let Effect::DenyAddress(range) = statement.effect {
                let origin = statement.origin.clone();
                self.addresses.push(AddressRule { range, origin });
            }
        }
    }

    pub(crate) fn policy(self, strict: bool) -> NetworkPolicy {
        let Self {
            allowed,
            denied,
            addresses,
        } = self;
        NetworkPolicy::new(allowed, denied, addresses).strict(strict)
    }
}

/// The very rule that makes a listed `localhost:PORT`, for a port.
fn of_port(entry: &Entry) -> Option<(Layer, DomainRule)> {
    let Effect::HostPort(port) = entry.statement.effect else {
        return None;
    };
    let rule = DomainRule {
        pattern: DomainPattern::localhost(port),
        origin: entry.statement.origin.clone(),
        note: None,
    };
    Some((entry.layer, rule))
}
