//! Which files may be read and written.
//!
//! Reads are open: `deny_read` closes regions, `allow_read` re-opens inside them, and the more
//! specific rule wins (the depth of the region's root decides; on a tie the allow wins, as it names
//! the very same object; a glob that matches at several depths of a path closes a region at each). A write root is readable: an `allow_write` rule counts as an `allow_read`
//! rule too. Writes are closed: `allow_write` opens, `deny_write` always wins, and what can't be
//! read can't be written.
//!
//! Scratch directories are private to the sandbox: what the host has there is hidden, except for
//! paths that `allow_read` or `allow_write` name inside them.
//!
//! Below a write root the places of the [`Protection`] stay closed for writing, unless the root is
//! such a place itself or lies in one. Scratch directories have none: nobody outside sees them.

mod index;
mod list;

pub use index::FileJudge;
pub use list::RuleList;

use crate::origin::Origin;
use crate::path::AbsolutePath;
use crate::pattern::PathPattern;
use crate::protected::{ProtectedPlace, Protection};
use crate::text::shown;
use crate::verdict::{Denial, DenialReason};

/// One path rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// What it names.
    pub pattern: PathPattern,
    /// Where it was written.
    pub origin: Origin,
}

/// Identifies the settings layer (or program) that an allow and a deny share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerId(pub u16);

/// Who may re-open a closed region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmness {
    /// A default (a preset): any `allow_read` may.
    Default,
    /// Only an `allow_read` of the same layer: denies of any layer stand against the others.
    Layer(LayerId),
    /// Nothing.
    Final,
}

/// Closes a region for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadDeny {
    /// The rule.
    pub rule: PathRule,
    /// Who may re-open it.
    pub firmness: Firmness,
}

/// Re-opens for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAllow {
    /// The rule.
    pub rule: PathRule,
    /// The layer that it speaks for.
    pub layer: LayerId,
}

/// The file half of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesystemPolicy {
    /// Closed regions.
    pub deny_read: RuleList<ReadDeny>,
    /// Re-opened ones.
    pub allow_read: Vec<ReadAllow>,
    /// Write roots; they count as `allow_read` of the same layer.
    pub allow_write: Vec<ReadAllow>,
    /// What stays closed for writing.
    pub deny_write: RuleList<PathRule>,
    /// Private writable directories (`/tmp`, …): empty at the start, gone at exit.
    pub scratch: Vec<PathRule>,
    /// What stays closed below the write roots.
    pub protected: Protection,
}

/// The answer for one path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum FileVerdict<'p> {
    /// Permitted, by this rule; `None` where the default (reads are open) decided.
    Allow(Option<&'p PathRule>),
    /// Refused.
    Deny(Denial),
}

