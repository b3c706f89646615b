//! What places are, asked of thousands of rules about as many places.

use sandbox_policy::{AbsolutePath, FileJudge, FilesystemPolicy, PathPattern, ReadAllow};

use super::named::Texts;

/// What a path and everything below it is, up to the next path that a rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Region {
    Hidden,
    ReadOnly,
    Writable,
    Scratch,
}

/// A policy, ready for questions.
pub(in crate::plan) struct Regions<'p> {
    policy: &'p FilesystemPolicy,
    /// Where there are so many rules that compiling them takes less time than asking each.
    judge: Option<FileJudge>,
    scratch: Openings<'p>,
    allow_read: Openings<'p>,
    allow_write: Openings<'p>,
}

impl<'p> Regions<'p> {
    pub(in crate::plan) fn new(policy: &'p FilesystemPolicy) -> Self {
        let FilesystemPolicy {
            deny_read,
            allow_read,
            allow_write,
            deny_write,
            scratch,
            protected: _,
        } = policy;
        let rules = [
            deny_read.len(),
            allow_read.len(),
            allow_write.len(),
            deny_write.len(),
        ];
        let is_long = rules.iter().any(|rules| *rules > FEW);
        Self {
            policy,
            judge: is_long.then(|| FileJudge::new(policy)),
            scratch: Openings::new(scratch.iter().map(|rule| &rule.pattern)),
            allow_read: Openings::of(allow_read),
            allow_write: Openings::of(allow_write),
        }
    }

    /// What a place is.
    pub(in crate::plan) fn of(&self, path: &AbsolutePath) -> Region {
        if !self.may_read(path) {
            return Region::Hidden;
        }
        if self.is_private(path) {
            Region::Scratch
        } else if self.may_write(path) {
            Region::Writable
        } else {
            Region::ReadOnly
        }
    }

    /// As [`FilesystemPolicy::is_private`]: the deepest path says what the place is, a private directory or the
    /// host's own. A write root that is the private directory itself shares the host's.
    fn is_private(&self, path: &AbsolutePath) -> bool {
        let scratch = self.scratch.deepest_literal(path);
        scratch.is_some()
            && scratch > self.allow_write.deepest_literal(path)
            && scratch >= self.allow_read.deepest_literal(path)
    }

    fn may_read(&self, path: &AbsolutePath) -> bool {
        match &self.judge {
            Some(judge) => judge.may_read(path.as_bytes()),
            None => self.policy.judge_read(path).is_allowed(),
        }
    }

    fn may_write(&self, path: &AbsolutePath) -> bool {
        match &self.judge {
            Some(judge) => judge.may_write(path.as_bytes()),
            None => self.policy.judge_write(path).is_allowed(),
        }
    }
}

/// The rules of a list that open something.
pub(super) struct Openings<'p> {
    literal: Texts<'p>,
    others: Vec<&'p PathPattern>,
}

impl<'p> Openings<'p> {
    pub(super) fn of(allows: &'p [ReadAllow]) -> Self {
        Self::new(allows.iter().map(|allow| &allow.rule.pattern))
    }

    fn new(patterns: impl Iterator<Item = &'p PathPattern>) -> Self {
        let mut openings = Self {
            literal: Texts::default(),
            others: Vec::new(),
        };
        for pattern in patterns {
            match pattern {
                PathPattern::Subtree(path) => {
                    openings.literal.insert(path.as_bytes());
                }
                PathPattern::Glob(_) => openings.others.push(pattern),
            }
        }
        openings
    }

    /// The depth of the deepest one that covers a path.
    pub(super) fn deepest(&self, path: &AbsolutePath) -> Option<usize> {
        let others = self.others.iter().filter_map(|pattern| pattern.opens(path));
        others.chain(self.deepest_literal(path)).max()
    }

    fn deepest_literal(&self, path: &AbsolutePath) -> Option<usize> {
        if self.literal.is_empty() {
            return None;
        }
        let above = (0..=path.depth()).rev().zip(path.byte_ancestors());
        let mut named = above.filter(|(_, above)| self.literal.contains(above));
        named.next().map(|(depth, _)| depth)
    }
}

/// Rules of one kind that may as well be asked one by one.
pub(super) const FEW: usize = 64;
