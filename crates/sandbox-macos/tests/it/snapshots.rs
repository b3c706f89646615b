//! Whole profiles. The part that is the same for every policy is shown once.

use sandbox_macos::{Endpoints, LocalBinding, SeatbeltProfile, lower};
use sandbox_policy::{Firmness, LayerId, PROTECTED_PATHS, Policy, Protection, UnixSocketPolicy};

use crate::support::{allow, deny, facts, profile, proxies, rule};

/// The text with its parameters.
fn show(profile: &SeatbeltProfile) -> String {
    let parameters = profile.parameters().iter();
    let values = parameters
        .map(|parameter| format!("{} = {}\n", parameter.name(), parameter.value().display()));
    format!("{}\n{}", profile.text(), values.collect::<String>())
}

/// What the policy decides: everything from the network on.
fn show_decisions(profile: &SeatbeltProfile) -> String {
    let shown = show(profile);
    let (_, decisions) = shown
        .split_once("(allow mach-priv-task-port (target same-sandbox))\n")
        .unwrap();
    decisions.to_owned()
}

#[test]
fn restrictive() {
    insta::assert_snapshot!(show(&profile(&Policy::restrictive())));
}

#[test]
fn project_with_protected_paths() {
    let mut policy = Policy::restrictive();
    // A few rows are enough to show: one with a way to it, one that packages may ship.
    let shown = [".bashrc", ".git/config", ".vscode"];
    policy.filesystem.protected = (PROTECTED_PATHS.iter())
        .filter(|row| !shown.contains(&row.path))
        .fold(Protection::all(), |rows, row| rows.without(row.path));
    policy.filesystem.allow_write = vec![allow("/Users/me/project")];
    policy.filesystem.deny_write = vec![
        rule("/Users/me/project/.git/hooks"),
        rule("/Users/me/project/**/.bashrc"),
    ]
    .into();
    insta::assert_snapshot!(show_decisions(&profile(&policy)));
}

#[test]
fn closed_reads_with_openings() {
    let mut policy = Policy::restrictive();
    policy.filesystem.protected = Protection::none();
    policy.filesystem.deny_read = vec![
        deny("~", Firmness::Layer(LayerId(1))),
        deny("~/.ssh", Firmness::Final),
        deny("/Users/me/project/**/*.pem", Firmness::Default),
    ]
    .into();
    policy.filesystem.allow_read = vec![allow("~/project"), allow("~/.config/*.toml")];
    policy.filesystem.allow_write = vec![allow("~/project/target")];
    insta::assert_snapshot!(show_decisions(&profile(&policy)));
}

/// The shape of the `workspace` preset: everything closed, some of it open again.
#[test]
fn closed_disk() {
    let mut policy = Policy::restrictive();
    policy.filesystem.protected = Protection::none();
    policy.filesystem.deny_read = vec![
        deny("/", Firmness::Default),
        deny("~/.cargo/credentials.toml", Firmness::Default),
    ]
    .into();
    policy.filesystem.allow_read = vec![allow("/usr"), allow("/dev"), allow("~/.cargo")];
    policy.filesystem.allow_write = vec![allow("~/project")];
    insta::assert_snapshot!(show_decisions(&profile(&policy)));
}

#[test]
fn links_and_odd_names() {
    let mut policy = Policy::restrictive();
    policy.filesystem.protected = Protection::none();
    policy.filesystem.allow_write = vec![allow("/tmp/build [1]"), allow("/var/tmp/*.o")];
    policy.filesystem.deny_read = vec![deny("/etc/my \"secrets\"", Firmness::Final)].into();
    policy.filesystem.deny_write = vec![rule("/tmp/[ab]/keep")].into();
    insta::assert_snapshot!(show_decisions(&profile(&policy)));
}

#[test]
fn sockets_and_local_servers() {
    let policy = Policy {
        unix_sockets: UnixSocketPolicy::Listed(vec![
            rule("/var/run/docker.sock"),
            rule("/tmp/ssh-*/agent.*"),
        ]),
        ..Policy::restrictive()
    };
    let endpoints = Endpoints {
        local_binding: LocalBinding::Allowed,
        ..proxies()
    };
    insta::assert_snapshot!(show_decisions(
        &lower(&policy, &facts(), &endpoints).unwrap()
    ));
}

#[test]
fn no_network() {
    let endpoints = Endpoints {
        http_port: None,
        socks_port: None,
        local_binding: LocalBinding::Refused,
    };
    let policy = Policy {
        filesystem: sandbox_policy::FilesystemPolicy {
            scratch: Vec::new(),
            ..Policy::restrictive().filesystem
        },
        ..Policy::restrictive()
    };
    insta::assert_snapshot!(show_decisions(
        &lower(&policy, &facts(), &endpoints).unwrap()
    ));
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let policy = Policy::restrictive()
        .allow_write("/w")
        .unwrap()
        .deny_read("/w/x")
        .unwrap();
    assert_eq!(profile(&policy), profile(&policy.clone()));
}
