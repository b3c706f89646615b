//! The parts of Claude Code's settings files that concern a sandbox. Everything else in them is
//! left alone. The doc comments are the reference text of the published schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    FilePreset, ParentProxy, Preset, Variables,
    text::{
        AllowedDomain, BooleanSchema, DeniedDomain, DeviceText, Entries, GrantingRule, Ignored,
        NonEmptyText, PathEntry, PathText, PortNumber, ProgramSchema, ProtectedName, PublishText,
        RefusingRule, Unsupported,
    },
};
use crate::json::Located;

/// Claude Code's settings. Files of several layers are combined, and the working directory is
/// writable.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claude {
    /// What tools may do; the rules for files and hosts are the sandbox's rules too.
    pub(crate) permissions: Option<Permissions>,
    /// The sandbox itself.
    pub(crate) sandbox: Option<SandboxSection>,
}

/// Permission rules. `Edit(path)` is about writing, `Read(path)` about reading and
/// `WebFetch(domain:host)` about hosts; rules of other tools are left alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Permissions {
    /// What is granted: `Edit(src/)` can be written, `WebFetch(domain:github.com)` can be reached.
    pub(crate) allow: Option<Vec<GrantingRule>>,
    /// What is refused, whatever grants it.
    pub(crate) deny: Option<Vec<RefusingRule>>,
    /// What needs a question: nobody can be asked while a command runs, so it is refused.
    pub(crate) ask: Option<Vec<RefusingRule>>,
}

/// The sandbox itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SandboxSection {
    /// Whether commands run in a sandbox. Default: true.
    pub(crate) enabled: Option<Located<bool>>,
    /// Commands (by their first word) that run outside, where `allowUnsandboxedCommands` lets them.
    pub(crate) excluded_commands: Option<Vec<NonEmptyText>>,
    /// Whether excluded commands may run outside. Default: true.
    pub(crate) allow_unsandboxed_commands: Option<Located<bool>>,
    /// Whether a host program need not ask before it runs a sandboxed shell command. Default: true.
    pub(crate) auto_allow_bash_if_sandboxed: Option<Located<bool>>,
    /// Which hosts and sockets may be reached.
    pub(crate) network: Option<ClaudeNetwork>,
    /// Which files may be read and written.
    pub(crate) filesystem: Option<ClaudeFilesystem>,
    /// Which variables the command sees.
    pub(crate) environment: Option<Variables>,
    /// Named sets of rules.
    pub(crate) presets: Option<Vec<Located<Preset>>>,
    /// Refusals that are not reported: for a command pattern (`*` for all), parts of the reported text.
    pub(crate) ignore_violations: Option<BTreeMap<String, Vec<NonEmptyText>>>,
    /// Show the outer `/proc` where a container forbids mounting a fresh one. Weakens the sandbox.
    pub(crate) enable_weaker_nested_sandbox: Option<Located<bool>>,
    /// Let the command create namespaces, in which it can mount nothing. Weakens the sandbox.
    pub(crate) allow_nested_user_namespaces: Option<Located<bool>>,
    /// Let the command debug and trace its own processes (gdb, strace). Weakens the sandbox.
    pub(crate) allow_ptrace: Option<Located<bool>>,
    /// macOS: let the command talk to the trust daemon. Weakens the sandbox.
    pub(crate) enable_weaker_network_isolation: Option<Located<bool>>,
    /// Ignored: a sandbox that can't be set up is an error always.
    pub(crate) fail_if_unavailable: Option<Located<Ignored<BooleanSchema>>>,
    /// Ignored: no search program is needed.
    pub(crate) ripgrep: Option<Located<Ignored<ProgramSchema>>>,
}

/// Which hosts and sockets may be reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClaudeNetwork {
    /// Hosts that may be reached, as `WebFetch(domain:…)` in `permissions.allow`. No entry is no network.
    pub(crate) allowed_domains: Option<Entries<AllowedDomain>>,
    /// Hosts that may not be reached, whatever allows them.
    pub(crate) denied_domains: Option<Entries<DeniedDomain>>,
    /// Another name of `deniedDomains`.
    pub(crate) blocked_domains: Option<Entries<DeniedDomain>>,
    /// Unix sockets of the host that may be connected to. Some of them (`docker.sock`) are as good as no sandbox.
    pub(crate) allow_unix_sockets: Option<Vec<PathText>>,
    /// Let the command connect to every Unix socket of the host. Weakens the sandbox.
    pub(crate) allow_all_unix_sockets: Option<Located<bool>>,
    /// Ports of the host's loopback whose servers appear at the same port of the sandbox's: `[5432]` is `localhost:5432` in `allowedDomains`.
    pub(crate) host_ports: Option<Vec<Located<PortNumber>>>,
    /// Ports of the sandbox's loopback whose servers appear on the host's, and on no other address: `3000`, or `"8080:80"` for another port of the host.
    pub(crate) publish_ports: Option<Vec<Located<PublishText>>>,
    /// macOS: let the command listen on local ports. On Linux its loopback is its own.
    pub(crate) allow_local_binding: Option<Located<bool>>,
    /// macOS: Mach services that may be looked up; a trailing `*` is a prefix.
    pub(crate) allow_mach_lookup: Option<Vec<NonEmptyText>>,
    /// An HTTP proxy of your own on 127.0.0.1: permitted hosts are reached by CONNECT through it, and names are left to it.
    pub(crate) http_proxy_port: Option<Located<PortNumber>>,
    /// A SOCKS5 proxy of your own on 127.0.0.1, likewise: for what comes in by SOCKS, and for everything where `httpProxyPort` is not set.
    pub(crate) socks_proxy_port: Option<Located<PortNumber>>,
    /// A proxy between this host and the internet, by which permitted hosts are reached.
    pub(crate) parent_proxy: Option<ParentProxy>,
    /// Not supported yet: only the managed file's hosts.
    pub(crate) allow_managed_domains_only: Option<Located<Unsupported>>,
}

/// Which files may be read and written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ClaudeFilesystem {
    /// What can be written besides the working directory.
    pub(crate) allow_write: Option<Entries<PathEntry>>,
    /// What can't be written, whatever allows it.
    pub(crate) deny_write: Option<Entries<PathEntry>>,
    /// What can't be read. Everything else can.
    pub(crate) deny_read: Option<Entries<PathEntry>>,
    /// What can be read inside this file's `denyRead` all the same; the more specific entry wins.
    pub(crate) allow_read: Option<Entries<PathEntry>>,
    /// Close reads to all but system paths, toolchains and the working directory.
    pub(crate) preset: Option<Located<FilePreset>>,
    /// Linux: devices of the host that can be used besides the harmless ones: `/dev/kvm`, `/dev/dri`. Weakens the sandbox.
    pub(crate) devices: Option<Vec<DeviceText>>,
    /// Protected paths that can be written all the same, by name, wherever they are. Weakens the sandbox.
    pub(crate) unprotect: Option<Vec<ProtectedName>>,
    /// Judge every file by its name when it is opened, so that `denyRead` also holds for files that the host replaces while the command runs, and every refused read is told. An open takes some 25 µs longer.
    pub(crate) strict_reads: Option<Located<bool>>,
    /// Not supported yet: only the managed file's `allowRead`.
    pub(crate) allow_managed_read_paths_only: Option<Located<Unsupported>>,
}
