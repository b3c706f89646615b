//! Network rules that change while a command runs.
//!
//! A line holds complete settings, in either format, and takes the place of what `--settings` said about
//! hosts. What other layers say about them stands: rules of the command line, of managed
//! settings, and every refusal. Whatever else the line says is not live.

use std::sync::Arc;

use sandbox_policy::{Firmness, NetworkPolicy, PathBase, PathPattern, Port, ReadAllow};

use crate::{
    error::{SettingsError, SettingsErrors},
    layer::{Format, Layer},
    parse::parse_file,
    resolve::{Entry, HostRules, Hosts, Switches},
    settings::Settings,
    source::Source,
    statement::{Effect, ListEffect as _, PathEffect, Switch},
};

/// A line of a control channel.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a pair of texts")]
pub struct NetworkLine<'a> {
    /// What origins of rules and errors call the channel, such as `control fd 3`.
    pub channel: &'a str,
    /// Settings as JSON.
    pub text: &'a str,
}

/// What a line changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkUpdate {
    /// The hosts from now on.
    pub policy: NetworkPolicy,
    /// How many rules of the line, which are not about hosts, are not those of the run and so do not
    /// hold.
    pub not_live: usize,
    /// Ports of the host's loopback that the policy lists and that were not listed when the command
    /// started: it has no listener for them, so they are reached by the proxies alone.
    pub unjoined: Vec<Port>,
}

/// What a change of the network rules starts from.
#[derive(Clone, Debug)]
pub(crate) struct LiveBase {
    standing: Arc<Standing>,
    /// All statements of the run.
    applying: Arc<Vec<Entry>>,
    base: PathBase,
}

/// What no line replaces.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Statements about hosts.
    entries: Vec<Entry>,
    /// Lists of hosts.
    hosts: Vec<Hosts>,
}

impl LiveBase {
    pub(crate) fn new(standing: Standing, applying: Vec<Entry>, base: &PathBase) -> Self {
        Self {
            standing: Arc::new(standing),
            applying: Arc::new(applying),
            base: base.clone(),
        }
    }

    /// Where the run's relative paths start.
    pub(crate) fn base(&self) -> &PathBase {
        &self.base
    }
}

/// What no line replaces, repetitions included: what the replaced file said too must not go with it.
pub(crate) fn standing(entries: &[Entry], hosts: &[Hosts]) -> Standing {
    let stands = |layer: Layer, widens: bool| match layer {
        Layer::Flag => false,
        // `--settings` stands in for this file; its refusals are the user's all the same.
        Layer::Home => !widens,
        Layer::BuiltIn
        | Layer::User
        | Layer::Project
        | Layer::Local
        | Layer::CommandLine
        | Layer::Managed => true,
    };
    let entries = entries.iter().filter(|entry| {
        let effect = &entry.statement.effect;
        is_about_hosts(effect) && stands(entry.layer, effect.widens())
    });
    let hosts = hosts
        .iter()
        .filter(|said| stands(said.layer, said.list.effect.widens()));
    Standing {
        entries: entries.cloned().collect(),
        hosts: hosts.cloned().collect(),
    }
}

