//! What the probe finds in a directory of its own.

use std::{fs, os::unix::fs::symlink};

use sandbox_policy::{AbsolutePath, Policy};
use tempfile::TempDir;

use super::{MOUNTED_WRITE_DENIES, probe};
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

#[test]
fn of_many_read_denies_only_links_are_looked_at() {
    let (_kept, at) = place();
    let mut policy = Policy::restrictive().allow_write(at.as_path()).unwrap();
    for number in 0..600 {
        let path = below(&at, &format!("file{number}"));
        match number {
            550 => symlink("/etc/hostname", path.as_path()).unwrap(),
            551 => symlink("nowhere", path.as_path()).unwrap(),
            _ => fs::write(path.as_path(), "").unwrap(),
        }
        policy = policy.deny_read(path.as_path()).unwrap();
    }
    let facts = probe(&policy, &at, None).unwrap();
    assert!(facts.leaves_reads_open);
    let landing = facts.landings.get(&below(&at, "file550"));
    let expected = fs::canonicalize("/etc/hostname").unwrap();
    assert_eq!(landing.map(AbsolutePath::as_path), Some(expected.as_path()));
    assert_eq!(facts.landings.len(), 1, "{:?}", facts.landings);
}
