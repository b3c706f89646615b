//! The flat format: `~/.srt-settings.json` or `--settings FILE`. The doc comments are the reference
//! text of the published schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    FilePreset, ParentProxy, Preset, Variables,
    text::{
        AbsolutePathSchema, AddressRange, AllowedDomain, DeniedDomain, DepthSchema, DeviceText,
        Entries, Ignored, NonEmptyText, ObjectSchema, PathEntry, PathText, PortNumber,
        ProgramSchema, ProtectedName, PublishText, SeccompSchema, Unsupported, VariableName,
    },
};
use crate::json::Located;

/// Flat settings: one file that decides alone. Nothing is writable but what `allowWrite` opens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Flat {
    /// For editors; ignored.
    #[serde(rename = "$schema")]
    pub(crate) schema: Option<String>,
    /// Which hosts and sockets may be reached.
    pub(crate) network: FlatNetwork,
    /// Which files may be read and written.
    pub(crate) filesystem: FlatFilesystem,
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
    /// macOS: let the command send Apple Events and open other programs. Weakens the sandbox.
    pub(crate) allow_apple_events: Option<Located<bool>>,
    /// macOS: let the command make pseudo-terminals.
    pub(crate) allow_pty: Option<Located<bool>>,
    /// Which variables the command sees.
    pub(crate) environment: Option<Variables>,
    /// Named sets of rules.
    pub(crate) presets: Option<Vec<Located<Preset>>>,
    /// Settings of Git inside the sandbox.
    pub(crate) git: Option<Git>,
    /// Files and variables that hold credentials.
    pub(crate) credentials: Option<Credentials>,
    /// Ignored: no search program is needed.
    pub(crate) ripgrep: Option<Located<Ignored<ProgramSchema>>>,
    /// Ignored: nothing is scanned.
    pub(crate) mandatory_deny_search_depth: Option<Located<Ignored<DepthSchema>>>,
    /// Ignored: no helper program is needed.
    pub(crate) seccomp: Option<Located<Ignored<SeccompSchema>>>,
    /// Ignored: no helper program is needed.
    pub(crate) bwrap_path: Option<Located<Ignored<AbsolutePathSchema>>>,
    /// Ignored: no helper program is needed.
    pub(crate) socat_path: Option<Located<Ignored<AbsolutePathSchema>>>,
    /// Ignored: Java programs need no agent to find the proxy.
    pub(crate) java_agent_jar_path: Option<Located<Ignored<AbsolutePathSchema>>>,
    /// Ignored: Windows is no platform of this program.
    pub(crate) windows: Option<Located<Ignored<ObjectSchema>>>,
}

/// Which hosts and sockets may be reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FlatNetwork {
    /// Hosts that may be reached: `example.com`, `*.example.com`, `example.com:443`, `[::1]:8080`. An empty list is no network.
    pub(crate) allowed_domains: Entries<AllowedDomain>,
    /// Hosts that may not be reached, whatever allows them. `*` is every host.
    pub(crate) denied_domains: Entries<DeniedDomain>,
    /// For a pattern of `deniedDomains`, the text that a refusal shows.
    #[schemars(extend("propertyNames" = {"format": "denied-domain"}))]
    pub(crate) denied_domain_reasons: Option<BTreeMap<String, NonEmptyText>>,
    /// Refuse what no list names without asking the host program.
    pub(crate) strict_allowlist: Option<Located<bool>>,
    /// Addresses and CIDR ranges that names must not lead to, besides the built-in ones.
    pub(crate) denied_resolved_addresses: Option<Vec<AddressRange>>,
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
    /// Not supported yet.
    pub(crate) mitm_proxy: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) tls_terminate: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) filter_request: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) allow_plaintext_header_set: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) strip_response_headers: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) refuse_opaque_tunnels: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) require_host_match: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) ambiguous_request_target: Option<Located<Unsupported>>,
}

/// Which files may be read and written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FlatFilesystem {
    /// What can't be read. Everything else can.
    pub(crate) deny_read: Entries<PathEntry>,
    /// What can be read inside `denyRead` all the same; the more specific entry wins.
    pub(crate) allow_read: Option<Entries<PathEntry>>,
    /// What can be written. Nothing else can.
    pub(crate) allow_write: Entries<PathEntry>,
    /// What can't be written, whatever allows it.
    pub(crate) deny_write: Entries<PathEntry>,
    /// Close reads to all but system paths, toolchains and the working directory.
    pub(crate) preset: Option<Located<FilePreset>>,
    /// Linux: devices of the host that can be used besides the harmless ones: `/dev/kvm`, `/dev/dri`. Weakens the sandbox.
    pub(crate) devices: Option<Vec<DeviceText>>,
    /// Protected paths that can be written all the same, by name, wherever they are. Weakens the sandbox.
    pub(crate) unprotect: Option<Vec<ProtectedName>>,
    /// Judge every file by its name when it is opened, so that `denyRead` also holds for files that the host replaces while the command runs, and every refused read is told. An open takes some 25 µs longer.
    pub(crate) strict_reads: Option<Located<bool>>,
    /// Let the command write `.git/config` and the settings of submodules and worktrees. Weakens the sandbox: they name programs that Git runs.
    pub(crate) allow_git_config: Option<Located<bool>>,
    /// Drop all file rules of this file: everything can be read and written, as with `/` in `allowWrite`, protected paths and the host's `/tmp` too. Weakens the sandbox.
    pub(crate) disabled: Option<Located<bool>>,
}

/// Files and variables that hold credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Credentials {
    /// Files that can't be read, whatever allows it.
    pub(crate) files: Option<Vec<CredentialFile>>,
    /// Variables that are not passed on, whatever allows it.
    pub(crate) env_vars: Option<Vec<CredentialVariable>>,
    /// Not supported yet.
    pub(crate) allow_plaintext_inject: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) aws_pairs: Option<Located<Unsupported>>,
    /// Not supported yet.
    pub(crate) sigv4: Option<Located<Unsupported>>,
}

/// A file with credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CredentialFile {
    /// The file.
    #[serde(rename = "path")]
    pub(crate) file: PathText,
    /// What the command sees instead.
    pub(crate) mode: CredentialMode,
}

/// A variable with credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CredentialVariable {
    /// The variable.
    pub(crate) name: VariableName,
    /// What the command sees instead.
    pub(crate) mode: CredentialMode,
}

/// What a command sees instead of a credential.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CredentialMode {
    /// Nothing.
    Deny,
}

/// Settings of Git inside the sandbox.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Git {
    /// Repositories of other owners that Git may use.
    pub(crate) safe_directories: Option<Vec<NonEmptyText>>,
}
