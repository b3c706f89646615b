//! The file policy as macOS can keep it: the same rules, on the paths and directories that exist.
//!
//! * Rules move from `/tmp`, `/var` and `/etc` to where these links lead, as Seatbelt never sees
//!   the links. Where other links lead is for `landing` to say.
//! * Scratch directories become write roots. A private directory may be re-opened inside a region
//!   that a settings layer closed, because nothing of the host is in it; the host's directory may
//!   not. So the new rules speak for the presets' layer, which re-opens defaults only.
//!
//! Nothing here widens: whatever the result allows outside the scratch directories, the policy
//! allows too.

use std::ffi::{OsStr, OsString};

use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, Glob, GlobToken, LayerId, Origin, PathBase, PathPattern,
    PathRule, Policy, ReadAllow, ReadDeny, RuleList, UnixSocketPolicy,
};

use super::{ProfileError, landing};
use crate::facts::HostFacts;

/// The policy whose verdicts the profile of [`super::lower`] enforces: judge with this one to
/// explain what happens on macOS.
pub fn effective(policy: &Policy, facts: &HostFacts) -> Result<Policy, ProfileError> {
    let policy = landing::resolve(policy, facts)?;
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
        allow_read: allows(allow_read, facts)?,
        allow_write: allows(allow_write, facts)?,
        deny_write: RuleList::default(),
        scratch: Vec::new(),
        protected: protected.clone(),
    };
    for deny in deny_read {
        let rules = real_denies(&deny.rule, facts)?.into_iter();
        filesystem.deny_read.extend(rules.map(|rule| ReadDeny {
            rule,
            firmness: deny.firmness,
        }));
    }
    for rule in deny_write {
        filesystem.deny_write.extend(real_denies(rule, facts)?);
    }
    let reopened = landing::reopened(allow_read, &filesystem, facts)?;
    filesystem.allow_read.extend(reopened);
    let temp_dir = facts.temp_dir.iter().map(|path| PathRule {
        pattern: PathPattern::Subtree(path.clone()),
        origin: Origin::BuiltIn("directory for temporary files (`TMPDIR`)"),
    });
    // Without scratch the policy's author wants nothing but the listed roots to be writable.
    let temp_dir = temp_dir.filter(|_| !scratch.is_empty());
    let scratch = scratch.iter().filter(|rule| !is_device(rule));
    for rule in scratch.cloned().chain(temp_dir) {
        let rule = real_rule(&rule, facts)?;
        filesystem.allow_read.push(ReadAllow {
            rule: rule.clone(),
            layer: LayerId::PRESET,
        });
        filesystem.allow_write.push(ReadAllow {
            rule,
            layer: LayerId::TEMPORARY,
        });
    }
    let unix_sockets = match &policy.unix_sockets {
        UnixSocketPolicy::Listed(listed) => {
            let rules = listed.iter().map(|rule| real_rule(rule, facts));
            UnixSocketPolicy::Listed(rules.collect::<Result<_, _>>()?)
        }
        other @ (UnixSocketPolicy::Blocked | UnixSocketPolicy::Unrestricted(_)) => other.clone(),
    };
    Ok(Policy {
        filesystem,
        unix_sockets,
        ..policy
    })
}

/// `/dev/shm` and its like: there is no such directory, and none can be made.
fn is_device(rule: &PathRule) -> bool {
    match &rule.pattern {
        PathPattern::Subtree(path) => path.as_path().starts_with("/dev"),
        PathPattern::Glob(_) => false,
    }
}

fn allows(allows: &[ReadAllow], facts: &HostFacts) -> Result<Vec<ReadAllow>, ProfileError> {
    let real = |allow: &ReadAllow| {
        Ok(ReadAllow {
            rule: real_rule(&allow.rule, facts)?,
            layer: allow.layer,
        })
    };
    allows.iter().map(real).collect()
}

