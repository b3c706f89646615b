//! Rules whose paths lead through symbolic links.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use sandbox_macos::{HostFacts, MacosRelease, ProfileError, effective, lower};
use sandbox_policy::{
    AbsolutePath, FileVerdict, FilesystemPolicy, Firmness, LayerId, PathPattern, Policy,
    UnixSocketPolicy,
};

use crate::{
    evaluator::Evaluator,
    support::{allow, decide, deny, facts, path, proxies, rule, with_files},
};

/// The usual machine, with links.
fn machine(links: &[(&str, &str)]) -> HostFacts {
    let mut facts = facts();
    for (from, to) in links {
        facts.landings.insert(path(from), path(to));
    }
    facts
}

fn evaluator(policy: &Policy, facts: &HostFacts) -> Evaluator {
    Evaluator::new(&lower(policy, facts, &proxies()).unwrap())
}

fn writes(evaluator: &Evaluator, text: &str) -> bool {
    decide(evaluator, "file-write-data", &path(text))
}

fn reads(evaluator: &Evaluator, text: &str) -> bool {
    decide(evaluator, "file-read-data", &path(text))
}

fn files() -> FilesystemPolicy {
    Policy::restrictive().filesystem
}

#[test]
fn a_deny_closes_the_link_and_what_it_leads_to() {
    let policy = with_files(FilesystemPolicy {
        deny_read: vec![deny("/Users/me/keys", Firmness::Final)].into(),
        allow_write: vec![allow("/Users/me/ws")],
        deny_write: vec![rule("/Users/me/ws/config")].into(),
        ..files()
    });
    let facts = machine(&[
        ("/Users/me/keys", "/Volumes/safe/keys"),
        ("/Users/me/ws/config", "/Users/me/ws/shared/config"),
    ]);
    let evaluator = evaluator(&policy, &facts);
    assert!(!reads(&evaluator, "/Volumes/safe/keys/id"));
    assert!(!writes(&evaluator, "/Users/me/ws/shared/config"));
    assert!(!writes(&evaluator, "/Users/me/ws/config"));
    assert!(writes(&evaluator, "/Users/me/ws/shared/other"));
}

#[test]
fn a_write_root_is_where_it_lands() {
    let policy = Policy::restrictive().allow_write("/Users/me/ws").unwrap();
    let facts = machine(&[("/Users/me/ws", "/Volumes/disk/ws")]);
    let evaluator = evaluator(&policy, &facts);
    assert!(writes(&evaluator, "/Volumes/disk/ws/file"));
    assert!(!writes(&evaluator, "/Users/me/ws/file"));
}

#[test]
fn a_planted_link_opens_nothing() {
    let policy = Policy::restrictive()
        .allow_write("/tmp/ws")
        .and_then(|policy| policy.allow_write("/tmp/ws/cache"))
        .unwrap();
    let facts = machine(&[("/tmp/ws/cache", "/Users/me/.ssh")]);
    let refused = lower(&policy, &facts, &proxies());
    assert!(
        matches!(&refused, Err(ProfileError::PlantedLink { target, .. }) if *target == path("/Users/me/.ssh")),
        "{refused:?}"
    );
    let inside = machine(&[("/tmp/ws/cache", "/private/tmp/ws/real")]);
    assert!(lower(&policy, &inside, &proxies()).is_ok());
    // A root that is itself behind a link is no reason to distrust what lies in it.
    let moved = machine(&[
        ("/tmp/ws", "/Volumes/ws"),
        ("/tmp/ws/cache", "/Volumes/ws/cache"),
    ]);
    assert!(lower(&policy, &moved, &proxies()).is_ok());
}

#[test]
fn a_planted_link_leads_to_no_socket() {
    let policy = Policy {
        unix_sockets: UnixSocketPolicy::Listed(vec![rule("/Users/me/ws/agent.sock")]),
        ..Policy::restrictive().allow_write("/Users/me/ws").unwrap()
    };
    let facts = machine(&[("/Users/me/ws/agent.sock", "/private/var/run/docker.sock")]);
    let refused = effective(&policy, &facts);
    assert!(matches!(refused, Err(ProfileError::PlantedLink { .. })));
}

