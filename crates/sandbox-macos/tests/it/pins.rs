//! Renaming directories opens nothing: what is closed stays closed wherever it can be carried, and
//! nothing can be planted at a protected name.

use proptest::prelude::*;
use sandbox_macos::effective;
use sandbox_policy::{
    AbsolutePath, FileVerdict, FilesystemPolicy, Firmness, GlobToken, PathPattern, Policy,
};

use crate::{
    evaluator::Evaluator,
    support::{
        allow, cases, decide, decide_of_type, deny, facts, path, paths, policies, profile, rule,
        with_files,
    },
};

/// Whether the profile lets a directory be renamed.
fn may_rename(evaluator: &Evaluator, from: &AbsolutePath, to: &AbsolutePath) -> bool {
    decide_of_type(evaluator, "file-write-unlink", from, "DIRECTORY")
        && decide_of_type(evaluator, "file-write-create", to, "DIRECTORY")
}

/// Where `below` is after `from` was renamed to `to`.
fn carried(below: &AbsolutePath, from: &AbsolutePath, to: &AbsolutePath) -> AbsolutePath {
    let rest = below.as_path().strip_prefix(from.as_path()).unwrap();
    AbsolutePath::new(to.as_path().join(rest)).unwrap()
}

fn is_write_protected(policy: &FilesystemPolicy, path: &AbsolutePath) -> bool {
    policy
        .deny_write
        .iter()
        .any(|rule| rule.pattern.region(path).is_some())
}

/// A pattern such as `/w/*/x` can't keep a new directory from arriving under `/w`: nothing could be
/// created there any more.
fn has_wild_directories(policy: &FilesystemPolicy) -> bool {
    policy.deny_write.iter().any(|rule| match &rule.pattern {
        PathPattern::Subtree(_) => false,
        PathPattern::Glob(glob) => {
            let mut is_wild = false;
            glob.tokens().iter().any(|token| match token {
                GlobToken::Literal(bytes) => {
                    let ends_wild_directory = is_wild && bytes.contains(&b'/');
                    is_wild &= !bytes.contains(&b'/');
                    ends_wild_directory
                }
                GlobToken::Directories => std::mem::take(&mut is_wild),
                GlobToken::Anything => true,
                GlobToken::AnyCharacter | GlobToken::Run | GlobToken::Set(_) => {
                    is_wild = true;
                    false
                }
            })
        }
    })
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn closed_files_stay_closed_when_carried_away(
        policy in policies(),
        closed in prop::collection::vec(paths(), 8),
        targets in prop::collection::vec(paths(), 8),
    ) {
        let evaluator = Evaluator::new(&profile(&policy));
        let files = effective(&policy, &facts()).unwrap().filesystem;
        let closed = closed.iter().filter(|path| !path.as_path().starts_with("/tmp"));
        for path in closed {
            let is_unreadable = !files.judge_read(path).is_allowed();
            let is_protected = is_write_protected(&files, path);
            if !is_unreadable && !is_protected {
                continue;
            }
            for from in path.ancestors().skip(1).filter(|from| from.depth() > 0) {
                for to in targets.iter().filter(|to| !to.is_within(&from) && !to.as_path().starts_with("/tmp")) {
                    if !may_rename(&evaluator, &from, to) {
                        continue;
                    }
                    let place = carried(path, &from, to);
                    // A rule may allow the new place by its own name: then its author did.
                    let is_allowed_by_rule = matches!(files.judge_read(&place), FileVerdict::Allow(Some(_)));
                    if is_unreadable && !is_allowed_by_rule {
                        prop_assert!(!decide(&evaluator, "file-read-data", &place), "{path:?}: {from:?} to {to:?}");
                    }
                    if is_protected {
                        prop_assert!(!decide(&evaluator, "file-write-data", &place), "{path:?}: {from:?} to {to:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_planted_at_a_protected_name(
        policy in policies(),
        protected in prop::collection::vec(paths(), 8),
        sources in prop::collection::vec(paths(), 8),
    ) {
        let files = effective(&policy, &facts()).unwrap().filesystem;
        prop_assume!(!has_wild_directories(&files));
        let evaluator = Evaluator::new(&profile(&policy));
        for path in protected.iter().filter(|path| is_write_protected(&files, path)) {
            for to in path.ancestors().skip(1).filter(|to| to.depth() > 0) {
                for from in sources.iter().filter(|from| !from.is_within(&to) && !from.as_path().starts_with("/tmp")) {
                    let prepared = carried(path, &to, from);
                    prop_assert!(
                        !may_rename(&evaluator, from, &to) || !decide(&evaluator, "file-write-data", &prepared),
                        "{from:?} to {to:?} plants {path:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn ancestors_of_closed_paths_keep_their_names() {
    let mut files = Policy::restrictive().filesystem;
    files.allow_write = vec![allow("/w")];
    files.deny_read = vec![
        deny("/w/a/b/secret", Firmness::Final),
        deny("/w/g/*.key", Firmness::Final),
    ]
    .into();
    files.deny_write = vec![rule("/w/**/.git/hooks")].into();
    let evaluator = Evaluator::new(&profile(&with_files(files)));
    let may_unlink =
        |text: &str| decide_of_type(&evaluator, "file-write-unlink", &path(text), "DIRECTORY");
    let may_create =
        |text: &str| decide_of_type(&evaluator, "file-write-create", &path(text), "DIRECTORY");
    for pinned in [
        "/w",
        "/w/a",
        "/w/a/b",
        "/w/g",
        "/w/.git",
        "/w/x/y/.git",
        "/private/tmp/x/.git",
    ] {
        assert!(!may_unlink(pinned) && !may_create(pinned), "{pinned}");
    }
    for free in ["/w/ab", "/w/a/c", "/w/g/h", "/w/x/y", "/private/tmp/x"] {
        assert!(may_unlink(free) && may_create(free), "{free}");
    }
    assert!(!may_unlink("/w/a/b/secret"));
    assert!(!may_unlink("/w/g/my.key"));
}

#[test]
fn wild_directories_can_be_made_but_not_taken_away() {
    let mut files = Policy::restrictive().filesystem;
    files.allow_write = vec![allow("/w")];
    files.deny_read = vec![deny("/w/*/secret", Firmness::Final)].into();
    let evaluator = Evaluator::new(&profile(&with_files(files)));
    let decide_directory =
        |operation| decide_of_type(&evaluator, operation, &path("/w/a"), "DIRECTORY");
    assert!(decide_directory("file-write-create"));
    assert!(!decide_directory("file-write-unlink"));
    assert!(
        decide(&evaluator, "file-write-unlink", &path("/w/a.txt")),
        "files come and go"
    );
}
