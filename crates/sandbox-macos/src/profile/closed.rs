//! What the policy closes, in the terms of Seatbelt: filters, and the names that hold them in place.
//!
//! A rule of Seatbelt's is about a path, so a closed object is only closed as long as it keeps its
//! path. *Pins* are the directories that must keep theirs: every writable ancestor of a closed
//! path, and every directory that a pattern passes through. Renaming or removing a pin would take
//! the object away from its rule; creating one (by a symbolic link, or by renaming a prepared
//! directory) would bring a foreign object to the name.
//!
//! A pattern with `**` passes through directories of any name. They can't all be pinned, or
//! nothing could be renamed any more. Instead the part behind `**` is closed in every writable
//! directory, so that a renamed directory's matches stay closed wherever they arrive.

use sandbox_policy::{AbsolutePath, Glob, GlobToken, PathPattern};

use super::{
    ProfileError,
    fold::{self, Case},
    glob::{self, Coverage},
    parameters::Parameters,
    sbpl::{Filter, PathTerm, VnodeType},
};

/// One closed region.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    /// The region is what any of these covers.
    pub(crate) filters: Vec<Filter>,
    /// Paths that must not be created, renamed or removed.
    pub(crate) pins: Vec<Filter>,
    /// Directories that must not be renamed or removed, but that may be created: a pin there would
    /// forbid to create anything at all.
    pub(crate) loose_pins: Vec<Filter>,
}

/// What the policy lets the command change: where closed objects could be carried to.
pub(crate) struct Writable<'a> {
    /// The directories that write rules open, or that their patterns lie in.
    pub(crate) roots: Vec<AbsolutePath>,
    /// Whether this very path can be changed.
    pub(crate) may_change: &'a dyn Fn(&AbsolutePath) -> bool,
}

impl Closed {
    /// The region of a deny rule.
    pub(crate) fn new(
        pattern: &PathPattern,
        writable: &Writable<'_>,
        parameters: &mut Parameters,
    ) -> Result<Self, ProfileError> {
        match pattern {
            PathPattern::Subtree(root) => Ok(Self {
                filters: subtree(root, parameters),
                pins: writable.pinned_ancestors(root.parent(), parameters),
                loose_pins: Vec::new(),
            }),
            PathPattern::Glob(pattern) => Self::of_glob(pattern, writable, parameters),
        }
    }

    fn of_glob(
        pattern: &Glob,
        writable: &Writable<'_>,
        parameters: &mut Parameters,
    ) -> Result<Self, ProfileError> {
        let prefix = pattern.static_prefix();
        let pins = writable.pinned_ancestors(Some(prefix.clone()), parameters);
        let mut closed = Self {
            filters: Vec::new(),
            pins,
            loose_pins: Vec::new(),
        };
        closed.add(&pattern.tokens(), pattern)?;
        if !glob::matches_own_text(pattern) {
            closed
                .filters
                .extend(subtree(pattern.literal(), parameters));
            let ancestors = writable.pinned_ancestors(pattern.literal().parent(), parameters);
            closed.pins.extend(ancestors);
        }
        for tokens in carried(pattern, writable) {
            closed.add(&tokens, pattern)?;
        }
        Ok(closed)
    }

    /// Adds the region and the pins of a token sequence.
    fn add(&mut self, tokens: &[GlobToken], pattern: &Glob) -> Result<(), ProfileError> {
        self.filters.push(Filter::Regex(glob::regex(
            tokens,
            Coverage::Regions,
            Case::Folded,
            pattern,
        )?));
        for passage in passages(tokens) {
            let regex = Filter::Regex(glob::regex(
                &passage.tokens,
                Coverage::Matches,
                Case::Folded,
                pattern,
            )?);
            match passage.name {
                Name::Fixed => self.pins.push(regex),
                Name::Wild => self.loose_pins.push(regex.of_type(VnodeType::Directory)),
            }
        }
        Ok(())
    }

    /// Lets `exceptions` out of the region. The pins stay.
    pub(crate) fn except(mut self, exceptions: &[Filter]) -> Self {
        let filters = self.filters.into_iter();
        self.filters = filters
            .map(|filter| filter.except(exceptions.to_vec()))
            .collect();
        self
    }
}

