//! Single rules from the command line. They stand above every file but the managed one.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    sync::Arc,
};

use sandbox_policy::{
    DeviceRule, DomainRule, Origin, PathBase, PathRule, PatternError, PatternSyntax, PortMapping,
    VariablePattern, VariablePatternError,
};

use crate::{
    error::{SettingsError, SettingsErrorKind},
    finding::Finding,
    layer::Layer,
    notice::{self, SettingsNotice},
    source::Source,
    statement::{
        Effect, HostEffect, HostList, LayeredPath, PathEffect, PathList, Statement, Switch,
        path_pattern, value_of,
    },
    wire::Preset,
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
    /// `--allow-env NAME`.
    pub allow_variables: Vec<OsString>,
    /// `--deny-env NAME`.
    pub deny_variables: Vec<OsString>,
    /// `--env NAME=VALUE`.
    pub set_variables: Vec<OsString>,
    /// `--preset NAME`.
    pub presets: Vec<String>,
    /// `--strict-reads`.
    pub strict_reads: bool,
    /// `--publish [OUTSIDE:]INSIDE`.
    pub publish: Vec<String>,
    /// `--device PATH`.
    pub devices: Vec<String>,
    /// `--allow-ptrace`.
    pub allow_ptrace: bool,
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
            allow_variables: Vec::new(),
            deny_variables: Vec::new(),
            set_variables: Vec::new(),
            presets: Vec::new(),
            strict_reads: false,
            publish: Vec::new(),
            devices: Vec::new(),
            allow_ptrace: false,
        }
    }

    /// The rules as statements of the command line.
    pub(crate) fn statements(&self, base: &PathBase, errors: &mut Vec<SettingsError>) -> Taken {
        let mut taken = Taker {
            taken: Taken::default(),
            errors,
        };
        self.take_paths(base, &mut taken);
        self.take_domains(&mut taken);
        self.take_variables(&mut taken);
        for text in &self.presets {
            taken.take("--preset", text, preset(text));
        }
        for text in &self.publish {
            let effect = PortMapping::parse(text).map(Effect::PublishPort);
            let effect = effect.map_err(|source| SettingsErrorKind::PublishedPort {
                text: text.to_owned(),
                source,
            });
            taken.take("--publish", text, effect);
        }
        if self.strict_reads {
            let effect = Effect::Switch(Switch::StrictReads, true);
            taken.take("--strict-reads", "true", Ok(effect));
        }
        for text in &self.devices {
            let parsed = DeviceRule::path(text).map(Effect::Device);
            let bad = || SettingsErrorKind::Device { text: text.clone() };
            taken.take("--device", text, parsed.ok_or_else(bad));
        }
        if self.allow_ptrace {
            taken.take(
                "--allow-ptrace",
                "",
                Ok(Effect::Switch(Switch::Ptrace, true)),
            );
        }
        taken.taken
    }

    fn take_paths(&self, base: &PathBase, taken: &mut Taker<'_>) {
        for (key, values, effect) in [
            ("--allow-write", &self.allow_write, PathEffect::AllowWrite),
            ("--deny-write", &self.deny_write, PathEffect::DenyWrite),
            ("--allow-read", &self.allow_read, PathEffect::AllowRead),
            ("--deny-read", &self.deny_read, PathEffect::DenyRead),
        ] {
            let mut list = PathList::new(key, effect);
            for value in values {
                let text = value.display().to_string();
                for meaning in notice::meanings(&text, PatternSyntax::Glob) {
                    taken.taken.notices.push(SettingsNotice {
                        entry: text.clone(),
                        origin: flag(key, &text),
                        meaning,
                    });
                }
                match path_pattern(value, PatternSyntax::Glob, base, effect) {
                    Ok(pattern) => {
                        let origin = flag(key, &text);
                        let rule = LayeredPath {
                            rule: PathRule { pattern, origin },
                            layer: Layer::CommandLine.id(),
                        };
                        list.add(rule, &text, false);
                    }
                    Err(source) => {
                        let error = flag_error(key, &text, bad_path(&text, source));
                        taken.errors.push(error);
                    }
                }
            }
            taken.taken.paths.push(list);
        }
    }

    fn take_domains(&self, taken: &mut Taker<'_>) {
        for (key, texts, effect) in [
            ("--allow-domain", &self.allow_domains, HostEffect::Allow),
            ("--deny-domain", &self.deny_domains, HostEffect::Deny),
        ] {
            let mut list = HostList::new(key, effect);
            for text in texts {
                match effect.parse(text) {
                    Ok(pattern) => {
                        let origin = flag(key, text);
                        let note = None;
                        let rule = DomainRule {
                            pattern,
                            origin,
                            note,
                        };
                        list.add(rule, text, false);
                    }
                    Err(source) => {
                        let error = flag_error(key, text, bad_domain(text, source));
                        taken.errors.push(error);
                    }
                }
            }
            taken.taken.hosts.push(list);
        }
    }

    fn take_variables(&self, taken: &mut Taker<'_>) {
        let deny = |pattern| Effect::DenyVariable {
            pattern,
            for_good: false,
        };
        for (key, names, effect) in [
            (
                "--allow-env",
                &self.allow_variables,
                Effect::AllowVariable as fn(VariablePattern) -> Effect,
            ),
            ("--deny-env", &self.deny_variables, deny),
        ] {
            for name in names {
                let text = name.display().to_string();
                let parsed = VariablePattern::parse(name).map(effect);
                let parsed = parsed.map_err(|source| bad_variable(&text, source));
                taken.take(key, &text, parsed);
            }
        }
        for text in &self.set_variables {
            taken.take("--env", &text.display().to_string(), assignment(text));
        }
    }
}

