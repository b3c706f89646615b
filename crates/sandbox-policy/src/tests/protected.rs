//! The protected paths.

use std::collections::BTreeSet;

use super::path;
use crate::{DenialReason, FilesystemPolicy, Origin, PROTECTED_PATHS, Policy, Protection};

fn writable(roots: &[&str]) -> FilesystemPolicy {
    let policy = roots
        .iter()
        .try_fold(Policy::restrictive(), |policy, root| {
            policy.allow_write(root)
        });
    policy.unwrap().filesystem
}

#[track_caller]
fn check(policy: &FilesystemPolicy, expected: &[(&str, bool)]) {
    for (text, allowed) in expected {
        assert_eq!(
            policy.judge_write(&path(text)).is_allowed(),
            *allowed,
            "{text}"
        );
    }
}

#[test]
fn rows_are_well_formed() {
    let mut seen = BTreeSet::new();
    for row in PROTECTED_PATHS {
        assert!(seen.insert(row.path), "{row} twice");
        assert!(
            row.path.is_ascii() && !row.path.starts_with('*') && !row.path.ends_with("**"),
            "{row}"
        );
        assert!(
            !row.reason.ends_with('.') && !row.reason.is_empty(),
            "{row}"
        );
        for name in row.path.split('/') {
            assert!(
                !name.is_empty() && name.len() <= crate::protected::LONGEST_NAME,
                "{row}"
            );
            assert!(name == "*" || name == "**" || !name.contains('*'), "{row}");
        }
        let covered = PROTECTED_PATHS.iter().find(|other| {
            row.path
                .strip_prefix(other.path)
                .is_some_and(|rest| rest.starts_with('/'))
        });
        assert_eq!(covered, None, "{row}");
    }
}

#[test]
fn every_row_holds_at_any_depth() {
    let policy = writable(&["/w"]);
    for row in PROTECTED_PATHS {
        let place = row.path.replace("**", "x/y").replace('*', "z");
        for text in [
            format!("/w/{place}"),
            format!("/w/a/b/c/{place}"),
            format!("/w/{place}/x/y"),
            format!("/w/{}", place.to_ascii_uppercase()),
        ] {
            let denial = policy.judge_write(&path(&text)).into_denial().unwrap();
            assert_eq!(denial.reason, DenialReason::WriteDenied, "{text}");
            let (_, origin) = denial.rule.unwrap();
            assert!(matches!(origin, Origin::BuiltIn(_)), "{text}");
        }
        let open = FilesystemPolicy {
            protected: Protection::none(),
            ..policy.clone()
        };
        check(&open, &[(&format!("/w/{place}"), true)]);
        // Its own row is the only one that closes the place.
        let opened = FilesystemPolicy {
            protected: Protection::all().without(row.path),
            ..policy.clone()
        };
        check(&opened, &[(&format!("/w/{place}"), true)]);
        // The directories above it are as open as ever.
        let above = place.rsplit_once('/').map_or("a", |(above, _)| above);
        check(
            &policy,
            &[
                (&format!("/w/{above}"), true),
                (&format!("/w/{above}/other"), true),
            ],
        );
        let in_store = format!("/w/node_modules/p/{place}");
        check(&policy, &[(&in_store, !row.in_dependencies)]);
    }
}

#[test]
fn denials_tell_the_row_and_why() {
    let denial = writable(&["/w"])
        .judge_write(&path("/w/sub/.git/hooks/pre-commit"))
        .into_denial()
        .unwrap();
    assert_eq!(
        denial.to_string(),
        "writing is denied: `/w/sub/.git/hooks/pre-commit` (rule `.git/hooks` of built in (git runs the programs in it))"
    );
}

