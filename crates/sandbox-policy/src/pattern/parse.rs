//! Text of an entry → pattern.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Glob, GlobSet, GlobToken, PathBase, PathPattern, PatternError, PatternSyntax};
use crate::bytes::ByteClasses;
use crate::path::{AbsolutePath, PathError};

/// See [`PathPattern::parse`].
pub(super) fn pattern(
    text: &OsStr,
    syntax: PatternSyntax,
    base: &PathBase,
) -> Result<PathPattern, PatternError> {
    plain(text, syntax, base).map_or_else(|| whole(text, syntax, base), Ok)
}

/// Reads any entry.
fn whole(
    text: &OsStr,
    syntax: PatternSyntax,
    base: &PathBase,
) -> Result<PathPattern, PatternError> {
    if syntax != PatternSyntax::Literal && has_byte_in_set(text.as_encoded_bytes()) {
        return Err(PatternError::ByteInSet);
    }
    if syntax.is_floating() {
        return floating(text, syntax, base);
    }
    let entry = Entry::split(text, base)?;
    match syntax {
        PatternSyntax::Literal => Ok(PathPattern::Subtree(AbsolutePath::resolve(
            &entry.base,
            entry.rest_or_dot(),
        )?)),
        PatternSyntax::Glob
        | PatternSyntax::FloatingGlob
        | PatternSyntax::Gitignore
        | PatternSyntax::FloatingGitignore => entry.glob(syntax.sets()),
    }
}

/// See [`PatternSyntax::FloatingGlob`].
fn floating(
    text: &OsStr,
    syntax: PatternSyntax,
    base: &PathBase,
) -> Result<PathPattern, PatternError> {
    let anchored = match syntax.sets() {
        SetSyntax::Plain => PatternSyntax::Glob,
        SetSyntax::Gitignore => PatternSyntax::Gitignore,
    };
    let bytes = text.as_encoded_bytes();
    if bytes.starts_with(b"**/") {
        let everywhere = PathBase {
            working_directory: AbsolutePath::root(),
            home: base.home.clone(),
        };
        return pattern(text, anchored, &everywhere);
    }
    let is_name = !bytes.contains(&b'/') && !is_literal(&[bytes], syntax.sets());
    if is_name && bytes.iter().any(|byte| *byte != b'*') && !bytes.starts_with(b"~") {
        let mut anywhere = OsString::from("**/");
        anywhere.push(text);
        return pattern(&anywhere, anchored, base);
    }
    pattern(text, anchored, base)
}

/// Whether brackets hold a byte that is part of no character, which no set can: the text would close nothing
/// but a file that is named exactly so.
fn has_byte_in_set(text: &[u8]) -> bool {
    if !text.contains(&b'[') || std::str::from_utf8(text).is_ok() {
        return false;
    }
    let in_set = |name: &[u8]| {
        let mut openings = name.iter().enumerate().filter(|(_, byte)| **byte == b'[');
        openings.any(|(at, _)| {
            let inside = name.get(at + 1..).unwrap_or_default();
            let mut ends = inside.iter().enumerate().skip(1);
            let end = ends.find(|(_, byte)| **byte == b']');
            let inside = end.and_then(|(end, _)| inside.get(..end));
            inside.is_some_and(|inside| std::str::from_utf8(inside).is_err())
        })
    };
    text.split(|byte| *byte == b'/').any(in_set)
}

/// See [`PathPattern::parse_plain`].
pub(super) fn plain(text: &OsStr, syntax: PatternSyntax, base: &PathBase) -> Option<PathPattern> {
    let text = text.as_encoded_bytes();
    let subtree = |path| Some(PathPattern::Subtree(path));
    match text {
        [b'/', below @ ..] if is_plain(below) => subtree(AbsolutePath::from_clean_bytes(text)),
        [b'*', b'*', b'/', below @ ..] if syntax.is_floating() && is_plain(below) => {
            let literal = AbsolutePath::root_itself().below(text);
            Some(PathPattern::Glob(Glob::everywhere(literal)))
        }
        below if is_plain(below) => subtree(base.working_directory.below(below)),
        _ => None,
    }
}

/// Whether a relative text is clean and nothing in it special, or taken for it elsewhere.
fn is_plain(text: &[u8]) -> bool {
    // As if in a directory: a slash at the beginning would be the second.
    let seen = CLASSES.read(text, SEPARATOR | IN_DOTS);
    if seen.classes & MEANS_SOMETHING != 0 || seen.doubled & SEPARATOR != 0 {
        return false;
    }
    let is_clean = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
    let may_have_dots = seen.doubled & IN_DOTS != 0;
    let ends_well = !matches!(text, [] | [.., b'/']);
    ends_well && (!may_have_dots || text.split(|byte| *byte == b'/').all(is_clean))
}

