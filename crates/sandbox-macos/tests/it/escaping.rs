//! No path can become program text.

use proptest::prelude::*;
use sandbox_macos::{HostFacts, MacosRelease, ProfileError, lower};
use sandbox_policy::{AbsolutePath, Firmness, PathPattern, Policy};

use crate::{
    evaluator::Evaluator,
    support::{
        allow, cases, decide, deny, facts, path, pattern, profile, proxies, rule, with_files,
    },
};

#[test]
fn hostile_names_stay_parameters() {
    let hostile = "/w/\") (allow default) (deny file-read* (literal \"\\";
    let mut files = Policy::restrictive().filesystem;
    files.deny_read = vec![sandbox_policy::ReadDeny {
        rule: sandbox_policy::PathRule {
            pattern: PathPattern::Subtree(AbsolutePath::new(hostile).unwrap()),
            origin: sandbox_policy::Origin::Program,
        },
        firmness: Firmness::Final,
    }]
    .into();
    let profile = profile(&with_files(files));
    assert!(!profile.text().contains("allow default"));
    let evaluator = Evaluator::new(&profile);
    assert!(!decide(&evaluator, "file-read-data", &path(hostile)));
    assert!(decide(&evaluator, "file-read-data", &path("/w/x")));
}

#[test]
fn hostile_patterns_stay_patterns() {
    let mut files = Policy::restrictive().filesystem;
    files.deny_read = vec![deny("/w/*\")(allow default)(\\", Firmness::Final)].into();
    let evaluator = Evaluator::new(&profile(&with_files(files)));
    assert!(!decide(
        &evaluator,
        "file-read-data",
        &path("/w/x\")(allow default)(\\")
    ));
    assert!(!decide(&evaluator, "file-write-data", &path("/Users/me/x")));
}

#[test]
fn patterns_without_an_equivalent_are_errors() {
    let error = |text: &str| {
        let mut files = Policy::restrictive().filesystem;
        files.deny_write = vec![rule(text)].into();
        lower(&with_files(files), &facts(), &proxies()).unwrap_err()
    };
    let long = format!("/w/*{}", "x".repeat(1025));
    insta::assert_snapshot!(error(&long).to_string().replace(&"x".repeat(1025), "x…"), @"the pattern `/w/*x…` is too long for macOS: its regular expression has 4119 bytes, 1025 are allowed");
    insta::assert_snapshot!(error("/w/*\n").to_string().replace('\n', "↵"), @"cannot express the pattern `/w/*↵` for macOS: it contains a control character");
    insta::assert_snapshot!(error("/w/[à-ü]"), @"cannot express the pattern `/w/[à-ü]` for macOS: a set contains a character outside printable ASCII");
    assert!(matches!(
        error("/w/*\n"),
        ProfileError::UnsupportedGlob { .. }
    ));
}

#[test]
fn old_releases_are_refused() {
    let facts = HostFacts::new(MacosRelease::new(12, 7), None);
    let error = lower(&Policy::restrictive(), &facts, &proxies()).unwrap_err();
    insta::assert_snapshot!(error, @"macOS 12.7 is not supported: at least macOS 13.0 is needed");
}

#[test]
fn patterns_of_the_root_reach_through_the_links() {
    let mut files = Policy::restrictive().filesystem;
    files.deny_read = vec![
        deny("/*/secret", Firmness::Final),
        deny("/tm?", Firmness::Final),
    ]
    .into();
    files.allow_write = vec![allow("/w")];
    let evaluator = Evaluator::new(&profile(&with_files(files)));
    for closed in [
        "/private/var/secret",
        "/private/etc/secret/x",
        "/w/secret",
        "/private/tmp/x",
    ] {
        assert!(
            !decide(&evaluator, "file-read-data", &path(closed)),
            "{closed}"
        );
    }
    assert!(decide(
        &evaluator,
        "file-read-data",
        &path("/private/var/other")
    ));
}

/// The file system takes `.GIT` for `.git`, and Seatbelt sees what the caller spelt.
#[test]
fn every_spelling_of_a_closed_name_is_closed() {
    let mut files = Policy::restrictive().filesystem;
    files.allow_write = vec![allow("/w")];
    files.deny_write = vec![
        rule("/w/.git/hooks"),
        rule("/w/**/.bashrc"),
        rule("/w/[ks]x*"),
    ]
    .into();
    files.deny_read = vec![deny("/w/secret", Firmness::Final)].into();
    let evaluator = Evaluator::new(&profile(&with_files(files)));
    let closed = [
        "/w/.git/HOOKS",
        "/w/.Git/hooks/pre-commit",
        "/w/.git/hoo\u{212a}s",
        "/w/.git/hook\u{17f}/x",
        "/w/a/.BASHRC",
        "/private/tmp/.BashRC",
        "/w/KX",
        "/w/\u{17f}x1",
        "/W/.git/hooks",
    ];
    for closed in closed {
        assert!(
            !decide(&evaluator, "file-write-create", &path(closed)),
            "{closed}"
        );
    }
    assert!(!decide(&evaluator, "file-read-data", &path("/w/Secret/x")));
    assert!(
        !decide(&evaluator, "file-write-create", &path("/w/.GIT")),
        "a pin"
    );
    for open in ["/w/.git/hook", "/w/.gith", "/w/.bashrc2", "/w/tx"] {
        assert!(
            decide(&evaluator, "file-write-create", &path(open)),
            "{open}"
        );
    }
}

#[test]
fn long_and_odd_paths_are_closed_whatever_their_length() {
    let names = [
        "k".repeat(255),
        "Icon\r".to_owned(),
        "s".repeat(60),
        "component".repeat(20),
    ];
    let long = format!("/w/{}/{}", names.join("/"), vec!["x"; 200].join("/"));
    let mut files = Policy::restrictive().filesystem;
    files.allow_write = vec![allow("/w")];
    files.deny_write = vec![rule(&long)].into();
    let evaluator = Evaluator::new(&profile(&with_files(files)));
    for closed in [
        long.clone(),
        format!("{long}/y"),
        long.replace("component", "COMPONENT"),
    ] {
        assert!(
            !decide(&evaluator, "file-write-data", &path(&closed)),
            "{closed}"
        );
    }
    assert!(decide(
        &evaluator,
        "file-write-data",
        &path(&format!("{long}y"))
    ));
}

proptest! {
    #![proptest_config(cases(400))]

    /// The regular expression of a pattern matches what the pattern matches.
    #[test]
    fn patterns_and_expressions_agree(text in "/w(/[a-c.*?+(){}|^$\\[\\]!-]{1,6}){1,2}", name in "/w(/[a-c.*?+(){}|^$\\[\\]!-]{1,6}){1,2}") {
        let pattern = pattern(&text);
        let mut files = Policy::restrictive().filesystem;
        files.deny_read = vec![deny(&text, Firmness::Final)].into();
        let evaluator = Evaluator::new(&profile(&with_files(files)));
        // The root directory itself stays readable, or no program would start.
        for name in [path(&name), path(&text)].into_iter().filter(|name| name.depth() > 0) {
            prop_assert_eq!(!decide(&evaluator, "file-read-data", &name), pattern.region(&name).is_some());
        }
    }
}