impl FilesystemPolicy {
    /// May this path be read?
    pub fn judge_read(&self, path: &AbsolutePath) -> FileVerdict<'_> {
        let openings = self.read_openings(path);
        let mut standing: Option<(usize, &PathRule)> = None;
        let mut reopened = false;
        for deny in &self.deny_read {
            let Some(depth) = deny.rule.pattern.innermost_region(path) else {
                continue;
            };
            if openings
                .iter()
                .any(|opening| opening.reopens(deny.firmness, depth))
            {
                reopened = true;
            } else if standing.is_none_or(|(deepest, _)| depth > deepest) {
                standing = Some((depth, &deny.rule));
            }
        }
        match standing {
            Some((_, rule)) => deny(DenialReason::ReadDenied, path, rule),
            None if reopened => FileVerdict::Allow(deepest(&openings).map(|opening| opening.rule)),
            None => FileVerdict::Allow(None),
        }
    }

    /// May this path be created, changed or removed?
    pub fn judge_write(&self, path: &AbsolutePath) -> FileVerdict<'_> {
        self.judge_change(path, |_, _| true)
    }

    /// May something be changed through a symlink at this path? Not where a path that closes for writing, or
    /// the table of protected paths, names the link itself: what it leads to stands for it. A pattern is
    /// about names, and what another name means is judged by that.
    pub fn judge_through(&self, link: &AbsolutePath) -> FileVerdict<'_> {
        let names =
            |rule: &&PathRule| matches!(&rule.pattern, PathPattern::Subtree(path) if path == link);
        if let Some(rule) = self.deny_write.iter().find(names) {
            return deny(DenialReason::WriteDenied, link, rule);
        }
        match self.protection(link, &self.write_openings(link), |_, _| true) {
            Some(denial) => FileVerdict::Deny(denial),
            None => FileVerdict::Allow(None),
        }
    }

    /// Denies writing a path where a write root would permit it. Elsewhere a rule would only be in the way
    /// of the backends, and in scratch directories it is not the host's file that is written.
    pub fn guard(&mut self, path: &AbsolutePath, origin: Origin) {
        // Thousands of rules need not be asked about what no rule opens.
        let mut roots = self.allow_write.iter();
        if !roots.any(|root| root.rule.pattern.opens(path).is_some()) {
            return;
        }
        let scratch = std::mem::take(&mut self.scratch);
        if self.judge_write(path).is_allowed() {
            let pattern = PathPattern::Subtree(path.clone());
            self.deny_write.push(PathRule { pattern, origin });
        }
        self.scratch = scratch;
    }

    /// Denies writing a path, whether or not a write root would permit it: nobody has to know then where thousands
    /// of roots lead.
    pub fn guard_anyway(&mut self, path: &AbsolutePath, origin: Origin) {
        let pattern = PathPattern::Subtree(path.clone());
        self.deny_write.push(PathRule { pattern, origin });
    }

    /// Denies putting something else in the place of a symlink, where a write root would permit it. What the
    /// link leads to is judged by its own name, other than by [`Self::guard`].
    pub fn guard_link(&mut self, link: &AbsolutePath, origin: Origin) {
        let is_inside = |root: &ReadAllow| match &root.rule.pattern {
            // A root that the link leads to does not hold the link.
            PathPattern::Subtree(root) => link.is_within(root) && link != root,
            pattern @ PathPattern::Glob(_) => pattern.opens(link).is_some(),
        };
        if !self.allow_write.iter().any(is_inside) {
            return;
        }
        let scratch = std::mem::take(&mut self.scratch);
        if self.judge_write(link).is_allowed() {
            let pattern = PathPattern::name_at(link);
            self.deny_write.push(PathRule { pattern, origin });
        }
        self.scratch = scratch;
    }

    /// May this path be removed, other than to put something in its place? As `judge_write`, but
    /// what is protected in a git repository inside the write root may go: who may remove the
    /// repository has to empty it first.
    pub fn judge_remove(&self, path: &AbsolutePath) -> FileVerdict<'_> {
        self.judge_change(path, |place, root| {
            let nested = place.start > root;
            !(nested && place.row.group.is_removable_when_nested())
        })
    }

    /// `holds` tells which protected places count, given the depth of the write root.
    fn judge_change(
        &self,
        path: &AbsolutePath,
        holds: impl Fn(&ProtectedPlace, usize) -> bool,
    ) -> FileVerdict<'_> {
        let mut standing: Option<(usize, &PathRule)> = None;
        for rule in &self.deny_write {
            if let Some(depth) = rule.pattern.innermost_region(path)
                && standing.is_none_or(|(deepest, _)| depth > deepest)
            {
                standing = Some((depth, rule));
            }
        }
        if let Some((_, rule)) = standing {
            return deny(DenialReason::WriteDenied, path, rule);
        }
        if let denied @ FileVerdict::Deny(_) = self.judge_read(path) {
            return denied;
        }
        let roots = self.write_openings(path);
        let Some(root) = deepest(&roots) else {
            let reason = DenialReason::WriteNotAllowed;
            return FileVerdict::Deny(Denial::by_default(reason, shown(path.as_bytes())));
        };
        match self.protection(path, &roots, holds) {
            Some(denial) => FileVerdict::Deny(denial),
            None => FileVerdict::Allow(Some(root.rule)),
        }
    }

    /// The refusal by the table, below the deepest of these openings.
    fn protection(
        &self,
        path: &AbsolutePath,
        roots: &[Opening<'_>],
        holds: impl Fn(&ProtectedPlace, usize) -> bool,
    ) -> Option<Denial> {
        let root = deepest(roots)?.depth;
        let mut deepest = roots.iter().filter(|other| other.depth == root);
        if !deepest.any(|other| other.speaker.needs_protection()) {
            return None;
        }
        let place = (self.protected).place(path, root, |place| holds(place, root))?;
        Some(Denial::by_protection(shown(path.as_bytes()), place.row))
    }

    /// Whether a private directory is shown at a path, and not the host's own: what a path of an allow opens
    /// in one is, and a write root that is one. A glob shows nothing of the host's there.
    #[must_use]
    pub fn is_private(&self, path: &AbsolutePath) -> bool {
        let allowed = |allows: &[ReadAllow]| {
            let depths = allows.iter().map(|allow| literal_depth(&allow.rule, path));
            depths.max().flatten()
        };
        let scratch = self.scratch.iter().map(|rule| literal_depth(rule, path));
        let scratch = scratch.max().flatten();
        scratch.is_some()
            && scratch > allowed(&self.allow_write)
            && scratch >= allowed(&self.allow_read)
    }

    fn write_openings(&self, path: &AbsolutePath) -> Vec<Opening<'_>> {
        openings(&self.allow_write, path)
            .chain(self.scratch_openings(path))
            .collect()
    }

    fn read_openings(&self, path: &AbsolutePath) -> Vec<Opening<'_>> {
        openings(&self.allow_read, path)
            .chain(openings(&self.allow_write, path))
            .chain(self.scratch_openings(path))
            .collect()
    }

    /// What private directories open: nothing of what the host has there.
    fn scratch_openings(&self, path: &AbsolutePath) -> impl Iterator<Item = Opening<'_>> {
        let is_private = self.is_private(path);
        let rules = self.scratch.iter().filter(move |_| is_private);
        rules.filter_map(|rule| {
            let depth = literal_depth(rule, path)?;
            Some(Opening {
                depth,
                speaker: Speaker::Scratch,
                rule,
            })
        })
    }
}