/// What means something in a pattern, in another syntax of patterns, or in a shell; and what no path has.
const MEANS_SOMETHING: u8 = 1;
const SEPARATOR: u8 = 2;
/// Two of these are next to each other in `./a`, `a/../b`, and in a name that begins or ends with a dot.
const IN_DOTS: u8 = 4;
static CLASSES: ByteClasses = ByteClasses::new(
    &[
        (b"*?[]{}()\\$!~\"' \t\r\n\0", MEANS_SOMETHING),
        (b"/", SEPARATOR | IN_DOTS),
        (b".", IN_DOTS),
    ],
    0,
);

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

    /// A glob whose text is clean and needs no putting together: what most are, thousands in some files.
    fn clean_glob(&self, sets: SetSyntax) -> Option<Glob> {
        let text = self.rest.strip_prefix(b"/").unwrap_or(self.rest);
        let is_clean = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
        let mut names = text.rsplit(|byte| *byte == b'/');
        // At the end this means what lies below.
        let is_anything = |name: &[u8]| name.iter().all(|byte| *byte == b'*');
        let last = names.next().filter(|name| !is_anything(name))?;
        if !is_clean(last) || !names.all(is_clean) || plain_start(text, sets) == text.len() {
            return None;
        }
        let base = self.base.as_bytes();
        let plain = base.strip_suffix(b"/").unwrap_or(base).len();
        Some(Glob::new(self.base.below(text), plain, sets))
    }

    fn glob(self, sets: SetSyntax) -> Result<PathPattern, PatternError> {
        if let Some(glob) = self.clean_glob(sets) {
            return Ok(PathPattern::Glob(glob));
        }
        let mut root = self.base.clone();
        let mut kept: Vec<&[u8]> = Vec::with_capacity(USUAL_DEPTH);
        for component in self.components() {
            if component != b".." {
                kept.push(component);
            } else if let Some(last) = kept.pop() {
                if !is_literal(&[last], sets) {
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
        if kept
            .get(..before)
            .is_some_and(|kept| is_literal(kept, sets))
        {
            kept.truncate(before);
        }
        let base_length = if root.as_bytes() == b"/" {
            0
        } else {
            root.as_bytes().len()
        };
        let base_text = root.as_bytes().get(..base_length).unwrap_or_default();
        let length = kept.iter().map(|component| component.len() + 1);
        let mut text = Vec::with_capacity(base_length + length.sum::<usize>());
        text.extend_from_slice(base_text);
        for component in &kept {
            text.push(b'/');
            text.extend_from_slice(component);
        }
        let literal = AbsolutePath::from_clean_bytes(&text);
        if is_literal(&kept, sets) {
            return Ok(PathPattern::Subtree(literal));
        }
        Ok(PathPattern::Glob(Glob::new(literal, base_length, sets)))
    }
}

fn is_literal(components: &[&[u8]], sets: SetSyntax) -> bool {
    components.iter().all(|component| {
        // The second question is for brackets that turn out to be plain text.
        let plain = !component.iter().any(|byte| SPECIAL.contains(byte));
        plain || pieces(component, sets).all(|piece| matches!(piece, Piece::Plain(_)))
    })
}

/// How a `[…]` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetSyntax {
    /// Without negation; the first `]` closes it.
    Plain,
    /// As in gitignore(5): `!` or `^` at the beginning negates it, and a `]` there is in it.
    Gitignore,
}

/// A part of a glob's text.
enum Piece<'t> {
    Plain(&'t [u8]),
    Special(GlobToken),
}

/// The tokens of a text behind a literal one. Neighbouring literals are joined, so that equal globs
/// have equal tokens.
pub(super) fn tokens(base: &[u8], text: &[u8], sets: SetSyntax) -> Vec<GlobToken> {
    let mut tokens = Vec::with_capacity(USUAL_TOKENS);
    let mut plain = Vec::with_capacity(base.len() + text.len());
    plain.extend_from_slice(base);
    for piece in pieces(text, sets) {
        match piece {
            Piece::Plain(bytes) => plain.extend_from_slice(bytes),
            Piece::Special(token) => {
                if !plain.is_empty() {
                    tokens.push(GlobToken::Literal(plain.as_slice().into()));
                    plain.clear();
                }
                tokens.push(token);
            }
        }
    }
    if !plain.is_empty() {
        tokens.push(GlobToken::Literal(plain.into()));
    }
    tokens
}

/// How many bytes there are before the first special element.
pub(super) fn plain_start(text: &[u8], sets: SetSyntax) -> usize {
    let plain = pieces(text, sets).map_while(|piece| match piece {
        Piece::Plain(bytes) => Some(bytes.len()),
        Piece::Special(_) => None,
    });
    plain.sum()
}

fn pieces(text: &[u8], sets: SetSyntax) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = next_piece(rest, sets)?;
        rest = after;
        Some(piece)
    })
}

