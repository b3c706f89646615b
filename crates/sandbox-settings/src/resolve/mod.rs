//! Layers of statements to the settings of a run.
//!
//! Lists of all layers add up, single values are the highest layer's, and refusals of any layer
//! stand. What widens applies only from layers that may widen: not from an untrusted project, and
//! not from Claude Code's files where a flat file decides.

mod environment;
mod filesystem;
mod hosts;
mod lists;
mod processes;
mod proxies;

use std::{collections::HashSet, sync::Arc};

use foldhash::fast::RandomState;
use sandbox_policy::{
    AbsolutePath, Origin, PathBase, PathRule, Policy, Port, PublishedPort, UnixSocketPolicy,
};

use crate::{
    finding::shown,
    layer::{Choice, IgnoredKey, Layer},
    live::{self, LiveBase},
    load::Guarded,
    notice::{SettingsNotice, closed, opened_again},
    settings::{
        Execution, HeldBack, IgnoredViolation, LoadedFile, MacosOptions, Settings, decided_by_flat,
    },
    statement::{Effect, Statement, Switch, TextKey},
    wire::Preset,
};

pub(crate) use hosts::HostRules;
pub(crate) use lists::{Hosts, Layered, Paths};

/// What is combined.
pub(crate) struct Layers {
    pub(crate) files: Vec<LoadedFile>,
    /// Statements of all layers, lowest precedence first.
    pub(crate) entries: Vec<Entry>,
    /// Entries about files of all layers, likewise.
    pub(crate) paths: Vec<Paths>,
    /// Entries about hosts of all layers, likewise.
    pub(crate) hosts: Vec<Hosts>,
    pub(crate) ignored: Vec<IgnoredKey>,
    pub(crate) notices: Vec<SettingsNotice>,
}

/// A statement and who makes it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) layer: Layer,
    /// Whether the layer's author may widen.
    pub(crate) trusted: bool,
    pub(crate) statement: Statement,
}

/// Files that commands must leave alone, whatever the settings say.
#[derive(Debug)]
pub(crate) struct Places {
    /// They decide about later runs: nothing that runs inside may write them.
    pub(crate) guarded: Guarded,
    /// Settings files that hold a login: nothing that runs inside may read them.
    pub(crate) secretive: Vec<AbsolutePath>,
}

