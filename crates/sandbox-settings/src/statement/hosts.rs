//! Entries about hosts.

use std::{collections::HashMap, ops::Range};

use sandbox_policy::{DomainPattern, DomainPatternError, DomainRule};

use super::{
    list::{EntryList, ListEffect},
    reader::{Reader, Written},
};
use crate::{
    error::SettingsErrorKind,
    json::{NodeError, Value},
    wire::text::Entries,
};

/// The hosts of one key.
pub(crate) type HostList = EntryList<HostEffect, DomainRule>;

/// What an entry about a host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HostEffect {
    Allow,
    Deny,
}

impl ListEffect for HostEffect {
    fn widens(self) -> bool {
        self == Self::Allow
    }

    fn depends_on_layer(self) -> bool {
        false
    }
}

impl HostEffect {
    /// Reads an entry: `*` is legal in deny lists only.
    pub(crate) fn parse(self, text: &str) -> Result<DomainPattern, DomainPatternError> {
        match self {
            Self::Allow => DomainPattern::parse_allow(text),
            Self::Deny => DomainPattern::parse_deny(text),
        }
    }
}

impl Reader<'_> {
    /// A list of hosts.
    pub(super) fn hosts<S>(
        &mut self,
        key: &'static str,
        entries: Option<Entries<S>>,
        effect: HostEffect,
    ) {
        let Some(elements) = entries.and_then(|entries| self.elements(entries)) else {
            return;
        };
        let mut list = HostList::new(key, effect);
        list.rules.reserve_exact(elements.len());
        if let Some(strings) = elements.strings() {
            for (span, text) in strings {
                self.add_host(&mut list, text, &span);
            }
        } else {
            for node in elements.nodes() {
                match &node.value {
                    Value::String(text) => self.add_host(&mut list, text, &node.span),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::Array(_)
                    | Value::Object(_) => {
                        self.misread(NodeError::text_expected(node.span.clone()));
                    }
                }
            }
        }
        self.hosts.push(list);
    }

    fn add_host(&mut self, list: &mut HostList, text: &str, span: &Range<usize>) {
        if let Some(rule) = self.host_rule(&Written::plain(text, span), list.effect) {
            list.add(rule, text, self.quotes);
        }
    }

    pub(super) fn host(&mut self, key: &'static str, written: &Written<'_>, effect: HostEffect) {
        if let Some(rule) = self.host_rule(written, effect) {
            let like = HostList::new(key, effect);
            HostList::add_to(&mut self.hosts, like, rule, written.entry, self.quotes);
        }
    }

    fn host_rule(&mut self, written: &Written<'_>, effect: HostEffect) -> Option<DomainRule> {
        match effect.parse(written.meaning) {
            Ok(pattern) => Some(DomainRule {
                pattern,
                origin: self.source.origin(written.span),
                note: None,
            }),
            Err(source) => {
                let text = written.meaning.to_owned();
                self.find(written.span, SettingsErrorKind::Domain { text, source });
                None
            }
        }
    }

    /// Hands the author's words to the deny rules of the same pattern, however it is spelt.
    pub(super) fn note_reasons(&mut self, reasons: &HashMap<DomainPattern, String>) {
        let denies = self.hosts.iter_mut();
        let denies = denies.filter(|list| list.effect == HostEffect::Deny);
        for rule in denies.flat_map(|list| &mut list.rules) {
            rule.note = reasons.get(&rule.pattern).cloned();
        }
    }
}
