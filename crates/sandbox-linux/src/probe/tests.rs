//! What the probe finds in a directory of its own.

use std::{fs, os::unix::fs::symlink};

use sandbox_policy::{
    AbsolutePath, Firmness, LayerId, PathBase, PathPattern, PatternSyntax, Policy,
};
use tempfile::TempDir;

use super::{MOUNTED_WRITE_DENIES, named, probe};
use crate::facts::{HostFacts, PathKind};

fn place() -> (TempDir, AbsolutePath) {
    let directory = TempDir::new().unwrap();
    let real = directory.path().canonicalize().unwrap();
    (directory, AbsolutePath::new(real).unwrap())
}

fn facts(at: &AbsolutePath, denies: &[AbsolutePath]) -> HostFacts {
    let mut policy = Policy::restrictive().allow_write(at.as_path()).unwrap();
    for deny in denies {
        policy = policy.deny_write(deny.as_path()).unwrap();
    }
    probe(&policy, at, None).unwrap()
}

fn below(at: &AbsolutePath, name: &str) -> AbsolutePath {
    AbsolutePath::resolve(at, name).unwrap()
}

#[test]
fn a_few_denies_are_found_one_by_one() {
    let (_kept, at) = place();
    fs::create_dir_all(below(&at, "real/inner")).unwrap();
    fs::write(below(&at, "file"), "").unwrap();
    symlink("real", below(&at, "link")).unwrap();
    let denies = [
        "file",
        "link",
        "link/inner",
        "none",
        "link/none",
        "file/none",
    ];
    let denies = denies.map(|name| below(&at, name));
    let facts = facts(&at, &denies);
    let found = |name: &str| facts.paths.get(&below(&at, name));
    let real = |name: &str| Some(below(&at, name));
    assert_eq!(found("file").unwrap().kind, PathKind::File);
    assert_eq!(
        found("link").map(|found| found.canonical.clone()),
        real("real")
    );
    assert_eq!(
        found("link/inner").map(|found| found.canonical.clone()),
        real("real/inner")
    );
    assert!(found("real/inner").is_some());
    assert!(found("none").is_none() && found("file/none").is_none());
    assert_eq!(
        facts.landings.get(&below(&at, "link/none")).cloned(),
        real("real/none")
    );
    assert_eq!(facts.landings.len(), 1);
}

#[test]
fn of_many_denies_only_the_links_matter() {
    let (_kept, at) = place();
    let denies: Vec<_> = (0..=MOUNTED_WRITE_DENIES)
        .map(|number| below(&at, &number.to_string()))
        .collect();
    for deny in &denies {
        fs::write(deny, "").unwrap();
    }
    let link = below(&at, "link");
    symlink("0", &link).unwrap();
    let all: Vec<_> = denies.iter().cloned().chain([link.clone()]).collect();
    let facts = facts(&at, &all);
    assert!(!denies.iter().any(|deny| facts.paths.contains_key(deny)));
    assert_eq!(facts.landings.get(&link), denies.first());
    assert!(!facts.leaves_reads_open);
}

/// What is no regular file keeps its mount, whoever closes how many files.
#[test]
fn of_many_read_denies_all_but_files_have_a_mount() {
    let (_kept, at) = place();
    let mut policy = Policy::restrictive().allow_write(at.as_path()).unwrap();
    for number in 0..600 {
        let path = below(&at, &format!("file{number}"));
        match number {
            549 => fs::create_dir(path.as_path()).unwrap(),
            550 => symlink("/etc/hostname", path.as_path()).unwrap(),
            551 => symlink("nowhere", path.as_path()).unwrap(),
            552 => drop(std::os::unix::net::UnixListener::bind(path.as_path()).unwrap()),
            553 => {}
            _ => fs::write(path.as_path(), "").unwrap(),
        }
        policy = policy.deny_read(path.as_path()).unwrap();
    }
    let facts = probe(&policy, &at, None).unwrap();
    assert!(facts.leaves_reads_open);
    let is_known = |name: &str| facts.paths.contains_key(&below(&at, name));
    assert!(is_known("file549") && is_known("file550") && is_known("file552"));
    assert!(!is_known("file0") && !is_known("file551") && !is_known("file599"));
    // Another author's few have theirs.
    let mine = below(&at, "mine");
    fs::write(mine.as_path(), "").unwrap();
    policy = policy.deny_read(mine.as_path()).unwrap();
    policy
        .filesystem
        .deny_read
        .iter_mut()
        .last()
        .unwrap()
        .firmness = Firmness::Final;
    let facts = probe(&policy, &at, None).unwrap();
    assert!(facts.leaves_reads_open && facts.paths.contains_key(&mine));
    assert!(!facts.paths.contains_key(&below(&at, "file0")));
}

/// Of many write roots in another one only those are looked at that could mean something.
#[test]
fn write_roots_in_others_are_not_looked_at_unless_they_matter() {
    let (_kept, at) = place();
    let root = |name: &str| below(&at, name);
    let mut plain = Policy::restrictive().allow_write(at.as_path()).unwrap();
    for number in 0..600 {
        let path = root(&format!("group/{number}"));
        // Whether one exists does not matter.
        if number != 501 {
            fs::create_dir_all(path.as_path()).unwrap();
        }
        plain = plain.allow_write(path.as_path()).unwrap();
    }
    let is_looked_at = |policy: &Policy, name: &str| {
        let facts = probe(policy, &at, None).unwrap();
        let index = (policy.filesystem.allow_write.iter())
            .position(|allow| *named(&allow.rule) == root(name))
            .unwrap();
        let is_inner = facts.inner_roots.contains(&index);
        assert!(!is_inner || !facts.paths.contains_key(&root(name)));
        !is_inner
    };
    assert!(!is_looked_at(&plain, "group/499") && !is_looked_at(&plain, "group/501"));
    for closed in ["group", "group/499", "group/*99", "**/499"] {
        let base = PathBase {
            working_directory: at.clone(),
            home: None,
        };
        let pattern = PathPattern::parse(closed.as_ref(), PatternSyntax::FloatingGlob, &base);
        let mut denies = plain.clone().deny_read("/nonexistent").unwrap();
        for deny in denies.filesystem.deny_read.iter_mut() {
            deny.rule.pattern = pattern.clone().unwrap();
        }
        assert!(is_looked_at(&denies, "group/499"), "{closed}");
    }
    let closed = plain.clone().deny_write(root("group").as_path()).unwrap();
    assert!(is_looked_at(&closed, "group/499"));
    let mut other = plain.clone();
    for allow in &mut other.filesystem.allow_write {
        if *named(&allow.rule) == root("group/499") {
            allow.layer = LayerId(7);
        }
    }
    assert!(is_looked_at(&other, "group/499"));
    // Where a symlink leads, a rule may lie between after all.
    symlink("group", root("link").as_path()).unwrap();
    let linked = plain.clone().deny_read(root("link").as_path()).unwrap();
    assert!(is_looked_at(&linked, "group/499"));
    symlink("group", root("group/link").as_path()).unwrap();
    let link = root("group/link");
    let planted = plain.allow_write(link.as_path()).unwrap();
    assert!(is_looked_at(&planted, "group/link"));
}
