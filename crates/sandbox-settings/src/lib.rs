//! Where a policy comes from: settings files and command-line options.
//!
//! # Terminology
//!
//! A *layer* is one source of settings ([`Layer`], in order of precedence), an *entry* one value of
//! a list in it, an *origin* the entry's file, line and column. A layer *widens* where it permits
//! what would be refused without it, and *narrows* where it refuses. *Flat* and *Claude* are the two
//! [`Format`]s of files, told by their keys.
//!
//! # Precedence
//!
//! Lists of all layers add up; a single value is the highest layer's; a refusal of any layer stands.
//! Managed settings stand above everything. The files that come with a project narrow at once, and
//! widen only when their content is trusted. Where a flat file decides (`--settings`, else
//! `~/.srt-settings.json`), Claude Code's user and project files only narrow.
//!
//! Any mistake in any file is an error, and all mistakes are reported together.
#![forbid(unsafe_code)]

mod describe;
mod edit;
mod error;
mod finding;
mod json;
mod layer;
mod live;
mod load;
mod notice;
mod overrides;
mod parse;
mod permission;
mod remember;
mod resolve;
mod settings;
mod source;
mod statement;
mod suggest;
mod validate;
mod variables;
mod wire;

pub use describe::{describe, describe_lines};
pub use edit::{Addition, EditError, json_text, replace_file, with_additions};
pub use error::{SettingsError, SettingsErrorKind, SettingsErrors, TrustError};
pub use layer::{Choice, Format, IgnoredKey, Layer};
pub use live::{NetworkLine, NetworkUpdate};
pub use load::{MANAGED_SETTINGS, ProjectTrust, Sources, guard, load, trust_files};
pub use notice::{EntryMeaning, SettingsNotice};
pub use overrides::Overrides;
pub use remember::{RememberError, remember_host};
pub use settings::{
    Execution, ExternalProxyPorts, FileTrust, HeldBack, IgnoredViolation, LoadedFile, MacosOptions,
    ParentProxyChoices, Settings,
};
pub use variables::ProxyVariables;
pub use wire::schema::schema;
