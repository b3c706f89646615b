//! The files' shape, one to one: what serde reads and what the JSON Schema says come from the same
//! types. A value of them has the right types; whether an entry means something is
//! [`crate::validate`]'s matter, and what it means [`crate::statement`]'s.

pub(crate) mod claude;
pub(crate) mod flat;
pub(crate) mod schema;
pub(crate) mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::json::Located;
use text::{BypassText, ProxyUrl, VariableText};

/// Named sets of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Preset {
    /// Reads are closed but for system paths, toolchains and the working directory.
    Workspace,
    /// What holds secrets can't be read, and variables that hold some are not passed on.
    Secrets,
    /// No variable is passed on but those that nearly every program needs.
    CleanEnvironment,
    /// Devices for graphics and computing can be used. Weakens the sandbox.
    Gpu,
}

/// Named sets of rules about files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FilePreset {
    /// Reads are closed but for system paths, toolchains and the working directory.
    Workspace,
}

impl Preset {
    pub(crate) const ALL: [Self; 4] = [
        Self::Workspace,
        Self::Secrets,
        Self::CleanEnvironment,
        Self::Gpu,
    ];

    /// The name in settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Secrets => "secrets",
            Self::CleanEnvironment => "cleanEnvironment",
            Self::Gpu => "gpu",
        }
    }
}

/// Proxies between this host and the internet. What is not named here is taken from `HTTP_PROXY`,
/// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of srt's own environment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ParentProxy {
    /// For plain HTTP requests: `http://user:password@proxy.example:3128`, `socks5://…` (names are looked up here) or `socks5h://…` (by the proxy). An empty text is none.
    pub(crate) http: Option<ProxyUrl>,
    /// For everything else; `http` where this is not set.
    pub(crate) https: Option<ProxyUrl>,
    /// Hosts that are reached without it, as in `NO_PROXY`: `corp.example,10.0.0.0/8,host:8080`. The loopback always is.
    pub(crate) no_proxy: Option<BypassText>,
}

/// Which variables the command sees.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Variables {
    /// What is not passed on: names, or patterns such as `AWS_*`; `*` is every variable. Everything else is.
    pub(crate) deny: Option<Vec<VariableText>>,
    /// What is passed on inside this file's `deny` and inside presets all the same; the more specific entry wins.
    pub(crate) allow: Option<Vec<VariableText>>,
    /// Values that variables have inside.
    #[schemars(extend("propertyNames" = {"format": "variable-name"}))]
    pub(crate) set: Option<BTreeMap<String, Located<String>>>,
}
