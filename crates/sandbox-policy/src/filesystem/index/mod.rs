//! The rules compiled for many questions.
//!
//! A question walks down its path once: literal rules and the two commonest shapes of globs are
//! looked up by the path's names, other globs and the protected names are read along. What it costs
//! depends on the path, not on the number of rules.

mod automaton;
mod events;
mod patterns;
mod survey;
mod table;
mod tree;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;

use self::events::{Events, FirmnessSet, LayerBits, RootKind, Whose};
use self::patterns::{Effects, Matches, Patterns, Spelling};
use self::survey::{Root, Survey};
use self::tree::{Node, PathHash, Tree};
use super::{FileVerdict, FilesystemPolicy, PathRule, ReadDeny, RuleList, Speaker};
use crate::path::AbsolutePath;
use crate::pattern::PathPattern;
use crate::protected::{Hit, ProtectedNames, RunState};

/// A [`FilesystemPolicy`] compiled for many questions: the verdicts are the same. Paths are given
/// as bytes, absolute and clean; one that is not clean is never allowed.
#[derive(Clone, Debug)]
pub struct FileJudge {
    rules: Rules,
    closed: Closed,
}

/// The literal paths of denies, sorted for the first question about them.
#[derive(Clone, Debug)]
struct Closed {
    deny_read: RuleList<ReadDeny>,
    deny_write: RuleList<PathRule>,
    sorted: OnceLock<Vec<AbsolutePath>>,
}

#[derive(Clone, Debug)]
enum Rules {
    Compiled(Box<Compiled>),
    /// What is beyond the bounds of the compiled form (a glob of 128 elements, 62 layers).
    Plain(Box<FilesystemPolicy>),
}

#[derive(Clone, Debug)]
struct Compiled {
    tree: Tree,
    patterns: Patterns,
    names: ProtectedNames,
    /// What private directories re-open.
    reopened_in_scratch: FirmnessSet,
}

impl FileJudge {
    /// Compiles a policy.
    #[must_use]
    pub fn new(policy: &FilesystemPolicy) -> Self {
        let rules = Compiled::new(policy).map_or_else(
            || Rules::Plain(Box::new(policy.clone())),
            |compiled| Rules::Compiled(Box::new(compiled)),
        );
        Self {
            rules,
            closed: Closed {
                deny_read: policy.deny_read.clone(),
                deny_write: policy.deny_write.clone(),
                sorted: OnceLock::new(),
            },
        }
    }

    /// The verdict of [`FilesystemPolicy::judge_read`].
    #[must_use]
    pub fn may_read(&self, path: &[u8]) -> bool {
        match &self.rules {
            Rules::Compiled(rules) => rules
                .survey(path, true)
                .is_some_and(|survey| survey.standing.is_empty()),
            Rules::Plain(policy) => asked(path, |path| policy.judge_read(path)),
        }
    }

    /// The verdict of [`FilesystemPolicy::judge_write`].
    #[must_use]
    pub fn may_write(&self, path: &[u8]) -> bool {
        match &self.rules {
            Rules::Compiled(rules) => rules.may_change(path, |hit| hit.write),
            Rules::Plain(policy) => asked(path, |path| policy.judge_write(path)),
        }
    }

    /// The verdict of [`FilesystemPolicy::judge_remove`].
    #[must_use]
    pub fn may_remove(&self, path: &[u8]) -> bool {
        match &self.rules {
            Rules::Compiled(rules) => rules.may_change(path, |hit| hit.remove),
            Rules::Plain(policy) => asked(path, |path| policy.judge_remove(path)),
        }
    }

    /// The verdict of [`FilesystemPolicy::judge_through`].
    #[must_use]
    pub fn may_write_through(&self, link: &[u8]) -> bool {
        match &self.rules {
            Rules::Compiled(rules) => rules.may_write_through(link),
            Rules::Plain(policy) => asked(link, |link| policy.judge_through(link)),
        }
    }

    /// Whether every path below the directory `from` is judged as the same path below `to` is, in
    /// all three respects, so that the directory may be moved there. `false` where that is not
    /// certain. The directories themselves are not judged.
    #[must_use]
    pub fn keeps_verdicts(&self, from: &[u8], to: &[u8]) -> bool {
        if !is_clean(from) || !is_clean(to) {
            return false;
        }
        from == to
            || match &self.rules {
                Rules::Compiled(rules) => rules.keeps_verdicts(from, to),
                Rules::Plain(_) => false,
            }
    }

