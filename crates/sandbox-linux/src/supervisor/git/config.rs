//! Says whether the settings of a repository are harmless: nothing in them makes git execute
//! something, read other settings or reach another kind of place than it is told of.
//!
//! This is no parser of git's format but a list of lines that mean the same to every reader; all
//! else is refused: continued lines, escapes, quotes inside of a value, several things on a line.

use std::fmt;

use sandbox_policy::shown;

use super::keys::{KEYS, Kind};

/// Settings that are harmless by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Harmless<'c> {
    /// The working tree of the repository, relative to it: up to the caller to check.
    pub(super) worktree: Option<&'c str>,
}

/// The first thing in settings that is not known to be harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::supervisor) enum Flaw {
    /// The name of a setting, or of one whose value is not known to be harmless.
    Setting(String),
    /// The number of a line that is written in an unusual way.
    Line(usize),
    /// It is long, or no text.
    Text,
    /// They differ from the old ones in more than which branch follows which.
    Change,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(name) => {
                let name = shown(name.as_bytes());
                write!(f, "`{name}`, or its value, is not known to be harmless")
            }
            Self::Line(number) => write!(f, "line {number} is not as git writes it"),
            Self::Text => write!(f, "the whole is too long, or no text"),
            Self::Change => write!(f, "more changes than which branch follows which"),
        }
    }
}

/// Settings longer than this are refused.
pub(super) const SIZE_LIMIT: usize = 256 << 10;
const LINE_LIMIT: usize = 4 << 10;

/// Vets the content of a `config` or `config.worktree`.
pub(super) fn vet(content: &[u8]) -> Result<Harmless<'_>, Flaw> {
    let content = str::from_utf8(content).ok();
    let content = content.filter(|text| text.len() <= SIZE_LIMIT);
    let mut section: Option<Section<'_>> = None;
    let mut worktree = None;
    for (number, line) in (1..).zip(content.ok_or(Flaw::Text)?.split('\n')) {
        match read_line(line).ok_or(Flaw::Line(number))? {
            Line::Blank => {}
            Line::Header(header) => section = Some(header),
            Line::Entry(key, value) => {
                let section = section.ok_or(Flaw::Line(number))?;
                let flaw = || Flaw::Setting(section.name_of(key));
                let kind = section.kind_of(key).filter(|kind| kind.accepts(value));
                let kind = kind.ok_or_else(flaw)?;
                // Which of several would count is none of our business.
                if kind == Kind::RelativePath && worktree.replace(value).is_some() {
                    return Err(flaw());
                }
            }
        }
    }
    Ok(Harmless { worktree })
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
    subsection: Some(""),
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
    subsection: Option<&'c str>,
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
        (is_name && is_plain).then_some(Section { name, subsection })
    }

    pub(super) fn is_branch(self) -> bool {
        self.name.eq_ignore_ascii_case(BRANCH.name) && self.subsection.is_some()
    }

    /// A setting as `git config --list` names it.
    fn name_of(self, key: &str) -> String {
        let (section, key) = (self.name.to_ascii_lowercase(), key.to_ascii_lowercase());
        match self.subsection {
            Some(subsection) => format!("{section}.{subsection}.{key}"),
            None => format!("{section}.{key}"),
        }
    }

    fn kind_of(self, key: &str) -> Option<Kind> {
        let (_, _, keys) = KEYS.iter().find(|(name, has_subsection, _)| {
            name.eq_ignore_ascii_case(self.name) && *has_subsection == self.subsection.is_some()
        })?;
        let (_, kind) = keys
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        Some(*kind)
    }
}