impl FileVerdict<'_> {
    /// Whether the answer is yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        match self {
            Self::Allow(_) => true,
            Self::Deny(_) => false,
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Allow(_) => None,
            Self::Deny(denial) => Some(denial),
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub fn into_denial(self) -> Option<Denial> {
        match self {
            Self::Allow(_) => None,
            Self::Deny(denial) => Some(denial),
        }
    }
}

impl LayerId {
    /// What a host program adds through the library.
    pub const PROGRAM: Self = Self(u16::MAX);
    /// The allows of presets: a layer of their own, so that they re-open no layer's denies.
    pub const PRESET: Self = Self(u16::MAX - 1);
    /// Write roots that stand for private directories where a backend can't make any: as in those,
    /// nothing is protected in them.
    pub const TEMPORARY: Self = Self(u16::MAX - 2);
}

/// An allow that covers the path in question.
struct Opening<'p> {
    depth: usize,
    speaker: Speaker,
    rule: &'p PathRule,
}

/// On whose behalf a path is opened.
enum Speaker {
    Layer(LayerId),
    /// A private directory: nothing of the host is shown there.
    Scratch,
}

impl Speaker {
    /// Whether the host sees what is written there, and obeys it.
    fn needs_protection(&self) -> bool {
        match self {
            Self::Layer(layer) => *layer != LayerId::TEMPORARY,
            Self::Scratch => false,
        }
    }
}

impl Opening<'_> {
    /// Whether it re-opens what a deny of this firmness closed at this depth.
    fn reopens(&self, firmness: Firmness, depth: usize) -> bool {
        let may = match (firmness, &self.speaker) {
            (Firmness::Default, _) | (Firmness::Layer(_), Speaker::Scratch) => true,
            (Firmness::Layer(layer), Speaker::Layer(speaker)) => layer == *speaker,
            (Firmness::Final, _) => false,
        };
        may && self.depth >= depth
    }
}

fn openings<'p>(allows: &'p [ReadAllow], path: &AbsolutePath) -> impl Iterator<Item = Opening<'p>> {
    allows.iter().filter_map(|allow| {
        let depth = allow.rule.pattern.opens(path)?;
        Some(Opening {
            depth,
            speaker: Speaker::Layer(allow.layer),
            rule: &allow.rule,
        })
    })
}

/// How deep the path lies that covers another one; none for a glob.
fn literal_depth(rule: &PathRule, path: &AbsolutePath) -> Option<usize> {
    match &rule.pattern {
        PathPattern::Subtree(_) => rule.pattern.opens(path),
        PathPattern::Glob(_) => None,
    }
}

/// The deepest opening; of equals the first.
fn deepest<'o, 'p>(openings: &'o [Opening<'p>]) -> Option<&'o Opening<'p>> {
    let depth = openings.iter().map(|opening| opening.depth).max()?;
    openings.iter().find(|opening| opening.depth == depth)
}

fn deny(reason: DenialReason, path: &AbsolutePath, rule: &PathRule) -> FileVerdict<'static> {
    FileVerdict::Deny(Denial::by_path_rule(reason, shown(path.as_bytes()), rule))
}
