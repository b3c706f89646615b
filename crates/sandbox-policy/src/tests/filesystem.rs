//! Verdicts on paths.

use std::sync::LazyLock;

use super::{origin, path, path_rule};
use crate::{
    Denial, DenialReason, FileJudge, FileVerdict, FilesystemPolicy, Firmness, LayerId, Protection,
    ReadAllow, ReadDeny, RuleList,
};

static NOTHING: LazyLock<FilesystemPolicy> = LazyLock::new(|| FilesystemPolicy {
    deny_read: RuleList::default(),
    allow_read: Vec::new(),
    allow_write: Vec::new(),
    deny_write: RuleList::default(),
    scratch: Vec::new(),
    protected: Protection::none(),
});
const LAYER: LayerId = LayerId(1);

fn deny(text: &str, firmness: Firmness, line: u32) -> ReadDeny {
    ReadDeny {
        rule: path_rule(text, line),
        firmness,
    }
}

fn allow(text: &str, layer: LayerId, line: u32) -> ReadAllow {
    ReadAllow {
        rule: path_rule(text, line),
        layer,
    }
}

/// Lists of one layer; lines count from 1, 11, 21 and 31.
fn policy(
    deny_read: &[&str],
    allow_read: &[&str],
    allow_write: &[&str],
    deny_write: &[&str],
) -> FilesystemPolicy {
    FilesystemPolicy {
        deny_read: (1..)
            .zip(deny_read)
            .map(|(line, text)| deny(text, Firmness::Layer(LAYER), line))
            .collect(),
        allow_read: (11..)
            .zip(allow_read)
            .map(|(line, text)| allow(text, LAYER, line))
            .collect(),
        allow_write: (21..)
            .zip(allow_write)
            .map(|(line, text)| allow(text, LAYER, line))
            .collect(),
        deny_write: (31..)
            .zip(deny_write)
            .map(|(line, text)| path_rule(text, line))
            .collect(),
        scratch: Vec::new(),
        protected: Protection::none(),
    }
}

#[track_caller]
fn check_reads(policy: &FilesystemPolicy, expected: &[(&str, bool)]) {
    for (text, readable) in expected {
        let verdict = policy.judge_read(&path(text));
        assert_eq!(verdict.is_allowed(), *readable, "{text}: {verdict:?}");
        assert_eq!(verdict.denial().is_none(), *readable);
    }
}

#[track_caller]
fn check_writes(policy: &FilesystemPolicy, expected: &[(&str, bool)]) {
    for (text, writable) in expected {
        let verdict = policy.judge_write(&path(text));
        assert_eq!(verdict.is_allowed(), *writable, "{text}: {verdict:?}");
    }
}

#[test]
fn reads_are_open_and_writes_are_closed() {
    assert_eq!(
        NOTHING.judge_read(&path("/etc/passwd")),
        FileVerdict::Allow(None)
    );
    assert_eq!(
        NOTHING.judge_write(&path("/etc/passwd")).into_denial(),
        Some(Denial::by_default(
            DenialReason::WriteNotAllowed,
            "/etc/passwd".to_owned()
        ))
    );
}

#[test]
fn the_more_specific_read_rule_wins() {
    let policy = policy(&["/home", "/home/u/w/secret"], &["/home/u/w"], &[], &[]);
    check_reads(
        &policy,
        &[
            ("/", true),
            ("/home", false),
            ("/home/u", false),
            ("/homes", true),
            ("/home/u/w", true),
            ("/home/u/w/a/b", true),
            ("/home/u/w/secret", false),
            ("/home/u/w/secret/x", false),
            ("/home/u/w/secrets", true),
        ],
    );
    assert_eq!(
        policy.judge_read(&path("/home/u/w/secret/x")).into_denial(),
        Some(Denial {
            reason: DenialReason::ReadDenied,
            object: "/home/u/w/secret/x".to_owned(),
            rule: Some(("/home/u/w/secret".to_owned(), origin(2))),
            note: None,
        })
    );
    let FileVerdict::Allow(Some(rule)) = policy.judge_read(&path("/home/u/w/a")) else {
        panic!("allowed by a rule")
    };
    assert_eq!(rule.origin, origin(11));
}

