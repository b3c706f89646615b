//! Rules as written → rules by where they land.
//!
//! A deny stands for the path as written *and* for the place that its symlinks lead to. A write root
//! is the place that its symlinks lead to, unless one of those links lies inside a write root: the
//! command of an earlier run could have planted it. `allow_read` re-opens what it names; a symlink
//! at that name does not re-open a denied place.

use std::collections::HashMap;

use sandbox_policy::{
    AbsolutePath, FileVerdict, FilesystemPolicy, Origin, PathPattern, PathRule, ReadAllow,
    ReadDeny, RuleList,
};

use super::{
    PlanError, PlanNotice, devices,
    shown::{PRIVATE_MEMORY, is_below},
};
use crate::facts::{HostFacts, PathFacts};

pub(super) fn resolve(
    written: &FilesystemPolicy,
    facts: &HostFacts,
    notices: &mut Vec<PlanNotice>,
) -> Result<FilesystemPolicy, PlanError> {
    let mut resolved = FilesystemPolicy {
        deny_read: RuleList::default(),
        allow_read: Vec::new(),
        allow_write: Vec::new(),
        deny_write: RuleList::default(),
        scratch: Vec::new(),
        protected: written.protected.clone(),
    };
    let moved = Moved::new(written, facts);
    for rule in &written.scratch {
        resolved.scratch.push(rule.clone());
        resolved.scratch.extend(moved.landed(rule));
    }
    if moved.places.is_empty() {
        // As written: thousands of rules are not copied.
        resolved.deny_read = written.deny_read.clone();
        resolved.deny_write = written.deny_write.clone();
    } else {
        resolve_denies(written, &moved, &mut resolved)?;
    }
    let folding = facts.folding_roots.iter().cloned();
    notices.extend(folding.map(|path| PlanNotice::FoldedNames { path }));
    if facts.leaves_reads_open {
        notices.push(PlanNotice::FilesJudgedByName);
    }
    resolved.allow_write.reserve(written.allow_write.len());
    let mut inner = facts.inner_roots.iter().peekable();
    for (index, allow) in written.allow_write.iter().enumerate() {
        if inner.next_if_eq(&&index).is_some() {
            resolved.allow_write.push(allow.clone());
            continue;
        }
        let ReadAllow { rule, layer } = allow;
        let rule = write_root(rule, written, facts, notices)?;
        resolved.allow_write.push(ReadAllow {
            rule,
            layer: *layer,
        });
    }
    note_own_trees(written, &resolved, facts, notices);
    for allow in &written.allow_read {
        let ReadAllow { rule, layer } = allow;
        let path = literal(rule)?;
        resolved.allow_read.push(allow.clone());
        let Some(landing) = landing(path, facts) else {
            continue;
        };
        if let FileVerdict::Allow(_) = resolved.judge_read(&landing) {
            let rule = at(rule, landing);
            resolved.allow_read.push(ReadAllow {
                rule,
                layer: *layer,
            });
        }
    }
    for link in &facts.deny_links {
        // A later run's rules would name what the command puts in its place.
        resolved.guard_link(
            link,
            Origin::BuiltIn("a closed path leads through this symlink"),
        );
    }
    Ok(resolved)
}

fn resolve_denies(
    written: &FilesystemPolicy,
    moved: &Moved<'_>,
    resolved: &mut FilesystemPolicy,
) -> Result<(), PlanError> {
    let mut denies = Vec::with_capacity(written.deny_read.len());
    for deny in &written.deny_read {
        let ReadDeny { rule, firmness } = deny;
        moved.refuse_carried_link(rule)?;
        denies.push(deny.clone());
        denies.extend(moved.landed(rule).map(|rule| ReadDeny {
            rule,
            firmness: *firmness,
        }));
    }
    resolved.deny_read = denies.into();
    let mut denies = Vec::with_capacity(written.deny_write.len());
    for rule in &written.deny_write {
        moved.refuse_carried_link(rule)?;
        denies.push(rule.clone());
        denies.extend(moved.landed(rule));
    }
    resolved.deny_write = denies.into();
    Ok(())
}

/// The paths that symlinks lead elsewhere: few, so that thousands of rules are soon asked about them.
struct Moved<'a> {
    written: &'a FilesystemPolicy,
    facts: &'a HostFacts,
    places: HashMap<&'a AbsolutePath, &'a AbsolutePath>,
}

