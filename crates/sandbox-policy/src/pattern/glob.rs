//! Parsed globs and their matcher.
//!
//! The matcher walks the tokens once and keeps, for every position of the path, whether the tokens
//! so far can end there: time is tokens × length whatever the pattern, and nothing is compiled
//! beforehand; the tokens themselves are made for the first question, as most of thousands of rules
//! are never asked anything. As prefixes are positions, one walk also tells which ancestors of a path match.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::{PatternSyntax, parse, parse::SetSyntax};
use crate::path::AbsolutePath;

/// A parsed glob over absolute paths. Clones share what it says.
///
/// Of thousands nearly all are `**/name`: such a one is its text and nothing else.
#[derive(Clone, Debug)]
pub struct Glob {
    literal: AbsolutePath,
    /// Without one, it is `/**/` with something plain behind it.
    reading: Option<Arc<Reading>>,
}

/// How a text is read as a glob.
#[derive(Debug)]
struct Reading {
    /// How many bytes of the text are plain, whatever they are.
    plain: usize,
    static_prefix: AbsolutePath,
    sets: SetSyntax,
    tokens: OnceLock<Box<[GlobToken]>>,
}

/// One element of a glob. The tokens of a glob, each turned into the given regular expression and
/// anchored at both ends, match the same paths (its literal spelling aside).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GlobToken {
    /// These bytes.
    Literal(Box<[u8]>),
    /// `?`: one character other than `/` (`[^/]`).
    AnyCharacter,
    /// `*`: any run without `/`, an empty one too (`[^/]*`).
    Run,
    /// `**`: anything (`.*`).
    Anything,
    /// `**/`: zero or more directories (`(.*/)?`).
    Directories,
    /// `[…]`: one character of a set.
    Set(GlobSet),
}

/// The characters of a `[…]`; never empty, never with `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GlobSet {
    ranges: Box<[(char, char)]>,
    negated: bool,
}

impl Glob {
    /// The glob whose text, read literally, is `literal`. Its first `plain` bytes are a directory's
    /// path in which no character is special.
    pub(super) fn new(literal: AbsolutePath, plain: usize, sets: SetSyntax) -> Self {
        let static_prefix = static_prefix(literal.as_bytes(), plain, sets);
        let reading = Reading {
            plain,
            static_prefix,
            sets,
            tokens: OnceLock::new(),
        };
        Self {
            literal,
            reading: Some(Arc::new(reading)),
        }
    }

    /// The glob whose text, read literally, is `literal`: `/**/` and a clean relative path in which nothing is
    /// special.
    pub(super) fn everywhere(literal: AbsolutePath) -> Self {
        Self {
            literal,
            reading: None,
        }
    }

    /// What a glob of the commonest shape names in whichever directory, with the slash before it.
    fn anywhere(&self) -> Option<&[u8]> {
        let text = self.literal.as_bytes().strip_prefix(b"/**");
        text.filter(|_| self.reading.is_none())
    }

    fn plain(&self) -> usize {
        self.reading.as_ref().map_or(0, |reading| reading.plain)
    }

    fn sets(&self) -> SetSyntax {
        let sets = self.reading.as_ref().map(|reading| reading.sets);
        sets.unwrap_or(SetSyntax::Plain)
    }

    /// The longest directory that every match lies in.
    #[must_use]
    pub fn static_prefix(&self) -> &AbsolutePath {
        let prefix = self.reading.as_ref().map(|reading| &reading.static_prefix);
        prefix.unwrap_or_else(|| AbsolutePath::root_itself())
    }

    /// The literal path that the entry spells.
    #[must_use]
    pub fn literal(&self) -> &AbsolutePath {
        &self.literal
    }

    /// The same glob in another directory, in place of its static prefix: what it means where a symlink
    /// in that prefix leads.
    #[must_use]
    pub fn moved(&self, to: &AbsolutePath) -> Self {
        // The prefix is a directory, so what follows it begins with a slash.
        let (prefix, literal) = (self.static_prefix().as_bytes(), self.literal().as_bytes());
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
        let rest = literal.strip_prefix(prefix).unwrap_or(literal);
        let to = to.as_bytes();
        let to = to.strip_suffix(b"/").unwrap_or(to);
        let literal = AbsolutePath::from_clean_bytes(&[to, rest].concat());
        let plain = to.len() + self.plain().saturating_sub(prefix.len());
        Self::new(literal, plain, self.sets())
    }

    /// How its text is to be read.
    #[must_use]
    pub fn syntax(&self) -> PatternSyntax {
        match self.sets() {
            SetSyntax::Plain => PatternSyntax::Glob,
            SetSyntax::Gitignore => PatternSyntax::Gitignore,
        }
    }