    /// Whether a symlink may be made at a path. Besides being writable, it must not show another
    /// tree where a rule closes something by its name: what is made through the link would appear
    /// there. Links to stores of packages are no such thing, as less is protected below them.
    #[must_use]
    pub fn may_link(&self, path: &[u8]) -> bool {
        let closes_below = self.closed.has_any_below(path);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let is_store = STORE_NAMES.contains(&name);
        self.may_write(path)
            && !closes_below
            && match &self.rules {
                Rules::Compiled(rules) => is_store || rules.is_plain_below(path, name),
                Rules::Plain(_) => false,
            }
    }

    /// Whether [`Self::may_show`] can say no.
    #[must_use]
    pub fn closes_by_patterns(&self) -> bool {
        match &self.rules {
            Rules::Compiled(rules) => rules.patterns.close_writes(),
            Rules::Plain(_) => true,
        }
    }

    /// Whether a symlink may show what is made at a place: where patterns close something for writing below the
    /// link, they do so below the place as well, or nobody inside can write there.
    #[must_use]
    pub fn may_show(&self, link: &[u8], target: &[u8]) -> bool {
        match &self.rules {
            Rules::Compiled(rules) => {
                rules.patterns.close_all(link, target) || !rules.may_open_below(target)
            }
            Rules::Plain(_) => false,
        }
    }
}

/// Names of directories of packages.
const STORE_NAMES: [&[u8]; 2] = [b"node_modules", b"site-packages"];
/// A name that no rule is about.
const PLAIN_NAME: &[u8] = b"\x01no rule is about this\x01";

impl Compiled {
    /// `None` where the policy is beyond the bounds.
    fn new(policy: &FilesystemPolicy) -> Option<Self> {
        let FilesystemPolicy {
            deny_read,
            allow_read,
            allow_write,
            deny_write,
            scratch,
            protected,
        } = policy;
        let layers = LayerBits::of(deny_read.iter().map(|deny| deny.firmness))?;
        let rules = deny_read.len() + allow_read.len() + allow_write.len() + deny_write.len();
        let mut compiled = Self {
            tree: Tree::with_capacity(rules + scratch.len()),
            patterns: Patterns::default(),
            names: ProtectedNames::new(protected).ok()?,
            reopened_in_scratch: layers.reopened(&Speaker::Scratch),
        };
        for deny in deny_read {
            let events = Events {
                closes: layers.closed(deny.firmness),
                ..Events::default()
            };
            compiled.deny(&deny.rule.pattern, events)?;
        }
        for rule in deny_write {
            let events = Events {
                denies_write: true,
                closes_link: matches!(rule.pattern, PathPattern::Subtree(_)),
                ..Events::default()
            };
            compiled.deny(&rule.pattern, events)?;
        }
        let of_layer = |layer| layers.reopened(&Speaker::Layer(layer));
        // A glob shows nothing of the host's.
        let whose = |rule: &PathRule, whose| match &rule.pattern {
            PathPattern::Subtree(_) => Some(whose),
            PathPattern::Glob(_) => None,
        };
        for allow in allow_read {
            let events = Events {
                reopens: of_layer(allow.layer),
                whose: whose(&allow.rule, Whose::HostsToRead),
                ..Events::default()
            };
            compiled.allow(&allow.rule.pattern, events)?;
        }
        for allow in allow_write {
            let events = Events {
                reopens: of_layer(allow.layer),
                root: Some(if Speaker::Layer(allow.layer).needs_protection() {
                    RootKind::Writable
                } else {
                    RootKind::Scratch
                }),
                whose: whose(&allow.rule, Whose::HostsToWrite),
                ..Events::default()
            };
            compiled.allow(&allow.rule.pattern, events)?;
        }
        for rule in scratch {
            // A glob is no private directory.
            if let PathPattern::Subtree(path) = &rule.pattern {
                let events = Events {
                    whose: Some(Whose::Private),
                    ..Events::default()
                };
                compiled.tree.add(path.as_bytes(), events).ok()?;
            }
        }
        Some(compiled)
    }

