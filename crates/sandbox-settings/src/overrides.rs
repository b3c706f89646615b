//! Single rules from the command line. They stand above every file but the managed one.

use std::{ffi::OsString, path::Path, sync::Arc};

use sandbox_policy::{
    DomainPattern, Origin, PathBase, PathPattern, PatternError, PatternSyntax, PortMapping,
};

use crate::{
    error::{SettingsError, SettingsErrorKind},
    finding::Finding,
    source::Source,
    statement::{Effect, Statement, path_effect},
};

/// Rules from the command line, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a caller decides about every kind of rule"
)]
pub struct Overrides {
    /// `--allow-write PATH`.
    pub allow_write: Vec<OsString>,
    /// `--deny-write PATH`.
    pub deny_write: Vec<OsString>,
    /// `--allow-read PATH`.
    pub allow_read: Vec<OsString>,
    /// `--deny-read PATH`.
    pub deny_read: Vec<OsString>,
    /// `--allow-domain PATTERN`.
    pub allow_domains: Vec<String>,
    /// `--deny-domain PATTERN`.
    pub deny_domains: Vec<String>,
    /// `--publish [OUTSIDE:]INSIDE`.
    pub publish: Vec<String>,
}

impl Overrides {
    /// No rules.
    #[must_use]
    pub fn none() -> Self {
        Self {
            allow_write: Vec::new(),
            deny_write: Vec::new(),
            allow_read: Vec::new(),
            deny_read: Vec::new(),
            allow_domains: Vec::new(),
            deny_domains: Vec::new(),
            publish: Vec::new(),
        }
    }

    /// The rules as statements of the command line.
    pub(crate) fn statements(
        &self,
        base: &PathBase,
        errors: &mut Vec<SettingsError>,
    ) -> Vec<Statement> {
        let Self {
            allow_write,
            deny_write,
            allow_read,
            deny_read,
            allow_domains,
            deny_domains,
            publish,
        } = self;
        let mut statements = Vec::new();
        let mut take = |key, text: &str, effect| match effect {
            Ok(effect) => {
                let origin = Origin::Flag(format!("{key} {text}").into());
                statements.push(Statement {
                    key,
                    text: text.to_owned(),
                    origin,
                    effect,
                });
            }
            Err(kind) => errors.push(flag_error(key, text, kind)),
        };
        let deny_read_for_good = |pattern| Effect::DenyRead {
            pattern,
            for_good: true,
        };
        for (key, values, effect) in [
            (
                "--allow-write",
                allow_write,
                Effect::AllowWrite as fn(PathPattern) -> Effect,
            ),
            ("--deny-write", deny_write, Effect::DenyWrite),
            ("--allow-read", allow_read, Effect::AllowRead),
            ("--deny-read", deny_read, deny_read_for_good),
        ] {
            for value in values {
                let text = value.display().to_string();
                let parsed = path_effect(value, PatternSyntax::Glob, base, effect);
                take(key, &text, parsed.map_err(|source| bad_path(&text, source)));
            }
        }
        for text in allow_domains {
            let effect = DomainPattern::parse_allow(text).map(Effect::AllowDomain);
            take(
                "--allow-domain",
                text,
                effect.map_err(|source| bad_domain(text, source)),
            );
        }
        for text in deny_domains {
            let effect = DomainPattern::parse_deny(text).map(|pattern| Effect::DenyDomain {
                pattern,
                note: None,
            });
            take(
                "--deny-domain",
                text,
                effect.map_err(|source| bad_domain(text, source)),
            );
        }
        for text in publish {
            let effect = PortMapping::parse(text).map(Effect::PublishPort);
            let effect = effect.map_err(|source| SettingsErrorKind::PublishedPort {
                text: text.to_owned(),
                source,
            });
            take("--publish", text, effect);
        }
        statements
    }
}

fn bad_path(text: &str, source: PatternError) -> SettingsErrorKind {
    SettingsErrorKind::Path {
        text: text.to_owned(),
        source,
    }
}

fn bad_domain(text: &str, source: sandbox_policy::DomainPatternError) -> SettingsErrorKind {
    SettingsErrorKind::Domain {
        text: text.to_owned(),
        source,
    }
}

/// The option as a one-line source, so that it is shown like a file's line.
fn flag_error(key: &str, text: &str, kind: SettingsErrorKind) -> SettingsError {
    let line = format!("{key} {text}");
    let span = key.len().saturating_add(1)..line.len();
    let source = Source::new(Arc::from(Path::new("command line")), line);
    Finding::new(span, kind).in_source(&source)
}
