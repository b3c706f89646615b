//! Entries about files and hosts. There may be thousands: a list of them is made once, as the rules of
//! the policy, and handed on.

use std::hash::{Hash, Hasher};

use sandbox_policy::{DomainPattern, DomainRule, Host, HostPattern, Origin, PathPattern};

use super::paths::LayeredPath;

/// The entries of one key.
#[derive(Clone, Debug)]
pub(crate) struct EntryList<E, R> {
    /// The key, with its namespaces.
    pub(crate) key: &'static str,
    pub(crate) effect: E,
    pub(crate) rules: Vec<R>,
    /// The entries as written, one for each rule, or none where nobody may ask for them.
    pub(crate) texts: Vec<Box<str>>,
}

/// What all entries of a list do.
pub(crate) trait ListEffect: Copy + PartialEq {
    /// Whether it can permit something that would be refused without it.
    fn widens(self) -> bool;

    /// Whether it matters which layer says it.
    fn depends_on_layer(self) -> bool;
}

/// A rule of a list.
pub(crate) trait ListedRule {
    /// What tells it from others of its kind.
    type Subject<'r>: Eq + Hash
    where
        Self: 'r;

    fn subject(&self) -> Self::Subject<'_>;

    /// Feeds as much of the subject to a hasher as tells thousands from each other.
    fn hash_subject<H: Hasher>(&self, state: &mut H) {
        self.subject().hash(state);
    }

    fn origin(&self) -> &Origin;
}

impl<E: ListEffect, R> EntryList<E, R> {
    pub(crate) fn new(key: &'static str, effect: E) -> Self {
        Self {
            key,
            effect,
            rules: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Adds a rule; `quotes` tells whether what widens may be held back.
    pub(crate) fn add(&mut self, rule: R, text: &str, quotes: bool) {
        self.rules.push(rule);
        if quotes && self.effect.widens() {
            self.texts.push(text.into());
        }
    }

    /// Adds a rule to the list of this key and effect, which is made where there is none.
    pub(crate) fn add_to(lists: &mut Vec<Self>, like: Self, rule: R, text: &str, quotes: bool) {
        let is_same = |list: &&mut Self| list.key == like.key && list.effect == like.effect;
        if let Some(list) = lists.iter_mut().find(is_same) {
            return list.add(rule, text, quotes);
        }
        let mut list = like;
        list.add(rule, text, quotes);
        lists.push(list);
    }
}

impl ListedRule for LayeredPath {
    type Subject<'r> = &'r PathPattern;

    fn subject(&self) -> &PathPattern {
        &self.rule.pattern
    }

    fn origin(&self) -> &Origin {
        &self.rule.origin
    }
}

impl ListedRule for DomainRule {
    // The same host with another reason is another rule.
    type Subject<'r> = (&'r DomainPattern, Option<&'r str>);

    fn subject(&self) -> Self::Subject<'_> {
        (&self.pattern, self.note.as_deref())
    }

    // A third of what the derived implementations take, which write every variant's number.
    fn hash_subject<H: Hasher>(&self, state: &mut H) {
        let DomainPattern { host, port } = &self.pattern;
        match host {
            HostPattern::Any => {}
            HostPattern::Exact(Host::Name(name)) | HostPattern::Subdomains(name) => {
                state.write(name.as_str().as_bytes());
            }
            HostPattern::Exact(Host::Ip(address)) => address.hash(state),
        }
        if let Some(port) = port {
            state.write_u16(port.get());
        }
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }
}