/// Combines the layers.
pub(crate) fn resolve(layers: Layers, base: &PathBase, places: &Places) -> Settings {
    let Layers {
        files,
        entries,
        mut paths,
        mut hosts,
        ignored,
        mut notices,
    } = layers;
    let flat = decided_by_flat(files.iter().map(|file| (file.layer, file.format)));
    // A flat file decides alone about what is permitted.
    let is_overruled = |entry: &mut Entry| flat && entry.layer.yields_to_flat();
    let widens = |entry: &mut Entry| entry.statement.effect.widens();
    let mut applying = entries;
    applying.retain_mut(|entry| !widens(entry) || !is_overruled(entry));
    let held: Vec<_> = applying
        .extract_if(.., |entry| widens(entry) && !entry.trusted)
        .collect();
    let held_paths = Paths::sort_out(&mut paths, flat);
    let held_hosts = Hosts::sort_out(&mut hosts, flat);
    let standing = live::standing(&applying, &hosts);
    Paths::drop_repetitions(&mut paths);
    Hosts::drop_repetitions(&mut hosts);
    drop_repetitions(&mut applying);
    let disabled = Switches::of(&applying).deciding(Switch::FilesystemDisabled);
    if let Some((Choice { value: true, .. }, layer)) = disabled {
        // It drops the rules of its own file; those of other layers are not its to drop.
        applying.retain(|entry| entry.layer != layer || !entry.statement.effect.is_file_rule());
        paths.retain(|paths| paths.layer != layer);
    }
    let switches = Switches::of(&applying);
    let mut network = HostRules::default();
    network.add(hosts, &applying);
    let policy = Policy {
        filesystem: filesystem::filesystem(paths, &applying, &switches, (base, flat), places),
        network: network.policy(switches.choose(Switch::StrictAllowlist).value),
        published_ports: published_ports(&applying),
        unix_sockets: unix_sockets(&applying, &switches),
        environment: environment::environment(&applying),
        process: processes::processes(&applying, &switches),
    };
    let rules = &policy.filesystem;
    notices.extend(opened_again(&rules.deny_read, &rules.allow_write));
    notices.extend(closed(&rules.deny_write, &rules.allow_write));
    // Others' entries, of which there may be any number, come behind the user's own.
    notices.sort_by_key(|notice| is_of_project(&files, &notice.origin));
    let proxies = proxies::Proxies(&applying);
    let is_moot = |entry: &&Entry| switches.is_moot(entry) || proxies.is_moot(entry);
    let held = held.iter().filter(|entry| !is_moot(entry));
    let held_hosts = held_hosts.iter().flat_map(Hosts::held_back);
    let held_back = held_hosts
        .chain(held.filter_map(held_back))
        .chain(held_paths.iter().flat_map(Paths::held_back))
        .collect();
    Settings {
        policy,
        host_ports: host_ports(&applying),
        external_proxies: proxies.choose(),
        parent_proxies: proxies.choose_parents(),
        execution: Execution {
            enabled: switches.choose(Switch::Enabled),
            excluded_commands: texts(&applying, TextKey::ExcludedCommand),
            allow_unsandboxed_commands: switches.choose(Switch::AllowUnsandboxedCommands),
            auto_allow_bash_if_sandboxed: switches.choose(Switch::AutoAllowBash),
        },
        macos: MacosOptions {
            allow_local_binding: switches.choose(Switch::LocalBinding),
            enable_weaker_network_isolation: switches.choose(Switch::WeakerNetworkIsolation),
            allow_apple_events: switches.choose(Switch::AppleEvents),
            allow_pty: switches.choose(Switch::Pty),
            allow_mach_lookup: texts(&applying, TextKey::MachLookup),
        },
        unprotected: filesystem::unprotected(&applying),
        allow_git_config: switches.choose(Switch::GitConfig),
        filesystem_disabled: switches.choose(Switch::FilesystemDisabled),
        strict_reads: switches.choose(Switch::StrictReads),
        ignore_violations: ignored_violations(&applying),
        git_safe_directories: texts(&applying, TextKey::SafeDirectory),
        held_back,
        files,
        ignored_keys: ignored,
        notices,
        live: LiveBase::new(standing, applying, base),
    }
}

/// Drops what was said before: by any layer, where it does not matter which.
fn drop_repetitions(entries: &mut Vec<Entry>) {
    let mut said = HashSet::with_capacity_and_hasher(entries.len(), RandomState::default());
    let new: Vec<bool> = entries
        .iter()
        .map(
            |Entry {
                 layer, statement, ..
             }| {
                let effect = &statement.effect;
                said.insert((effect.depends_on_layer().then_some(*layer), effect))
            },
        )
        .collect();
    let mut new = new.into_iter();
    entries.retain(|_| new.next() == Some(true));
}

/// Single values: the entries about them, which are few.
pub(crate) struct Switches<'a>(Vec<&'a Entry>);

impl<'a> Switches<'a> {
    pub(crate) fn of(entries: &'a [Entry]) -> Self {
        let is_switch = |entry: &&Entry| matches!(entry.statement.effect, Effect::Switch(..));
        Self(entries.iter().filter(is_switch).collect())
    }

    pub(crate) fn choose(&self, switch: Switch) -> Choice<bool> {
        self.deciding(switch).map_or_else(
            || Choice {
                value: switch.default(),
                origin: Origin::BuiltIn("default"),
            },
            |(choice, _)| choice,
        )
    }

    /// Whether an entry would change nothing if it applied: a single value that holds anyway, or
    /// that a higher layer decides.
    fn is_moot(&self, entry: &Entry) -> bool {
        let Effect::Switch(switch, value) = &entry.statement.effect else {
            return false;
        };
        let overruled = self
            .deciding(*switch)
            .is_some_and(|(_, layer)| layer > entry.layer);
        overruled || self.choose(*switch).value == *value
    }