    /// A deny covers what lies below all that it names.
    fn deny(&mut self, pattern: &PathPattern, events: Events) -> Option<()> {
        let effects = Effects {
            region: events,
            itself: Events::default(),
        };
        self.add(pattern, events, effects)
    }

    /// An allow covers what lies below a literal path, but only what a glob matches.
    fn allow(&mut self, pattern: &PathPattern, events: Events) -> Option<()> {
        let effects = Effects {
            region: Events::default(),
            itself: events,
        };
        self.add(pattern, events, effects)
    }

    fn add(&mut self, pattern: &PathPattern, literal: Events, matched: Effects) -> Option<()> {
        match pattern {
            PathPattern::Subtree(path) => self.tree.add(path.as_bytes(), literal).ok(),
            PathPattern::Glob(glob) => {
                let spelling = self.patterns.add(glob, matched).ok()?;
                // A deny's own spelling is one more path below which all is closed.
                if spelling == Spelling::Matches && literal == matched.region {
                    return Some(());
                }
                self.tree.add(glob.literal().as_bytes(), literal).ok()
            }
        }
    }

    /// `None` if the path is not clean. `whole` is false for a directory whose content is in
    /// question: what a glob opens is only what it matches.
    fn survey(&self, path: &[u8], whole: bool) -> Option<Survey> {
        let mut matches = Matches::default();
        self.patterns.run(path, &mut matches);
        let mut survey = Survey::default();
        let mut hash = PathHash::ROOT;
        let mut node = self.tree.get(hash, b"/");
        let is_root = path == b"/";
        let mut meet = |node: Option<&Node>, matches: &Matches, depth, whole| {
            let events = matches.events(depth, whole);
            let events = node.map_or(events, |node| node.events.and(events));
            survey.meet(&events, depth, self.reopened_in_scratch);
        };
        meet(node, &matches, 0, whole && is_root);
        for (depth, (start, name)) in (1..).zip(names(path)?) {
            if is_no_name(name) {
                return None;
            }
            let end = start + name.len();
            if node.is_some() {
                hash = hash.below(name);
                node = self.tree.get(hash, path.get(..end)?);
            }
            (self.patterns).look_up(path, start, name, depth, &mut matches);
            let at_end = whole && end == path.len();
            meet(node, &matches, depth, at_end);
        }
        Some(survey.ended())
    }

    fn may_change(&self, path: &[u8], holds: impl Fn(Hit) -> bool) -> bool {
        let Some(survey) = self.survey(path, true) else {
            return false;
        };
        match survey.root {
            Some(root) if !survey.write_denied && survey.standing.is_empty() => {
                root.kind == RootKind::Scratch || !holds(self.protected(path, root.depth).0)
            }
            _ => false,
        }
    }

    fn may_write_through(&self, link: &[u8]) -> bool {
        self.survey(link, true).is_some_and(|survey| {
            let is_protected = |root: Root| {
                root.kind != RootKind::Scratch && self.protected(link, root.depth).0.write
            };
            !survey.closes_link && !survey.root.is_some_and(is_protected)
        })
    }

    /// What the protected names say about a path below a write root of this depth, and how far
    /// their runs are at its end.
    fn protected(&self, path: &[u8], root: usize) -> (Hit, RunState) {
        let (mut hit, mut state) = (Hit::default(), RunState::default());
        if self.names.is_empty() {
            return (hit, state);
        }
        for (index, (_, name)) in names(path).into_iter().flatten().enumerate() {
            let found = self.names.read(&mut state, name, index > root);
            // A place at the root or above it is one that the root opens.
            if index >= root {
                hit = hit.and(found);
            }
        }
        (hit, state)
    }

