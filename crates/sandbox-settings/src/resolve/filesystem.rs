//! File rules of all layers.

use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, Firmness, LayerId, Origin, PROTECTED_PATHS, PathBase,
    PathPattern, PathRule, Policy, ProtectedPath, Protection, ReadAllow, ReadDeny, secret_paths,
    workspace,
};

use super::{Entry, Paths, Places, Switches, chosen_presets};
use crate::{
    layer::{Choice, Layer},
    statement::{Effect, LayeredPath, PathEffect, PathList, Switch},
    wire::Preset,
};

/// Whether commands may change the working directory unless told otherwise. Not in the root
/// directory, where daemons are started; nor in the home directory or above it, which hold what
/// decides about later runs: start-up files of shells, and the user's own settings.
fn is_a_workplace(base: &PathBase) -> bool {
    let directory = &base.working_directory;
    let holds_home = base
        .home
        .as_ref()
        .is_some_and(|home| home.is_within(directory));
    *directory != AbsolutePath::root() && !holds_home
}

/// The file half of the policy.
pub(super) fn filesystem(
    paths: Vec<Paths>,
    entries: &[Entry],
    switches: &Switches<'_>,
    (base, flat): (&PathBase, bool),
    places: &Places,
) -> FilesystemPolicy {
    let mut rules = Policy::restrictive().filesystem;
    if !flat && is_a_workplace(base) {
        let origin = Origin::BuiltIn("the working directory is writable");
        let pattern = PathPattern::Subtree(base.working_directory.clone());
        rules.allow_write.push(ReadAllow {
            rule: PathRule { pattern, origin },
            layer: Layer::BuiltIn.id(),
        });
    }
    for Paths { list, .. } in paths {
        add_list(&mut rules, list);
    }
    let disabled = switches.deciding(Switch::FilesystemDisabled);
    for (preset, chosen) in chosen_presets(entries) {
        let is_dropped = disabled
            .as_ref()
            .is_some_and(|(choice, layer)| choice.value && *layer == chosen.layer);
        if !is_dropped {
            add_preset(&mut rules, preset, chosen, base);
        }
    }
    rules.protected = protection(entries, switches);
    if let Choice {
        value: true,
        origin,
    } = switches.choose(Switch::FilesystemDisabled)
    {
        open_everything(&mut rules, origin);
    }
    places.guarded.close(&mut rules);
    hide(&mut rules, &places.secretive);
    rules
}

/// Adds the rules of a list. Nothing is copied where one list is all there is.
fn add_list(rules: &mut FilesystemPolicy, list: PathList) {
    let found = list.rules.into_iter();
    let allow = |LayeredPath { rule, layer }| ReadAllow { rule, layer };
    match list.effect {
        PathEffect::AllowWrite => append(&mut rules.allow_write, found.map(allow).collect()),
        PathEffect::AllowRead => append(&mut rules.allow_read, found.map(allow).collect()),
        PathEffect::DenyWrite => {
            let found = found.map(|path| path.rule).collect();
            append(&mut rules.deny_write, found);
        }
        PathEffect::DenyRead => {
            let deny = |LayeredPath { rule, layer }| ReadDeny {
                rule,
                firmness: Firmness::Layer(layer),
            };
            append(&mut rules.deny_read, found.map(deny).collect());
        }
        PathEffect::DenyReadForGood => {
            let deny = |LayeredPath { rule, .. }| ReadDeny {
                rule,
                firmness: Firmness::Final,
            };
            append(&mut rules.deny_read, found.map(deny).collect());
        }
    }
}

fn append<T>(rules: &mut Vec<T>, mut found: Vec<T>) {
    if rules.is_empty() {
        *rules = found;
    } else {
        rules.append(&mut found);
    }
}

fn open_everything(rules: &mut FilesystemPolicy, origin: Origin) {
    let pattern = PathPattern::Subtree(AbsolutePath::root());
    rules.allow_write.push(ReadAllow {
        rule: PathRule { pattern, origin },
        layer: Layer::BuiltIn.id(),
    });
    rules.scratch.clear();
    rules.protected = Protection::none();
}

/// The protected paths without those that settings open.
fn protection(entries: &[Entry], switches: &Switches<'_>) -> Protection {
    let named = unprotected(entries).into_iter().map(|row| row.value);
    let allows_git = switches.choose(Switch::GitConfig).value;
    let of_git = PROTECTED_PATHS.iter().filter(|row| row.is_git_config());
    let of_git = of_git.filter(|_| allows_git);
    named
        .chain(of_git)
        .fold(Protection::all(), |protection, row| {
            protection.without(row.path)
        })
}

/// The protected paths that settings open, by name.
pub(super) fn unprotected(entries: &[Entry]) -> Vec<Choice<&'static ProtectedPath>> {
    let mut rows = Vec::new();
    for Entry { statement, .. } in entries {
        if let Effect::Unprotect(row) = statement.effect {
            rows.push(Choice {
                value: row,
                origin: statement.origin.clone(),
            });
        }
    }
    rows
}

/// The preset's allows speak for no file, so that they re-open nothing that a file closed.
fn add_preset(rules: &mut FilesystemPolicy, preset: Preset, chosen: &Entry, base: &PathBase) {
    let managed = chosen.layer == Layer::Managed;
    // Any `allowRead` may re-open what a preset closed, but only the administrator's where the
    // administrator chose it.
    let firmness = if managed {
        Firmness::Layer(LayerId::PRESET)
    } else {
        Firmness::Default
    };
    let origin = &chosen.statement.origin;
    let home = base.home.as_ref();
    let (denies, allows) = match preset {
        Preset::Workspace => workspace(&base.working_directory, home, origin),
        Preset::Secrets => (secret_paths(home, origin, firmness), Vec::new()),
        Preset::CleanEnvironment | Preset::Gpu => return,
    };
    rules
        .deny_read
        .extend(denies.into_iter().map(|deny| ReadDeny { firmness, ..deny }));
    rules
        .allow_read
        .extend(allows.into_iter().map(|allow| ReadAllow {
            layer: LayerId::PRESET,
            ..allow
        }));
    if managed {
        let own = Layer::Managed.id();
        let allows = rules.allow_read.iter().chain(&rules.allow_write);
        let allows = allows.filter(|allow| allow.layer == own);
        let again: Vec<_> = allows
            .map(|allow| ReadAllow {
                layer: LayerId::PRESET,
                rule: allow.rule.clone(),
            })
            .collect();
        rules.allow_read.extend(again);
    }
}

/// Denies reading what holds a login.
fn hide(rules: &mut FilesystemPolicy, secretive: &[AbsolutePath]) {
    for path in secretive {
        let origin = Origin::PROXY_LOGIN;
        let pattern = PathPattern::Subtree(path.clone());
        rules.deny_read.push(ReadDeny {
            rule: PathRule { pattern, origin },
            firmness: Firmness::Final,
        });
    }
}
