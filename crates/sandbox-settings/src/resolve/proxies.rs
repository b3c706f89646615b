//! Which proxies of the user's own hold.

use sandbox_policy::Port;

use super::Entry;
use crate::{
    layer::{Choice, Layer},
    settings::ExternalProxyPorts,
    statement::{Effect, ProxyKind},
};

/// What the layers say about proxies.
pub(super) struct Proxies<'a>(pub(super) &'a [Entry]);

impl Proxies<'_> {
    /// The ports that hold.
    pub(super) fn choose(&self) -> ExternalProxyPorts {
        let choose = |kind| self.deciding(kind).map(|(choice, _)| choice);
        ExternalProxyPorts {
            http: choose(ProxyKind::Http),
            socks: choose(ProxyKind::Socks),
        }
    }

    /// Whether an entry would change nothing if it applied.
    pub(super) fn is_moot(&self, entry: &Entry) -> bool {
        let Effect::ProxyPort(kind, port) = entry.statement.effect else {
            return false;
        };
        self.is_managed()
            || self
                .deciding(kind)
                .is_some_and(|(choice, layer)| layer > entry.layer || choice.value == port)
    }

    /// The highest layer that names a port, and which.
    fn deciding(&self, kind: ProxyKind) -> Option<(Choice<Port>, Layer)> {
        // The other proxy of a lower layer would lead around the administrator's.
        let managed = self.is_managed();
        let said = self.0.iter().filter_map(|entry| {
            let Effect::ProxyPort(named, port) = entry.statement.effect else {
                return None;
            };
            let counts = named == kind && (!managed || entry.layer == Layer::Managed);
            counts.then(|| {
                let origin = entry.statement.origin.clone();
                let choice = Choice {
                    value: port,
                    origin,
                };
                (choice, entry.layer)
            })
        });
        said.max_by_key(|(_, layer)| *layer)
    }

    fn is_managed(&self) -> bool {
        self.0.iter().any(|entry| {
            entry.layer == Layer::Managed && matches!(entry.statement.effect, Effect::ProxyPort(..))
        })
    }
}
