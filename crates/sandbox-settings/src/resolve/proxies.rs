//! Which proxies hold: the user's own, and those between this host and the internet.

use super::Entry;
use crate::{
    layer::{Choice, Layer},
    settings::{ExternalProxyPorts, ParentProxyChoices},
    statement::{Effect, ProxyKind},
};

/// What the layers say about proxies.
pub(super) struct Proxies<'a>(pub(super) &'a [Entry]);

impl Proxies<'_> {
    /// The ports that hold.
    pub(super) fn choose(&self) -> ExternalProxyPorts {
        let choose = |kind| {
            let port = |effect: &Effect| {
                let Effect::ProxyPort(named, port) = effect else {
                    return None;
                };
                (*named == kind).then_some(*port)
            };
            self.deciding(port).map(|(choice, _)| choice)
        };
        ExternalProxyPorts {
            http: choose(ProxyKind::Http),
            socks: choose(ProxyKind::Socks),
        }
    }

    /// The parent proxies that hold. Without one of its own, everything else goes where plain requests
    /// go, as with most programs.
    pub(super) fn choose_parents(&self) -> ParentProxyChoices {
        let choose = |kind| {
            let proxy = |effect: &Effect| {
                let Effect::ParentProxy(named, proxy) = effect else {
                    return None;
                };
                (*named == kind).then(|| proxy.clone())
            };
            self.deciding(proxy).map(|(choice, _)| choice)
        };
        let bypass = |effect: &Effect| {
            let Effect::ProxyBypass(bypass) = effect else {
                return None;
            };
            Some(bypass.clone())
        };
        let http = choose(ProxyKind::Http);
        ParentProxyChoices {
            https: choose(ProxyKind::Https).or_else(|| http.clone()),
            http,
            bypass: self.deciding(bypass).map(|(choice, _)| choice),
        }
    }

    /// Whether an entry would change nothing if it applied.
    pub(super) fn is_moot(&self, entry: &Entry) -> bool {
        let said = &entry.statement.effect;
        let Some(subject) = subject(said) else {
            return false;
        };
        let same =
            |effect: &Effect| (self::subject(effect) == Some(subject)).then(|| effect.clone());
        self.is_managed()
            || self
                .deciding(same)
                .is_some_and(|(choice, layer)| layer > entry.layer || choice.value == *said)
    }

    /// What the highest layer says that says anything, and which that is.
    fn deciding<T>(&self, value: impl Fn(&Effect) -> Option<T>) -> Option<(Choice<T>, Layer)> {
        // The other proxy of a lower layer would lead around the administrator's.
        let managed = self.is_managed();
        let said = self.0.iter().filter_map(|entry| {
            let value = value(&entry.statement.effect)?;
            let counts = !managed || entry.layer == Layer::Managed;
            counts.then(|| {
                let origin = entry.statement.origin.clone();
                (Choice { value, origin }, entry.layer)
            })
        });
        said.max_by_key(|(_, layer)| *layer)
    }

    fn is_managed(&self) -> bool {
        let mut entries = self.0.iter();
        entries.any(|entry| {
            entry.layer == Layer::Managed && subject(&entry.statement.effect).is_some()
        })
    }
}

/// Which single value about proxies an effect is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Own(ProxyKind),
    Parent(ProxyKind),
    Bypass,
}

fn subject(effect: &Effect) -> Option<Subject> {
    if let Effect::ProxyPort(kind, _) = effect {
        Some(Subject::Own(*kind))
    } else if let Effect::ParentProxy(kind, _) = effect {
        Some(Subject::Parent(*kind))
    } else {
        matches!(effect, Effect::ProxyBypass(_)).then_some(Subject::Bypass)
    }
}
