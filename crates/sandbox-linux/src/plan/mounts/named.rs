//! Which of thousands of rules name any of a few places, without asking every rule about every place.

use std::{cell::LazyCell, collections::HashSet};

use foldhash::fast::RandomState;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, Glob, PathPattern, PathRule};

use super::regions::FEW;
use crate::facts::HostFacts;

/// The paths of the facts, arranged for thousands of rules that mostly name none of them.
pub(super) struct Known<'f> {
    paths: Texts<'f>,
    directories: Texts<'f>,
}

/// Some of thousands of paths.
pub(super) type Texts<'f> = HashSet<&'f [u8], RandomState>;

impl<'f> Known<'f> {
    pub(super) fn new(facts: &'f HostFacts) -> Self {
        let paths = || facts.paths.keys().map(AbsolutePath::as_bytes);
        Self {
            paths: paths().collect(),
            directories: paths().map(directory).collect(),
        }
    }

    /// The known paths that literal rules name.
    pub(super) fn named_by<'r>(
        &self,
        rules: impl Iterator<Item = &'r PathRule>,
    ) -> impl Iterator<Item = &'r AbsolutePath> {
        let mut knows = self.asker();
        rules
            .filter_map(literal)
            .filter(move |path| knows(path.as_bytes()))
    }

    /// Tells whether a path is known. Neighbours in a list are mostly neighbours in the tree.
    fn asker<'r>(&self) -> impl FnMut(&'r [u8]) -> bool {
        let mut latest: Option<(&[u8], bool)> = None;
        move |path| {
            let directory = directory(path);
            let is_near = match latest {
                Some((latest, is_near)) if latest == directory => is_near,
                _ => self.directories.contains(directory),
            };
            latest = Some((directory, is_near));
            is_near && self.paths.contains(path)
        }
    }
}

/// The part of a clean path before its name.
fn directory(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    path.get(..slash.unwrap_or(0)).unwrap_or(path)
}

/// The rules that say something about any of these places: of thousands mostly a few. Write roots in
/// others (`inner`, by their places in the list) count only where one of the places lies in them.
pub(in crate::plan) fn about<'p>(
    policy: &'p FilesystemPolicy,
    places: &[AbsolutePath],
    inner: &[usize],
) -> FilesystemPolicy {
    if inner.is_empty() && policy.deny_read.len().max(policy.deny_write.len()) <= FEW {
        return policy.clone();
    }
    let FilesystemPolicy {
        deny_read,
        allow_read,
        allow_write,
        deny_write,
        scratch,
        protected,
    } = policy;
    let mut paths = Texts::default();
    for place in places {
        // What is above a known path is known.
        let _above = place.byte_ancestors().find(|path| !paths.insert(*path));
    }
    let known = Known {
        directories: paths.iter().copied().map(directory).collect(),
        paths,
    };
    let tails = LazyCell::new(|| Tails::new(known.paths.iter().copied()));
    // Few paths have something in them that would be special in a pattern.
    let spelled = known.paths.iter().copied();
    let spelled: Texts<'_> = spelled.filter(|path| looks_special(path)).collect();
    let mut knows = known.asker();
    let mut concerns = |pattern: &'p PathPattern| match pattern {
        PathPattern::Subtree(path) => knows(path.as_bytes()),
        PathPattern::Glob(glob) => {
            let matches = || {
                let mut places = places.iter();
                places.any(|place| may_match(glob, place) && pattern.region(place).is_some())
            };
            let is_spelled = || spelled.contains(glob.literal().as_bytes());
            (!spelled.is_empty() && is_spelled()) || (tails.may_end(glob) && matches())
        }
    };
    let roots = allow_write.iter().enumerate();
    let mut inner = inner.iter().peekable();
    let allow_write = roots.filter(|(index, root)| {
        let is_inner = inner.next_if_eq(&index).is_some();
        let holds = |root: &AbsolutePath| known.paths.contains(root.as_bytes());
        !is_inner || literal(&root.rule).is_none_or(holds)
    });
    let allow_write = allow_write.map(|(_, root)| root.clone()).collect();
    FilesystemPolicy {
        deny_read: (deny_read.iter())
            .filter(|deny| concerns(&deny.rule.pattern))
            .cloned()
            .collect(),
        allow_read: allow_read.clone(),
        allow_write,
        deny_write: (deny_write.iter())
            .filter(|rule| concerns(&rule.pattern))
            .cloned()
            .collect(),
        scratch: scratch.clone(),
        protected: protected.clone(),
    }
}

/// Whether a path could be the spelling of a glob.
fn looks_special(path: &[u8]) -> bool {
    path.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// How places and what is above them end, to pass over globs that end otherwise.
struct Tails<'p> {
    texts: Texts<'p>,
    /// By the last bytes: whether there is one. It spares most globs the rest.
    last: [bool; 256],
}

impl<'p> Tails<'p> {
    /// Longer ends are not compared here.
    const LONGEST: usize = 4;

    fn new(texts: impl Iterator<Item = &'p [u8]>) -> Self {
        let tails =
            texts.flat_map(|text| (1..=Self::LONGEST).map(move |length| tail(text, length)));
        let texts: Texts<'p> = tails.collect();
        let mut last = [false; 256];
        for byte in texts.iter().filter_map(|text| text.last()).chain(b"*?[]") {
            if let Some(is_last) = last.get_mut(usize::from(*byte)) {
                *is_last = true;
            }
        }
        Self { texts, last }
    }

    fn may_end(&self, glob: &Glob) -> bool {
        let last = glob.literal().as_bytes().last().copied();
        if last.is_none_or(|last| self.last.get(usize::from(last)) != Some(&true)) {
            return false;
        }
        match glob.end() {
            [] => true,
            end => self.texts.contains(tail(end, Self::LONGEST)),
        }
    }
}

/// The last bytes, as many as there are.
fn tail(text: &[u8], length: usize) -> &[u8] {
    text.get(text.len().saturating_sub(length)..)
        .unwrap_or(text)
}

/// Whether it is worth while to ask a glob about a path.
fn may_match(glob: &Glob, path: &AbsolutePath) -> bool {
    if path.is_within(glob.literal()) {
        return true;
    }
    if !path.is_within(glob.static_prefix()) {
        return false;
    }
    path.byte_ancestors().any(|path| path.ends_with(glob.end()))
}

fn literal(rule: &PathRule) -> Option<&AbsolutePath> {
    match &rule.pattern {
        PathPattern::Subtree(path) => Some(path),
        PathPattern::Glob(_) => None,
    }
}
