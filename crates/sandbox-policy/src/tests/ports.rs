//! Single ports of the two loopbacks.

use super::{domain_rules, origin, permit_of, target};
use crate::{
    HostPort, NetworkPolicy, OwnAddresses, Policy, Port, PortConflict, PortMapping,
    PortMappingError, PublishedPort,
};

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

fn policy(allowed: &[&str], denied: &[&str]) -> NetworkPolicy {
    NetworkPolicy::new(domain_rules(allowed), domain_rules(denied), Vec::new())
}

#[test]
fn mappings_are_read_as_outside_and_inside() {
    for (text, outside, inside) in [
        ("3000", 3000, 3000),
        ("8080:80", 8080, 80),
        ("1:65535", 1, 65535),
    ] {
        let mapping = PortMapping::parse(text).unwrap();
        assert_eq!(
            (mapping.outside, mapping.inside),
            (port(outside), port(inside))
        );
        assert_eq!(PortMapping::parse(&mapping.to_string()), Ok(mapping));
    }
    for text in [
        "", "0", "65536", "80:", ":80", "0:80", "+80", "080", " 80", "80 ", "a", "8e1", "-1",
    ] {
        let error = PortMapping::parse(text);
        assert!(
            matches!(error, Err(PortMappingError::Port { .. })),
            "{text}: {error:?}"
        );
    }
    for text in ["1:2:3", "127.0.0.1:80:80", "[::1]:80:80"] {
        assert_eq!(
            PortMapping::parse(text),
            Err(PortMappingError::Shape),
            "{text}"
        );
    }
}

#[test]
fn host_ports_are_what_the_rules_leave_of_single_loopback_ports() {
    let both = |number| HostPort {
        port: port(number),
        v4: true,
        v6: true,
    };
    let v4 = |number| HostPort {
        v6: false,
        ..both(number)
    };
    let v6 = |number| HostPort {
        v4: false,
        ..both(number)
    };
    for (allowed, denied, expected) in [
        (&["localhost:5432"][..], &[][..], vec![both(5432)]),
        (&["127.0.0.1:2", "[::1]:1"], &[], vec![v6(1), v4(2)]),
        (&["[::1]:1", "127.0.0.1:1"], &[], vec![both(1)]),
        (&["[::ffff:127.0.0.1]:1"], &[], vec![v4(1)]),
        // All ports, other names and other addresses are the proxies' alone.
        (&["localhost", "127.0.0.1", "[::1]"], &[], vec![]),
        (
            &["app.localhost:1", "127.0.0.2:1", "10.0.0.1:1", "a.test:1"],
            &[],
            vec![],
        ),
        // A deny wins, whichever name it takes.
        (
            &["localhost:1", "localhost:2"],
            &["localhost:1"],
            vec![both(2)],
        ),
        (&["127.0.0.1:1", "[::1]:1"], &["localhost"], vec![]),
        (&["localhost:1"], &["127.0.0.1"], vec![v6(1)]),
        (&["localhost:1"], &["*:1"], vec![]),
        (&["localhost:1"], &["*"], vec![]),
    ] {
        assert_eq!(
            policy(allowed, denied).host_ports(),
            expected,
            "{allowed:?} {denied:?}"
        );
    }
}

#[test]
fn a_listed_localhost_is_both_its_addresses() {
    let policy = policy(&["localhost:5432", "a.test"], &[]);
    for host in ["127.0.0.1", "[::1]", "127.1", "[::ffff:7f00:1]"] {
        let permit = permit_of(&policy, target(host, 5432)).unwrap();
        let resolved = permit
            .resolve(&policy, &[], &OwnAddresses(Vec::new()))
            .unwrap();
        assert_eq!(resolved.addresses().len(), 1, "{host}");
        assert!(
            resolved
                .addresses()
                .iter()
                .all(|address| address.ip().is_loopback())
        );
        assert!(permit_of(&policy, target(host, 5433)).is_none());
    }
    for host in ["127.0.0.2", "[64:ff9b::7f00:1]", "0.0.0.0"] {
        assert!(permit_of(&policy, target(host, 5432)).is_none(), "{host}");
    }
    // Another name gets nothing of it: only the address itself, or `localhost`, is listed.
    let other = permit_of(&policy, target("a.test", 5432)).unwrap();
    let loopback = ["127.0.0.1".parse().unwrap()];
    assert!(
        other
            .resolve(&policy, &loopback, &OwnAddresses(Vec::new()))
            .is_err()
    );
}

#[test]
fn a_denied_localhost_is_both_its_addresses() {
    let policy = policy(&["127.0.0.1:1", "[::1]:1", "a.test"], &["localhost:1"]);
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        assert!(permit_of(&policy, target(host, 1)).is_none(), "{host}");
    }
    let name = permit_of(&policy, target("a.test", 1)).unwrap();
    let loopback = ["127.0.0.1".parse().unwrap()];
    assert!(
        name.resolve(&policy, &loopback, &OwnAddresses(Vec::new()))
            .is_err()
    );
}

#[test]
fn ports_that_exclude_each_other_are_found() {
    let published = |texts: &[&str]| {
        let ports = (1..).zip(texts).map(|(line, text)| PublishedPort {
            mapping: PortMapping::parse(text).unwrap(),
            origin: origin(line),
        });
        let policy = Policy {
            published_ports: ports.collect(),
            ..Policy::restrictive()
        };
        policy.allow_host_port(port(5432)).check_ports()
    };
    assert_eq!(published(&["80", "81:80", "80:80", "5432:1"]), Ok(()));
    assert!(matches!(
        published(&["80:1", "80:2"]),
        Err(PortConflict::Twice { .. })
    ));
    // Outside they would be one listener and its own client, and inside two listeners.
    for text in ["5432", "1:5432"] {
        assert!(matches!(
            published(&[text]),
            Err(PortConflict::HostPort { .. })
        ));
    }
}

#[test]
fn without_a_network_nothing_is_published() {
    let policy = Policy::restrictive().publish_port(PortMapping::same(port(80)));
    assert_eq!(policy.published_ports.len(), 1);
    assert_eq!(policy.without_network().published_ports, []);
}
