//! Patterns of variable names.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt,
};

/// A variable's name, or a pattern in which `*` stands for any run of characters. Case matters, as
/// it does to programs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VariablePattern(OsString);

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariablePatternError {
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// environ(7): the first `=` ends a name.
    #[error("a name can't contain `=`")]
    Assignment,
    /// execve(2): a NUL ends an entry.
    #[error("a name can't contain a NUL")]
    Nul,
    /// A pattern where one variable has to be named.
    #[error("one variable has to be named, not a pattern")]
    NotOne,
}

impl VariablePattern {
    /// Reads a name or a pattern.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, VariablePatternError> {
        let text = text.as_ref();
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            Err(VariablePatternError::Empty)
        } else if bytes.contains(&b'=') {
            Err(VariablePatternError::Assignment)
        } else if bytes.contains(&0) {
            Err(VariablePatternError::Nul)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// Reads a name.
    pub fn name(text: impl AsRef<OsStr>) -> Result<OsString, VariablePatternError> {
        let pattern = Self::parse(text)?;
        if pattern.is_one() {
            Ok(pattern.0)
        } else {
            Err(VariablePatternError::NotOne)
        }
    }

    /// A pattern of our own tables.
    pub(super) fn from_table(text: &'static str) -> Self {
        Self(text.into())
    }

    /// Whether it names a variable.
    #[must_use]
    pub fn matches(&self, name: &OsStr) -> bool {
        let mut parts = self.0.as_bytes().split(|byte| *byte == b'*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.as_bytes().strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            // The leftmost place leaves the most to the parts that follow.
            let Some(at) = find(rest, part) else {
                return false;
            };
            rest = rest
                .get(at.saturating_add(part.len())..)
                .unwrap_or_default();
        }
        rest.ends_with(last)
    }

    /// Whether an allow of this pattern re-opens inside a deny of another, where both match.
    pub(super) fn reopens(&self, closing: &Self) -> bool {
        self == closing || self.specificity() > closing.specificity()
    }

    fn is_one(&self) -> bool {
        !self.0.as_bytes().contains(&b'*')
    }

    fn specificity(&self) -> (bool, usize) {
        let plain = self.0.as_bytes().iter().filter(|byte| **byte != b'*');
        (self.is_one(), plain.count())
    }
}

impl fmt::Display for VariablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}
