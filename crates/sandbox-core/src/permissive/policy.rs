//! The policy of a permissive run.

use sandbox_policy::{
    AbsolutePath, Firmness, LayerId, Origin, PathPattern, PathRule, Policy, Protection, ReadAllow,
    secret_paths,
};

use super::SECRET;

const COPY: Origin = Origin::BuiltIn("it is changed in a copy");
/// No layer of settings: such a rule re-opens nothing that one of them closed.
const NO_LAYER: LayerId = LayerId(u16::MAX);

/// The policy of a permissive run, whose command may change these places. What is secret in its own home is
/// so in all others.
pub(crate) fn opened(
    strict: &Policy,
    (home, homes): (Option<&AbsolutePath>, &[AbsolutePath]),
    places: &[AbsolutePath],
) -> Policy {
    let mut policy = strict.clone();
    let files = &mut policy.filesystem;
    // A preset's, which any entry of the settings could re-open.
    files
        .deny_read
        .retain(|deny| deny.firmness != Firmness::Default);
    for place in homes {
        let secrets = secret_paths(Some(place), &SECRET, Firmness::Default);
        let is_own = Some(place) == home;
        let secrets = secrets.into_iter();
        files
            .deny_read
            .extend(secrets.filter(|deny| is_own || !is_out_of_reach(&deny.rule)));
    }
    // Symlinks on the way are in directories that the command may change here. What they lead to now is
    // what the rules are about.
    let denies = files.deny_read.iter_mut().map(|deny| &mut deny.rule);
    denies
        .chain(files.deny_write.iter_mut())
        .for_each(follow_links);
    files.allow_read.append(&mut files.allow_write);
    let copies = places.iter().map(|place| ReadAllow {
        rule: PathRule {
            pattern: PathPattern::Subtree(place.clone()),
            origin: COPY,
        },
        layer: NO_LAYER,
    });
    files.allow_write.extend(copies);
    files.protected = Protection::none();
    policy
}

/// Whether nobody but another user gets to a path.
fn is_out_of_reach(rule: &PathRule) -> bool {
    let PathPattern::Subtree(path) = &rule.pattern else {
        return false;
    };
    let found = std::fs::symlink_metadata(path.as_path());
    found.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

fn follow_links(rule: &mut PathRule) {
    let PathPattern::Subtree(path) = &rule.pattern else {
        return;
    };
    let found = std::fs::canonicalize(path.as_path()).ok();
    if let Some(found) = found.and_then(|found| AbsolutePath::new(found).ok()) {
        rule.pattern = PathPattern::Subtree(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_preset_closes_is_opened_and_what_somebody_closes_is_not() {
        let home = AbsolutePath::new("/nonexistent/u").unwrap();
        let path = |text: &str| AbsolutePath::new(text).unwrap();
        let mut strict = Policy::restrictive()
            .allow_write("/nonexistent/u/w")
            .unwrap();
        let preset =
            sandbox_policy::workspace(&path("/nonexistent/u/w"), Some(&home), &Origin::Program);
        strict.filesystem.deny_read.extend(preset.0);
        strict.filesystem.allow_read.extend(preset.1);
        let strict = strict.deny_read("/nonexistent/u/mine").unwrap();
        let open = opened(
            &strict,
            (Some(&home), std::slice::from_ref(&home)),
            std::slice::from_ref(&home),
        )
        .filesystem;
        for (text, may_read) in [
            ("/nonexistent/u/other", true),
            ("/nonexistent/u/mine/x", false),
            ("/nonexistent/u/.ssh/id", false),
            ("/srv/x", true),
        ] {
            assert_eq!(
                open.judge_read(&path(text)).is_allowed(),
                may_read,
                "{text}"
            );
        }
        assert!(
            open.judge_write(&path("/nonexistent/u/.bashrc"))
                .is_allowed()
        );
        assert!(!open.judge_write(&path("/srv/x")).is_allowed());
    }
}
