//! The administrator's file stands above everything.

use crate::support::{File, Machine, reaches};

#[test]
fn no_layer_and_no_option_undoes_managed_settings() {
    let loose = r#"{
      "sandbox": { "enabled": false, "allowUnsandboxedCommands": true, "enableWeakerNestedSandbox": true, "autoAllowBashIfSandboxed": true,
        "network": { "allowedDomains": ["x.example"], "allowAllUnixSockets": true, "allowLocalBinding": true },
        "filesystem": { "allowWrite": ["~/out"], "allowRead": ["~/in"] } } }"#;
    let tight = r#"{
      "sandbox": { "enabled": true, "allowUnsandboxedCommands": false, "enableWeakerNestedSandbox": false, "autoAllowBashIfSandboxed": false,
        "network": { "deniedDomains": ["x.example"], "allowAllUnixSockets": false, "allowLocalBinding": false },
        "filesystem": { "denyWrite": ["~/out"], "denyRead": ["~/in"] } } }"#;
    let mut machine = Machine::new()
        .with(File::User, loose)
        .with(File::Project, loose)
        .with(File::Local, loose)
        .with(File::Managed, tight)
        .with_flag(loose);
    machine.sources.trust = sandbox_settings::ProjectTrust::Granted;
    machine.sources.overrides.allow_write = vec!["~/out".into()];
    machine.sources.overrides.allow_read = vec!["~/in".into()];
    machine.sources.overrides.allow_domains = vec!["x.example".to_owned()];
    let settings = machine.load();
    assert!(settings.execution.enabled.value);
    assert!(!settings.execution.allow_unsandboxed_commands.value);
    assert!(!settings.execution.auto_allow_bash_if_sandboxed.value);
    assert!(!settings.macos.allow_local_binding.value);
    assert_eq!(
        settings.policy.process.proc_mount,
        sandbox_policy::ProcMount::Fresh
    );
    assert_eq!(
        settings.policy.unix_sockets,
        sandbox_policy::UnixSocketPolicy::Blocked
    );
    assert!(!reaches(&settings, "x.example"));
    assert!(!machine.writes(&settings, "~/out/x") && !machine.reads(&settings, "~/in/x"));
}

#[test]
fn managed_settings_forbid_disabling_file_rules() {
    let flat = |disabled: bool| {
        format!(
            r#"{{ "network": {{ "allowedDomains": [], "deniedDomains": [] }},
              "filesystem": {{ "denyRead": ["~/in"], "allowWrite": [], "denyWrite": [], "disabled": {disabled} }} }}"#
        )
    };
    let machine = Machine::new()
        .with(File::Home, &flat(true))
        .with(File::Managed, &flat(false));
    let settings = machine.load();
    assert!(!settings.filesystem_disabled.value);
    assert!(!machine.writes(&settings, "~/x") && !machine.reads(&settings, "~/in"));
}

#[test]
fn managed_settings_keep_ports_of_the_host_closed() {
    let open = r#"{ "sandbox": { "network": { "hostPorts": [5432, 5433] } } }"#;
    let machine = Machine::new().with(File::User, open).with_flag(open);
    let ports = |machine: &Machine| {
        let ports = machine.load().policy.network.host_ports();
        ports.iter().map(|host| host.port.get()).collect::<Vec<_>>()
    };
    assert_eq!(ports(&machine), [5432, 5433]);
    let narrowed = r#"{ "sandbox": { "network": { "deniedDomains": ["localhost:5432"] } } }"#;
    assert_eq!(ports(&machine.with(File::Managed, narrowed)), [5433]);
}
