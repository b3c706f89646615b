//! Rules that are globs.
//!
//! The two commonest shapes, `**/name` and `**/*.extension`, are looked up by the names of the path
//! in question, whatever their number; the others are run over the path one by one.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::automaton::{Automaton, State};
use super::events::Events;
use super::table::Table;
use crate::pattern::{Glob, GlobToken};

/// The globs of a policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    /// `**/name`, by name.
    names: Table,
    /// `**/*.extension`, by extension (with the dot).
    extensions: Table,
    /// All directories of the two, each with `/` at its end; the tables have their places here.
    directories: Vec<Box<[u8]>>,
    places: HashMap<Box<[u8]>, u32, RandomState>,
    others: Vec<(Automaton, Effects)>,
    /// The directories of those in the tables that close something for writing.
    write_closed: HashSet<u32, RandomState>,
    /// Whether a glob opens what it matches for writing.
    opens_writes: bool,
}

/// What a glob does where it matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    /// From there on.
    pub(super) region: Events,
    /// At this very path.
    pub(super) itself: Events,
}

/// Whether a glob matches the path that it spells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Matches,
    /// As that of `[ab]`, which matches `a` and `b`; or it is not known.
    IsAnother,
}

/// The glob has too many steps.
#[derive(Debug)]
pub(super) struct TooLong;

fn place(index: usize) -> Result<u32, TooLong> {
    u32::try_from(index).map_err(|_many| TooLong)
}

/// What matched, by depth.
#[derive(Debug, Default)]
pub(super) struct Matches(Vec<(usize, Effects)>);

impl Patterns {
    /// Adds a rule.
    pub(super) fn add(&mut self, glob: &Glob, effects: Effects) -> Result<Spelling, TooLong> {
        self.opens_writes |= effects.itself.root.is_some();
        if let Some((directory, name)) = glob.floating_name() {
            let directory = self.directory(directory)?;
            self.note_closed(directory, effects);
            let added = self.names.add(name, directory, effects);
            return added.map(|()| Spelling::Matches).map_err(|_full| TooLong);
        }
        match &*glob.tokens() {
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
                let directory = self.directory(directory)?;
                self.note_closed(directory, effects);
                (self.extensions.add(end, directory, effects)).map_err(|_full| TooLong)?;
                Ok(Spelling::Matches)
            }
            _ => {
                let automaton = Automaton::new(glob).ok_or(TooLong)?;
                self.others.push((automaton, effects));
                Ok(Spelling::IsAnother)
            }
        }
    }

    fn note_closed(&mut self, directory: u32, effects: Effects) {
        if effects.region.denies_write {
            self.write_closed.insert(directory);
        }
    }

    /// The place of a directory, which is mostly the one before.
    fn directory(&mut self, directory: &[u8]) -> Result<u32, TooLong> {
        if self
            .directories
            .last()
            .is_some_and(|last| **last == *directory)
        {
            return place(self.directories.len() - 1);
        }
        if let Some(known) = self.places.get(directory) {
            return Ok(*known);
        }
        let new = place(self.directories.len())?;
        self.places.insert(directory.into(), new);
        self.directories.push(directory.into());
        Ok(new)
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
        let mut take = |table: &Table, text: &[u8]| {
            for (directory, effects) in table.get(text) {
                let directory = usize::try_from(directory).ok();
                let directory = directory.and_then(|at| self.directories.get(at));
                if directory.is_some_and(|directory| before.starts_with(directory)) {
                    matches.0.push((depth, effects));
                }
            }
        };
        if !self.names.is_empty() {
            take(&self.names, name);
        }
        if !self.extensions.is_empty() {
            let dots = name.iter().enumerate().filter(|(_, byte)| **byte == b'.');
            for (dot, _) in dots {
                take(&self.extensions, name.get(dot..).unwrap_or_default());
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

    /// Whether any glob closes something for writing.
    pub(super) fn close_writes(&self) -> bool {
        let mut others = self.others.iter();
        !self.write_closed.is_empty() || others.any(|(_, effects)| effects.region.denies_write)
    }

    /// Whether all that the globs close for writing below one directory they close below the other too.
    pub(super) fn close_all(&self, one: &[u8], other: &[u8]) -> bool {
        let is_held_by_both = |directory: &u32| {
            let directory = usize::try_from(*directory).ok();
            let directory = directory.and_then(|at| self.directories.get(at));
            directory.is_some_and(|directory| !holds(directory, one) || holds(directory, other))
        };
        let mut closing = self
            .others
            .iter()
            .filter(|(_, effects)| effects.region.denies_write);
        self.write_closed.iter().all(is_held_by_both)
            && closing.all(|(automaton, _)| {
                // Above the glob's own directory all is another matter.
                let other = automaton.behind(other).unwrap_or(State::DEAD);
                automaton
                    .behind(one)
                    .is_some_and(|one| one.is_within(other))
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
}

/// Whether a path is this directory (given with `/` at its end) or lies in it.
fn holds(directory: &[u8], path: &[u8]) -> bool {
    path.starts_with(directory) || directory.strip_suffix(b"/") == Some(path)
}
