//! Text of an entry → pattern.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Glob, GlobSet, GlobToken, PathBase, PathPattern, PatternError, PatternSyntax};
use crate::path::{AbsolutePath, PathError};

/// See [`PathPattern::parse`].
pub(super) fn pattern(
    text: &OsStr,
    syntax: PatternSyntax,
    base: &PathBase,
) -> Result<PathPattern, PatternError> {
    // What most entries are, thousands of them in some files.
    if is_plain(text.as_encoded_bytes()) {
        let bytes = text.as_encoded_bytes().to_vec();
        return Ok(PathPattern::Subtree(AbsolutePath::from_clean_bytes(bytes)));
    }
    if syntax == PatternSyntax::FloatingGlob {
        return floating(text, base);
    }
    let entry = Entry::split(text, base)?;
    match syntax {
        PatternSyntax::Literal => Ok(PathPattern::Subtree(AbsolutePath::resolve(
            &entry.base,
            entry.rest_or_dot(),
        )?)),
        PatternSyntax::Glob | PatternSyntax::FloatingGlob => entry.glob(),
    }
}

/// See [`PatternSyntax::FloatingGlob`].
fn floating(text: &OsStr, base: &PathBase) -> Result<PathPattern, PatternError> {
    let bytes = text.as_encoded_bytes();
    if bytes.starts_with(b"**/") {
        let everywhere = PathBase {
            working_directory: AbsolutePath::root(),
            home: base.home.clone(),
        };
        return pattern(text, PatternSyntax::Glob, &everywhere);
    }
    let is_name = !bytes.contains(&b'/') && !is_literal(&[bytes]);
    if is_name && bytes.iter().any(|byte| *byte != b'*') && !bytes.starts_with(b"~") {
        let mut anywhere = OsString::from("**/");
        anywhere.push(text);
        return pattern(&anywhere, PatternSyntax::Glob, base);
    }
    pattern(text, PatternSyntax::Glob, base)
}

/// Whether the text is an absolute, clean path in which nothing is special.
fn is_plain(text: &[u8]) -> bool {
    let Some(below) = text.strip_prefix(b"/") else {
        return false;
    };
    let is_special = |byte: &u8| *byte == 0 || SPECIAL.contains(byte);
    !below.iter().any(is_special)
        && below
            .split(|byte| *byte == b'/')
            .all(|name| !matches!(name, b"" | b"." | b".."))
}

/// An entry with its base taken off. The base is always literal: a home directory with a `[` in
/// its name does not turn `~/x` into a glob.
struct Entry<'t> {
    base: AbsolutePath,
    rest: &'t [u8],
}

impl<'t> Entry<'t> {
    fn split(text: &'t OsStr, base: &PathBase) -> Result<Self, PatternError> {
        let bytes = text.as_encoded_bytes();
        if bytes.is_empty() {
            return Err(PathError::Empty.into());
        }
        if bytes.contains(&0) {
            return Err(PathError::Nul {
                path: Path::new(text).to_path_buf(),
            }
            .into());
        }
        match bytes {
            [b'/', ..] => Ok(Self {
                base: AbsolutePath::root(),
                rest: bytes,
            }),
            [b'~'] | [b'~', b'/', ..] => {
                let home = base.home.clone().ok_or(PatternError::NoHome)?;
                Ok(Self {
                    base: home,
                    rest: bytes.strip_prefix(b"~").unwrap_or(bytes),
                })
            }
            [b'~', ..] => Err(PatternError::OtherHome),
            _ => Ok(Self {
                base: base.working_directory.clone(),
                rest: bytes,
            }),
        }
    }

    /// The rest as a relative path.
    fn rest_or_dot(&self) -> OsString {
        let mut relative = OsString::from(".");
        for component in self.components() {
            relative.push("/");
            relative.push(OsStr::from_bytes(component));
        }
        relative
    }

    fn components(&self) -> impl Iterator<Item = &'t [u8]> + use<'t> {
        self.rest
            .split(|byte| *byte == b'/')
            .filter(|component| !component.is_empty() && *component != b".")
    }

