//! The files' shape, one to one: what serde reads and what the JSON Schema says come from the same
//! types. A value of them has the right types; whether an entry means something is
//! [`crate::validate`]'s matter, and what it means [`crate::statement`]'s.

pub(crate) mod claude;
pub(crate) mod flat;
pub(crate) mod schema;
pub(crate) mod text;

use schemars::JsonSchema;
use serde::Deserialize;

/// Named sets of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Preset {
    /// Reads are closed but for system paths, toolchains and the working directory.
    Workspace,
}
