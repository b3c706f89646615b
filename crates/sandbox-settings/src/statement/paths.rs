//! Entries about files. There may be thousands: a list of them is made once, as the rules of the
//! policy, and handed on.

use std::{borrow::Cow, ffi::OsStr};

use sandbox_policy::{PathBase, PathPattern, PathRule, PatternError, PatternSyntax};
use serde::Deserialize as _;

use super::reader::{Reader, Written};
use crate::{
    error::SettingsErrorKind,
    json::{NodeError, Value},
    wire::text::{LiteralPath, PathEntries},
};

/// What an entry about a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PathEffect {
    AllowWrite,
    DenyWrite,
    AllowRead,
    DenyRead,
    /// Not even an `AllowRead` of the same layer re-opens it.
    DenyReadForGood,
}

/// The entries of one key.
#[derive(Clone, Debug)]
pub(crate) struct PathList {
    /// The key, with its namespaces.
    pub(crate) key: &'static str,
    pub(crate) effect: PathEffect,
    pub(crate) rules: Vec<PathRule>,
    /// The entries as written, one for each rule, or none where nobody may ask for them.
    pub(crate) texts: Vec<Box<str>>,
}

impl PathList {
    pub(crate) fn new(key: &'static str, effect: PathEffect) -> Self {
        Self {
            key,
            effect,
            rules: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Adds a rule; `quotes` tells whether what widens may be held back.
    pub(crate) fn add(&mut self, rule: PathRule, text: &str, quotes: bool) {
        self.rules.push(rule);
        if quotes && self.effect.widens() {
            self.texts.push(text.into());
        }
    }
}

impl PathEffect {
    /// Whether it can permit something that would be refused without it.
    pub(crate) fn widens(self) -> bool {
        match self {
            Self::AllowWrite | Self::AllowRead => true,
            Self::DenyWrite | Self::DenyRead | Self::DenyReadForGood => false,
        }
    }

    /// Whether it matters which layer says it: a layer's allows re-open its own denies.
    pub(crate) fn depends_on_layer(self) -> bool {
        match self {
            Self::AllowWrite | Self::AllowRead | Self::DenyRead | Self::DenyReadForGood => true,
            Self::DenyWrite => false,
        }
    }
}

impl Reader<'_> {
    /// A list of paths. There may be thousands, so they are taken from where they stand.
    pub(super) fn paths(
        &mut self,
        key: &'static str,
        entries: Option<PathEntries>,
        effect: PathEffect,
    ) {
        let Some(PathEntries(span)) = entries else {
            return;
        };
        let found = self.root.at(&span).map(|node| &node.value);
        let Some(Value::Array(elements)) = found else {
            return self.misread(NodeError::list_expected(span));
        };
        let mut list = PathList::new(key, effect);
        list.rules.reserve(elements.len());
        for node in elements {
            let (text, syntax) = if let Value::String(text) = &node.value {
                (Cow::Borrowed(&**text), PatternSyntax::Glob)
            } else {
                match LiteralPath::deserialize(node) {
                    Ok(LiteralPath(path)) => (Cow::Owned(path), PatternSyntax::Literal),
                    Err(error) => {
                        self.misread(error);
                        continue;
                    }
                }
            };
            let rule = self.rule(&Written::plain(&text, &node.span), syntax, effect);
            if let Some(rule) = rule {
                list.add(rule, &text, self.quotes);
            }
        }
        self.paths.push(list);
    }

    pub(super) fn path(
        &mut self,
        key: &'static str,
        written: &Written<'_>,
        syntax: PatternSyntax,
        effect: PathEffect,
    ) {
        let Some(rule) = self.rule(written, syntax, effect) else {
            return;
        };
        let quotes = self.quotes;
        let mut known = self.paths.iter_mut();
        match known.find(|list| list.key == key && list.effect == effect) {
            Some(list) => list.add(rule, written.entry, quotes),
            None => {
                let mut list = PathList::new(key, effect);
                list.add(rule, written.entry, quotes);
                self.paths.push(list);
            }
        }
    }

    fn rule(
        &mut self,
        written: &Written<'_>,
        syntax: PatternSyntax,
        effect: PathEffect,
    ) -> Option<PathRule> {
        let text = written.meaning;
        match path_pattern(OsStr::new(text), syntax, self.base, effect) {
            Ok(pattern) => {
                let origin = self.source.origin(written.span);
                Some(PathRule { pattern, origin })
            }
            Err(source) => {
                let text = text.to_owned();
                self.find(written.span, SettingsErrorKind::Path { text, source });
                None
            }
        }
    }
}

/// What an entry names. A pattern that closes holds more widely than one that opens.
pub(crate) fn path_pattern(
    text: &OsStr,
    syntax: PatternSyntax,
    base: &PathBase,
    effect: PathEffect,
) -> Result<PathPattern, PatternError> {
    // Most entries have no pattern in them, and those that have one mostly close: they are read once.
    let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[');
    if !effect.widens()
        && syntax == PatternSyntax::Glob
        && text.as_encoded_bytes().iter().any(is_special)
    {
        let floating = PathPattern::parse(text, PatternSyntax::FloatingGlob, base)?;
        if let PathPattern::Glob(_) = floating {
            return Ok(floating);
        }
    }
    PathPattern::parse(text, syntax, base)
}