#[test]
fn git_works() {
    check(
        &writable(&["/w"]),
        &[
            ("/w/.git", true),
            ("/w/.git/HEAD", true),
            ("/w/.git/index.lock", true),
            ("/w/.git/config.lock", true),
            ("/w/.git/refs/heads/hooks", true),
            ("/w/.git/refs/heads/config", true),
            ("/w/.git/logs/refs/heads/main", true),
            ("/w/.git/objects/ab/cdef", true),
            ("/w/.git/objects/info/commit-graph", true),
            ("/w/.git/info/exclude", true),
            ("/w/.git/worktrees/x/commondir", true),
            ("/w/.git/worktrees/x/gitdir", true),
            ("/w/.git/worktrees/x/HEAD", true),
            ("/w/.git/modules/a/b/HEAD", true),
            ("/w/.git/modules/a/worktrees/x/commondir", true),
            ("/w/.git/config", false),
            ("/w/.git/modules/config", false),
            ("/w/.git/modules/a/config", false),
            ("/w/.git/modules/a/b/c/config", false),
            ("/w/.git/modules/a/b/c/hooks/x", false),
            ("/w/.git/modules/a/commondir", false),
            ("/w/.git/worktrees/x/modules/a/hooks", false),
            ("/w/.git/worktrees/x/config.worktree", false),
        ],
    );
}

#[test]
fn a_root_opens_what_it_names() {
    check(
        &writable(&[
            "/w",
            "/w/.vscode",
            "/w/.git/hooks/pre-commit",
            "/h/.config",
            "/p/.git",
            "/q/.git/hooks/x",
        ]),
        &[
            ("/w/.vscode/tasks.json", true),
            // Only in so far as it names it.
            ("/w/.vscode/.bashrc", false),
            ("/w/.git/hooks", false),
            ("/w/.git/hooks/pre-commit", true),
            ("/w/.git/hooks/pre-push", false),
            // A root inside of the run does not open it.
            ("/h/.config/app", true),
            ("/h/.config/fish/config.fish", false),
            ("/p/.git/hooks/x", false),
            ("/q/.git/hooks/x/y", true),
        ],
    );
}

#[test]
fn private_directories_protect_nothing() {
    check(
        &writable(&["/w", "/tmp/w"]),
        &[("/tmp/.bashrc", true), ("/tmp/w/.bashrc", false)],
    );
}

#[test]
fn what_is_nested_may_be_removed() {
    let policy = writable(&["/w"]);
    for (text, removable) in [
        ("/w/.git/hooks/x", false),
        ("/w/.git/config", false),
        ("/w/sub/.git/hooks/x", true),
        ("/w/sub/.git/config", true),
        ("/w/a/b/.git/modules/c/config", true),
        ("/w/sub/.bashrc", false),
        ("/w/.bashrc", false),
        ("/w/x", true),
        ("/v/x", false),
    ] {
        assert_eq!(
            policy.judge_remove(&path(text)).is_allowed(),
            removable,
            "{text}"
        );
    }
    // A repository of which only the inside is writable is not a nested one.
    let inside = writable(&["/w/.git"]);
    assert!(!inside.judge_remove(&path("/w/.git/hooks/x")).is_allowed());
}

#[test]
fn stores_of_packages_are_exempt() {
    check(
        &writable(&["/w", "/h"]),
        &[
            ("/w/node_modules/p/.vscode/settings.json", true),
            ("/w/a/site-packages/p/.npmrc", true),
            ("/h/.cargo/registry/src/x/.cargo/config.toml", true),
            ("/h/.cargo/config.toml", false),
            ("/h/go/pkg/mod/m/.github/workflows/x", true),
            ("/h/go/pkg/.vscode", false),
            ("/h/pkg/mod/.vscode", false),
            ("/w/NODE_MODULES/p/.vscode", false),
            ("/w/node_modules/p/.git/hooks", false),
            ("/w/node_modules/p/.bashrc", false),
        ],
    );
}

#[test]
fn names_that_a_file_system_may_fold_are_the_same() {
    let policy = writable(&["/w"]);
    for text in [
        "/w/.BashRC",
        "/w/.ba\u{17f}hrc",
        "/w/.g\u{200d}it/hooks",
        "/w/.git/hoo\u{212a}s",
        "/w/.git/con\u{fb01}g",
        "/w/\u{feff}.bashrc",
        "/w/.bashrc\u{200b}",
        "/w/.pro\u{fb01}le",
        "/w/.vi\u{ad}mrc",
    ] {
        check(&policy, &[(text, false)]);
    }
    check(
        &policy,
        &[
            ("/w/.bashrc\u{301}", true),
            ("/w/.bashr\u{e7}", true),
            ("/w/bashrc", true),
        ],
    );
}
