//! Path patterns: a literal path with everything below it, or a glob.
//!
//! Grammar (upstream's): `*` a run without `/`; `?` one character other than `/`; `**` anything;
//! `**/` zero or more directories; `[…]` a set, without negation, the first `]` closes it, an empty
//! set or a backwards range is plain text. There is no escape character. An entry with such
//! characters is a glob *and also* the literal path that it spells.
//!
//! Permission rules of Claude Code are written as gitignore(5) has it: there `[!…]` and `[^…]` are the
//! characters that are not in the set, and a `]` at its beginning is one of them.
//!
//! What the grammar leaves open is settled here: a set never matches `/` and can't contain one (the
//! text is cut at slashes first), three or more stars in a row are `**`, and a *character* is a
//! Unicode scalar value where the path's bytes are valid UTF-8 and a single byte where they are not.

mod glob;
mod parse;

use std::ffi::OsStr;
use std::fmt;

use crate::path::{AbsolutePath, PathError};

pub use glob::{Glob, GlobSet, GlobToken};
pub(crate) use glob::{Unit, units};
use parse::SetSyntax;

/// The elements of a text of our own tables, which is no entry of anybody's.
pub(crate) fn tokens_of(text: &[u8]) -> Vec<GlobToken> {
    parse::tokens(b"", text, SetSyntax::Plain)
}

/// What a path rule names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// A path and everything below it.
    Subtree(AbsolutePath),
    /// A glob, anchored at both ends.
    Glob(Glob),
}

/// What relative paths and `~` mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathBase {
    /// Base of relative entries.
    pub working_directory: AbsolutePath,
    /// What `~` stands for; an entry with `~` is an error without it.
    pub home: Option<AbsolutePath>,
}

/// How to read an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternSyntax {
    /// `* ? [ ]` are special.
    Glob,
    /// The same for a deny, which has to hold wherever its author may have meant: a relative entry
    /// that begins with `**/` holds everywhere, not only below the working directory, and a pattern
    /// without a slash (`*.pem`) at any depth below it, as gitignore(5) has it.
    FloatingGlob,
    /// As `Glob`, and sets as gitignore(5) has them: `[!…]` and `[^…]` are all other characters, and a `]`
    /// at the beginning is in the set.
    Gitignore,
    /// As `FloatingGlob`, with such sets.
    FloatingGitignore,
    /// They are not (`{"path": …, "literal": true}`). A leading `~` still is.
    Literal,
}

/// Why an entry is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Not a path at all.
    #[error(transparent)]
    Path(#[from] PathError),
    /// `~` without a known home directory.
    #[error("`~` is used, but the home directory is not known")]
    NoHome,
    /// `~user`.
    #[error("`~user` is not supported: write the path of the directory")]
    OtherHome,
    /// `*/..`: which directory that is can't be told from the text.
    #[error("`..` after a wildcard names no definite directory: write the path without `..`")]
    ParentOfWildcard,
    /// A set with a byte that is part of no character.
    #[error("a set holds characters, and a byte in this one is part of none: `?` is any such byte")]
    ByteInSet,
}

impl PathPattern {
    /// Whether an absolute path, read as a [`PatternSyntax::Glob`], is this very path. Where it is not,
    /// an entry for it must be a [`PatternSyntax::Literal`].
    #[must_use]
    pub fn is_plain(path: &str) -> bool {
        let base = PathBase {
            home: None,
            working_directory: AbsolutePath::root(),
        };
        let parsed = Self::parse(path.as_ref(), PatternSyntax::Glob, &base);
        // `/a/**` is the directory, not what is named so.
        matches!(parsed, Ok(Self::Subtree(subtree)) if subtree.as_bytes() == path.as_bytes())
    }

    /// The very name at a path. Other than [`Self::Subtree`] it says nothing of what a symlink there leads to.
    #[must_use]
    pub fn name_at(path: &AbsolutePath) -> Self {
        let plain = path.as_bytes().len();
        Self::Glob(Glob::new(path.clone(), plain, SetSyntax::Plain))
    }

    /// Reads an entry: `~`, `~/x`, relative paths (against the base), globs. A trailing `/**` or
    /// `/` of an otherwise literal entry means the directory with everything below it.
    pub fn parse(
        text: &OsStr,
        syntax: PatternSyntax,
        base: &PathBase,
    ) -> Result<Self, PatternError> {
        parse::pattern(text, syntax, base)
    }

    /// Reads an entry in which nothing means anything but itself, in this syntax or any other that its author
    /// may have had in mind: a clean path, in a deny perhaps behind `**/`. Most entries are such, thousands in some
    /// files. It is what [`Self::parse`] makes of it; `None` for any other entry.
    #[must_use]
    pub fn parse_plain(text: &OsStr, syntax: PatternSyntax, base: &PathBase) -> Option<Self> {
        parse::plain(text, syntax, base)
    }

    /// Depth of the shallowest of `path` and its ancestors that the pattern names: the root of the
    /// region that a *deny* covers. `None` where it covers nothing of it.
    #[must_use]
    pub fn region(&self, path: &AbsolutePath) -> Option<usize> {
        match self {
            Self::Subtree(root) => path.is_within(root).then(|| root.depth()),
            Self::Glob(glob) => glob.matching_depths(path).min(),
        }
    }

    /// Depth of the deepest of `path` and its ancestors that the pattern names: other than for
    /// `region`, a glob that matches a directory and again something in it counts as naming the
    /// inner one. This is how specific a deny is.
    #[must_use]
    pub fn innermost_region(&self, path: &AbsolutePath) -> Option<usize> {
        match self {
            Self::Subtree(_) => self.region(path),
            Self::Glob(glob) => glob.matching_depths(path).max(),
        }
    }

    /// As `region` for an *allow*: a subtree covers what lies below it, a glob only what it matches
    /// (and its literal spelling, as every literal entry, with what lies below).
    #[must_use]
    pub fn opens(&self, path: &AbsolutePath) -> Option<usize> {
        match self {
            Self::Subtree(root) => path.is_within(root).then(|| root.depth()),
            Self::Glob(glob) if glob.matches(path) => Some(path.depth()),
            Self::Glob(glob) => path
                .is_within(glob.literal())
                .then(|| glob.literal().depth()),
        }
    }
}

impl PatternSyntax {
    /// The same for a deny: see [`Self::FloatingGlob`].
    #[must_use]
    pub fn floating(self) -> Self {
        match self {
            Self::Glob | Self::FloatingGlob => Self::FloatingGlob,
            Self::Gitignore | Self::FloatingGitignore => Self::FloatingGitignore,
            Self::Literal => Self::Literal,
        }
    }

    fn sets(self) -> SetSyntax {
        match self {
            Self::Gitignore | Self::FloatingGitignore => SetSyntax::Gitignore,
            Self::Glob | Self::FloatingGlob | Self::Literal => SetSyntax::Plain,
        }
    }

    fn is_floating(self) -> bool {
        match self {
            Self::FloatingGlob | Self::FloatingGitignore => true,
            Self::Glob | Self::Gitignore | Self::Literal => false,
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subtree(root) => root.as_path().display().fmt(f),
            Self::Glob(glob) => glob.fmt(f),
        }
    }
}
