//! The flat format's statements.

use std::collections::{BTreeMap, HashMap};

use sandbox_policy::{DomainPattern, PatternSyntax, VariablePattern};

use super::{
    Effect, HostEffect, PathEffect, ProxyKind, Switch, TextKey,
    reader::{Reader, Written},
};
use crate::wire::{
    flat::{
        CredentialFile, CredentialMode, CredentialVariable, Credentials, Flat, FlatFilesystem,
        FlatNetwork, Git,
    },
    text::{
        AddressRange, AllowedDomain, DeniedDomain, Entries, NonEmptyText, PathText, VariableName,
    },
};

impl Reader<'_> {
    /// Every key is named: a new one does not compile until somebody decides what it says.
    pub(crate) fn read_flat(&mut self, file: Flat) {
        let Flat {
            schema: _schema,
            network,
            filesystem,
            ignore_violations,
            enable_weaker_nested_sandbox,
            allow_nested_user_namespaces,
            allow_ptrace,
            enable_weaker_network_isolation,
            allow_apple_events,
            allow_pty,
            environment,
            presets,
            git,
            credentials,
            ripgrep,
            mandatory_deny_search_depth,
            seccomp,
            bwrap_path,
            socat_path,
            java_agent_jar_path,
            windows,
        } = file;
        self.read_flat_network(network);
        self.read_flat_filesystem(filesystem);
        self.violations("ignoreViolations", ignore_violations);
        self.switch(
            "enableWeakerNestedSandbox",
            Switch::WeakerNestedSandbox,
            enable_weaker_nested_sandbox,
        );
        self.switch(
            "allowNestedUserNamespaces",
            Switch::NestedUserNamespaces,
            allow_nested_user_namespaces,
        );
        self.switch(
            "enableWeakerNetworkIsolation",
            Switch::WeakerNetworkIsolation,
            enable_weaker_network_isolation,
        );
        self.switch("allowPtrace", Switch::Ptrace, allow_ptrace);
        self.switch("allowAppleEvents", Switch::AppleEvents, allow_apple_events);
        self.switch("allowPty", Switch::Pty, allow_pty);
        if let Some(Git { safe_directories }) = git {
            self.texts(
                "git.safeDirectories",
                safe_directories,
                TextKey::SafeDirectory,
            );
        }
        self.variables(
            ["environment.deny", "environment.allow", "environment.set"],
            environment,
        );
        self.presets("presets", presets);
        if let Some(credentials) = credentials {
            self.read_credentials(credentials);
        }
        self.ignored("ripgrep", ripgrep);
        self.ignored("mandatoryDenySearchDepth", mandatory_deny_search_depth);
        self.ignored("seccomp", seccomp);
        self.ignored("bwrapPath", bwrap_path);
        self.ignored("socatPath", socat_path);
        self.ignored("javaAgentJarPath", java_agent_jar_path);
        self.ignored("windows", windows);
    }

    fn read_flat_network(&mut self, network: FlatNetwork) {
        let FlatNetwork {
            allowed_domains,
            denied_domains,
            denied_domain_reasons,
            strict_allowlist,
            denied_resolved_addresses,
            allow_unix_sockets,
            allow_all_unix_sockets,
            host_ports,
            publish_ports,
            allow_local_binding,
            allow_mach_lookup,
            http_proxy_port,
            socks_proxy_port,
            parent_proxy,
            mitm_proxy,
            tls_terminate,
            filter_request,
            allow_plaintext_header_set,
            strip_response_headers,
            refuse_opaque_tunnels,
            require_host_match,
            ambiguous_request_target,
        } = network;
        self.flat_hosts((allowed_domains, denied_domains), denied_domain_reasons);
        self.switch(
            "network.strictAllowlist",
            Switch::StrictAllowlist,
            strict_allowlist,
        );
        for AddressRange(range) in denied_resolved_addresses.into_iter().flatten() {
            self.deny_address("network.deniedResolvedAddresses", &range);
        }
        self.unix_sockets("network.allowUnixSockets", allow_unix_sockets);
        self.switch(
            "network.allowAllUnixSockets",
            Switch::AllUnixSockets,
            allow_all_unix_sockets,
        );
        self.host_ports("network.hostPorts", host_ports);
        self.published_ports("network.publishPorts", publish_ports);
        self.switch(
            "network.allowLocalBinding",
            Switch::LocalBinding,
            allow_local_binding,
        );
        self.texts(
            "network.allowMachLookup",
            allow_mach_lookup,
            TextKey::MachLookup,
        );
        let key = "network.httpProxyPort";
        self.proxy_port(key, ProxyKind::Http, http_proxy_port);
        let key = "network.socksProxyPort";
        self.proxy_port(key, ProxyKind::Socks, socks_proxy_port);
        let keys = [
            "network.parentProxy.http",
            "network.parentProxy.https",
            "network.parentProxy.noProxy",
        ];
        self.parent_proxy(keys, parent_proxy);
        self.unsupported([
            ("network.mitmProxy", mitm_proxy),
            ("network.tlsTerminate", tls_terminate),
            ("network.filterRequest", filter_request),
            (
                "network.allowPlaintextHeaderSet",
                allow_plaintext_header_set,
            ),
            ("network.stripResponseHeaders", strip_response_headers),
            ("network.refuseOpaqueTunnels", refuse_opaque_tunnels),
            ("network.requireHostMatch", require_host_match),
            ("network.ambiguousRequestTarget", ambiguous_request_target),
        ]);
    }

    fn flat_hosts(
        &mut self,
        (allowed, denied): (Entries<AllowedDomain>, Entries<DeniedDomain>),
        reasons: Option<BTreeMap<String, NonEmptyText>>,
    ) {
        let key = "network.allowedDomains";
        self.hosts(key, Some(allowed), HostEffect::Allow);
        let key = "network.deniedDomains";
        self.hosts(key, Some(denied), HostEffect::Deny);
        if let Some(reasons) = reasons {
            // Its keys are texts to the types, and domain patterns to the schema.
            self.leave_unread();
            let named = |(host, NonEmptyText(reason)): (String, NonEmptyText)| {
                Some((DomainPattern::parse_deny(&host).ok()?, reason.value))
            };
            let reasons: HashMap<_, _> = reasons.into_iter().filter_map(named).collect();
            self.note_reasons(&reasons);
        }
    }

    fn read_credentials(&mut self, credentials: Credentials) {
        let Credentials {
            files,
            env_vars,
            allow_plaintext_inject,
            aws_pairs,
            sigv4,
        } = credentials;
        for CredentialFile {
            file: PathText(path),
            mode: CredentialMode::Deny,
        } in files.into_iter().flatten()
        {
            let syntax = PatternSyntax::Glob;
            let written = Written::plain(&path.value, &path.span);
            self.path(
                "credentials.files",
                &written,
                syntax,
                PathEffect::DenyReadForGood,
            );
        }
        for CredentialVariable {
            name: VariableName(name),
            mode: CredentialMode::Deny,
        } in env_vars.into_iter().flatten()
        {
            let one = VariablePattern::name(&name.value);
            let pattern = one.and_then(VariablePattern::parse);
            let effect = pattern.map(|pattern| Effect::DenyVariable {
                pattern,
                for_good: true,
            });
            self.variable("credentials.envVars", &name.value, &name.span, effect);
        }
        self.unsupported([
            ("credentials.allowPlaintextInject", allow_plaintext_inject),
            ("credentials.awsPairs", aws_pairs),
            ("credentials.sigv4", sigv4),
        ]);
    }

    fn read_flat_filesystem(&mut self, filesystem: FlatFilesystem) {
        let FlatFilesystem {
            deny_read,
            allow_read,
            allow_write,
            deny_write,
            preset,
            devices,
            unprotect,
            strict_reads,
            allow_git_config,
            disabled,
        } = filesystem;
        self.paths("filesystem.denyRead", Some(deny_read), PathEffect::DenyRead);
        self.paths("filesystem.allowRead", allow_read, PathEffect::AllowRead);
        self.paths(
            "filesystem.allowWrite",
            Some(allow_write),
            PathEffect::AllowWrite,
        );
        self.paths(
            "filesystem.denyWrite",
            Some(deny_write),
            PathEffect::DenyWrite,
        );
        self.file_preset("filesystem.preset", preset);
        self.devices("filesystem.devices", devices);
        self.unprotect("filesystem.unprotect", unprotect);
        self.switch("filesystem.strictReads", Switch::StrictReads, strict_reads);
        self.switch(
            "filesystem.allowGitConfig",
            Switch::GitConfig,
            allow_git_config,
        );
        self.switch("filesystem.disabled", Switch::FilesystemDisabled, disabled);
    }
}
