//! The effective settings, with the origin of each value, for people and programs.

use sandbox_policy::{
    DomainRule, EnvironmentPolicy, Firmness, Origin, PathRule, ProcMount, PtracePolicy,
    StrictReads, UnixSocketPolicy, UserNamespaces, VariableRule, visible,
};
use serde_json::{Value, json};

use crate::{
    layer::Choice,
    settings::{FileTrust, Settings},
};

/// The effective settings as JSON: `{"values": [{"key", "value", "origin"}, …], "files": […], "heldBack": […]}`.
#[must_use]
pub fn describe(settings: &Settings) -> Value {
    let values: Vec<_> = rows(settings)
        .into_iter()
        .map(|row| json!({ "key": row.key, "value": row.value, "origin": row.origin.to_string() }))
        .collect();
    let files: Vec<_> = settings
        .files
        .iter()
        .map(|file| {
            json!({
                "path": file.path.display().to_string(),
                "layer": file.layer.name(),
                "format": file.format.name(),
                "trust": trust_name(file.trust),
            })
        })
        .collect();
    let held_back: Vec<_> = settings
        .held_back
        .iter()
        .map(|entry| json!({ "file": entry.file.display().to_string(), "line": entry.line, "what": entry.what }))
        .collect();
    json!({ "values": values, "files": files, "heldBack": held_back })
}

/// The effective settings, one `key value (origin)` a line.
#[must_use]
pub fn describe_lines(settings: &Settings) -> Vec<String> {
    let mut lines: Vec<_> = settings
        .files
        .iter()
        .map(|file| {
            let (layer, format) = (file.layer.name(), file.format.name());
            format!(
                "file {} ({layer}, {format}, {})",
                file.path.display(),
                trust_name(file.trust)
            )
        })
        .collect();
    lines.extend(
        rows(settings)
            .into_iter()
            .map(|row| format!("{} {} ({})", row.key, row.value, row.origin)),
    );
    lines.extend(settings.held_back.iter().map(|entry| {
        format!(
            "held back {} ({}:{})",
            entry.what,
            entry.file.display(),
            entry.line
        )
    }));
    lines.iter().map(|line| visible(line)).collect()
}

struct Row<'a> {
    key: &'static str,
    value: Value,
    origin: &'a Origin,
}

impl<'a> Row<'a> {
    fn text(key: &'static str, value: impl Into<Value>, origin: &'a Origin) -> Self {
        Self {
            key,
            value: value.into(),
            origin,
        }
    }

    fn switch(key: &'static str, choice: &'a Choice<bool>) -> Self {
        Self::text(key, choice.value, &choice.origin)
    }
}

fn rows(settings: &Settings) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let execution = &settings.execution;
    rows.push(Row::switch("enabled", &execution.enabled));
    rows.push(Row::switch(
        "allowUnsandboxedCommands",
        &execution.allow_unsandboxed_commands,
    ));
    rows.push(Row::switch(
        "autoAllowBashIfSandboxed",
        &execution.auto_allow_bash_if_sandboxed,
    ));
    rows.extend(listed("excludedCommands", &execution.excluded_commands));
    file_rows(settings, &mut rows);
    network_rows(settings, &mut rows);
    variable_rows(settings, &mut rows);
    match &settings.policy.process.proc_mount {
        ProcMount::Fresh => {}
        ProcMount::Inherited(origin) => {
            rows.push(Row::text("enableWeakerNestedSandbox", true, origin))
        }
    }
    match &settings.policy.process.user_namespaces {
        UserNamespaces::Refused => {}
        UserNamespaces::Allowed(origin) => {
            rows.push(Row::text("allowNestedUserNamespaces", true, origin))
        }
    }
    match &settings.policy.process.ptrace {
        PtracePolicy::Refused => {}
        PtracePolicy::Allowed(origin) => rows.push(Row::text("allowPtrace", true, origin)),
    }
    rows.extend(settings.policy.process.devices.iter().map(|device| {
        let path = device.path.as_path().display().to_string();
        Row::text("filesystem.devices", path, &device.origin)
    }));
    let macos = &settings.macos;
    rows.push(Row::switch("allowLocalBinding", &macos.allow_local_binding));
    rows.push(Row::switch(
        "enableWeakerNetworkIsolation",
        &macos.enable_weaker_network_isolation,
    ));
    rows.push(Row::switch("allowAppleEvents", &macos.allow_apple_events));
    rows.push(Row::switch("allowPty", &macos.allow_pty));
    rows.extend(listed("allowMachLookup", &macos.allow_mach_lookup));
    rows.extend(listed(
        "git.safeDirectories",
        &settings.git_safe_directories,
    ));
    rows.extend(settings.ignore_violations.iter().map(|violation| {
        Row::text(
            "ignoreViolations",
            format!("{}: {}", violation.command, violation.text),
            &violation.origin,
        )
    }));
    rows.extend(
        settings
            .ignored_keys
            .iter()
            .map(|ignored| Row::text("ignored", ignored.key, &ignored.origin)),
    );
    rows.extend(settings.notices.iter().map(|notice| {
        let text = format!("{}: {}", notice.entry, notice.meaning);
        Row::text("notice", text, &notice.origin)
    }));
    rows
}

