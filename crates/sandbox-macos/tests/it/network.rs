//! The network: the proxies' ports and nothing else.

use std::collections::BTreeMap;

use sandbox_macos::{Endpoints, LocalBinding, lower};
use sandbox_policy::{Origin, Policy, PortMapping, UnixSocketPolicy};

use crate::{
    evaluator::{Decision, Evaluator, Object},
    support::{facts, proxies, rule},
};

fn evaluator(endpoints: &Endpoints, unix_sockets: UnixSocketPolicy) -> Evaluator {
    let policy = Policy {
        unix_sockets,
        ..Policy::restrictive()
    };
    Evaluator::new(&lower(&policy, &facts(), endpoints).unwrap())
}

fn reaches(evaluator: &Evaluator, remote: &str) -> bool {
    let object = Object {
        remote: Some(remote.to_owned()),
        ..Object::default()
    };
    evaluator.decide("network-outbound", &object) == Decision::Allow
}

fn binds(evaluator: &Evaluator, local: &str) -> bool {
    let object = Object {
        local: Some(local.to_owned()),
        ..Object::default()
    };
    let [bind, inbound] =
        ["network-bind", "network-inbound"].map(|name| evaluator.decide(name, &object));
    assert_eq!(bind, inbound);
    bind == Decision::Allow
}

fn socket(evaluator: &Evaluator, operation: &str, path: &str) -> bool {
    let object = Object {
        socket_path: Some(path.to_owned()),
        ..Object::default()
    };
    evaluator.decide(operation, &object) == Decision::Allow
}

fn makes_unix_sockets(evaluator: &Evaluator) -> bool {
    let object = Object {
        socket_domain: Some("AF_UNIX"),
        ..Object::default()
    };
    evaluator.decide("system-socket", &object) == Decision::Allow
}

#[test]
fn only_the_proxies_are_reached() {
    let evaluator = evaluator(&proxies(), UnixSocketPolicy::Blocked);
    for port in 1..=u16::MAX {
        let is_proxy = port == 3128 || port == 1080;
        assert_eq!(
            reaches(&evaluator, &format!("localhost:{port}")),
            is_proxy,
            "{port}"
        );
    }
    for remote in [
        "93.184.216.34:443",
        "93.184.216.34:3128",
        "192.168.0.1:1080",
        "[2001:db8::1]:3128",
    ] {
        assert!(!reaches(&evaluator, remote), "{remote}");
    }
    assert!(!binds(&evaluator, "localhost:8080"));
    // The command must not take the proxy's place either.
    assert!(!binds(&evaluator, "localhost:3128"));
    assert!(!makes_unix_sockets(&evaluator));
    assert!(!socket(
        &evaluator,
        "network-outbound",
        "/private/var/run/docker.sock"
    ));
}

#[test]
fn without_proxies_nothing_is_reached() {
    let endpoints = Endpoints {
        http_port: None,
        socks_port: None,
        local_binding: LocalBinding::Refused,
    };
    let evaluator = evaluator(&endpoints, UnixSocketPolicy::Blocked);
    for port in [1, 53, 80, 443, 1080, 3128] {
        assert!(!reaches(&evaluator, &format!("localhost:{port}")));
        assert!(!reaches(&evaluator, &format!("8.8.8.8:{port}")));
    }
}

#[test]
fn local_servers_stay_on_this_machine() {
    let endpoints = Endpoints {
        local_binding: LocalBinding::Allowed,
        ..proxies()
    };
    let evaluator = evaluator(&endpoints, UnixSocketPolicy::Blocked);
    assert!(
        binds(&evaluator, "::ffff:127.0.0.1:8080"),
        "dual-stack sockets of Java"
    );
    assert!(reaches(&evaluator, "localhost:8080"));
    assert!(!reaches(&evaluator, "93.184.216.34:443"));
}

