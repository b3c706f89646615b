//! The vocabulary in which both formats are read: one call for each key.

use std::{collections::BTreeMap, ffi::OsStr, ops::Range};

use sandbox_policy::{
    DeviceRule, LayerId, PROTECTED_PATHS, ParentChoice, PathBase, PathPattern, PatternSyntax,
    PortMapping, ProxyBypass, VariablePattern, VariablePatternError,
};

use crate::{
    error::SettingsErrorKind,
    finding::Finding,
    json::{List, Located, Node, NodeError, Value},
    layer::{IgnoredKey, Layer},
    notice::{self, EntryMeaning, SettingsNotice},
    source::Source,
    validate::{parse_address, unknown_name},
    wire::{
        FilePreset, ParentProxy, Preset, Variables,
        text::{
            BypassText, DeviceText, Entries, NonEmptyText, PathText, PortNumber, ProtectedName,
            ProxyUrl, PublishText, Unsupported, VariableText,
        },
    },
};

use super::{Effect, HostList, PathList, ProxyKind, Statement, Switch, TextKey, value_of};

/// An entry, the part of it that has the meaning, and where it stands.
pub(super) struct Written<'a> {
    pub(super) entry: &'a str,
    pub(super) meaning: &'a str,
    pub(super) span: &'a Range<usize>,
}

impl<'a> Written<'a> {
    pub(super) fn plain(text: &'a str, span: &'a Range<usize>) -> Self {
        Self {
            entry: text,
            meaning: text,
            span,
        }
    }
}