impl<'a> Moved<'a> {
    fn new(written: &'a FilesystemPolicy, facts: &'a HostFacts) -> Self {
        let found = facts.paths.iter().map(|(path, at)| (path, &at.canonical));
        let known = found.chain(&facts.landings);
        Self {
            written,
            facts,
            places: known.filter(|(path, place)| path != place).collect(),
        }
    }

    fn place(&self, path: &AbsolutePath) -> Option<AbsolutePath> {
        let places = Some(&self.places).filter(|places| !places.is_empty())?;
        places.get(path).map(|place| (*place).clone())
    }

    /// The same rule for the place that its path leads to, if that is another one.
    fn landed(&self, rule: &PathRule) -> Option<PathRule> {
        let pattern = match &rule.pattern {
            PathPattern::Subtree(path) => PathPattern::Subtree(self.place(path)?),
            PathPattern::Glob(glob) => {
                PathPattern::Glob(glob.moved(&self.place(glob.static_prefix())?))
            }
        };
        Some(PathRule {
            pattern,
            origin: rule.origin.clone(),
        })
    }

    /// The supervisor keeps the name that a rule names. Where a symlink is further up, the command
    /// could replace that, and the rule would name another place.
    fn refuse_carried_link(&self, rule: &PathRule) -> Result<(), PlanError> {
        let PathPattern::Subtree(path) = &rule.pattern else {
            return Ok(());
        };
        if self.places.is_empty() {
            return Ok(());
        }
        for link in path.ancestors().skip(1) {
            if self.place(&link).is_none() {
                continue;
            }
            let parent = link.parent();
            let above = parent.as_ref().and_then(|parent| self.place(parent));
            // The outermost place that is not where it is written is the link itself.
            if above.is_none() && self.is_in_write_root(&link) {
                return Err(PlanError::LinkedDeny {
                    path: path.clone(),
                    link,
                    origin: rule.origin.to_string(),
                });
            }
        }
        Ok(())
    }

    fn is_in_write_root(&self, place: &AbsolutePath) -> bool {
        let holds = |root: &PathRule| match &root.pattern {
            PathPattern::Subtree(root) => {
                let landed = landing(root, self.facts);
                let landed = landed.is_some_and(|root| place.is_within(&root));
                (landed || place.is_within(root)) && place != root
            }
            PathPattern::Glob(_) => false,
        };
        self.written
            .allow_write
            .iter()
            .any(|root| holds(&root.rule))
    }
}

fn at(rule: &PathRule, path: AbsolutePath) -> PathRule {
    PathRule {
        pattern: PathPattern::Subtree(path),
        origin: rule.origin.clone(),
    }
}

/// Where a path leads, if that is somewhere else.
fn landing(path: &AbsolutePath, facts: &HostFacts) -> Option<AbsolutePath> {
    let found = facts.paths.get(path)?;
    (found.canonical != *path).then(|| found.canonical.clone())
}

fn literal(rule: &PathRule) -> Result<&AbsolutePath, PlanError> {
    match &rule.pattern {
        PathPattern::Subtree(path) => Ok(path),
        PathPattern::Glob(glob) => Err(PlanError::AllowGlob {
            pattern: glob.to_string(),
            origin: rule.origin.to_string(),
        }),
    }
}

