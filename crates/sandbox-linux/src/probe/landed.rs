//! Where symlinks among paths closed for writing lead, for lists that are too long to be looked at before a start.

use sandbox_policy::{AbsolutePath, FilesystemPolicy, PathPattern, PathRule};

use super::lookup::{Found, Lookup};

/// The rules for the places that symlinks among a policy's write denies lead to.
pub(crate) fn landed_writes(policy: &FilesystemPolicy) -> Vec<PathRule> {
    let mut landings = Landings::default();
    let rules = policy.deny_write.iter();
    rules.filter_map(|rule| landings.of(rule)).collect()
}

#[derive(Default)]
struct Landings(Lookup);

impl Landings {
    /// The same rule for the place that its path leads to, if that is another one. What can't be looked at
    /// is passed over: nothing inside has more rights than who asks, so it does not get there either.
    fn of(&mut self, rule: &PathRule) -> Option<PathRule> {
        let PathPattern::Subtree(path) = &rule.pattern else {
            return None;
        };
        if self.0.is_no_link(path) {
            return None;
        }
        let place = match self.0.find(path) {
            Ok(Found::There(found)) => (found.canonical != *path).then_some(found.canonical),
            Ok(Found::Missing(elsewhere)) => elsewhere,
            Err(_unknown) => None,
        };
        place.map(|place: AbsolutePath| PathRule {
            pattern: PathPattern::Subtree(place),
            origin: rule.origin.clone(),
        })
    }
}
