//! Where symlinks among paths closed for writing lead, looked for when a sandbox runs: lists may be too long to be
//! looked at before a start.

use rustix::io::Errno;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, PathPattern, PathRule};

use super::{
    lookup::{Found, Lookup},
    way::reachable_way,
};

/// What symlinks among a policy's write denies lead to.
#[derive(Debug, Default)]
pub(crate) struct LandedWrites {
    /// The rules for the places at the ends.
    pub(crate) rules: Vec<PathRule>,
    /// The symlinks on the ways there with their rules, but for those that the rules themselves name: who
    /// exchanges one decides where the way leads.
    pub(crate) links: Vec<(AbsolutePath, PathRule)>,
}

/// Looks for the symlinks among a policy's write denies.
///
/// # Errors
/// What can't be told now may be told later.
pub(crate) fn landed_writes(policy: &FilesystemPolicy) -> Result<LandedWrites, Errno> {
    let mut lookup = Lookup::default();
    let mut landed = LandedWrites::default();
    let is_long = policy.deny_write.len() > super::EXAMINED_WRITE_DENIES;
    for rule in &policy.deny_write {
        let PathPattern::Subtree(path) = &rule.pattern else {
            continue;
        };
        // A short list's links are cheap to look for one by one.
        if is_long && lookup.is_no_link(path) {
            continue;
        }
        landed.add(&mut lookup, rule, path)?;
    }
    Ok(landed)
}

impl LandedWrites {
    /// Adds the place that a rule's path leads to, if that is another one.
    fn add(
        &mut self,
        lookup: &mut Lookup,
        rule: &PathRule,
        path: &AbsolutePath,
    ) -> Result<(), Errno> {
        let place = match lookup.find(path) {
            Ok(Found::There(found)) => Some(found.canonical),
            Ok(Found::Missing(elsewhere)) => elsewhere,
            Err(_out_of_sight) => reachable_way(path.as_path())?.and_then(|way| way.end),
        };
        let Some(place) = place.filter(|place| place != path) else {
            return Ok(());
        };
        self.rules.push(PathRule {
            pattern: PathPattern::Subtree(place),
            origin: rule.origin.clone(),
        });
        if let Some(way) = reachable_way(path.as_path())? {
            let links = way.links.into_iter().filter(|link| link != path);
            self.links.extend(links.map(|link| (link, rule.clone())));
        }
        Ok(())
    }
}