    fn keeps_verdicts(&self, from: &[u8], to: &[u8]) -> bool {
        if self.leads_to_rules(from) || self.leads_to_rules(to) {
            return false;
        }
        let (Some(one), Some(other)) = (self.survey(from, false), self.survey(to, false)) else {
            return false;
        };
        if one.standing != other.standing || !self.patterns.agree_below(from, to) {
            return false;
        }
        // Without a root all that can be written below is what a glob opens, in both the same.
        let never = |survey: &Survey| {
            survey.write_denied || (survey.root.is_none() && !self.patterns.opens_writes())
        };
        match (never(&one), never(&other)) {
            (true, true) => return true,
            (true, false) | (false, true) => return false,
            (false, false) => {}
        }
        match (one.root, other.root) {
            (None, None) => true,
            (Some(one), Some(other)) if one.kind == other.kind => {
                one.kind == RootKind::Scratch
                    || self.protected(from, one.depth) == self.protected(to, other.depth)
            }
            _ => false,
        }
    }

    /// Whether patterns and protected names mean for what lies below a path what they mean below a
    /// name that no rule is about.
    fn is_plain_below(&self, path: &[u8], name: &[u8]) -> bool {
        let Some(around) = path.strip_suffix(name) else {
            return false;
        };
        let plain = [around, PLAIN_NAME].concat();
        let (Some(one), Some(other)) = (self.survey(path, false), self.survey(&plain, false))
        else {
            return false;
        };
        let protected = |path: &[u8], survey: &Survey| {
            let root = survey.root.as_ref()?;
            (root.kind != RootKind::Scratch).then(|| self.protected(path, root.depth))
        };
        // A row that goes on with any name goes on behind the plain one too.
        let is_idle = |place: &Option<(Hit, RunState)>| {
            place.as_ref().is_none_or(|(_, state)| state.is_idle())
        };
        let place = protected(path, &one);
        self.patterns.agree_below(path, &plain)
            && is_idle(&place)
            && place == protected(&plain, &other)
    }

    /// Whether something at or below a path may be open for writing, other than in a private directory.
    fn may_open_below(&self, path: &[u8]) -> bool {
        let is_open = |survey: Survey| {
            survey
                .root
                .is_some_and(|root| root.kind == RootKind::Writable)
        };
        self.patterns.opens_writes()
            || self.leads_to_rules(path)
            || self.survey(path, false).is_none_or(is_open)
    }

    /// Whether a literal rule names the path or one below it.
    fn leads_to_rules(&self, path: &[u8]) -> bool {
        let hash = names(path)
            .into_iter()
            .flatten()
            .fold(PathHash::ROOT, |hash, (_, name)| hash.below(name));
        self.tree.get(hash, path).is_some()
    }
}

/// The names of an absolute path, each with the place where it begins; `None` if it is not absolute.
fn names(path: &[u8]) -> Option<impl Iterator<Item = (usize, &[u8])>> {
    let below = path.strip_prefix(b"/")?;
    let mut start = 1;
    let names = below.split(|byte| *byte == b'/').map(move |name| {
        let begins = start;
        start += name.len() + 1;
        (begins, name)
    });
    // The root has no name, which `split` does not know.
    Some(names.take(if below.is_empty() { 0 } else { usize::MAX }))
}

/// What can't be the name of an entry.
fn is_no_name(name: &[u8]) -> bool {
    name.is_empty() || name == b"." || name == b".." || name.contains(&0)
}

fn is_clean(path: &[u8]) -> bool {
    names(path).is_some_and(|mut names| !names.any(|(_, name)| is_no_name(name)))
}

fn asked<'p>(path: &[u8], judge: impl FnOnce(&AbsolutePath) -> FileVerdict<'p>) -> bool {
    is_clean(path)
        && AbsolutePath::new(OsStr::from_bytes(path)).is_ok_and(|path| judge(&path).is_allowed())
}

impl Closed {
    fn has_any_below(&self, path: &[u8]) -> bool {
        let sorted = self.sorted.get_or_init(|| {
            let reads = self.deny_read.iter().map(|deny| &deny.rule);
            let literals = reads
                .chain(&self.deny_write)
                .filter_map(|rule| match &rule.pattern {
                    PathPattern::Subtree(path) => Some(path.clone()),
                    PathPattern::Glob(_) => None,
                });
            let mut sorted: Vec<_> = literals.collect();
            sorted.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
            sorted
        });
        let below = [path, b"/"].concat();
        let next = sorted.partition_point(|closed| *closed.as_bytes() < *below);
        let next = sorted.get(next);
        next.is_some_and(|closed| closed.as_bytes().starts_with(&below))
    }
}
