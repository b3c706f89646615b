//! What is proposed, and what never is.

use std::sync::Arc;

use sandbox_policy::{AbsolutePath, Denial, DenialReason, Host, Operation, Origin};

use super::{Learner, Proposal};
use crate::violation::{Refused, Refusee, ViolationStore};

fn learn(refused: &[(Operation, Denial)]) -> Proposal {
    let store = ViolationStore::new(Vec::new());
    let learner = Learner::new(&store);
    let command = Arc::from("x");
    for (operation, denial) in refused {
        let refused = Refused {
            command: &command,
            operation: *operation,
            call: None,
            denial,
            permitted: false,
        };
        store.report(refused, Refusee::default);
    }
    let home = AbsolutePath::new("/absent/u").unwrap();
    let own = [AbsolutePath::new("/absent/u/.srt-settings.json").unwrap()];
    learner.proposal(Some(&home), &own)
}

fn writes(paths: &[&str]) -> Proposal {
    let denial = |path: &&str| {
        let denial = Denial::by_default(DenialReason::WriteNotAllowed, (*path).to_owned());
        (Operation::FileWrite, denial)
    };
    learn(&paths.iter().map(denial).collect::<Vec<_>>())
}

fn values(proposal: &Proposal) -> Vec<&str> {
    let values = proposal.additions.iter().map(|it| it.value.as_str());
    values.collect()
}

#[test]
fn several_files_speak_for_their_directory_and_fewer_do_not() {
    let two = writes(&["/absent/u/cache/a", "/absent/u/cache/b"]);
    assert_eq!(values(&two), ["/absent/u/cache/a", "/absent/u/cache/b"]);
    let three = writes(&[
        "/absent/u/cache/a",
        "/absent/u/cache/b",
        "/absent/u/cache/c",
    ]);
    assert_eq!(values(&three), ["/absent/u/cache"]);
    let made = writes(&["/absent/u/cache", "/absent/u/cache/a/b"]);
    assert_eq!(values(&made), ["/absent/u/cache"]);
    // Not the home directory, however many files of it there are.
    let home = writes(&["/absent/u/a", "/absent/u/b", "/absent/u/c", "/absent/u/d"]);
    assert_eq!(values(&home).len(), 4);
    // Nor a directory with secrets in it.
    let config = writes(&[
        "/absent/u/.config/a",
        "/absent/u/.config/b",
        "/absent/u/.config/c",
    ]);
    assert!(
        !values(&config).contains(&"/absent/u/.config"),
        "{config:?}"
    );
}

#[test]
fn what_is_guarded_is_never_proposed() {
    for path in [
        "/",
        "/absent",
        "/absent/u",
        "/etc/hosts",
        "/usr/lib/x",
        "/run/docker.sock",
        "/srv/x/docker.sock",
        "/absent/u/.ssh/config",
        "/absent/u/.ssh",
        "/absent/u/.aws/credentials",
        "/absent/u/.bashrc",
        "/absent/u/p/.git/hooks/post-commit",
        "/absent/u/.srt-settings.json",
        "/absent/u/a\u{1b}b",
    ] {
        let proposal = writes(&[path]);
        assert_eq!(values(&proposal), <[&str; 0]>::default(), "{path}");
        assert_eq!(proposal.kept.len(), 1, "{path}");
    }
}

#[test]
fn rules_of_authors_and_weakenings_stay() {
    let mut denied = Denial::by_default(DenialReason::WriteDenied, "/absent/u/x/y".to_owned());
    denied.rule = Some(("x".to_owned(), Origin::Flag("--deny-write x".into())));
    let call = Denial::by_default(DenialReason::CallRefused, "mount".to_owned());
    let host = Denial::by_default(DenialReason::HostDenied, "a.test:443".to_owned());
    let metadata = Denial::by_default(
        DenialReason::HostNotAllowed,
        "169.254.169.254:80".to_owned(),
    );
    let proposal = learn(&[
        (Operation::FileWrite, denied),
        (Operation::Mount, call),
        (Operation::Connect, host),
        (Operation::Connect, metadata),
    ]);
    assert_eq!(values(&proposal), <[&str; 0]>::default());
    assert_eq!(proposal.kept.len(), 4);
}

#[test]
fn hosts_are_named_once() {
    let denial = |text: &str| Denial::by_default(DenialReason::HostNotAllowed, text.to_owned());
    let proposal = learn(&[
        (Operation::Lookup, denial("a.test")),
        (Operation::Connect, denial("a.test:443")),
        (Operation::Connect, denial("b.test:22")),
    ]);
    assert_eq!(values(&proposal), ["a.test", "b.test:22"]);
}

#[test]
fn services_that_do_whatever_they_are_asked_are_not_proposed() {
    let denial = |text: &str| Denial::by_default(DenialReason::HostNotAllowed, text.to_owned());
    let asked = |text: &str| learn(&[(Operation::Connect, denial(text))]);
    let mut never: Vec<_> = [
        "10.0.0.7:2375",
        "192.168.1.1:22",
        "127.0.0.1:2375",
        "[fd00::7]:22",
    ]
    .map(str::to_owned)
    .to_vec();
    let own = crate::host::own_addresses().unwrap().0;
    let others = own.into_iter().filter(|address| !address.is_loopback());
    never.extend(others.map(|address| Host::from_ip(address).to_string() + ":443"));
    for text in never {
        let proposal = asked(&text);
        assert_eq!(values(&proposal), <[&str; 0]>::default(), "{text}");
    }
    for text in ["10.0.0.7:443", "127.0.0.1:3000", "git.test:22"] {
        assert_eq!(values(&asked(text)), [text]);
    }
}
