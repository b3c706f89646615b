//! The outcome: what the settings of a run are, with the place that each value comes from.

use std::{path::PathBuf, sync::Arc};

use sandbox_policy::{ParentChoice, ParentProxies, Policy, Port, ProtectedPath, ProxyBypass};

use crate::{
    layer::{Choice, Format, IgnoredKey, Layer},
    live::LiveBase,
    notice::SettingsNotice,
};

/// The settings of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What the command may do.
    pub policy: Policy,
    /// Ports of the host's loopback that `hostPorts` names; the policy has their rules.
    pub host_ports: Vec<Choice<Port>>,
    /// The user's own proxies, by which permitted hosts are reached.
    pub external_proxies: ExternalProxyPorts,
    /// The proxies between this host and the internet.
    pub parent_proxies: ParentProxyChoices,
    /// Whether commands run in a sandbox at all.
    pub execution: Execution,
    /// What is only about macOS.
    pub macos: MacosOptions,
    /// Protected paths that settings open by name.
    pub unprotected: Vec<Choice<&'static ProtectedPath>>,
    /// Whether `.git/config` can be written.
    pub allow_git_config: Choice<bool>,
    /// Whether a flat file dropped its file rules.
    pub filesystem_disabled: Choice<bool>,
    /// Whether every file is judged when it is opened for reading.
    pub strict_reads: Choice<bool>,
    /// Refusals that are not reported.
    pub ignore_violations: Vec<IgnoredViolation>,
    /// Repositories of other owners that Git may use.
    pub git_safe_directories: Vec<Choice<String>>,
    /// What files of an untrusted project would permit, were they trusted.
    pub held_back: Vec<HeldBack>,
    /// The files that were read, lowest precedence first.
    pub files: Vec<LoadedFile>,
    /// Keys that were accepted and change nothing.
    pub ignored_keys: Vec<IgnoredKey>,
    /// Entries that mean something other than their author may think.
    pub notices: Vec<SettingsNotice>,
    /// What a change of the network rules starts from.
    pub(crate) live: LiveBase,
}

/// Whether commands run in a sandbox at all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Execution {
    /// `false`: commands run outside.
    pub enabled: Choice<bool>,
    /// Commands, by their first word, that run outside where `allow_unsandboxed_commands` lets them.
    pub excluded_commands: Vec<Choice<String>>,
    /// Whether excluded commands may run outside.
    pub allow_unsandboxed_commands: Choice<bool>,
    /// Whether a host program need not ask before it runs a sandboxed shell command.
    pub auto_allow_bash_if_sandboxed: Choice<bool>,
}

/// Ports of the user's own proxies on 127.0.0.1.
///
/// The highest layer that names a port decides it. Where the managed file names one of the two,
/// those of other layers do not apply: they would lead around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExternalProxyPorts {
    /// An HTTP proxy.
    pub http: Option<Choice<Port>>,
    /// A SOCKS5 proxy.
    pub socks: Option<Choice<Port>>,
}

/// Proxies between this host and the internet, from settings and, below those, from the environment.
///
/// The highest layer that names one decides it. Where the managed file says anything about proxies,
/// nothing of other layers applies, and nothing of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParentProxyChoices {
    /// For plain HTTP requests.
    pub http: Option<Choice<ParentChoice>>,
    /// For everything else.
    pub https: Option<Choice<ParentChoice>>,
    /// What is reached directly.
    pub bypass: Option<Choice<ProxyBypass>>,
}

impl ParentProxyChoices {
    /// The proxies of these choices.
    #[must_use]
    pub fn proxies(&self) -> ParentProxies {
        let chosen = |choice: &Option<Choice<ParentChoice>>| {
            let choice = choice.as_ref();
            choice.map_or(ParentChoice::Direct, |choice| choice.value.clone())
        };
        let bypass = self.bypass.as_ref();
        ParentProxies {
            http: chosen(&self.http),
            https: chosen(&self.https),
            bypass: bypass.map_or_else(ProxyBypass::nothing, |choice| choice.value.clone()),
        }
    }
}

/// What is only about macOS.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MacosOptions {
    /// Whether the command may listen on local ports.
    pub allow_local_binding: Choice<bool>,
    /// Whether it may talk to the trust daemon.
    pub enable_weaker_network_isolation: Choice<bool>,
    /// Whether it may send Apple Events.
    pub allow_apple_events: Choice<bool>,
    /// Whether it may make pseudo-terminals.
    pub allow_pty: Choice<bool>,
    /// Mach services that it may look up; a trailing `*` is a prefix.
    pub allow_mach_lookup: Vec<Choice<String>>,
}

/// A refusal that is not reported.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredViolation {
    /// Command pattern; `*` for all.
    pub command: String,
    /// Part of the reported text.
    pub text: String,
    /// Where it was written.
    pub origin: sandbox_policy::Origin,
}

impl IgnoredViolation {
    /// Refusals whose text holds `text`, of commands that hold `command` (`*`: of all).
    #[must_use]
    pub fn new(
        command: impl Into<String>,
        text: impl Into<String>,
        origin: sandbox_policy::Origin,
    ) -> Self {
        Self {
            command: command.into(),
            text: text.into(),
            origin,
        }
    }
}

/// An entry of an untrusted project's file that does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldBack {
    /// The file.
    pub file: Arc<PathBuf>,
    /// The entry's line, from 1.
    pub line: u32,
    /// Key and entry.
    pub what: String,
}

/// A settings file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedFile {
    /// The file as it was opened.
    pub path: Arc<PathBuf>,
    /// Its place in the order.
    pub layer: Layer,
    /// Its format.
    pub format: Format,
    /// Whether what it widens applies.
    pub trust: FileTrust,
    /// SHA-256 of the path, a NUL and the bytes that were parsed, in hexadecimal: the name under
    /// which trust in this content is recorded. None for a file that needs no such record.
    pub digest: Option<String>,
}

/// Whether what a file widens applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "trust has these cases")]
pub enum FileTrust {
    /// The user's or the administrator's own file.
    Own,
    /// A project's file whose very content was recorded, or whose trust the caller vouches for.
    Trusted,
    /// A project's file: only what it narrows applies.
    Untrusted,
}

impl Settings {
    /// Files of the project that are not trusted and would permit something: what `srt trust` is
    /// about.
    pub fn untrusted_files(&self) -> impl Iterator<Item = &LoadedFile> {
        self.files
            .iter()
            .filter(|file| file.trust == FileTrust::Untrusted)
            .filter(|file| self.held_back.iter().any(|entry| entry.file == file.path))
    }

    /// Whether the working directory is closed unless an entry opens it.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        decided_by_flat(self.files.iter().map(|file| (file.layer, file.format)))
    }
}

/// The most particular of the user's own files decides: `--settings` if it is given, else
/// `~/.srt-settings.json`, else `~/.claude/settings.json`. Files of the project and of the
/// administrator add rules, but do not change the format's defaults.
pub(crate) fn decided_by_flat(files: impl Iterator<Item = (Layer, Format)>) -> bool {
    files
        .filter(|(layer, _)| matches!(layer, Layer::User | Layer::Home | Layer::Flag))
        .max_by_key(|(layer, _)| *layer)
        .is_some_and(|(_, format)| format == Format::Flat)
}