impl Settings {
    /// The network rules with those of a line in the place of what `--settings` said.
    ///
    /// # Errors
    /// Everything that is wrong with the line. Nothing of it holds then.
    pub fn network_update(&self, line: &NetworkLine<'_>) -> Result<NetworkUpdate, SettingsErrors> {
        let source = Source::new(Arc::new(line.channel.into()), line.text);
        let parsed = parse_file(&source, Layer::Flag, &self.live.base).map_err(|findings| {
            let located = findings
                .into_iter()
                .map(|finding| finding.in_source(&source));
            SettingsErrors(located.collect::<Vec<SettingsError>>())
        })?;
        let is_flat = parsed.format == Format::Flat;
        let mut not_live = 0;
        // A flat file decides alone about what is permitted.
        let yields = |layer: Layer, widens: bool| is_flat && layer.yields_to_flat() && widens;
        let Standing { entries, hosts } = &*self.live.standing;
        let mut entries: Vec<Entry> = entries
            .iter()
            .filter(|entry| !yields(entry.layer, entry.statement.effect.widens()))
            .cloned()
            .collect();
        let hosts = hosts
            .iter()
            .filter(|said| !yields(said.layer, said.list.effect.widens()))
            .cloned()
            .collect();
        let mut rules = HostRules::default();
        rules.add(hosts, &entries);
        let mut said = Vec::new();
        for list in &parsed.paths {
            let rules = list.rules.iter();
            not_live += rules
                .filter(|rule| !self.has_path(list.effect, &rule.rule.pattern))
                .count();
        }
        for statement in parsed.statements {
            let effect = &statement.effect;
            // A port that was joined at the start is a rule about a host; another can't be joined now.
            let is_joined = matches!(effect, Effect::HostPort(_)) && self.is_in_force(effect);
            let is_host = is_about_hosts(effect) && !matches!(effect, Effect::HostPort(_));
            if is_host || is_joined {
                said.push(Entry {
                    layer: Layer::Flag,
                    trusted: true,
                    statement,
                });
            } else if !self.is_in_force(&statement.effect) {
                not_live += 1;
            }
        }
        let hosts = parsed.hosts.into_iter().map(|list| Hosts {
            layer: Layer::Flag,
            trusted: true,
            list,
        });
        rules.add(hosts.collect(), &said);
        entries.append(&mut said);
        let strict = Switches::of(&entries).choose(Switch::StrictAllowlist);
        let policy = rules.policy(strict.value);
        let joined = self.policy.network.host_ports();
        let mut unjoined: Vec<Port> = policy.host_ports().iter().map(|host| host.port).collect();
        unjoined.retain(|port| !joined.iter().any(|host| host.port == *port));
        Ok(NetworkUpdate {
            policy,
            not_live,
            unjoined,
        })
    }

    fn has_path(&self, effect: PathEffect, pattern: &PathPattern) -> bool {
        let rules = &self.policy.filesystem;
        let among =
            |allows: &[ReadAllow]| allows.iter().any(|allow| allow.rule.pattern == *pattern);
        let denies = |is_final: bool| {
            let mut denies = rules.deny_read.iter();
            denies.any(|deny| {
                deny.rule.pattern == *pattern && (deny.firmness == Firmness::Final) == is_final
            })
        };
        match effect {
            PathEffect::AllowWrite => among(&rules.allow_write),
            PathEffect::AllowRead => among(&rules.allow_read),
            PathEffect::DenyWrite => {
                let mut denies = rules.deny_write.iter();
                denies.any(|rule| rule.pattern == *pattern)
            }
            PathEffect::DenyRead => denies(false),
            PathEffect::DenyReadForGood => denies(true),
        }
    }

    fn is_in_force(&self, effect: &Effect) -> bool {
        let applying = self.live.applying.iter();
        let mut said = applying.map(|entry| &entry.statement.effect);
        said.any(|said| said == effect)
            || matches!(effect, Effect::Switch(switch, value) if switch.default() == *value)
    }
}

fn is_about_hosts(effect: &Effect) -> bool {
    match effect {
        Effect::DenyAddress(_)
        | Effect::HostPort(_)
        | Effect::Switch(Switch::StrictAllowlist, _) => true,
        Effect::Device(_)
        | Effect::PublishPort(_)
        | Effect::AllowUnixSocket(_)
        | Effect::IgnoreViolation { .. }
        | Effect::Text(..)
        | Effect::AllowVariable(_)
        | Effect::DenyVariable { .. }
        | Effect::SetVariable { .. }
        | Effect::Preset(_)
        | Effect::Unprotect(_)
        | Effect::ProxyPort(..)
        | Effect::ParentProxy(..)
        | Effect::ProxyBypass(_)
        | Effect::Switch(..) => false,
    }
}
