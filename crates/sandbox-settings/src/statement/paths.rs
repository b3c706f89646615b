//! Entries about files.

use std::{borrow::Cow, ffi::OsStr};

use sandbox_policy::{LayerId, PathBase, PathPattern, PathRule, PatternError, PatternSyntax};
use serde::Deserialize as _;

use super::{
    list::{EntryList, ListEffect},
    reader::{Reader, Written},
};
use crate::{
    error::SettingsErrorKind,
    json::Value,
    wire::text::{Entries, LiteralPath, PathEntry},
};

/// The paths of one key.
pub(crate) type PathList = EntryList<PathEffect, LayeredPath>;

/// A rule and the layer that it speaks for. It is as large as what becomes of it, so that a list of
/// thousands is turned into the policy's where it is.
#[derive(Clone, Debug)]
pub(crate) struct LayeredPath {
    pub(crate) rule: PathRule,
    pub(crate) layer: LayerId,
}

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

impl ListEffect for PathEffect {
    fn widens(self) -> bool {
        match self {
            Self::AllowWrite | Self::AllowRead => true,
            Self::DenyWrite | Self::DenyRead | Self::DenyReadForGood => false,
        }
    }

    // A layer's allows re-open its own denies.
    fn depends_on_layer(self) -> bool {
        match self {
            Self::AllowWrite | Self::AllowRead | Self::DenyRead | Self::DenyReadForGood => true,
            Self::DenyWrite => false,
        }
    }
}

impl Reader<'_> {
    /// A list of paths.
    pub(super) fn paths(
        &mut self,
        key: &'static str,
        entries: Option<Entries<PathEntry>>,
        effect: PathEffect,
    ) {
        let Some(elements) = entries.and_then(|entries| self.elements(entries)) else {
            return;
        };
        let mut list = PathList::new(key, effect);
        list.rules.reserve_exact(elements.len());
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
        if let Some(rule) = self.rule(written, syntax, effect) {
            let like = PathList::new(key, effect);
            PathList::add_to(&mut self.paths, like, rule, written.entry, self.quotes);
        }
    }

    fn rule(
        &mut self,
        written: &Written<'_>,
        syntax: PatternSyntax,
        effect: PathEffect,
    ) -> Option<LayeredPath> {
        let text = written.meaning;
        self.remark_on_pattern(written, syntax);
        match path_pattern(OsStr::new(text), syntax, self.base, effect) {
            Ok(pattern) => {
                let origin = self.source.origin(written.span);
                Some(LayeredPath {
                    rule: PathRule { pattern, origin },
                    layer: self.layer,
                })
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
    if !effect.widens() && syntax != PatternSyntax::Literal {
        let floating = PathPattern::parse(text, syntax.floating(), base)?;
        // Most entries have no pattern in them, and those that have one mostly close: they are read once.
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[');
        let is_glob = matches!(floating, PathPattern::Glob(_));
        if is_glob || !text.as_encoded_bytes().iter().any(is_special) {
            return Ok(floating);
        }
    }
    PathPattern::parse(text, syntax, base)
}
