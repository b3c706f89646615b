//! One glob as a state machine that reads a path once, character by character.
//!
//! A state is the set of the steps that may come next; two directories with the same state behind
//! their final `/` have the same future.

use crate::pattern::{Glob, GlobSet, GlobToken, Unit, units};

/// A compiled glob: a directory that every match lies in, and what matches below.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    /// The directory, with `/` at its end.
    prefix: Box<[u8]>,
    steps: Box<[Step]>,
    start: State,
}

/// The steps that may come next, as bits; the bit behind the last step means a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u128);

#[derive(Clone, Debug)]
enum Step {
    /// This one.
    Unit(Unit),
    /// One other than `/`.
    NoSlash,
    /// One of these.
    Set(GlobSet),
    /// Any number other than `/`.
    Run,
    /// Any number.
    Anything,
    /// Before zero or more directories: nothing is read.
    BeforeDirectories,
    /// Inside of them.
    Directories,
}

impl Automaton {
    /// Compiles a glob; `None` if it has too many steps.
    pub(super) fn new(glob: &Glob) -> Option<Self> {
        let tokens = glob.tokens();
        let (GlobToken::Literal(first), tokens) = tokens.split_first()? else {
            return None;
        };
        // Cut behind a separator, so that no character is torn.
        let cut = first.iter().rposition(|byte| *byte == b'/')? + 1;
        let (prefix, rest) = first.split_at(cut);
        let mut steps: Vec<Step> = units(rest).map(Step::Unit).collect();
        for token in tokens {
            match token {
                GlobToken::Literal(bytes) => steps.extend(units(bytes).map(Step::Unit)),
                GlobToken::AnyCharacter => steps.push(Step::NoSlash),
                GlobToken::Run => steps.push(Step::Run),
                GlobToken::Anything => steps.push(Step::Anything),
                GlobToken::Directories => {
                    steps.extend([Step::BeforeDirectories, Step::Directories]);
                }
                GlobToken::Set(set) => steps.push(Step::Set(set.clone())),
            }
        }
        if steps.len() >= 128 {
            return None;
        }
        let mut automaton = Self {
            prefix: prefix.into(),
            steps: steps.into(),
            start: State(1),
        };
        automaton.start = automaton.with_skipped(State(1));
        Some(automaton)
    }

    /// Calls `matched` with the depth of each of the path and its ancestors that matches.
    pub(super) fn matches(&self, path: &[u8], mut matched: impl FnMut(usize)) {
        let Some(rest) = path.strip_prefix(&*self.prefix) else {
            return;
        };
        let mut depth = self.prefix.iter().filter(|byte| **byte == b'/').count() - 1;
        let mut state = self.start;
        // `/w/` is not the name of anything, but `/` is.
        if self.prefix.len() == 1 && self.accepts(state) {
            matched(0);
        }
        if rest.is_empty() {
            return;
        }
        depth += 1;
        for unit in units(rest) {
            if unit == Unit::SLASH {
                if self.accepts(state) {
                    matched(depth);
                }
                depth += 1;
            }
            state = self.next(state, unit);
            if state == State::DEAD {
                return;
            }
        }
        if self.accepts(state) {
            matched(depth);
        }
    }

    /// The state behind a directory and its `/`; `None` if that is above the glob's own directory.
    pub(super) fn behind(&self, directory: &[u8]) -> Option<State> {
        match directory.strip_prefix(self.prefix.strip_suffix(b"/").unwrap_or_default()) {
            Some([]) => Some(self.start),
            Some([b'/', below @ ..]) => {
                let mut state = self.start;
                for unit in units(below).chain([Unit::SLASH]) {
                    state = self.next(state, unit);
                }
                Some(state)
            }
            Some(_) | None if self.lies_below(directory) => None,
            Some(_) | None => Some(State::DEAD),
        }
    }

    fn lies_below(&self, directory: &[u8]) -> bool {
        let rest = self.prefix.strip_prefix(directory);
        rest.is_some_and(|rest| rest.starts_with(b"/"))
    }

    fn accepts(&self, state: State) -> bool {
        state.has(self.steps.len())
    }

    fn next(&self, state: State, unit: Unit) -> State {
        let slash = unit == Unit::SLASH;
        let mut next = State::DEAD;
        for (index, step) in self.steps.iter().enumerate() {
            if !state.has(index) {
                continue;
            }
            let (stays, moves) = match step {
                Step::Unit(own) => (false, *own == unit),
                Step::NoSlash => (false, !slash),
                Step::Set(set) => (false, set.contains_unit(unit)),
                Step::Run => (!slash, false),
                Step::Anything => (true, false),
                Step::BeforeDirectories => (false, false),
                Step::Directories => (true, slash),
            };
            if stays {
                next = next.with(index);
            }
            if moves {
                next = next.with(index + 1);
            }
        }
        self.with_skipped(next)
    }

    /// Adds the steps behind those that may read nothing.
    fn with_skipped(&self, mut state: State) -> State {
        for (index, step) in self.steps.iter().enumerate() {
            if !state.has(index) {
                continue;
            }
            match step {
                Step::Run | Step::Anything => state = state.with(index + 1),
                Step::BeforeDirectories => state = state.with(index + 1).with(index + 2),
                Step::Unit(_) | Step::NoSlash | Step::Set(_) | Step::Directories => {}
            }
        }
        state
    }
}

impl State {
    pub(super) const DEAD: Self = Self(0);

    /// Whether all that may come next in it may come next in another one.
    pub(super) const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    fn has(self, index: usize) -> bool {
        self.0 >> index & 1 == 1
    }

    fn with(self, index: usize) -> Self {
        Self(self.0 | 1 << index)
    }
}
