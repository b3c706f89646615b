//! What a settings file says, one statement for each entry, in the same words for both formats.
//!
//! Combining layers needs to know of a statement only whether it widens or narrows: see
//! [`Effect::widens`].

mod claude;
mod flat;
mod hosts;
mod list;
mod paths;
mod reader;

use std::ffi::{OsStr, OsString};

use ipnet::IpNet;
use sandbox_policy::{
    AbsolutePath, Origin, ParentChoice, PathPattern, Port, PortMapping, ProtectedPath, ProxyBypass,
    VariablePattern, VariablePatternError,
};

use crate::wire::Preset;

pub(crate) use hosts::{HostEffect, HostList};
pub(crate) use list::{EntryList, ListEffect, ListedRule};
pub(crate) use paths::{LayeredPath, PathEffect, PathList, path_pattern};
pub(crate) use reader::Reader;

/// One entry of a settings file that is not of a list of files or hosts.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// The key, with its namespaces.
    pub(crate) key: &'static str,
    /// The entry as written.
    pub(crate) text: String,
    pub(crate) origin: Origin,
    pub(crate) effect: Effect,
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    DenyAddress(IpNet),
    AllowUnixSocket(PathPattern),
    /// A port of the host's loopback.
    HostPort(Port),
    /// A server inside appears on the host's loopback.
    PublishPort(PortMapping),
    IgnoreViolation {
        command: String,
        text: String,
    },
    Text(TextKey, String),
    AllowVariable(VariablePattern),
    /// `for_good`: not even an `AllowVariable` of the same layer re-opens it.
    DenyVariable {
        pattern: VariablePattern,
        for_good: bool,
    },
    SetVariable {
        name: OsString,
        value: OsString,
    },
    Device(AbsolutePath),
    Preset(Preset),
    /// A protected path loses its protection.
    Unprotect(&'static ProtectedPath),
    ProxyPort(ProxyKind, Port),
    /// A proxy between this host and the internet.
    ParentProxy(ProxyKind, ParentChoice),
    /// What is reached without such a proxy.
    ProxyBypass(ProxyBypass),
    Switch(Switch, bool),
}

/// Lists of plain texts, all of which widen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TextKey {
    ExcludedCommand,
    MachLookup,
    SafeDirectory,
}

/// Proxies of the user's own, and those between this host and the internet. Of the latter, `Http` is
/// for plain requests and `Https` for everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ProxyKind {
    Http,
    Socks,
    Https,
}

/// Yes-or-no settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Switch {
    Enabled,
    AllowUnsandboxedCommands,
    AutoAllowBash,
    WeakerNestedSandbox,
    NestedUserNamespaces,
    Ptrace,
    StrictAllowlist,
    AllUnixSockets,
    LocalBinding,
    GitConfig,
    FilesystemDisabled,
    StrictReads,
    WeakerNetworkIsolation,
    AppleEvents,
    Pty,
}

impl Effect {
    /// Whether it matters which layer says it: single values are the highest layer's, and a layer's
    /// allows re-open its own denies.
    pub(crate) fn depends_on_layer(&self) -> bool {
        match self {
            Self::AllowVariable(_)
            | Self::DenyVariable { .. }
            | Self::SetVariable { .. }
            | Self::Preset(_)
            | Self::ProxyPort(..)
            | Self::ParentProxy(..)
            | Self::ProxyBypass(_)
            | Self::Switch(..) => true,
            Self::DenyAddress(_)
            | Self::AllowUnixSocket(_)
            | Self::HostPort(_)
            | Self::PublishPort(_)
            | Self::IgnoreViolation { .. }
            | Self::Unprotect(_)
            | Self::Device(_)
            | Self::Text(..) => false,
        }
    }

    /// Whether the entry is about files: what `filesystem.disabled` drops.
    pub(crate) fn is_file_rule(&self) -> bool {
        match self {
            Self::Unprotect(_) | Self::Preset(Preset::Workspace) => true,
            // `secrets` is about variables too: its files are looked after where they are added.
            Self::Preset(Preset::Secrets | Preset::CleanEnvironment | Preset::Gpu)
            | Self::Device(_)
            | Self::AllowVariable(_)
            | Self::DenyVariable { .. }
            | Self::SetVariable { .. }
            | Self::DenyAddress(_)
            | Self::AllowUnixSocket(_)
            | Self::HostPort(_)
            | Self::PublishPort(_)
            | Self::IgnoreViolation { .. }
            | Self::Text(..)
            | Self::ProxyPort(..)
            | Self::ParentProxy(..)
            | Self::ProxyBypass(_)
            | Self::Switch(..) => false,
        }
    }

    /// Whether the entry holds a login.
    pub(crate) fn has_login(&self) -> bool {
        matches!(self, Self::ParentProxy(_, choice) if choice.has_login())
    }

    /// Whether the entry can permit something that would be refused (or hide a refusal) without it.
    pub(crate) fn widens(&self) -> bool {
        match self {
            Self::AllowUnixSocket(_)
            | Self::HostPort(_)
            | Self::PublishPort(_)
            | Self::IgnoreViolation { .. }
            | Self::Unprotect(_)
            | Self::Text(..)
            | Self::AllowVariable(_)
            | Self::Device(_)
            | Self::Preset(Preset::Gpu)
            // Values decide which programs start: no list of such variables is complete.
            | Self::SetVariable { .. }
            // Whoever listens there decides where permitted names lead.
            | Self::ProxyPort(..)
            | Self::ParentProxy(..)
            | Self::ProxyBypass(_) => true,
            Self::DenyAddress(_)
            | Self::DenyVariable { .. }
            | Self::Preset(Preset::Workspace | Preset::Secrets | Preset::CleanEnvironment) => false,
            Self::Switch(switch, value) => switch.widening() == *value,
        }
    }
}

impl Switch {
    /// The value where no file says anything.
    pub(crate) fn default(self) -> bool {
        match self {
            Self::Enabled | Self::AllowUnsandboxedCommands | Self::AutoAllowBash => true,
            Self::WeakerNestedSandbox
            | Self::NestedUserNamespaces
            | Self::Ptrace
            | Self::StrictAllowlist
            | Self::AllUnixSockets
            | Self::LocalBinding
            | Self::GitConfig
            | Self::FilesystemDisabled
            | Self::StrictReads
            | Self::WeakerNetworkIsolation
            | Self::AppleEvents
            | Self::Pty => false,
        }
    }

    /// The value that permits more.
    pub(crate) fn widening(self) -> bool {
        match self {
            Self::Enabled | Self::StrictAllowlist | Self::StrictReads => false,
            Self::AllowUnsandboxedCommands
            | Self::AutoAllowBash
            | Self::WeakerNestedSandbox
            | Self::NestedUserNamespaces
            | Self::Ptrace
            | Self::AllUnixSockets
            | Self::LocalBinding
            | Self::GitConfig
            | Self::FilesystemDisabled
            | Self::WeakerNetworkIsolation
            | Self::AppleEvents
            | Self::Pty => true,
        }
    }
}

/// A variable's value.
pub(crate) fn value_of(text: impl AsRef<OsStr>) -> Result<OsString, VariablePatternError> {
    let text = text.as_ref();
    if text.as_encoded_bytes().contains(&0) {
        return Err(VariablePatternError::Nul);
    }
    Ok(text.to_owned())
}