    /// The parsed elements, in order.
    #[must_use]
    pub fn tokens(&self) -> Cow<'_, [GlobToken]> {
        let text = self.literal.as_bytes();
        match &self.reading {
            None => parse::tokens(b"", text, SetSyntax::Plain).into(),
            Some(reading) => {
                let tokens = reading.tokens.get_or_init(|| {
                    let (base, entry) = text.split_at(reading.plain);
                    parse::tokens(base, entry, reading.sets).into()
                });
                Cow::Borrowed(tokens)
            }
        }
    }

    /// The directory (with `/` at its end) and the name of a glob of the shape `directory/**/name`. Of
    /// thousands of rules that are such the tokens need not be made.
    pub(crate) fn floating_name(&self) -> Option<(&[u8], &[u8])> {
        let prefix = self.static_prefix().as_bytes();
        let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
        let literal = self.literal().as_bytes();
        let name = literal.strip_prefix(prefix)?.strip_prefix(b"/**/")?;
        let is_plain = !name.is_empty() && !name.iter().any(|byte| b"/*?[".contains(byte));
        let directory = literal.get(..=prefix.len())?;
        is_plain.then_some((directory, name))
    }

    /// What everything that it matches ends with, its literal spelling too; this may be nothing.
    #[must_use]
    pub fn end(&self) -> &[u8] {
        if let Some([_slash, name @ ..]) = self.anywhere() {
            return name;
        }
        let literal = self.literal().as_bytes();
        let special = literal.iter().rposition(|byte| b"*?[]".contains(byte));
        let after = special.map_or(0, |special| special + 1);
        let end = literal.get(after..).unwrap_or_default();
        // The separator of `**/` is a part of it, and may be matched by nothing: `/a**/b` matches `/ab`.
        end.strip_prefix(b"/").unwrap_or(end)
    }

    /// Whether the glob (or its literal spelling) matches this very path.
    #[must_use]
    pub fn matches(&self, path: &AbsolutePath) -> bool {
        if let Some(anywhere) = self.anywhere() {
            return path.as_bytes().ends_with(anywhere);
        }
        path == &self.literal
            || (path.is_within(self.static_prefix())
                && path.as_bytes().ends_with(self.end())
                && self
                    .reachable_ends(&units(path.as_bytes()).collect::<Vec<_>>())
                    .last()
                    == Some(&true))
    }

    /// The depths of those of `path` and its ancestors that the glob or its literal matches.
    pub(super) fn matching_depths(
        &self,
        path: &AbsolutePath,
    ) -> impl Iterator<Item = usize> + use<> {
        let mut depths = Vec::new();
        // Of thousands of globs few end as a path or one of its directories does.
        let may_match = |end: &[u8]| path.byte_ancestors().any(|above| above.ends_with(end));
        if path.is_within(self.static_prefix()) && may_match(self.end()) {
            let text: Vec<Unit> = units(path.as_bytes()).collect();
            let ends = self.reachable_ends(&text);
            // The depth is the place in the list: `prefix_ends` starts with the root.
            let by_depth = prefix_ends(&text).enumerate();
            depths.extend(
                by_depth
                    .filter(|(_, end)| ends.get(*end) == Some(&true))
                    .map(|(depth, _)| depth),
            );
        }
        if path.is_within(&self.literal) {
            depths.push(self.literal.depth());
        }
        depths.into_iter()
    }

    /// For each position of the text, whether all tokens together can match what lies before it.
    fn reachable_ends(&self, text: &[Unit]) -> Vec<bool> {
        let mut reach = vec![false; text.len() + 1];
        if let Some(start) = reach.first_mut() {
            *start = true;
        }
        for token in &*self.tokens() {
            reach = token.advance(text, &reach);
        }
        reach
    }
}

/// Equal globs have equal texts: enough to tell thousands of them apart.
impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        // The same text may be plain in one and special in the other.
        let is_read_alike = self.plain() == other.plain() && self.sets() == other.sets();
        self.literal() == other.literal() && (is_read_alike || self.tokens() == other.tokens())
    }
}

impl Eq for Glob {}

impl Hash for Glob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.literal().hash(state);
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.literal().as_path().display().fmt(f)
    }
}

impl GlobToken {
    /// Given the positions where this token may start, the positions where it may end.
    fn advance(&self, text: &[Unit], starts: &[bool]) -> Vec<bool> {
        match self {
            Self::Literal(bytes) => advance_literal(bytes, text, starts),
            Self::AnyCharacter => advance_one(text, starts, |unit| unit != Unit::SLASH),
            Self::Set(set) => advance_one(text, starts, |unit| set.contains_unit(unit)),
            Self::Run => advance_run(text, starts, |unit| unit != Unit::SLASH),
            Self::Anything => advance_run(text, starts, |_| true),
            Self::Directories => advance_directories(text, starts),
        }
    }
}

