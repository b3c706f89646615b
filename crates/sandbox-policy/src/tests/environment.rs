//! The variables that lead to the proxies.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use crate::{HostPort, Policy, ProxyPorts, environment};

fn variables(policy: &Policy, inherited: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    let inherited = inherited
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    let ports = ProxyPorts {
        http: 3128,
        socks: 1080,
    };
    let taken = |host: &HostPort| [ports.http, ports.socks].contains(&host.port.get());
    let mut joined = policy.network.host_ports();
    joined.retain(|host| !taken(host));
    environment(inherited, policy, ports, &joined)
}

fn value<'v>(variables: &'v BTreeMap<OsString, OsString>, name: &str) -> Option<&'v str> {
    variables
        .get(OsStr::new(name))
        .and_then(|value| value.to_str())
}

#[test]
fn programs_are_led_to_the_proxies() {
    let inherited = [("HTTP_PROXY", "http://outside:1"), ("LANG", "C")];
    let variables = variables(&Policy::restrictive(), &inherited);
    assert_eq!(
        value(&variables, "HTTP_PROXY"),
        Some("http://127.0.0.1:3128")
    );
    assert_eq!(
        value(&variables, "ALL_PROXY"),
        Some("socks5h://127.0.0.1:1080")
    );
    assert_eq!(
        value(&variables, "NO_PROXY"),
        Some("localhost,127.0.0.1,::1")
    );
    assert_eq!(value(&variables, "LANG"), Some("C"));
    assert_eq!(value(&variables, "SANDBOX_RUNTIME"), Some("1"));
}

#[test]
fn a_listed_loopback_is_the_hosts_and_needs_the_proxy() {
    for (rule, expected) in [
        ("localhost", ""),
        ("127.0.0.1", ""),
        // This port is a proxy's inside.
        ("localhost:3128", ""),
        // A single port is there inside.
        ("localhost:5432", "localhost,127.0.0.1,::1"),
        ("[::1]:5432", "localhost,127.0.0.1,::1"),
    ] {
        let policy = Policy::restrictive().allow_domain(rule).unwrap();
        let found = variables(&policy, &[]);
        assert_eq!(value(&found, "NO_PROXY"), Some(expected), "{rule}");
    }
}

#[test]
fn the_policy_has_the_last_word() {
    let mut policy = Policy::restrictive();
    policy.environment.remove = vec!["SECRET".into()];
    policy.environment.set = vec![("NO_PROXY".into(), "x".into())];
    let variables = variables(&policy, &[("SECRET", "s")]);
    assert_eq!(value(&variables, "SECRET"), None);
    assert_eq!(value(&variables, "NO_PROXY"), Some("x"));
}
