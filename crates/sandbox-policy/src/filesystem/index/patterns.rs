//! Rules that are globs.
//!
//! The two commonest shapes, `**/name` and `**/*.extension`, are looked up by the names of the path
//! in question, whatever their number; the others are run over the path one by one.

use std::collections::{BTreeSet, HashMap};

use super::automaton::Automaton;
use super::events::Events;
use crate::pattern::{Glob, GlobToken};

/// The globs of a policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    /// `**/name`, by name.
    names: HashMap<Box<[u8]>, Vec<Floating>>,
    /// `**/*.extension`, by extension (with the dot).
    extensions: HashMap<Box<[u8]>, Vec<Floating>>,
    /// All directories of the two, each with `/` at its end.
    directories: BTreeSet<Box<[u8]>>,
    others: Vec<(Automaton, Effects)>,
    /// Whether a glob opens what it matches for writing.
    opens_writes: bool,
}

/// What a glob does where it matches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effects {
    /// From there on.
    pub(super) region: Events,
    /// At this very path.
    pub(super) itself: Events,
}

/// A glob that matches at any depth below a directory.
#[derive(Clone, Debug)]
struct Floating {
    /// With `/` at its end.
    directory: Box<[u8]>,
    effects: Effects,
}

/// The glob has too many steps.
#[derive(Debug)]
pub(super) struct TooLong;

/// What matched, by depth.
#[derive(Debug, Default)]
pub(super) struct Matches(Vec<(usize, Effects)>);

impl Patterns {
    /// Adds a rule.
    pub(super) fn add(&mut self, glob: &Glob, effects: Effects) -> Result<(), TooLong> {
        self.opens_writes |= effects.itself.root.is_some();
        let floating = |directory: &[u8]| Floating {
            directory: directory.into(),
            effects,
        };
        match glob.tokens() {
            [
                GlobToken::Literal(directory),
                GlobToken::Directories,
                GlobToken::Literal(name),
            ] if directory.ends_with(b"/") && !name.contains(&b'/') => {
                self.directories.insert(directory.clone());
                let entry = self.names.entry(name.clone()).or_default();
                entry.push(floating(directory));
            }
            // Only ASCII: a piece of a name then never begins inside of a character.
            [
                GlobToken::Literal(directory),
                GlobToken::Directories,
                GlobToken::Run,
                GlobToken::Literal(end),
            ] if directory.ends_with(b"/")
                && end.starts_with(b".")
                && end.is_ascii()
                && !end.contains(&b'/') =>
            {
                self.directories.insert(directory.clone());
                let entry = self.extensions.entry(end.clone()).or_default();
                entry.push(floating(directory));
            }
            _ => {
                let automaton = Automaton::new(glob).ok_or(TooLong)?;
                self.others.push((automaton, effects));
            }
        }
        Ok(())
    }

    /// Whether a glob opens what it matches for writing.
    pub(super) fn opens_writes(&self) -> bool {
        self.opens_writes
    }

    /// Looks at one name of the path, which begins at `start` and is `depth` levels deep.
    pub(super) fn look_up(
        &self,
        path: &[u8],
        start: usize,
        name: &[u8],
        depth: usize,
        matches: &mut Matches,
    ) {
        let before = path.get(..start).unwrap_or_default();
        if !self.names.is_empty()
            && let Some(found) = self.names.get(name)
        {
            matches.extend(depth, before, found);
        }
        if !self.extensions.is_empty() {
            let dots = name.iter().enumerate().filter(|(_, byte)| **byte == b'.');
            for (dot, _) in dots {
                if let Some(found) = name.get(dot..).and_then(|end| self.extensions.get(end)) {
                    matches.extend(depth, before, found);
                }
            }
        }
    }

    /// Runs what can't be looked up.
    pub(super) fn run(&self, path: &[u8], matches: &mut Matches) {
        for (automaton, effects) in &self.others {
            automaton.matches(path, |depth| matches.0.push((depth, *effects)));
        }
    }

    /// Whether the globs match the same paths below both directories.
    pub(super) fn agree_below(&self, one: &[u8], other: &[u8]) -> bool {
        self.directories_agree(one, other)
            && self.others.iter().all(|(automaton, _)| {
                let states = (automaton.behind(one), automaton.behind(other));
                matches!(states, (Some(one), Some(other)) if one == other)
            })
    }

    fn directories_agree(&self, one: &[u8], other: &[u8]) -> bool {
        self.directories
            .iter()
            .all(|own| holds(own, one) == holds(own, other))
    }
}

impl Matches {
    /// What happens at a directory of this depth; `whole` if it is the path in question itself.
    pub(super) fn events(&self, depth: usize, whole: bool) -> Events {
        let here = self.0.iter().filter(|(found, _)| *found == depth);
        here.fold(Events::default(), |events, (_, effects)| {
            let events = events.and(effects.region);
            if whole {
                events.and(effects.itself)
            } else {
                events
            }
        })
    }

    fn extend(&mut self, depth: usize, before: &[u8], found: &[Floating]) {
        let matching = found
            .iter()
            .filter(|floating| before.starts_with(&floating.directory));
        self.0
            .extend(matching.map(|floating| (depth, floating.effects)));
    }
}

/// Whether a path is this directory (given with `/` at its end) or lies in it.
fn holds(directory: &[u8], path: &[u8]) -> bool {
    path.starts_with(directory) || directory.strip_suffix(b"/") == Some(path)
}
