//! Where settings come from and what precedes what.

use sandbox_policy::{LayerId, Origin};

use crate::{
    json::{Member, Node},
    notice::SettingsNotice,
    statement::{HostList, PathList, Statement},
};

/// Sources of settings, lowest precedence first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new layer is a decision for every user of the order"
)]
pub enum Layer {
    /// What holds without any settings.
    BuiltIn,
    /// `~/.claude/settings.json`.
    User,
    /// `~/.srt-settings.json`.
    Home,
    /// `.claude/settings.json` in the working directory.
    Project,
    /// `.claude/settings.local.json` in the working directory.
    Local,
    /// The file that `--settings` names.
    Flag,
    /// Single rules on the command line.
    CommandLine,
    /// The machine's managed settings.
    Managed,
}

impl Layer {
    /// A stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in",
            Self::User => "user",
            Self::Home => "home",
            Self::Project => "project",
            Self::Local => "local",
            Self::Flag => "flag",
            Self::CommandLine => "command line",
            Self::Managed => "managed",
        }
    }

    /// The identity by which denies and allows of one layer know each other.
    #[must_use]
    pub fn id(self) -> LayerId {
        LayerId(match self {
            Self::BuiltIn => 0,
            Self::User => 1,
            Self::Home => 2,
            Self::Project => 3,
            Self::Local => 4,
            Self::Flag => 5,
            Self::CommandLine => 6,
            Self::Managed => 7,
        })
    }

    /// Whether the file comes with the repository, so that its author is not the user.
    #[must_use]
    pub fn comes_with_project(self) -> bool {
        matches!(self, Self::Project | Self::Local)
    }

    /// Whether the layer is one of Claude Code's own, which a flat file replaces.
    pub(crate) fn yields_to_flat(self) -> bool {
        match self {
            Self::User | Self::Project | Self::Local => true,
            Self::BuiltIn | Self::Home | Self::Flag | Self::CommandLine | Self::Managed => false,
        }
    }

    /// Whether keys of others are expected in the layer's file.
    pub(crate) fn is_shared_with_claude_code(self) -> bool {
        match self {
            Self::User | Self::Project | Self::Local | Self::Managed => true,
            Self::BuiltIn | Self::Home | Self::Flag | Self::CommandLine => false,
        }
    }
}

/// The two formats of settings files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Format {
    /// One flat file: `network`, `filesystem`, ….
    Flat,
    /// Claude Code's settings: `sandbox`, `permissions`.
    Claude,
}

impl Format {
    /// A stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Claude => "claude",
        }
    }
}

/// A value with the place that chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a pair")]
pub struct Choice<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

/// Which formats' keys a file's root has: the first of each.
pub(crate) fn format_keys<'r, 't>(
    root: &'r Node<'t>,
) -> (Option<&'r Member<'t>>, Option<&'r Member<'t>>) {
    let first = |keys: &[&str]| {
        root.members()
            .iter()
            .find(|member| keys.contains(&&*member.key))
    };
    (first(&FLAT_KEYS), first(&CLAUDE_KEYS))
}

/// A file that was read and parsed, before it is combined with others.
#[derive(Debug)]
pub(crate) struct ParsedFile {
    pub(crate) format: Format,
    pub(crate) statements: Vec<Statement>,
    pub(crate) paths: Vec<PathList>,
    pub(crate) hosts: Vec<HostList>,
    pub(crate) ignored: Vec<IgnoredKey>,
    pub(crate) notices: Vec<SettingsNotice>,
}

/// A key that was accepted and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredKey {
    /// The key, with its namespaces.
    pub key: &'static str,
    /// Where it stands.
    pub origin: Origin,
}

/// Top-level keys that tell Claude Code's format.
pub(crate) const CLAUDE_KEYS: [&str; 2] = ["sandbox", "permissions"];

/// Top-level keys that tell the flat format.
pub(crate) const FLAT_KEYS: [&str; 20] = [
    "network",
    "filesystem",
    "ignoreViolations",
    "enableWeakerNestedSandbox",
    "allowNestedUserNamespaces",
    "allowPtrace",
    "enableWeakerNetworkIsolation",
    "allowAppleEvents",
    "allowPty",
    "environment",
    "presets",
    "ripgrep",
    "mandatoryDenySearchDepth",
    "seccomp",
    "bwrapPath",
    "socatPath",
    "javaAgentJarPath",
    "git",
    "windows",
    "credentials",
];