/// What the command line says.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) statements: Vec<Statement>,
    pub(crate) paths: Vec<PathList>,
    pub(crate) hosts: Vec<HostList>,
    pub(crate) notices: Vec<SettingsNotice>,
}

/// What was read so far.
struct Taker<'e> {
    taken: Taken,
    errors: &'e mut Vec<SettingsError>,
}

impl Taker<'_> {
    fn take(&mut self, key: &'static str, text: &str, effect: Result<Effect, SettingsErrorKind>) {
        match effect {
            Ok(effect) => {
                let origin = flag(key, text);
                self.taken.statements.push(Statement {
                    key,
                    text: text.to_owned(),
                    origin,
                    effect,
                });
            }
            Err(kind) => self.errors.push(flag_error(key, text, kind)),
        }
    }
}

/// The option, as an origin.
fn flag(key: &str, text: &str) -> Origin {
    Origin::Flag(format!("{key} {text}").trim_end().into())
}

/// `NAME=VALUE`.
fn assignment(text: &OsStr) -> Result<Effect, SettingsErrorKind> {
    let bytes = text.as_bytes();
    let Some(end) = bytes.iter().position(|byte| *byte == b'=') else {
        return Err(SettingsErrorKind::OutOfRange {
            key: "--env".to_owned(),
            expected: "a name, `=` and a value".to_owned(),
            found: text.display().to_string(),
        });
    };
    let (name, value) = bytes.split_at(end);
    let value = OsStr::from_bytes(value.get(1..).unwrap_or_default());
    let name = VariablePattern::name(OsStr::from_bytes(name));
    name.and_then(|name| {
        let value = value_of(value)?;
        Ok(Effect::SetVariable { name, value })
    })
    .map_err(|source| bad_variable(&text.display().to_string(), source))
}

fn preset(text: &str) -> Result<Effect, SettingsErrorKind> {
    let named = Preset::ALL.into_iter().find(|preset| preset.name() == text);
    named.map(Effect::Preset).ok_or_else(|| {
        let names = Preset::ALL.map(|preset| format!("`{}`", preset.name()));
        SettingsErrorKind::OutOfRange {
            key: "--preset".to_owned(),
            expected: names.join(" or "),
            found: text.to_owned(),
        }
    })
}

fn bad_variable(text: &str, source: VariablePatternError) -> SettingsErrorKind {
    SettingsErrorKind::Variable {
        text: text.to_owned(),
        source,
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
    let source = Source::new(Arc::new("command line".into()), line);
    Finding::new(span, kind).in_source(&source)
}