    fn glob(self) -> Result<PathPattern, PatternError> {
        let mut root = self.base.clone();
        let mut kept: Vec<&[u8]> = Vec::new();
        for component in self.components() {
            if component != b".." {
                kept.push(component);
            } else if let Some(last) = kept.pop() {
                if !is_literal(&[last]) {
                    return Err(PatternError::ParentOfWildcard);
                }
            } else {
                root = root.parent().unwrap_or(root);
            }
        }
        // `dir/**` is the directory with everything below it.
        let is_anything =
            |component: &&&[u8]| component.len() >= 2 && component.iter().all(|byte| *byte == b'*');
        let before = kept.len() - kept.iter().rev().take_while(is_anything).count();
        if kept.get(..before).is_some_and(is_literal) {
            kept.truncate(before);
        }
        let base_length = if root.depth() == 0 {
            0
        } else {
            root.as_bytes().len()
        };
        let mut text = root.into_bytes();
        text.truncate(base_length);
        for component in &kept {
            text.push(b'/');
            text.extend_from_slice(component);
        }
        if is_literal(&kept) {
            return Ok(PathPattern::Subtree(AbsolutePath::from_clean_bytes(text)));
        }
        let (base_text, entry_text) = text.split_at(base_length);
        let tokens = merge(std::iter::once(literal_token(base_text)).chain(raw_tokens(entry_text)));
        let literal = AbsolutePath::from_clean_bytes(text);
        Ok(PathPattern::Glob(Glob::new(tokens, literal)))
    }
}

fn is_literal(components: &[&[u8]]) -> bool {
    components.iter().all(|component| {
        // The second question is for brackets that turn out to be plain text.
        let plain = !component.iter().any(|byte| SPECIAL.contains(byte));
        plain || raw_tokens(component).all(|token| matches!(token, GlobToken::Literal(_)))
    })
}

/// Reads glob text; neighbouring literals are not joined yet.
fn raw_tokens(text: &[u8]) -> impl Iterator<Item = GlobToken> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, after) = next_token(rest)?;
        rest = after;
        Some(token)
    })
}

fn next_token(text: &[u8]) -> Option<(GlobToken, &[u8])> {
    let (first, after) = text.split_first()?;
    Some(match first {
        b'*' => stars(text),
        b'?' => (GlobToken::AnyCharacter, after),
        b'[' => match set(after) {
            Some((set, after)) => (GlobToken::Set(set), after),
            None => (literal_token(b"["), after),
        },
        _ => {
            let end = text
                .iter()
                .position(|byte| SPECIAL.contains(byte))
                .unwrap_or(text.len());
            let (plain, after) = text.split_at(end);
            (literal_token(plain), after)
        }
    })
}

fn stars(text: &[u8]) -> (GlobToken, &[u8]) {
    let count = text.iter().take_while(|byte| **byte == b'*').count();
    let (_, after) = text.split_at(count);
    match (count, after) {
        (1, _) => (GlobToken::Run, after),
        (_, [b'/', below @ ..]) => (GlobToken::Directories, below),
        _ => (GlobToken::Anything, after),
    }
}

/// Reads a set behind its `[`; `None` where the bracket is plain text.
fn set(text: &[u8]) -> Option<(GlobSet, &[u8])> {
    let end = text
        .iter()
        .position(|byte| *byte == b']' || *byte == b'/')?;
    let (inside, after) = text.split_at(end);
    let after = after.strip_prefix(b"]")?;
    let mut characters = std::str::from_utf8(inside).ok()?.chars().peekable();
    let mut ranges = Vec::new();
    while let Some(low) = characters.next() {
        let mut ahead = characters.clone();
        // A `-` that has nothing behind it stands for itself.
        let range = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                characters = ahead;
                (low, high)
            }
            _ => (low, low),
        };
        if range.0 > range.1 {
            return None;
        }
        ranges.push(range);
    }
    Some((GlobSet::new(ranges)?, after))
}

fn literal_token(bytes: &[u8]) -> GlobToken {
    GlobToken::Literal(bytes.into())
}

/// Joins neighbouring literals, so that equal globs have equal tokens.
fn merge(tokens: impl IntoIterator<Item = GlobToken>) -> Vec<GlobToken> {
    let mut merged: Vec<GlobToken> = Vec::new();
    for token in tokens {
        match (merged.last_mut(), token) {
            (_, GlobToken::Literal(bytes)) if bytes.is_empty() => {}
            (Some(GlobToken::Literal(last)), GlobToken::Literal(bytes)) => {
                *last = [&**last, &*bytes].concat().into()
            }
            (_, token) => merged.push(token),
        }
    }
    merged
}

/// What begins something other than plain text.
const SPECIAL: &[u8] = b"*?[";