fn write_root(
    rule: &PathRule,
    written: &FilesystemPolicy,
    facts: &HostFacts,
    notices: &mut Vec<PlanNotice>,
) -> Result<PathRule, PlanError> {
    let path = literal(rule)?;
    let found = facts.paths.get(path).map(|found| &found.canonical);
    let missing = facts.missing_roots.get(path).map(|found| &found.canonical);
    let Some(target) = found.or(missing) else {
        // Also where it is a pipe for this process, which has no path.
        if is_in_every_sandbox(path) {
            return Ok(rule.clone());
        }
        notices.push(PlanNotice::MissingWriteRoot {
            path: path.clone(),
            origin: rule.origin.to_string(),
        });
        return Ok(rule.clone());
    };
    if target == path {
        return Ok(rule.clone());
    }
    // Whoever fills the working directory or another write root may have planted the link. It may
    // lead to a place that is open anyway: inside the working directory, or below a root that is
    // itself no such link.
    let others = || {
        written
            .allow_write
            .iter()
            .map(|other| &other.rule)
            .filter(|other| *other != rule)
    };
    let planted = |place: &AbsolutePath| {
        // In the trees that each sandbox has of its own no command makes anything of the host's.
        if super::mounts::is_ours(place) && !is_shared_device(place, facts) {
            return false;
        }
        let below = |root: &AbsolutePath| place.is_within(root) && place != root;
        let mut roots = others().flat_map(|other| places(other, facts));
        below(&facts.working_directory) || roots.any(|root| below(&root))
    };
    let is_open = |place: &AbsolutePath| {
        let sound = others().filter(|other| match &other.pattern {
            PathPattern::Subtree(root) => landing(root, facts).is_none() || !planted(root),
            PathPattern::Glob(_) => false,
        });
        let mut roots = sound.flat_map(|other| places(other, facts));
        place.is_within(&facts.working_directory) || roots.any(|root| place.is_within(&root))
    };
    if planted(path) && !is_open(target) {
        return Err(PlanError::PlantedLink {
            path: path.clone(),
            target: target.clone(),
            origin: rule.origin.to_string(),
        });
    }
    Ok(at(rule, target.clone()))
}

/// A literal rule's path, and where it leads.
fn places(rule: &PathRule, facts: &HostFacts) -> Vec<AbsolutePath> {
    match &rule.pattern {
        PathPattern::Subtree(path) => {
            let landing = landing(path, facts);
            std::iter::once(path.clone()).chain(landing).collect()
        }
        PathPattern::Glob(_) => Vec::new(),
    }
}

/// Whether every sandbox has something of its own there.
fn is_in_every_sandbox(path: &AbsolutePath) -> bool {
    let own = ["/proc/self", "/proc/thread-self"];
    devices::is_in_every_sandbox(path) || own.iter().any(|own| is_below(path, own))
}

/// Whether it is, or lies in, a device of the host's that settings open.
fn is_shared_device(path: &AbsolutePath, facts: &HostFacts) -> bool {
    let mut devices = facts.devices.iter();
    devices.any(|(name, device)| path.is_within(name) || path.is_within(&device.canonical))
}

/// Rules about the host in a tree that the sandbox has of its own mean nothing, and its shared memory stays private.
fn note_own_trees(
    written: &FilesystemPolicy,
    resolved: &FilesystemPolicy,
    facts: &HostFacts,
    notices: &mut Vec<PlanNotice>,
) {
    for ReadAllow { rule, .. } in &written.allow_write {
        let PathPattern::Subtree(path) = &rule.pattern else {
            continue;
        };
        let Some(PathFacts { canonical, .. }) = facts.paths.get(path) else {
            continue;
        };
        let is_shared =
            |path: &AbsolutePath| is_in_every_sandbox(path) || is_shared_device(path, facts);
        // Where it leads, as a `/dev/log` leads out of it; and as written, since `/proc/self` leads to another
        // process for the command.
        if super::mounts::is_ours(canonical) && !is_shared(path) && !is_shared(canonical) {
            notices.push(PlanNotice::NotInOwnTree {
                path: path.clone(),
                landing: canonical.clone(),
                origin: rule.origin.to_string(),
            });
        }
    }
    for ReadAllow { rule, .. } in &resolved.allow_write {
        let PathPattern::Subtree(path) = &rule.pattern else {
            continue;
        };
        if is_below(path, PRIVATE_MEMORY) {
            notices.push(PlanNotice::StaysPrivate {
                path: path.clone(),
                origin: rule.origin.to_string(),
            });
        }
    }
    let reads = resolved.deny_read.iter().map(|deny| &deny.rule);
    for rule in reads.chain(&resolved.deny_write) {
        let (begins, path) = match &rule.pattern {
            PathPattern::Subtree(path) => (path, path),
            PathPattern::Glob(glob) => (glob.static_prefix(), glob.literal()),
        };
        if super::mounts::is_ours(begins) {
            notices.push(PlanNotice::OwnTree {
                path: path.clone(),
                origin: rule.origin.to_string(),
            });
        }
    }
}