impl Writable<'_> {
    /// Filters for those of `lowest` and its ancestors that the command could rename.
    fn pinned_ancestors(
        &self,
        lowest: Option<AbsolutePath>,
        parameters: &mut Parameters,
    ) -> Vec<Filter> {
        let Some(lowest) = lowest else {
            return Vec::new();
        };
        let ancestors = lowest
            .ancestors()
            .filter(|path| path.depth() > 0 && (self.may_change)(path));
        ancestors
            .flat_map(|path| {
                [
                    parameters.literal(&path),
                    fold::filter(&path, Coverage::Matches),
                ]
            })
            .collect()
    }
}

/// A filter for what a pattern of an *allow* matches: these very paths, not what lies below them.
pub(crate) fn matches(pattern: &Glob) -> Result<Filter, ProfileError> {
    Ok(Filter::Regex(glob::regex(
        &pattern.tokens(),
        Coverage::Matches,
        Case::Exact,
        pattern,
    )?))
}

/// Filters for a closed path and everything below it. `/` has no other spelling.
fn subtree(root: &AbsolutePath, parameters: &mut Parameters) -> Vec<Filter> {
    let mut filters = vec![parameters.subpath(root)];
    if root.depth() > 0 {
        filters.push(fold::filter(root, Coverage::Regions));
    }
    filters
}

/// The root directory alone: with its name closed, the dynamic linker aborts before `main`.
pub(crate) fn root_directory() -> Filter {
    Filter::Literal(PathTerm::Fixed("/"))
}

/// A directory that a pattern passes through on its way to a match.
struct Passage {
    tokens: Vec<GlobToken>,
    name: Name,
}

/// Whether the pattern spells the directory's name.
#[derive(Clone, Copy)]
enum Name {
    Fixed,
    Wild,
}

/// The directories between the pattern's fixed beginning and its matches.
fn passages(tokens: &[GlobToken]) -> Vec<Passage> {
    let mut found = Vec::new();
    let mut before: Vec<GlobToken> = Vec::new();
    let mut name = Name::Fixed;
    let mut is_fixed_beginning = true;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            GlobToken::Literal(bytes) => {
                for (end, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                    let (part, _) = bytes.split_at(end);
                    if !is_fixed_beginning {
                        let mut tokens = before.clone();
                        tokens.push(GlobToken::Literal(part.into()));
                        found.push(Passage { tokens, name });
                    }
                    name = Name::Fixed;
                }
            }
            GlobToken::AnyCharacter | GlobToken::Run | GlobToken::Set(_) => name = Name::Wild,
            // What ends in `**` covers everything further down by itself.
            GlobToken::Anything if index + 1 == tokens.len() => {}
            GlobToken::Anything => {
                name = Name::Wild;
                let mut tokens = before.clone();
                tokens.push(token.clone());
                found.push(Passage { tokens, name });
            }
            GlobToken::Directories => name = Name::Fixed,
        }
        is_fixed_beginning &= matches!(token, GlobToken::Literal(_));
        before.push(token.clone());
    }
    found
}

/// The pattern's part from `**/` on, in every directory that its matches could be carried to.
fn carried(pattern: &Glob, writable: &Writable<'_>) -> Vec<Vec<GlobToken>> {
    let tokens = pattern.tokens();
    let Some(start) = tokens
        .iter()
        .position(|token| *token == GlobToken::Directories)
    else {
        return Vec::new();
    };
    let (before, tail) = tokens.split_at(start);
    let prefix = pattern.static_prefix();
    let is_within_reach = writable
        .roots
        .iter()
        .any(|root| root.is_within(prefix) || prefix.is_within(root));
    // `**/*` closes every directory on the way as well, so none of them can be renamed.
    let closes_everything = matches!(tail, [_, GlobToken::Run | GlobToken::Anything]);
    if !is_within_reach || closes_everything {
        return Vec::new();
    }
    let is_plain = before
        .iter()
        .all(|token| matches!(token, GlobToken::Literal(_)));
    let targets = writable
        .roots
        .iter()
        .filter(|root| !(is_plain && root.is_within(prefix)));
    targets
        .map(|root| {
            let mut beginning = root.as_bytes().to_vec();
            if beginning.last() != Some(&b'/') {
                beginning.push(b'/');
            }
            let mut tokens = vec![GlobToken::Literal(beginning.into())];
            tokens.extend_from_slice(tail);
            tokens
        })
        .collect()
}