#[test]
fn single_ports_are_the_hosts_and_the_commands_own() {
    let policy = Policy::restrictive()
        .allow_domain("localhost:5432")
        .and_then(|policy| policy.allow_domain("127.0.0.1:5433"))
        .and_then(|policy| policy.allow_domain("localhost:5434"))
        .and_then(|policy| policy.deny_domain("[::1]:5434"))
        .unwrap()
        .publish_port(PortMapping::parse("3000").unwrap());
    let evaluator = Evaluator::new(&lower(&policy, &facts(), &proxies()).unwrap());
    for port in 1..=u16::MAX {
        let address = format!("localhost:{port}");
        // A filter can't tell the addresses apart, so a port of one of them is the proxies' alone.
        let expected = [1080, 3128, 5432].contains(&port);
        assert_eq!(reaches(&evaluator, &address), expected, "{port}");
        assert_eq!(binds(&evaluator, &address), port == 3000, "{port}");
    }
    assert!(!reaches(&evaluator, "93.184.216.34:5432"));
    assert!(!binds(&evaluator, "192.0.2.1:3000"));
}

#[test]
fn a_published_port_is_the_servers_own() {
    let policy = Policy::restrictive().publish_port(PortMapping::parse("8080:80").unwrap());
    let error = lower(&policy, &facts(), &proxies()).unwrap_err();
    assert!(error.to_string().contains("`8080:80`"), "{error}");
}

#[test]
fn listed_unix_sockets_are_reached_by_their_real_paths() {
    let listed = vec![rule("/var/run/docker.sock"), rule("/tmp/agent.*/socket")];
    let evaluator = evaluator(&proxies(), UnixSocketPolicy::Listed(listed));
    assert!(makes_unix_sockets(&evaluator));
    for operation in ["network-outbound", "network-bind"] {
        assert!(socket(
            &evaluator,
            operation,
            "/private/var/run/docker.sock"
        ));
        assert!(socket(
            &evaluator,
            operation,
            "/private/tmp/agent.12/socket"
        ));
        assert!(!socket(
            &evaluator,
            operation,
            "/private/tmp/agent.12/other"
        ));
        assert!(!socket(
            &evaluator,
            operation,
            "/private/var/run/docker.sock2"
        ));
    }
    assert!(!reaches(&evaluator, "localhost:22"));
}

#[test]
fn all_unix_sockets_are_no_other_sockets() {
    let all = UnixSocketPolicy::Unrestricted(Origin::Program);
    let evaluator = evaluator(&proxies(), all);
    assert!(socket(&evaluator, "network-outbound", "/private/tmp/x"));
    assert!(!reaches(&evaluator, "10.0.0.1:80"));
}

#[test]
fn other_processes_terminals_and_services_are_out_of_reach() {
    let evaluator = evaluator(&proxies(), UnixSocketPolicy::Blocked);
    let ours = Object {
        same_sandbox: true,
        ..Object::default()
    };
    for operation in ["signal", "process-info*", "mach-priv-task-port"] {
        assert_eq!(evaluator.decide(operation, &ours), Decision::Allow);
        assert_eq!(
            evaluator.decide(operation, &Object::default()),
            Decision::Deny
        );
    }
    let service = |name: &str| Object {
        name: Some(name.to_owned()),
        ..Object::default()
    };
    let lookups = BTreeMap::from([
        ("com.apple.logd", Decision::Allow),
        ("com.apple.trustd.agent", Decision::Deny),
        ("com.apple.coreservices.appleevents", Decision::Deny),
        ("com.apple.pasteboard.1", Decision::Deny),
    ]);
    for (name, wanted) in lookups {
        assert_eq!(
            evaluator.decide("mach-lookup", &service(name)),
            wanted,
            "{name}"
        );
    }
    let terminal = |ioctl| Object {
        path: Some("/dev/ttys003".to_owned()),
        vnode: Some("CHARACTER-DEVICE"),
        ioctl: Some(ioctl),
        ..Object::default()
    };
    assert_eq!(
        evaluator.decide("file-ioctl", &terminal("TIOCSETA")),
        Decision::Allow
    );
    assert_eq!(
        evaluator.decide("file-ioctl", &terminal("TIOCSTI")),
        Decision::Deny
    );
}
