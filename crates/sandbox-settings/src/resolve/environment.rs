//! Rules about variables of all layers.

use std::ffi::OsStr;

use sandbox_policy::{
    EnvironmentPolicy, Firmness, LayerId, STARTUP_VARIABLES, TableVariable, VariableAllow,
    VariableDeny, VariableRule, VariableValue, clean_environment, secret_variables,
};

use super::{Entry, chosen_presets};
use crate::{layer::Layer, statement::Effect, wire::Preset};

/// The variables' part of the policy.
pub(super) fn environment(entries: &[Entry]) -> EnvironmentPolicy {
    let mut policy = EnvironmentPolicy::inherited();
    for Entry {
        layer, statement, ..
    } in entries
    {
        let origin = statement.origin.clone();
        match &statement.effect {
            Effect::DenyVariable { pattern, for_good } => {
                let pattern = pattern.clone();
                let firmness = if *for_good {
                    Firmness::Final
                } else {
                    Firmness::Layer(layer.id())
                };
                policy.deny.push(VariableDeny {
                    rule: VariableRule { pattern, origin },
                    firmness,
                });
            }
            Effect::AllowVariable(pattern) => policy.allow.push(VariableAllow {
                rule: VariableRule {
                    pattern: pattern.clone(),
                    origin,
                },
                layer: layer.id(),
            }),
            Effect::SetVariable { name, value } => policy.set.push(VariableValue {
                name: name.clone(),
                value: value.clone(),
                origin,
                layer: layer.id(),
            }),
            Effect::DenyAddress(_)
            | Effect::HostPort(_)
            | Effect::PublishPort(_)
            | Effect::AllowUnixSocket(_)
            | Effect::IgnoreViolation { .. }
            | Effect::Text(..)
            | Effect::Device(_)
            | Effect::Preset(_)
            | Effect::Unprotect(_)
            | Effect::ProxyPort(..)
            | Effect::ParentProxy(..)
            | Effect::ProxyBypass(_)
            | Effect::Switch(..) => {}
        }
    }
    for (preset, chosen) in chosen_presets(entries) {
        add_preset(&mut policy, preset, chosen);
    }
    policy
}

/// Any allow may re-open what a preset closed, but only the administrator's where the administrator
/// chose it: then those speak for the preset too.
fn add_preset(policy: &mut EnvironmentPolicy, preset: Preset, chosen: &Entry) {
    let origin = &chosen.statement.origin;
    let managed = chosen.layer == Layer::Managed;
    let firmness = if managed {
        Firmness::Layer(LayerId::PRESET)
    } else {
        Firmness::Default
    };
    match preset {
        Preset::Workspace | Preset::Gpu => return,
        Preset::Secrets => policy.deny.extend(secret_variables(origin, firmness)),
        Preset::CleanEnvironment => {
            let (deny, allow) = clean_environment(origin, firmness);
            policy.deny.push(deny);
            policy.allow.extend(allow);
        }
    }
    if managed {
        let own = Layer::Managed.id();
        let allows = policy.allow.iter().filter(|allow| allow.layer == own);
        let layer = LayerId::PRESET;
        let again: Vec<_> = allows
            .map(|allow| VariableAllow {
                layer,
                ..allow.clone()
            })
            .collect();
        policy.allow.extend(again);
        let values = policy.set.iter().filter(|value| value.layer == own);
        let again: Vec<_> = values
            .map(|value| VariableValue {
                layer,
                ..value.clone()
            })
            .collect();
        policy.set.extend(again);
    }
}

/// What a variable starts, if an entry gives it a value or lets it through.
pub(super) fn startup_reason(effect: &Effect) -> Option<&'static str> {
    let row = if let Effect::SetVariable { name, .. } = effect {
        TableVariable::find(STARTUP_VARIABLES, name)
    } else if let Effect::AllowVariable(pattern) = effect {
        TableVariable::find(STARTUP_VARIABLES, OsStr::new(&pattern.to_string()))
    } else {
        None
    };
    row.map(|row| row.reason)
}
