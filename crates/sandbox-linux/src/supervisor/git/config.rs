//! Says whether the settings of a repository are harmless: nothing in them makes git execute
//! something, read other settings or reach another kind of place than it is told of.
//!
//! This is no parser of git's format but a list of lines that mean the same to every reader; all
//! else is refused: continued lines, escapes, quotes inside of a value, several things on a line.

use super::keys::{KEYS, Kind};

/// Settings that are harmless by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Harmless<'c> {
    /// The working tree of the repository, relative to it: up to the caller to check.
    pub(super) worktree: Option<&'c str>,
}

/// Settings longer than this are refused.
pub(super) const SIZE_LIMIT: usize = 256 << 10;
const LINE_LIMIT: usize = 4 << 10;

/// Vets the content of a `config` or `config.worktree`.
pub(super) fn vet(content: &[u8]) -> Option<Harmless<'_>> {
    let content = str::from_utf8(content)
        .ok()
        .filter(|text| text.len() <= SIZE_LIMIT)?;
    let mut section = None;
    let mut worktree = None;
    for line in content.split('\n') {
        match read_line(line)? {
            Line::Blank => {}
            Line::Header(header) => section = Some(header),
            Line::Entry(key, value) => {
                let kind = section?.kind_of(key)?;
                if !kind.accepts(value) {
                    return None;
                }
                // Which of several would count is none of our business.
                if kind == Kind::RelativePath && worktree.replace(value).is_some() {
                    return None;
                }
            }
        }
    }
    Some(Harmless { worktree })
}

/// A line that means the same to every reader.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line<'c> {
    /// Nothing, or a comment.
    Blank,
    Header(Section<'c>),
    Entry(&'c str, &'c str),
}

/// Reads a line, or finds it unusual.
pub(super) fn read_line(line: &str) -> Option<Line<'_>> {
    if line.len() > LINE_LIMIT || line.contains(is_unusual) {
        return None;
    }
    let line = line.trim_matches([' ', '\t']);
    if line.is_empty() || line.starts_with(['#', ';']) {
        Some(Line::Blank)
    } else if line.starts_with('[') {
        Section::parse(line).map(Line::Header)
    } else {
        entry(line).map(|(key, value)| Line::Entry(key, value))
    }
}

/// Whether a setting of a `[branch "…"]` is harmless.
pub(super) fn is_harmless_in_branch(key: &str, value: &str) -> bool {
    let kind = BRANCH.kind_of(key);
    kind.is_some_and(|kind| kind.accepts(value))
}

const BRANCH: Section<'_> = Section {
    name: "branch",
    has_subsection: true,
};

fn is_unusual(letter: char) -> bool {
    letter == '\\' || letter == '\u{feff}' || (letter.is_control() && letter != '\t')
}

/// Splits `key = value`; a value may be quoted as a whole.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim_end_matches([' ', '\t']);
    let is_key = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let value = value.trim_start_matches([' ', '\t']);
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let comment: &[char] = if quoted.is_some() { &[] } else { &['#', ';'] };
    let value = quoted.unwrap_or(value);
    let is_plain = !value.contains(['"', '\t']) && !value.contains(comment);
    (is_key && is_plain).then_some((key, value))
}

/// What a header opens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'c> {
    name: &'c str,
    has_subsection: bool,
}

impl<'c> Section<'c> {
    fn parse(line: &'c str) -> Option<Self> {
        let inner = line.strip_prefix('[')?.strip_suffix(']')?;
        let (name, subsection) = match inner.split_once(' ') {
            None => (inner, None),
            Some((name, rest)) => {
                let quoted = rest.strip_prefix('"')?.strip_suffix('"')?;
                (name, Some(quoted))
            }
        };
        // Dots are the old way to write a subsection.
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_plain =
            subsection.is_none_or(|name| !name.is_empty() && !name.contains(['"', '\t']));
        (is_name && is_plain).then_some(Section {
            name,
            has_subsection: subsection.is_some(),
        })
    }

    pub(super) fn is_branch(self) -> bool {
        self.name.eq_ignore_ascii_case(BRANCH.name) && self.has_subsection
    }

    fn kind_of(self, key: &str) -> Option<Kind> {
        let (_, _, keys) = KEYS.iter().find(|(name, has_subsection, _)| {
            name.eq_ignore_ascii_case(self.name) && *has_subsection == self.has_subsection
        })?;
        let (_, kind) = keys
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        Some(*kind)
    }
}