/// Collects the statements of one file.
pub(crate) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) base: &'a PathBase,
    pub(super) root: &'a Node<'a>,
    pub(super) layer: LayerId,
    /// Whether what widens may be held back, and is quoted then.
    pub(super) quotes: bool,
    pub(crate) statements: Vec<Statement>,
    pub(crate) paths: Vec<PathList>,
    pub(crate) hosts: Vec<HostList>,
    pub(crate) ignored: Vec<IgnoredKey>,
    pub(crate) notices: Vec<SettingsNotice>,
    pub(crate) findings: Vec<Finding>,
    /// Whether something was passed over that only the schema looks into.
    unread: bool,
    /// The first value of a list that can be no entry of it.
    pub(crate) misread: Option<NodeError>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        source: &'a Source,
        base: &'a PathBase,
        root: &'a Node<'a>,
        layer: Layer,
    ) -> Self {
        Self {
            source,
            base,
            root,
            layer: layer.id(),
            quotes: layer.comes_with_project(),
            statements: Vec::new(),
            paths: Vec::new(),
            hosts: Vec::new(),
            ignored: Vec::new(),
            notices: Vec::new(),
            findings: Vec::new(),
            unread: false,
            misread: None,
        }
    }

    /// Whether the schema has to be asked.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.unread || !self.findings.is_empty()
    }

    /// Notes that a value was not looked into.
    pub(super) fn leave_unread(&mut self) {
        self.unread = true;
    }

    fn state(
        &mut self,
        key: &'static str,
        text: impl Into<String>,
        span: &Range<usize>,
        effect: Effect,
    ) {
        let origin = self.source.origin(span);
        self.statements.push(Statement {
            key,
            text: text.into(),
            origin,
            effect,
        });
    }

    /// Notes what the author of an entry should know.
    pub(super) fn remark(&mut self, entry: &str, span: &Range<usize>, meaning: EntryMeaning) {
        self.notices.push(SettingsNotice {
            entry: entry.to_owned(),
            origin: self.source.origin(span),
            meaning,
        });
    }

    /// Notes what a pattern means otherwise here than elsewhere.
    pub(super) fn remark_on_pattern(&mut self, written: &Written<'_>, syntax: PatternSyntax) {
        for meaning in notice::meanings(written.meaning, syntax) {
            self.remark(written.entry, written.span, meaning);
        }
    }

    pub(super) fn switch(
        &mut self,
        key: &'static str,
        switch: Switch,
        value: Option<Located<bool>>,
    ) {
        if let Some(Located { value, span }) = value {
            self.state(
                key,
                if value { "true" } else { "false" },
                &span,
                Effect::Switch(switch, value),
            );
        }
    }

    pub(super) fn file_preset(&mut self, key: &'static str, preset: Option<Located<FilePreset>>) {
        if let Some(Located { value, span }) = preset {
            let preset = match value {
                FilePreset::Workspace => Preset::Workspace,
            };
            self.state(key, preset.name(), &span, Effect::Preset(preset));
        }
    }

    pub(super) fn presets(&mut self, key: &'static str, presets: Option<Vec<Located<Preset>>>) {
        for Located { value, span } in presets.into_iter().flatten() {
            self.state(key, value.name(), &span, Effect::Preset(value));
        }
    }

    /// `keys` are those of `deny`, `allow` and `set`.
    pub(super) fn variables(&mut self, keys: [&'static str; 3], variables: Option<Variables>) {
        let Some(Variables { deny, allow, set }) = variables else {
            return;
        };
        let [deny_key, allow_key, set_key] = keys;
        for VariableText(Located { value, span }) in deny.into_iter().flatten() {
            let effect = VariablePattern::parse(&value).map(|pattern| Effect::DenyVariable {
                pattern,
                for_good: false,
            });
            self.variable(deny_key, &value, &span, effect);
        }
        for VariableText(Located { value, span }) in allow.into_iter().flatten() {
            let effect = VariablePattern::parse(&value).map(Effect::AllowVariable);
            self.variable(allow_key, &value, &span, effect);
        }
        // Its keys are texts to the types, and names of variables to the schema.
        if set.is_some() {
            self.leave_unread();
        }
        for (name, Located { value, span }) in set.into_iter().flatten() {
            let text = format!("{name}={value}");
            let effect = VariablePattern::name(&name).and_then(|name| {
                let value = value_of(&value)?;
                Ok(Effect::SetVariable { name, value })
            });
            self.variable(set_key, &text, &span, effect);
        }
    }

    pub(super) fn variable(
        &mut self,
        key: &'static str,
        text: &str,
        span: &Range<usize>,
        effect: Result<Effect, VariablePatternError>,
    ) {
        match effect {
            Ok(effect) => self.state(key, text, span, effect),
            Err(source) => {
                let text = text.to_owned();
                self.find(span, SettingsErrorKind::Variable { text, source });
            }
        }
    }

    pub(super) fn proxy_port(
        &mut self,
        key: &'static str,
        kind: ProxyKind,
        port: Option<Located<PortNumber>>,
    ) {
        if let Some(Located {
            value: PortNumber(port),
            span,
        }) = port
        {
            self.state(key, port.to_string(), &span, Effect::ProxyPort(kind, port));
        }
    }

    /// `keys` are those of `http`, `https` and `noProxy`.
    pub(super) fn parent_proxy(&mut self, keys: [&'static str; 3], proxies: Option<ParentProxy>) {
        let Some(ParentProxy {
            http,
            https,
            no_proxy,
        }) = proxies
        else {
            return;
        };
        let [http_key, https_key, bypass_key] = keys;
        for (key, kind, url) in [
            (http_key, ProxyKind::Http, http),
            (https_key, ProxyKind::Https, https),
        ] {
            let Some(ProxyUrl(Located { value, span })) = url else {
                continue;
            };
            match ParentChoice::read(&value) {
                ParentChoice::Unusable(source) => {
                    self.find(&span, SettingsErrorKind::ParentProxy { source });
                }
                // The entry is shown to people, who need not see the login.
                choice @ (ParentChoice::Direct | ParentChoice::Proxy(_)) => {
                    let text = choice.to_string();
                    self.state(key, text, &span, Effect::ParentProxy(kind, choice));
                }
            }
        }
        if let Some(BypassText(Located { value, span })) = no_proxy {
            match ProxyBypass::read(&value) {
                Ok(bypass) => self.state(bypass_key, value, &span, Effect::ProxyBypass(bypass)),
                Err(source) => self.find(&span, SettingsErrorKind::ParentProxy { source }),
            }
        }
    }

    pub(super) fn host_ports(
        &mut self,
        key: &'static str,
        ports: Option<Vec<Located<PortNumber>>>,
    ) {
        for Located {
            value: PortNumber(port),
            span,
        } in ports.into_iter().flatten()
        {
            self.state(key, port.to_string(), &span, Effect::HostPort(port));
        }
    }

    pub(super) fn published_ports(
        &mut self,
        key: &'static str,
        ports: Option<Vec<Located<PublishText>>>,
    ) {
        for Located { value, span } in ports.into_iter().flatten() {
            let (text, mapping) = match value {
                PublishText::Same(port) => (port.to_string(), Ok(PortMapping::same(port))),
                PublishText::Mapping(text) => {
                    let mapping = PortMapping::parse(&text);
                    (text, mapping)
                }
            };
            match mapping {
                Ok(mapping) => self.state(key, text, &span, Effect::PublishPort(mapping)),
                Err(source) => self.find(&span, SettingsErrorKind::PublishedPort { text, source }),
            }
        }
    }

    /// What the types could not read.
    pub(super) fn misread(&mut self, error: NodeError) {
        self.misread.get_or_insert(error);
    }

    pub(super) fn unprotect(&mut self, key: &'static str, names: Option<Vec<ProtectedName>>) {
        for ProtectedName(Located { value, span }) in names.into_iter().flatten() {
            match PROTECTED_PATHS.iter().find(|row| row.path == value) {
                Some(row) => self.state(key, &value, &span, Effect::Unprotect(row)),
                None => self.find(&span, unknown_name(key.to_owned(), value)),
            }
        }
    }

    pub(super) fn devices(&mut self, key: &'static str, devices: Option<Vec<DeviceText>>) {
        for DeviceText(Located { value, span }) in devices.into_iter().flatten() {
            match DeviceRule::path(&value) {
                Some(path) => self.state(key, value, &span, Effect::Device(path)),
                None => self.find(&span, SettingsErrorKind::Device { text: value }),
            }
        }
    }

    pub(super) fn unix_sockets(&mut self, key: &'static str, paths: Option<Vec<PathText>>) {
        for PathText(Located { value, span }) in paths.into_iter().flatten() {
            self.remark_on_pattern(&Written::plain(&value, &span), PatternSyntax::Glob);
            match PathPattern::parse(OsStr::new(&value), PatternSyntax::Glob, self.base) {
                Ok(pattern) => self.state(key, value, &span, Effect::AllowUnixSocket(pattern)),
                Err(source) => {
                    self.find(
                        &span,
                        SettingsErrorKind::Path {
                            text: value,
                            source,
                        },
                    );
                }
            }
        }
    }

    /// The elements of a list, from where they stand: there may be thousands.
    pub(super) fn elements<S>(&mut self, entries: Entries<S>) -> Option<&'a List<'a>> {
        let span = entries.span;
        if let Some(Value::Array(elements)) = self.root.at(&span).map(|node| &node.value) {
            return Some(elements);
        }
        self.misread(NodeError::list_expected(span));
        None
    }

    pub(super) fn deny_address(&mut self, key: &'static str, range: &Located<String>) {
        match parse_address(&range.value) {
            Some(network) => {
                self.state(key, &range.value, &range.span, Effect::DenyAddress(network))
            }
            None => self.find(
                &range.span,
                SettingsErrorKind::Address {
                    text: range.value.clone(),
                },
            ),
        }
    }

    pub(super) fn texts(
        &mut self,
        key: &'static str,
        entries: Option<Vec<NonEmptyText>>,
        kind: TextKey,
    ) {
        for NonEmptyText(Located { value, span }) in entries.into_iter().flatten() {
            self.state(key, &value, &span, Effect::Text(kind, value.clone()));
        }
    }

    pub(super) fn violations(
        &mut self,
        key: &'static str,
        entries: Option<BTreeMap<String, Vec<NonEmptyText>>>,
    ) {
        for (command, texts) in entries.into_iter().flatten() {
            for NonEmptyText(Located { value, span }) in texts {
                let written = format!("{command}: {value}");
                let effect = Effect::IgnoreViolation {
                    command: command.clone(),
                    text: value,
                };
                self.state(key, &written, &span, effect);
            }
        }
    }

    /// The schema refuses these keys already. Should it ever let one pass, it must not be ignored.
    pub(super) fn unsupported<const N: usize>(
        &mut self,
        keys: [(&'static str, Option<Located<Unsupported>>); N],
    ) {
        for (key, value) in keys {
            if let Some(Located {
                value: Unsupported,
                span,
            }) = value
            {
                self.find(
                    &span,
                    SettingsErrorKind::Unsupported {
                        key: key.to_owned(),
                    },
                );
            }
        }
    }

    pub(super) fn ignored<T>(&mut self, key: &'static str, value: Option<Located<T>>) {
        if let Some(Located { value: _, span }) = value {
            self.leave_unread();
            self.ignored.push(IgnoredKey {
                key,
                origin: self.source.origin(&span),
            });
        }
    }

    pub(super) fn find(&mut self, span: &Range<usize>, kind: SettingsErrorKind) {
        self.findings.push(Finding::new(span.clone(), kind));
    }
}