#[test]
fn a_listed_socket_is_where_it_lands() {
    let policy = Policy {
        unix_sockets: UnixSocketPolicy::Listed(vec![rule("/var/run/docker.sock")]),
        ..Policy::restrictive()
    };
    let real = "/Users/me/.docker/run/docker.sock";
    let facts = machine(&[("/var/run/docker.sock", real)]);
    let policy = effective(&policy, &facts).unwrap();
    let UnixSocketPolicy::Listed(rules) = &policy.unix_sockets else {
        panic!("{policy:?}");
    };
    assert_eq!(rules[0].pattern, PathPattern::Subtree(path(real)));
}

#[test]
fn a_link_reopens_nothing_that_is_denied() {
    let policy = with_files(FilesystemPolicy {
        deny_read: vec![deny("/tmp/secret", Firmness::Final)].into(),
        allow_read: vec![allow("/Users/me/link"), allow("/Users/me/other")],
        ..files()
    });
    let facts = machine(&[
        ("/Users/me/link", "/private/tmp/secret/x"),
        ("/Users/me/other", "/Volumes/other"),
    ]);
    let policy = effective(&policy, &facts).unwrap();
    let judge = |text: &str| {
        matches!(
            policy.filesystem.judge_read(&path(text)),
            FileVerdict::Allow(_)
        )
    };
    assert!(!judge("/private/tmp/secret/x"));
    assert!(policy.filesystem.allow_read.iter().any(|allow| {
        allow.rule.pattern == PathPattern::Subtree(path("/Volumes/other"))
            && allow.layer == LayerId(1)
    }));
}

#[test]
fn patterns_move_with_their_directory() {
    let policy = with_files(FilesystemPolicy {
        deny_read: vec![deny("/Users/me/ws/**/*.pem", Firmness::Final)].into(),
        ..files()
    });
    let facts = machine(&[("/Users/me/ws", "/Volumes/disk/ws")]);
    let evaluator = evaluator(&policy, &facts);
    assert!(!reads(&evaluator, "/Volumes/disk/ws/a/key.pem"));
    assert!(!reads(&evaluator, "/Users/me/ws/a/key.pem"));
    assert!(reads(&evaluator, "/Volumes/disk/ws/a/key.txt"));
}

#[test]
fn links_of_this_machine_are_found() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("landings");
    // What an earlier run left; there may be nothing.
    fs::remove_dir_all(&directory).unwrap_or(());
    fs::create_dir_all(directory.join("real")).unwrap();
    let directory = fs::canonicalize(directory).unwrap();
    symlink("real", directory.join("link")).unwrap();
    symlink("not/yet", directory.join("dangling")).unwrap();
    symlink("circle", directory.join("circle")).unwrap();
    let at = |name: &str| AbsolutePath::new(directory.join(name)).unwrap();
    let policy = Policy::restrictive()
        .allow_write(at("link"))
        .and_then(|policy| policy.deny_write(at("link/not/there")))
        .and_then(|policy| policy.deny_read(at("real")))
        .and_then(|policy| policy.deny_read(at("dangling/below")))
        .unwrap();
    let mut facts = HostFacts::new(MacosRelease::new(14, 4), None);
    // This may be a machine where `/tmp` is no link.
    facts.aliases.clear();
    let circle = Policy::restrictive().deny_read(at("circle")).unwrap();
    assert!(facts.clone().with_landings(&circle).is_err());
    let found = facts.with_landings(&policy).unwrap().landings;
    assert_eq!(found.get(&at("link")), Some(&at("real")));
    assert_eq!(
        found.get(&at("link/not/there")),
        Some(&at("real/not/there"))
    );
    assert_eq!(found.get(&at("real")), None);
    assert_eq!(found.get(&at("dangling/below")), Some(&at("not/yet/below")));
}