fn next_piece(text: &[u8], sets: SetSyntax) -> Option<(Piece<'_>, &[u8])> {
    let (first, after) = text.split_first()?;
    Some(match first {
        b'*' => {
            let (token, after) = stars(text);
            (Piece::Special(token), after)
        }
        b'?' => (Piece::Special(GlobToken::AnyCharacter), after),
        b'[' => match set(after, sets) {
            Some((set, after)) => (Piece::Special(GlobToken::Set(set)), after),
            None => (Piece::Plain(b"["), after),
        },
        _ => {
            let end = text
                .iter()
                .position(|byte| SPECIAL.contains(byte))
                .unwrap_or(text.len());
            let (plain, after) = text.split_at(end);
            (Piece::Plain(plain), after)
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
fn set(text: &[u8], sets: SetSyntax) -> Option<(GlobSet, &[u8])> {
    let (negated, text, first) = match (sets, text) {
        (SetSyntax::Plain, _) => (false, text, 0),
        (SetSyntax::Gitignore, [b'!' | b'^', text @ ..]) => (true, text, 1),
        (SetSyntax::Gitignore, _) => (false, text, 1),
    };
    let mut ends = text.iter().enumerate();
    // What stands at the beginning does not close the set, unless it ends the name.
    let (end, _) = ends.find(|(at, byte)| **byte == b'/' || (**byte == b']' && *at >= first))?;
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
        if range.0 <= range.1 {
            ranges.push(range);
        } else if !negated {
            return None;
        }
    }
    if negated {
        return Some((GlobSet::all_but(ranges), after));
    }
    Some((GlobSet::new(ranges)?, after))
}

/// What begins something other than plain text.
const SPECIAL: &[u8] = b"*?[";

/// Room for the names of most entries.
const USUAL_DEPTH: usize = 8;
/// Room for the commonest globs, `**/name`.
const USUAL_TOKENS: usize = 3;

#[cfg(test)]
mod tests {
    use super::{PathBase, PathPattern, PatternSyntax, plain, whole};
    use crate::AbsolutePath;

    /// A glob that is its text alone means what the same text means with all that is known of it.
    #[test]
    fn the_commonest_globs_mean_what_others_do() {
        let base = PathBase {
            working_directory: AbsolutePath::root(),
            home: None,
        };
        let names = ["a", "b", "ab", "a.b", "**", "é", "*"];
        let mut paths = vec![AbsolutePath::root()];
        for at in 0..200 {
            let Some(directory) = paths.get(at).cloned() else {
                break;
            };
            paths.extend(names.map(|name| directory.join(name).unwrap()));
        }
        for text in ["**/a", "**/a/b", "**/é", "**/.b", "**/b/a/b", "**/ab"] {
            let short = plain(text.as_ref(), PatternSyntax::FloatingGlob, &base).unwrap();
            let long = whole(text.as_ref(), PatternSyntax::Glob, &base).unwrap();
            assert_eq!(short, long);
            for path in &paths {
                let answers = |pattern: &PathPattern| {
                    (
                        pattern.region(path),
                        pattern.innermost_region(path),
                        pattern.opens(path),
                    )
                };
                assert_eq!(answers(&short), answers(&long), "{text} {path:?}");
            }
            let (PathPattern::Glob(short), PathPattern::Glob(long)) = (short, long) else {
                panic!("{text}");
            };
            assert_eq!(short.tokens(), long.tokens());
            assert_eq!(short.static_prefix(), long.static_prefix());
            assert_eq!(short.end(), long.end());
            assert_eq!(short.floating_name(), long.floating_name());
            let elsewhere = AbsolutePath::new("/x/y").unwrap();
            assert_eq!(short.moved(&elsewhere), long.moved(&elsewhere));
        }
    }

    /// What is read quickly is what the whole reader reads.
    #[test]
    fn the_quick_reading_is_the_thorough_one() {
        let pieces = [
            "", "a", "b.c", ".", "..", "/", "*", "**/", "?", "[a]", "]", "~", "{", "\\", "$", "!",
            "-",
        ];
        let mut texts = vec![format!("a/{}/b", "x".repeat(300))];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    for four in pieces {
                        texts.push([one, two, three, four].concat());
                    }
                }
            }
        }
        let mut quick = 0;
        for directory in ["/", "/w", "/home/[u]"] {
            let directory = AbsolutePath::new(directory).unwrap();
            let base = PathBase {
                working_directory: directory.clone(),
                home: Some(directory),
            };
            for text in &texts {
                for syntax in [
                    PatternSyntax::Glob,
                    PatternSyntax::FloatingGlob,
                    PatternSyntax::Gitignore,
                    PatternSyntax::FloatingGitignore,
                    PatternSyntax::Literal,
                ] {
                    if let Some(pattern) = plain(text.as_ref(), syntax, &base) {
                        quick += 1;
                        assert_eq!(Ok(pattern), whole(text.as_ref(), syntax, &base), "{text}");
                    }
                }
            }
        }
        assert!(quick > 1_000, "{quick}");
        let base = PathBase {
            working_directory: AbsolutePath::root(),
            home: None,
        };
        let is_plain =
            |text: &str| plain(text.as_ref(), PatternSyntax::FloatingGlob, &base).is_some();
        for text in [
            "/a",
            "a",
            ".env",
            "a/.env",
            "a.b/c-d_e",
            "**/.env",
            "**/a/b",
            "a...b",
            "é",
        ] {
            assert!(is_plain(text), "{text}");
        }
        for text in [
            "", "/", "a/", "a//b", "./a", "a/..", "**", "**/", "**/*.c", "a/**/b", "~", "a\0b",
            "!a",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }
}
