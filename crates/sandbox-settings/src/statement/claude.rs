//! The statements of Claude Code's format.

use sandbox_policy::PatternSyntax;

use super::{
    HostEffect, PathEffect, ProxyKind, Switch, TextKey,
    reader::{Reader, Written},
};
use crate::{
    error::SettingsErrorKind,
    json::Located,
    notice::{self, EntryMeaning},
    permission::{self, Purpose, Rule, Tool},
    wire::{
        claude::{Claude, ClaudeFilesystem, ClaudeNetwork, Permissions, SandboxSection},
        text::{GrantingRule, RefusingRule},
    },
};

/// The key of what nobody is asked about.
const DENY: &str = "permissions.deny";

impl Reader<'_> {
    /// Every key is named: a new one does not compile until somebody decides what it says.
    pub(crate) fn read_claude(&mut self, file: Claude) {
        let Claude {
            permissions,
            sandbox,
        } = file;
        if let Some(Permissions { allow, deny, ask }) = permissions {
            for GrantingRule(rule) in allow.into_iter().flatten() {
                self.granting_rule("permissions.allow", &rule);
            }
            for RefusingRule(rule) in deny.into_iter().flatten() {
                self.refusing_rule(DENY, &rule);
            }
            // Nobody can be asked while a command runs, so what needs a question is not granted,
            // and a wider grant must not open it either.
            for RefusingRule(rule) in ask.into_iter().flatten() {
                self.refusing_rule("permissions.ask", &rule);
            }
        }
        if let Some(section) = sandbox {
            self.read_sandbox(section);
        }
    }

    fn granting_rule(&mut self, key: &'static str, rule: &Located<String>) {
        let syntax = PatternSyntax::Gitignore;
        match permission::parse(&rule.value, Purpose::Permit) {
            Ok(Rule::Edit(path)) => {
                self.path(key, &part(rule, path), syntax, PathEffect::AllowWrite)
            }
            Ok(Rule::Read(path)) => {
                self.path(key, &part(rule, path), syntax, PathEffect::AllowRead)
            }
            Ok(Rule::Host(host)) => self.host(key, &part(rule, host), HostEffect::Allow),
            Ok(Rule::Whole(_) | Rule::Foreign) => {}
            Err(bad) => self.bad_rule(rule, bad.reason),
        }
    }

    fn refusing_rule(&mut self, key: &'static str, rule: &Located<String>) {
        match permission::parse(&rule.value, Purpose::Refuse) {
            Ok(Rule::Edit(path)) => {
                self.refused_path(key, rule, (Tool::Edit, path), PathEffect::DenyWrite);
            }
            Ok(Rule::Read(path)) => {
                self.refused_path(key, rule, (Tool::Read, path), PathEffect::DenyReadForGood);
            }
            Ok(Rule::Host(host)) => self.host(key, &part(rule, host), HostEffect::Deny),
            // Who wants to be asked about a tool is asked about it, outside.
            Ok(Rule::Whole(tool)) if key == DENY => {
                let instead = tool.closing_all();
                self.remark(&rule.value, &rule.span, EntryMeaning::WholeTool { instead });
            }
            Ok(Rule::Whole(_) | Rule::Foreign) => {}
            Err(bad) => self.bad_rule(rule, bad.reason),
        }
    }

    fn refused_path(
        &mut self,
        key: &'static str,
        rule: &Located<String>,
        (tool, path): (Tool, &str),
        effect: PathEffect,
    ) {
        self.path(key, &part(rule, path), PatternSyntax::Gitignore, effect);
        if let Some(meaning) = notice::of_refused_path(tool, path) {
            self.remark(&rule.value, &rule.span, meaning);
        }
    }

    fn bad_rule(&mut self, rule: &Located<String>, reason: &'static str) {
        self.find(
            &rule.span,
            SettingsErrorKind::PermissionRule {
                text: rule.value.clone(),
                reason,
            },
        );
    }

    fn read_sandbox(&mut self, section: SandboxSection) {
        let SandboxSection {
            enabled,
            excluded_commands,
            allow_unsandboxed_commands,
            auto_allow_bash_if_sandboxed,
            network,
            filesystem,
            environment,
            presets,
            ignore_violations,
            enable_weaker_nested_sandbox,
            allow_nested_user_namespaces,
            allow_ptrace,
            enable_weaker_network_isolation,
            fail_if_unavailable,
            ripgrep,
        } = section;
        self.switch("sandbox.enabled", Switch::Enabled, enabled);
        self.texts(
            "sandbox.excludedCommands",
            excluded_commands,
            TextKey::ExcludedCommand,
        );
        let key = "sandbox.allowUnsandboxedCommands";
        self.switch(
            key,
            Switch::AllowUnsandboxedCommands,
            allow_unsandboxed_commands,
        );
        self.switch(
            "sandbox.autoAllowBashIfSandboxed",
            Switch::AutoAllowBash,
            auto_allow_bash_if_sandboxed,
        );
        if let Some(network) = network {
            self.read_claude_network(network);
        }
        if let Some(filesystem) = filesystem {
            self.read_claude_filesystem(filesystem);
        }
        let keys = [
            "sandbox.environment.deny",
            "sandbox.environment.allow",
            "sandbox.environment.set",
        ];
        self.variables(keys, environment);
        self.presets("sandbox.presets", presets);
        self.violations("sandbox.ignoreViolations", ignore_violations);
        let key = "sandbox.enableWeakerNestedSandbox";
        self.switch(
            key,
            Switch::WeakerNestedSandbox,
            enable_weaker_nested_sandbox,
        );
        let key = "sandbox.allowNestedUserNamespaces";
        self.switch(
            key,
            Switch::NestedUserNamespaces,
            allow_nested_user_namespaces,
        );
        self.switch("sandbox.allowPtrace", Switch::Ptrace, allow_ptrace);
        let key = "sandbox.enableWeakerNetworkIsolation";
        self.switch(
            key,
            Switch::WeakerNetworkIsolation,
            enable_weaker_network_isolation,
        );
        self.ignored("sandbox.failIfUnavailable", fail_if_unavailable);
        self.ignored("sandbox.ripgrep", ripgrep);
    }

    fn read_claude_filesystem(&mut self, filesystem: ClaudeFilesystem) {
        let ClaudeFilesystem {
            allow_write,
            deny_write,
            deny_read,
            allow_read,
            preset,
            devices,
            unprotect,
            strict_reads,
            allow_managed_read_paths_only,
        } = filesystem;
        self.paths(
            "sandbox.filesystem.allowWrite",
            allow_write,
            PathEffect::AllowWrite,
        );
        self.paths(
            "sandbox.filesystem.denyWrite",
            deny_write,
            PathEffect::DenyWrite,
        );
        self.paths(
            "sandbox.filesystem.denyRead",
            deny_read,
            PathEffect::DenyRead,
        );
        self.paths(
            "sandbox.filesystem.allowRead",
            allow_read,
            PathEffect::AllowRead,
        );
        self.file_preset("sandbox.filesystem.preset", preset);
        self.devices("sandbox.filesystem.devices", devices);
        self.unprotect("sandbox.filesystem.unprotect", unprotect);
        let key = "sandbox.filesystem.strictReads";
        self.switch(key, Switch::StrictReads, strict_reads);
        self.unsupported([(
            "sandbox.filesystem.allowManagedReadPathsOnly",
            allow_managed_read_paths_only,
        )]);
    }

    fn read_claude_network(&mut self, network: ClaudeNetwork) {
        let ClaudeNetwork {
            allowed_domains,
            denied_domains,
            blocked_domains,
            allow_unix_sockets,
            allow_all_unix_sockets,
            host_ports,
            publish_ports,
            allow_local_binding,
            allow_mach_lookup,
            http_proxy_port,
            socks_proxy_port,
            parent_proxy,
            allow_managed_domains_only,
        } = network;
        let key = "sandbox.network.allowedDomains";
        self.hosts(key, allowed_domains, HostEffect::Allow);
        let key = "sandbox.network.deniedDomains";
        self.hosts(key, denied_domains, HostEffect::Deny);
        let key = "sandbox.network.blockedDomains";
        self.hosts(key, blocked_domains, HostEffect::Deny);
        self.unix_sockets("sandbox.network.allowUnixSockets", allow_unix_sockets);
        self.switch(
            "sandbox.network.allowAllUnixSockets",
            Switch::AllUnixSockets,
            allow_all_unix_sockets,
        );
        self.host_ports("sandbox.network.hostPorts", host_ports);
        self.published_ports("sandbox.network.publishPorts", publish_ports);
        self.switch(
            "sandbox.network.allowLocalBinding",
            Switch::LocalBinding,
            allow_local_binding,
        );
        self.texts(
            "sandbox.network.allowMachLookup",
            allow_mach_lookup,
            TextKey::MachLookup,
        );
        let key = "sandbox.network.httpProxyPort";
        self.proxy_port(key, ProxyKind::Http, http_proxy_port);
        let key = "sandbox.network.socksProxyPort";
        self.proxy_port(key, ProxyKind::Socks, socks_proxy_port);
        let keys = [
            "sandbox.network.parentProxy.http",
            "sandbox.network.parentProxy.https",
            "sandbox.network.parentProxy.noProxy",
        ];
        self.parent_proxy(keys, parent_proxy);
        self.unsupported([(
            "sandbox.network.allowManagedDomainsOnly",
            allow_managed_domains_only,
        )]);
    }
}

/// A rule and the path or host in it.
fn part<'a>(rule: &'a Located<String>, meaning: &'a str) -> Written<'a> {
    Written {
        entry: &rule.value,
        meaning,
        span: &rule.span,
    }
}