#[test]
fn on_a_tie_the_allow_wins() {
    let policy = policy(&["/a"], &["/a"], &[], &[]);
    check_reads(&policy, &[("/a", true), ("/a/b", true)]);
}

#[test]
fn globs_deny_what_lies_below_their_matches() {
    let policy = policy(&["**/.env", "/w/s*"], &["/w", "/w/sub/*.txt"], &["/w"], &[]);
    check_reads(
        &policy,
        &[
            ("/w/a", true),
            ("/w/.env", false),
            ("/w/a/.env/x", false),
            ("/w/sub", false),
            ("/w/sub/x", false),
            ("/w/sub/x.txt", true),
            ("/w/sub/x.txt/y", false),
        ],
    );
    check_writes(
        &policy,
        &[("/w/a", true), ("/w/.env", false), ("/w/sub/x", false)],
    );
}

#[test]
fn a_glob_that_matches_again_inside_closes_again() {
    let policy = policy(&["**/secret*"], &["/w/secrets/public"], &[], &[]);
    check_reads(
        &policy,
        &[
            ("/w/secrets/x", false),
            ("/w/secrets/public/x", true),
            ("/w/secrets/public/secret.key", false),
        ],
    );
}

#[test]
fn denied_writes_stay_denied_whatever_allows_them() {
    let policy = policy(
        &[],
        &[],
        &["/w", "/w/.git/hooks"],
        &["/w/.git/hooks", "/w/**/*.lock"],
    );
    check_writes(
        &policy,
        &[
            ("/w", true),
            ("/w/a", true),
            ("/w/.git", true),
            ("/w/.git/hooks", false),
            ("/w/.git/hooks/pre-commit", false),
            ("/w/a/b.lock", false),
            ("/w/a/b.lock/c", false),
            ("/x", false),
        ],
    );
    // At or above the allow as well.
    let above = self::policy(&[], &[], &["/w/a"], &["/w"]);
    check_writes(&above, &[("/w/a", false), ("/w/a/b", false)]);
    let denial = above.judge_write(&path("/w/a")).into_denial().unwrap();
    assert_eq!(
        denial.to_string(),
        "writing is denied: `/w/a` (rule `/w` of /settings.json:31:1)"
    );
}

#[test]
fn what_cannot_be_read_cannot_be_written() {
    let policy = policy(&["/w/secret"], &[], &["/w"], &[]);
    let denial = policy
        .judge_write(&path("/w/secret/x"))
        .into_denial()
        .unwrap();
    assert_eq!(denial.reason, DenialReason::ReadDenied);
    // A write root inside the closed region is readable, as it counts as an allow.
    let reopened = self::policy(&["/w"], &[], &["/w/out"], &[]);
    check_reads(&reopened, &[("/w/in", false), ("/w/out/x", true)]);
    check_writes(&reopened, &[("/w/in", false), ("/w/out/x", true)]);
}

#[test]
fn firmness_tells_who_may_reopen() {
    let with = |firmness| FilesystemPolicy {
        deny_read: vec![deny("/a", firmness, 1)].into(),
        allow_read: vec![allow("/a/other", LayerId(2), 2), allow("/a/same", LAYER, 3)],
        ..NOTHING.clone()
    };
    check_reads(
        &with(Firmness::Default),
        &[("/a/x", false), ("/a/other", true), ("/a/same", true)],
    );
    check_reads(
        &with(Firmness::Layer(LAYER)),
        &[("/a/x", false), ("/a/other", false), ("/a/same", true)],
    );
    check_reads(
        &with(Firmness::Final),
        &[("/a/x", false), ("/a/other", false), ("/a/same", false)],
    );
}

#[test]
fn the_deepest_standing_rule_is_named() {
    let mut policy = policy(&["/a", "/a/b", "/a/b"], &[], &[], &["/a", "/a/b", "/a/b"]);
    let line = |verdict: FileVerdict<'_>| verdict.into_denial().unwrap().rule.unwrap().1;
    assert_eq!(line(policy.judge_read(&path("/a/b/c"))), origin(2));
    assert_eq!(line(policy.judge_write(&path("/a/b/c"))), origin(32));
    policy.deny_write.clear();
    assert_eq!(line(policy.judge_write(&path("/a/b/c"))), origin(2));
}

