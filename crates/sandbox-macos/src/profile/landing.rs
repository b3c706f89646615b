//! Rules whose paths lead through symbolic links, which Seatbelt never sees.
//!
//! * A deny stands for the path as written *and* for where it lands. The written one keeps the link
//!   itself from being replaced.
//! * A write root, and a listed Unix socket, is where it lands, unless its path lies in a write
//!   root and the landing in none: the command of an earlier run could have planted the link.
//! * What `allow_read` names is re-opened where it lands only if no deny closes that place.

use sandbox_policy::{
    AbsolutePath, FileVerdict, FilesystemPolicy, PathPattern, PathRule, Policy, ReadAllow,
    ReadDeny, RuleList, UnixSocketPolicy,
};

use super::{ProfileError, effective::replaced_prefix};
use crate::facts::HostFacts;

/// The policy with every deny, write root and socket at its landing too, or instead.
pub(crate) fn resolve(policy: &Policy, facts: &HostFacts) -> Result<Policy, ProfileError> {
    if facts.landings.is_empty() {
        return Ok(policy.clone());
    }
    let FilesystemPolicy {
        deny_read,
        allow_read,
        allow_write,
        deny_write,
        scratch,
        protected,
    } = &policy.filesystem;
    let mut filesystem = FilesystemPolicy {
        deny_read: RuleList::default(),
        allow_read: allow_read.clone(),
        allow_write: Vec::new(),
        deny_write: RuleList::default(),
        scratch: scratch.clone(),
        protected: protected.clone(),
    };
    for deny in deny_read {
        let rules = std::iter::once(deny.rule.clone()).chain(landed(&deny.rule, facts)?);
        filesystem.deny_read.extend(rules.map(|rule| ReadDeny {
            rule,
            firmness: deny.firmness,
        }));
    }
    for rule in deny_write {
        filesystem.deny_write.push(rule.clone());
        filesystem.deny_write.extend(landed(rule, facts)?);
    }
    for allow in allow_write {
        filesystem.allow_write.push(ReadAllow {
            rule: opened(&allow.rule, allow_write, facts)?,
            layer: allow.layer,
        });
    }
    let unix_sockets = match &policy.unix_sockets {
        UnixSocketPolicy::Listed(listed) => {
            let rules = listed.iter().map(|rule| opened(rule, allow_write, facts));
            UnixSocketPolicy::Listed(rules.collect::<Result<_, _>>()?)
        }
        other @ (UnixSocketPolicy::Blocked | UnixSocketPolicy::Unrestricted(_)) => other.clone(),
    };
    Ok(Policy {
        filesystem,
        unix_sockets,
        ..policy.clone()
    })
}

/// What `allow_read` re-opens beside the paths as written. `resolved` holds all other rules, on
/// real paths.
pub(crate) fn reopened(
    allow_read: &[ReadAllow],
    resolved: &FilesystemPolicy,
    facts: &HostFacts,
) -> Result<Vec<ReadAllow>, ProfileError> {
    let mut found = Vec::new();
    for allow in allow_read {
        let place = facts.landings.get(place(&allow.rule.pattern));
        let is_closed = |place: &AbsolutePath| match resolved.judge_read(place) {
            FileVerdict::Allow(_) => false,
            FileVerdict::Deny(_) => true,
        };
        if place.is_some_and(is_closed) {
            continue;
        }
        found.extend(landed(&allow.rule, facts)?.map(|rule| ReadAllow {
            rule,
            layer: allow.layer,
        }));
    }
    Ok(found)
}

/// The path of a rule that is looked up on the host.
pub(crate) fn place(pattern: &PathPattern) -> &AbsolutePath {
    match pattern {
        PathPattern::Subtree(path) => path,
        PathPattern::Glob(glob) => glob.static_prefix(),
    }
}

/// The rule where it lands, if that is somewhere else.
fn landed(rule: &PathRule, facts: &HostFacts) -> Result<Option<PathRule>, ProfileError> {
    let Some(landing) = facts.landings.get(place(&rule.pattern)) else {
        return Ok(None);
    };
    let pattern = match &rule.pattern {
        PathPattern::Subtree(_) => PathPattern::Subtree(landing.clone()),
        PathPattern::Glob(glob) => replaced_prefix(glob, landing)?,
    };
    Ok(Some(PathRule {
        pattern,
        origin: rule.origin.clone(),
    }))
}

/// An opening rule where it lands.
fn opened(
    rule: &PathRule,
    roots: &[ReadAllow],
    facts: &HostFacts,
) -> Result<PathRule, ProfileError> {
    let Some(moved) = landed(rule, facts)? else {
        return Ok(rule.clone());
    };
    let (path, target) = (place(&rule.pattern), place(&moved.pattern));
    let others = || {
        roots
            .iter()
            .map(|root| &root.rule)
            .filter(|root| *root != rule)
    };
    let is_open = |path: &AbsolutePath| {
        let real = facts.real_path(path);
        others().any(|root| {
            let landing = facts.landings.get(place(&root.pattern));
            root.pattern.opens(path).is_some()
                || real.is_within(&facts.real_path(place(&root.pattern)))
                || landing.is_some_and(|landing| real.is_within(landing))
        })
    };
    if is_open(path) && !is_open(target) {
        return Err(ProfileError::PlantedLink {
            path: path.clone(),
            target: target.clone(),
            origin: rule.origin.to_string(),
        });
    }
    Ok(moved)
}