/// The rule on real paths.
fn real_rule(rule: &PathRule, facts: &HostFacts) -> Result<PathRule, ProfileError> {
    let pattern = match &rule.pattern {
        PathPattern::Subtree(path) => PathPattern::Subtree(facts.real_path(path)),
        PathPattern::Glob(glob) => {
            let prefix = glob.static_prefix();
            if facts.real_path(prefix) == *prefix {
                rule.pattern.clone()
            } else {
                moved_glob(glob, facts)?
            }
        }
    };
    Ok(PathRule {
        pattern,
        origin: rule.origin.clone(),
    })
}

/// A denying rule on real paths. Where its pattern matches one of the links, what the link leads to
/// is closed by a rule of its own; an allowing pattern opens the link itself and no more.
fn real_denies(rule: &PathRule, facts: &HostFacts) -> Result<Vec<PathRule>, ProfileError> {
    let mut rules = vec![real_rule(rule, facts)?];
    if let PathPattern::Glob(glob) = &rule.pattern {
        let patterns = through_links(glob, facts)?.into_iter();
        rules.extend(patterns.map(|pattern| PathRule {
            pattern,
            origin: rule.origin.clone(),
        }));
    }
    Ok(rules)
}

/// A pattern below one of the links, on the real path.
fn moved_glob(glob: &Glob, facts: &HostFacts) -> Result<PathPattern, ProfileError> {
    moved_to(glob, &facts.real_path(glob.literal()))
}

/// A pattern whose matches lie in another directory than it spells.
pub(crate) fn replaced_prefix(
    glob: &Glob,
    place: &AbsolutePath,
) -> Result<PathPattern, ProfileError> {
    let rest = glob.literal().as_path().strip_prefix(glob.static_prefix());
    let moved = rest
        .ok()
        .and_then(|rest| AbsolutePath::resolve(place, rest).ok());
    let moved = moved.ok_or_else(|| ProfileError::UnsupportedGlob {
        glob: glob.to_string(),
        reason: "it can't be moved to its real path",
    })?;
    moved_to(glob, &moved)
}

/// The pattern that `literal` spells, if it has the same special characters.
fn moved_to(glob: &Glob, literal: &AbsolutePath) -> Result<PathPattern, ProfileError> {
    let moved = parse_glob(literal.as_path().as_os_str(), glob)?;
    // A literal beginning that spells special characters would be read as a different pattern.
    let is_same_pattern = match (&moved, &*glob.tokens()) {
        (PathPattern::Glob(moved), [GlobToken::Literal(_), rest @ ..]) => {
            matches!(&*moved.tokens(), [GlobToken::Literal(_), moved @ ..] if moved == rest)
        }
        _ => false,
    };
    if is_same_pattern {
        Ok(moved)
    } else {
        let reason = "its directory has special characters in its name";
        Err(ProfileError::UnsupportedGlob {
            glob: glob.to_string(),
            reason,
        })
    }
}

/// What a pattern of the root directory (`/*/secret`) says about the links that it matches.
fn through_links(glob: &Glob, facts: &HostFacts) -> Result<Vec<PathPattern>, ProfileError> {
    if glob.static_prefix().depth() > 0 {
        return Ok(Vec::new());
    }
    let mut components = glob.literal().as_path().components();
    components.next();
    let Some(first) = components.next() else {
        return Ok(Vec::new());
    };
    let rest = components.as_path();
    let mut text = OsString::from("/");
    text.push(first);
    let PathPattern::Glob(first) = parse_glob(&text, glob)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for (_, real) in facts
        .aliases
        .iter()
        .filter(|(alias, _)| first.matches(alias))
    {
        let text = real.as_path().join(rest);
        found.push(parse_glob(text.as_os_str(), glob)?);
    }
    Ok(found)
}

fn parse_glob(text: &OsStr, glob: &Glob) -> Result<PathPattern, ProfileError> {
    let base = PathBase {
        working_directory: AbsolutePath::root(),
        home: None,
    };
    PathPattern::parse(text, glob.syntax(), &base).map_err(|_impossible| {
        let reason = "it can't be moved to its real path";
        ProfileError::UnsupportedGlob {
            glob: glob.to_string(),
            reason,
        }
    })
}