fn file_rows<'a>(settings: &'a Settings, rows: &mut Vec<Row<'a>>) {
    let filesystem = &settings.policy.filesystem;
    let row = |key, rule: &'a PathRule| Row::text(key, rule.pattern.to_string(), &rule.origin);
    rows.extend(filesystem.deny_read.iter().map(|deny| {
        let key = match deny.firmness {
            Firmness::Default => "filesystem.denyRead (default)",
            Firmness::Layer(_) => "filesystem.denyRead",
            Firmness::Final => "filesystem.denyRead (final)",
        };
        row(key, &deny.rule)
    }));
    rows.extend(
        filesystem
            .allow_read
            .iter()
            .map(|allow| row("filesystem.allowRead", &allow.rule)),
    );
    rows.extend(
        filesystem
            .allow_write
            .iter()
            .map(|allow| row("filesystem.allowWrite", &allow.rule)),
    );
    rows.extend(
        filesystem
            .deny_write
            .iter()
            .map(|rule| row("filesystem.denyWrite", rule)),
    );
    rows.extend(
        filesystem
            .scratch
            .iter()
            .map(|rule| row("filesystem.scratch", rule)),
    );
    let unprotected = settings.unprotected.iter();
    rows.extend(
        unprotected.map(|row| Row::text("filesystem.unprotect", row.value.path, &row.origin)),
    );
    match &settings.policy.process.strict_reads {
        StrictReads::Off => {}
        StrictReads::On(origin) => rows.push(Row::text("filesystem.strictReads", true, origin)),
    }
    rows.push(Row::switch(
        "filesystem.allowGitConfig",
        &settings.allow_git_config,
    ));
    rows.push(Row::switch(
        "filesystem.disabled",
        &settings.filesystem_disabled,
    ));
}

fn network_rows<'a>(settings: &'a Settings, rows: &mut Vec<Row<'a>>) {
    let network = &settings.policy.network;
    let of_host_port = |rule: &DomainRule| {
        let ports = &settings.host_ports;
        ports.iter().any(|port| port.origin == rule.origin)
    };
    let row = |key, rule: &'a DomainRule| Row::text(key, rule.pattern.to_string(), &rule.origin);
    rows.extend(
        network
            .allowed()
            .iter()
            .filter(|rule| !of_host_port(rule))
            .map(|rule| row("network.allowedDomains", rule)),
    );
    let host_ports = settings.host_ports.iter();
    rows.extend(
        host_ports.map(|port| Row::text("network.hostPorts", port.value.get(), &port.origin)),
    );
    let published = settings.policy.published_ports.iter();
    rows.extend(published.map(|port| {
        let mapping = port.mapping.to_string();
        Row::text("network.publishPorts", mapping, &port.origin)
    }));
    rows.extend(
        network
            .denied()
            .iter()
            .map(|rule| row("network.deniedDomains", rule)),
    );
    rows.extend(network.denied_addresses().iter().map(|rule| {
        Row::text(
            "network.deniedResolvedAddresses",
            rule.range.to_string(),
            &rule.origin,
        )
    }));
    let proxies = &settings.external_proxies;
    for (key, port) in [
        ("network.httpProxyPort", &proxies.http),
        ("network.socksProxyPort", &proxies.socks),
    ] {
        rows.extend(
            port.iter()
                .map(|port| Row::text(key, port.value.get(), &port.origin)),
        );
    }
    let parents = &settings.parent_proxies;
    for (key, proxy) in [
        ("network.parentProxy.http", &parents.http),
        ("network.parentProxy.https", &parents.https),
    ] {
        rows.extend(
            proxy
                .iter()
                .map(|proxy| Row::text(key, proxy.value.to_string(), &proxy.origin)),
        );
    }
    rows.extend(parents.bypass.iter().map(|bypass| {
        let key = "network.parentProxy.noProxy";
        Row::text(key, bypass.value.to_string(), &bypass.origin)
    }));
    match &settings.policy.unix_sockets {
        UnixSocketPolicy::Blocked => {}
        UnixSocketPolicy::Listed(rules) => rows.extend(rules.iter().map(|rule| {
            Row::text(
                "network.allowUnixSockets",
                rule.pattern.to_string(),
                &rule.origin,
            )
        })),
        UnixSocketPolicy::Unrestricted(origin) => {
            rows.push(Row::text("network.allowAllUnixSockets", true, origin));
        }
    }
}

fn variable_rows<'a>(settings: &'a Settings, rows: &mut Vec<Row<'a>>) {
    let EnvironmentPolicy { deny, allow, set } = &settings.policy.environment;
    let row = |key, rule: &'a VariableRule| Row::text(key, rule.pattern.to_string(), &rule.origin);
    rows.extend(deny.iter().map(|deny| {
        let key = match deny.firmness {
            Firmness::Default => "environment.deny (default)",
            Firmness::Layer(_) => "environment.deny",
            Firmness::Final => "environment.deny (final)",
        };
        row(key, &deny.rule)
    }));
    rows.extend(
        allow
            .iter()
            .map(|allow| row("environment.allow", &allow.rule)),
    );
    rows.extend(set.iter().map(|set| {
        let text = format!("{}={}", set.name.display(), set.value.display());
        Row::text("environment.set", text, &set.origin)
    }));
}

fn listed<'a>(key: &'static str, texts: &'a [Choice<String>]) -> impl Iterator<Item = Row<'a>> {
    texts
        .iter()
        .map(move |text| Row::text(key, text.value.clone(), &text.origin))
}

fn trust_name(trust: FileTrust) -> &'static str {
    match trust {
        FileTrust::Own => "own",
        FileTrust::Trusted => "trusted",
        FileTrust::Untrusted => "untrusted",
    }
}