impl GlobSet {
    /// A set of inclusive ranges, or `None` if there is no character in it.
    pub(super) fn new(ranges: impl IntoIterator<Item = (char, char)>) -> Option<Self> {
        let mut kept = Vec::new();
        for (low, high) in ranges {
            // A range around `/` becomes two, so that nobody who renders a set can let it through.
            let parts = if low <= '/' && '/' <= high {
                [(low, '.'), ('0', high)]
            } else {
                [(low, high), ('1', '0')]
            };
            kept.extend(parts.into_iter().filter(|(low, high)| low <= high));
        }
        (!kept.is_empty()).then(|| Self {
            ranges: kept.into(),
            negated: false,
        })
    }

    /// All characters but those of inclusive ranges, and but `/`.
    pub(super) fn all_but(ranges: impl IntoIterator<Item = (char, char)>) -> Self {
        Self {
            ranges: ranges.into_iter().collect(),
            negated: true,
        }
    }

    /// The inclusive ranges, in the order of the text: of what is in the set, or is not.
    #[must_use]
    pub fn ranges(&self) -> &[(char, char)] {
        &self.ranges
    }

    /// Whether the set is what the ranges leave out. `/` is in no set.
    #[must_use]
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// Whether the character is in the set.
    #[must_use]
    pub fn contains(&self, character: char) -> bool {
        let mut ranges = self.ranges.iter();
        let is_named = ranges.any(|(low, high)| (*low..=*high).contains(&character));
        is_named != self.negated && character != '/'
    }

    /// Whether some character is in both sets. One that leaves out a few of all characters has some of
    /// every other, or nearly.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let meets = |(low, high): &(char, char)| {
            let mut others = other.ranges.iter();
            others.any(|(from, to)| low <= to && from <= high)
        };
        self.negated || other.negated || self.ranges.iter().any(meets)
    }

    pub(crate) fn contains_unit(&self, unit: Unit) -> bool {
        match unit {
            Unit::Character(character) => self.contains(character),
            Unit::Byte(_) => self.negated,
        }
    }
}

/// A character, or a byte that is not part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Character(char),
    Byte(u8),
}

impl Unit {
    pub(crate) const SLASH: Self = Self::Character('/');
}

pub(crate) fn units(bytes: &[u8]) -> impl Iterator<Item = Unit> + '_ {
    bytes.utf8_chunks().flat_map(|chunk| {
        let characters = chunk.valid().chars().map(Unit::Character);
        characters.chain(chunk.invalid().iter().copied().map(Unit::Byte))
    })
}

/// The positions where an ancestor of the path ends, from the root to the path itself.
fn prefix_ends(text: &[Unit]) -> impl Iterator<Item = usize> + '_ {
    let separators = text
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, unit)| **unit == Unit::SLASH)
        .map(|(index, _)| index);
    let whole = (text.len() > 1).then_some(text.len());
    std::iter::once(1).chain(separators).chain(whole)
}

fn advance_literal(bytes: &[u8], text: &[Unit], starts: &[bool]) -> Vec<bool> {
    let literal: Vec<Unit> = units(bytes).collect();
    let mut ends = vec![false; starts.len()];
    let open_starts = starts
        .iter()
        .enumerate()
        .filter(|(_, open)| **open)
        .map(|(start, _)| start);
    for start in open_starts {
        let followed = text
            .get(start..)
            .is_some_and(|rest| rest.starts_with(&literal));
        if followed && let Some(end) = ends.get_mut(start + literal.len()) {
            *end = true;
        }
    }
    ends
}

fn advance_one(text: &[Unit], starts: &[bool], accepts: impl Fn(Unit) -> bool) -> Vec<bool> {
    let moved = text
        .iter()
        .zip(starts)
        .map(|(unit, open)| *open && accepts(*unit));
    std::iter::once(false).chain(moved).collect()
}

fn advance_run(text: &[Unit], starts: &[bool], accepts: impl Fn(Unit) -> bool) -> Vec<bool> {
    let mut running = false;
    let before = std::iter::once(None).chain(text.iter().copied().map(Some));
    starts
        .iter()
        .zip(before)
        .map(|(open, unit)| {
            running = *open || (running && unit.is_some_and(&accepts));
            running
        })
        .collect()
}

fn advance_directories(text: &[Unit], starts: &[bool]) -> Vec<bool> {
    let mut started = false;
    let before = std::iter::once(None).chain(text.iter().copied().map(Some));
    starts
        .iter()
        .zip(before)
        .map(|(open, unit)| {
            let after_directory = started && unit == Some(Unit::SLASH);
            started |= *open;
            *open || after_directory
        })
        .collect()
}

/// The directory before the first special element.
fn static_prefix(text: &[u8], plain: usize, sets: SetSyntax) -> AbsolutePath {
    let (_, entry) = text.split_at(plain);
    let start = text.get(..plain + parse::plain_start(entry, sets));
    let start = start.unwrap_or_default();
    let end = start.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    match start.get(..end) {
        None | Some([]) => AbsolutePath::root(),
        Some(directory) => AbsolutePath::from_clean_bytes(directory),
    }
}
