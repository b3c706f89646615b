//! Lists of entries of all layers: what applies, and what is held back.

use std::{
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::Arc,
};

use foldhash::fast::RandomState;
use sandbox_policy::Origin;

use crate::{
    finding::shown,
    layer::Layer,
    settings::HeldBack,
    statement::{EntryList, HostList, ListEffect, ListedRule, PathList},
};

/// A list and who makes it.
#[derive(Clone, Debug)]
pub(crate) struct Layered<L> {
    pub(crate) layer: Layer,
    /// Whether the layer's author may widen.
    pub(crate) trusted: bool,
    pub(crate) list: L,
}

/// Entries about files of one layer.
pub(crate) type Paths = Layered<PathList>;

/// Entries about hosts of one layer.
pub(crate) type Hosts = Layered<HostList>;

impl<E: ListEffect, R: ListedRule> Layered<EntryList<E, R>> {
    /// Leaves what applies; returns what would if its author might widen. Repetitions are still there.
    pub(super) fn sort_out(lists: &mut Vec<Self>, flat: bool) -> Vec<Self> {
        // A flat file decides alone about what is permitted.
        let is_overruled = |said: &Self| flat && said.layer.yields_to_flat();
        lists.retain(|said| !said.list.effect.widens() || !is_overruled(said));
        let is_held = |said: &mut Self| said.list.effect.widens() && !said.trusted;
        lists.extract_if(.., is_held).collect()
    }

    /// Drops what was said before: by any layer, where it does not matter which.
    pub(super) fn drop_repetitions(lists: &mut [Self]) {
        let kind_of = |said: &Self| {
            let effect = said.list.effect;
            (effect, effect.depends_on_layer().then_some(said.layer))
        };
        let kinds: Vec<_> = lists.iter().map(kind_of).collect();
        let mut repeated: Vec<HashSet<usize>> = vec![HashSet::new(); lists.len()];
        for (first, kind) in kinds.iter().enumerate() {
            // The first list of a kind answers for all of them.
            if kinds.iter().position(|other| other == kind) != Some(first) {
                continue;
            }
            let of_kind = lists.iter().zip(&kinds).zip(&mut repeated);
            let of_kind = of_kind.filter(|((_, other), _)| *other == kind);
            let mut said = HashSet::with_hasher(RandomState::default());
            for ((Self { list, .. }, _), repeated) in of_kind {
                said.reserve(list.rules.len());
                let rules = list.rules.iter().enumerate();
                let again = rules.filter(|(_, rule)| !said.insert(BySubject(*rule)));
                repeated.extend(again.map(|(place, _)| place));
            }
        }
        for (Self { list, .. }, repeated) in lists.iter_mut().zip(repeated) {
            if !repeated.is_empty() {
                let mut places = 0..;
                let is_new = |place: Option<usize>| place.is_some_and(|at| !repeated.contains(&at));
                list.rules.retain(|_| is_new(places.next()));
            }
        }
    }

    /// What an untrusted project's entries would open.
    pub(super) fn held_back(&self) -> Vec<HeldBack> {
        let EntryList {
            key, rules, texts, ..
        } = &self.list;
        let held = rules.iter().zip(texts).filter_map(|(rule, text)| {
            let Origin::File { path, line, .. } = rule.origin() else {
                return None;
            };
            Some(HeldBack {
                file: Arc::clone(path),
                line: *line,
                what: format!("`{key}`: `{}`", shown(text)),
            })
        });
        held.collect()
    }
}

/// A rule that is told from others by its subject. A set of thousands of these is small.
struct BySubject<'r, R>(&'r R);

impl<R: ListedRule> PartialEq for BySubject<'_, R> {
    fn eq(&self, other: &Self) -> bool {
        self.0.subject() == other.0.subject()
    }
}

impl<R: ListedRule> Eq for BySubject<'_, R> {}

impl<R: ListedRule> Hash for BySubject<'_, R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_subject(state);
    }
}
