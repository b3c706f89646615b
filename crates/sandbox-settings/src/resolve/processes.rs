//! Processes and the kernel surface, of all layers.

use sandbox_policy::{
    DeviceRule, ProcMount, ProcessPolicy, PtracePolicy, StrictReads, UserNamespaces, gpu,
};

use super::{Entry, Switches, chosen_presets};
use crate::{
    layer::Choice,
    statement::{Effect, Switch},
    wire::Preset,
};

/// The processes' part of the policy.
pub(super) fn processes(entries: &[Entry], switches: &Switches<'_>) -> ProcessPolicy {
    let allowed_by = |switch| {
        let Choice { value, origin } = switches.choose(switch);
        value.then_some(origin)
    };
    ProcessPolicy {
        proc_mount: allowed_by(Switch::WeakerNestedSandbox)
            .map_or(ProcMount::Fresh, ProcMount::Inherited),
        user_namespaces: allowed_by(Switch::NestedUserNamespaces)
            .map_or(UserNamespaces::Refused, UserNamespaces::Allowed),
        ptrace: allowed_by(Switch::Ptrace).map_or(PtracePolicy::Refused, PtracePolicy::Allowed),
        devices: devices(entries),
        strict_reads: allowed_by(Switch::StrictReads).map_or(StrictReads::Off, StrictReads::On),
    }
}

fn devices(entries: &[Entry]) -> Vec<DeviceRule> {
    let named = entries.iter().filter_map(|Entry { statement, .. }| {
        let Effect::Device(path) = &statement.effect else {
            return None;
        };
        Some(DeviceRule {
            path: path.clone(),
            optional: false,
            origin: statement.origin.clone(),
        })
    });
    let presets = chosen_presets(entries).filter(|(preset, _)| *preset == Preset::Gpu);
    let of_presets = presets.flat_map(|(_, chosen)| gpu(&chosen.statement.origin));
    named.chain(of_presets).collect()
}
