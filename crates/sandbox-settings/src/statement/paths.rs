//! Entries about files.

use std::{ffi::OsStr, ops::Range};

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
        if let Some(strings) = elements.strings() {
            let syntax = closing(PatternSyntax::Glob, effect);
            let quotes = self.quotes && effect.widens();
            for (span, text) in strings {
                // Nearly all of thousands: made where they stay.
                match PathPattern::parse_plain(OsStr::new(text), syntax, self.base) {
                    Some(pattern) if !quotes => {
                        let origin = self.source.origin(&span);
                        let rule = PathRule { pattern, origin };
                        let layer = self.layer;
                        list.rules.push(LayeredPath { rule, layer });
                    }
                    Some(_) | None => {
                        self.add_path(&mut list, text, &span, PatternSyntax::Glob);
                    }
                }
            }
        } else {
            for node in elements.nodes() {
                if let Value::String(text) = &node.value {
                    self.add_path(&mut list, text, &node.span, PatternSyntax::Glob);
                    continue;
                }
                match LiteralPath::deserialize(node) {
                    Ok(LiteralPath(path)) => {
                        self.add_path(&mut list, &path, &node.span, PatternSyntax::Literal);
                    }
                    Err(error) => self.misread(error),
                }
            }
        }
        self.paths.push(list);
    }

    fn add_path(
        &mut self,
        list: &mut PathList,
        text: &str,
        span: &Range<usize>,
        syntax: PatternSyntax,
    ) {
        if let Some(rule) = self.rule(&Written::plain(text, span), syntax, list.effect) {
            list.add(rule, text, self.quotes);
        }
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
        let text = OsStr::new(written.meaning);
        // Of what is plain there is nothing to say.
        let plain = PathPattern::parse_plain(text, closing(syntax, effect), self.base);
        let pattern = match plain {
            Some(pattern) => pattern,
            None => self.special_pattern(written, syntax, effect)?,
        };
        let origin = self.source.origin(written.span);
        Some(LayeredPath {
            rule: PathRule { pattern, origin },
            layer: self.layer,
        })
    }

    fn special_pattern(
        &mut self,
        written: &Written<'_>,
        syntax: PatternSyntax,
        effect: PathEffect,
    ) -> Option<PathPattern> {
        self.remark_on_pattern(written, syntax);
        let text = written.meaning;
        let pattern = path_pattern(OsStr::new(text), syntax, self.base, effect);
        let found = |source| SettingsErrorKind::Path {
            text: text.to_owned(),
            source,
        };
        pattern
            .map_err(|source| self.find(written.span, found(source)))
            .ok()
    }
}

/// How an entry is read first: a pattern that closes holds more widely than one that opens.
fn closing(syntax: PatternSyntax, effect: PathEffect) -> PatternSyntax {
    if effect.widens() {
        syntax
    } else {
        syntax.floating()
    }
}

/// What an entry names. A pattern that closes holds more widely than one that opens.
pub(crate) fn path_pattern(
    text: &OsStr,
    syntax: PatternSyntax,
    base: &PathBase,
    effect: PathEffect,
) -> Result<PathPattern, PatternError> {
    PathPattern::parse(text, closing(syntax, effect), base)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use sandbox_policy::{AbsolutePath, PathBase, PathPattern, PatternSyntax};

    use super::{PathEffect, closing, path_pattern};
    use crate::notice;

    #[test]
    fn what_closes_everything_by_name_does_so_everywhere() {
        let base = PathBase {
            working_directory: AbsolutePath::new("/w").unwrap(),
            home: None,
        };
        for text in ["**/**", "**/", "**/**/**", "/**"] {
            let pattern = |effect| path_pattern(text.as_ref(), PatternSyntax::Glob, &base, effect);
            for effect in [PathEffect::DenyRead, PathEffect::DenyWrite] {
                let everything = PathPattern::Subtree(AbsolutePath::root());
                assert_eq!(pattern(effect), Ok(everything), "{text}");
            }
        }
        let here = PathPattern::Subtree(base.working_directory.clone());
        let pattern = path_pattern(
            "**/**".as_ref(),
            PatternSyntax::Glob,
            &base,
            PathEffect::AllowWrite,
        );
        assert_eq!(pattern, Ok(here));
    }

    /// An entry that is passed over quickly would mean the same, and nothing would be said of it.
    #[test]
    fn nothing_is_to_be_said_of_plain_entries() {
        let base = PathBase {
            working_directory: AbsolutePath::new("/w").unwrap(),
            home: None,
        };
        let pieces = [
            "", "a", "/", "**/", "!", "$", "HOME", "{", "a,b", "}", "\\", "[", ":", "]", "~", " ",
            "\"", "Read(",
        ];
        let mut texts = vec![String::new()];
        for _ in 0..3 {
            let longer = texts
                .iter()
                .flat_map(|text| pieces.map(|piece| [text, piece].concat()));
            texts = longer.collect();
        }
        let mut plain = 0;
        for text in &texts {
            for syntax in [
                PatternSyntax::Glob,
                PatternSyntax::Gitignore,
                PatternSyntax::Literal,
            ] {
                for effect in [PathEffect::AllowWrite, PathEffect::DenyRead] {
                    let entry = OsStr::new(text);
                    let first = closing(syntax, effect);
                    if let Some(pattern) = PathPattern::parse_plain(entry, first, &base) {
                        plain += 1;
                        assert_eq!(
                            path_pattern(entry, syntax, &base, effect),
                            Ok(pattern),
                            "{text}"
                        );
                        assert_eq!(notice::meanings(text, syntax), [], "{text}");
                    }
                }
            }
        }
        assert!(plain > 100, "{plain}");
    }
}