#[test]
fn what_is_shown_in_a_private_directory_is_the_hosts() {
    let with_scratch = |reads: &[&str], writes: &[&str]| FilesystemPolicy {
        scratch: vec![path_rule("/tmp", 40)],
        protected: Protection::all(),
        ..policy(&[], reads, writes, &[])
    };
    let reading = with_scratch(&["/tmp/shown", "/tmp/*.txt"], &[]);
    check_writes(
        &reading,
        &[
            ("/tmp/shown", false),
            ("/tmp/shown/x", false),
            ("/tmp/other", true),
            ("/tmp/a.txt", true),
        ],
    );
    assert!(reading.is_private(&path("/tmp/a.txt")));
    assert!(!reading.is_private(&path("/tmp/shown/x")));
    // The directory itself stays private.
    check_writes(&with_scratch(&["/tmp"], &[]), &[("/tmp/x", true)]);
    let writing = with_scratch(&["/tmp/shown"], &["/tmp"]);
    check_writes(
        &writing,
        &[("/tmp/shown/x", true), ("/tmp/.git/hooks/x", false)],
    );
    // Nor does it re-open a deny for what is shown.
    let denied = FilesystemPolicy {
        deny_read: vec![deny("/tmp", Firmness::Layer(LayerId(2)), 1)].into(),
        ..reading
    };
    check_reads(&denied, &[("/tmp/shown/x", false), ("/tmp/x", true)]);
}

#[test]
fn scratch_is_readable_and_writable() {
    let with_scratch = |deny_read, deny_write| FilesystemPolicy {
        scratch: vec![path_rule("/tmp", 40)],
        ..policy(deny_read, &[], &[], deny_write)
    };
    let open = with_scratch(&[], &[]);
    check_writes(&open, &[("/tmp", true), ("/tmp/x", true), ("/tmpx", false)]);
    // A closed root does not close it, and a rule inside it does.
    let closed = with_scratch(&["/", "/tmp/x"], &["/tmp/y"]);
    check_reads(
        &closed,
        &[
            ("/etc", false),
            ("/tmp/a", true),
            ("/tmp/x/a", false),
            ("/tmp/y", true),
        ],
    );
    check_writes(
        &closed,
        &[("/tmp/a", true), ("/tmp/x", false), ("/tmp/y/z", false)],
    );
    let FileVerdict::Allow(Some(rule)) = closed.judge_read(&path("/tmp/a")) else {
        panic!("allowed by a rule")
    };
    assert_eq!(rule.origin, origin(40));
    let sealed = FilesystemPolicy {
        deny_read: vec![deny("/", Firmness::Final, 1)].into(),
        ..open
    };
    check_reads(&sealed, &[("/tmp/a", false)]);
}

#[test]
fn objects_that_are_not_text_are_escaped() {
    use std::os::unix::ffi::OsStrExt;
    let raw = crate::AbsolutePath::new(std::ffi::OsStr::from_bytes(b"/a/\xff")).unwrap();
    assert_eq!(
        NOTHING.judge_write(&raw).into_denial().unwrap().object,
        "/a/\\xff"
    );
}

#[test]
fn a_guarded_link_closes_its_name_and_nothing_behind_it() {
    let guarded = |root: &str, link: &str| {
        let mut policy = policy(&[], &[], &[root], &[]);
        policy.guard_link(&path(link), origin(1));
        policy
    };
    let closed = guarded("/w", "/w/link");
    assert!(!closed.judge_write(&path("/w/link")).is_allowed());
    assert!(!closed.judge_remove(&path("/w/link")).is_allowed());
    assert!(closed.judge_through(&path("/w/link")).is_allowed());
    assert!(closed.judge_write(&path("/w/link2")).is_allowed());
    let judge = FileJudge::new(&closed);
    assert!(!judge.may_remove(b"/w/link") && judge.may_remove(b"/w/link2"));
    assert!(!judge.keeps_verdicts(b"/w/link", b"/w/other"));
    let above = FileJudge::new(&guarded("/w", "/w/a/link"));
    assert!(!above.keeps_verdicts(b"/w/a", b"/w/b"));
    assert!(above.keeps_verdicts(b"/w/c", b"/w/b"));
    // A root that the link leads to, or another one, needs no rule.
    for (root, link) in [("/w/link", "/w/link"), ("/x", "/w/link")] {
        assert!(guarded(root, link).deny_write.is_empty(), "{root}");
    }
}
