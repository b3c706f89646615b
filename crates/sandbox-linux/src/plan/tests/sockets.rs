//! Who keeps Unix sockets of the host's out of reach.

use sandbox_policy::{Origin, PathPattern, PathRule, Policy, UnixSocketPolicy};

use super::{super::SocketGuard, Host, path};
use crate::plan::{FilterAction, LinuxPlan, PlanNotice};

fn listing(paths: &[&str]) -> Policy {
    let rules = paths.iter().map(|name| PathRule {
        pattern: PathPattern::Subtree(path(name)),
        origin: Origin::Program,
    });
    Policy {
        unix_sockets: UnixSocketPolicy::Listed(rules.collect()),
        ..Policy::restrictive()
    }
}

fn plan(abi: u32, policy: &Policy) -> LinuxPlan {
    let mut host = Host::new(&[]);
    host.facts.landlock_abi = abi;
    host.plan(policy).unwrap()
}

/// Whether connections are notified, and whether datagram sockets exist.
fn filter(plan: &LinuxPlan) -> (bool, bool) {
    let rules = plan.filter.rules();
    let connects = rules
        .iter()
        .any(|rule| rule.name == "connect" && rule.action == FilterAction::Supervised);
    let refuses_datagrams = rules.iter().any(|rule| rule.name == "socketpair");
    (connects, !refuses_datagrams)
}

#[test]
fn the_kernel_keeps_sockets_where_it_can_and_the_supervisor_elsewhere() {
    let closed = Policy::restrictive();
    let listed = listing(&["/run/app.sock"]);
    let open = Policy {
        unix_sockets: UnixSocketPolicy::Unrestricted(Origin::Program),
        ..Policy::restrictive()
    };
    for (abi, policy, expected) in [
        (8, &closed, (true, false)),
        (8, &listed, (true, false)),
        (8, &open, (false, true)),
        (9, &closed, (false, true)),
        (9, &listed, (true, true)),
        (9, &open, (false, true)),
    ] {
        let plan = plan(abi, policy);
        assert_eq!(filter(&plan), expected, "ABI {abi}: {:?}", plan.sockets);
        let closes = plan.landlock.unwrap().closes_sockets;
        let is_open = matches!(policy.unix_sockets, UnixSocketPolicy::Unrestricted(_));
        assert_eq!(closes, abi >= 9 && !is_open);
    }
}

#[test]
fn a_listed_socket_in_a_private_directory_is_found_by_name() {
    let plan = plan(8, &listing(&["/tmp/app.sock", "/run/app.sock"]));
    let SocketGuard::Supervisor { listed, .. } = &plan.sockets else {
        panic!("{:?}", plan.sockets);
    };
    let hidden: Vec<_> = listed.iter().map(|listed| listed.is_hidden).collect();
    assert_eq!(hidden, [true, false]);
}

#[test]
fn services_that_give_the_host_away_are_named() {
    let plan = plan(8, &listing(&["/run/docker.sock", "/run/app.sock"]));
    let named: Vec<_> = plan
        .notices
        .iter()
        .filter(|notice| matches!(notice, PlanNotice::PowerfulSocket { .. }))
        .map(ToString::to_string)
        .collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(named[0].contains("docker.sock"), "{named:?}");
}