    /// The highest layer that says something, and what.
    fn deciding(&self, switch: Switch) -> Option<(Choice<bool>, Layer)> {
        let said = self.0.iter().filter_map(|entry| {
            let Effect::Switch(named, value) = &entry.statement.effect else {
                return None;
            };
            let origin = entry.statement.origin.clone();
            (*named == switch).then_some((
                Choice {
                    value: *value,
                    origin,
                },
                entry.layer,
            ))
        });
        said.max_by_key(|(_, layer)| *layer)
    }
}

fn host_ports(entries: &[Entry]) -> Vec<Choice<Port>> {
    let ports = entries.iter().filter_map(|Entry { statement, .. }| {
        let Effect::HostPort(value) = statement.effect else {
            return None;
        };
        let origin = statement.origin.clone();
        Some(Choice { value, origin })
    });
    ports.collect()
}

fn published_ports(entries: &[Entry]) -> Vec<PublishedPort> {
    let ports = entries.iter().filter_map(|Entry { statement, .. }| {
        let Effect::PublishPort(mapping) = statement.effect else {
            return None;
        };
        let origin = statement.origin.clone();
        Some(PublishedPort { mapping, origin })
    });
    ports.collect()
}

fn unix_sockets(entries: &[Entry], switches: &Switches<'_>) -> UnixSocketPolicy {
    if let Choice {
        value: true,
        origin,
    } = switches.choose(Switch::AllUnixSockets)
    {
        return UnixSocketPolicy::Unrestricted(origin);
    }
    let mut listed = Vec::<PathRule>::new();
    for Entry { statement, .. } in entries {
        if let Effect::AllowUnixSocket(pattern) = &statement.effect {
            listed.push(PathRule {
                pattern: pattern.clone(),
                origin: statement.origin.clone(),
            });
        }
    }
    if listed.is_empty() {
        UnixSocketPolicy::Blocked
    } else {
        UnixSocketPolicy::Listed(listed)
    }
}

fn texts(entries: &[Entry], kind: TextKey) -> Vec<Choice<String>> {
    let mut texts = Vec::<Choice<String>>::new();
    for Entry { statement, .. } in entries {
        if let Effect::Text(named, text) = &statement.effect
            && *named == kind
        {
            texts.push(Choice {
                value: text.clone(),
                origin: statement.origin.clone(),
            });
        }
    }
    texts
}

fn ignored_violations(entries: &[Entry]) -> Vec<IgnoredViolation> {
    let mut violations = Vec::<IgnoredViolation>::new();
    for Entry { statement, .. } in entries {
        if let Effect::IgnoreViolation { command, text } = &statement.effect {
            let origin = statement.origin.clone();
            violations.push(IgnoredViolation {
                command: command.clone(),
                text: text.clone(),
                origin,
            });
        }
    }
    violations
}

fn is_of_project(files: &[LoadedFile], origin: &Origin) -> bool {
    let Origin::File { path, .. } = origin else {
        return false;
    };
    let mut projects = files.iter().filter(|file| file.layer.comes_with_project());
    projects.any(|file| file.path == *path)
}

fn held_back(entry: &Entry) -> Option<HeldBack> {
    let Statement {
        key,
        text,
        origin,
        effect,
    } = &entry.statement;
    let reason = environment::startup_reason(effect)
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    match origin {
        Origin::File { path, line, .. } => Some(HeldBack {
            file: Arc::clone(path),
            line: *line,
            what: format!("`{key}`: `{}`{reason}", shown(text)),
        }),
        Origin::BuiltIn(_) | Origin::Flag(_) | Origin::Program => None,
    }
}

/// The presets that any layer names, each with the highest entry that does: one of another layer
/// takes nothing away.
fn chosen_presets(entries: &[Entry]) -> impl Iterator<Item = (Preset, &Entry)> {
    Preset::ALL.into_iter().filter_map(|preset| {
        let mut highest = entries.iter().rev();
        let named = highest.find(|entry| entry.statement.effect == Effect::Preset(preset))?;
        Some((preset, named))
    })
}
