//! The variables that lead to the proxies.

use std::{collections::BTreeMap, ffi::OsString};

use sandbox_policy::Policy;

use crate::{facts::Endpoints, plan::environment};

fn variables(policy: &Policy, inherited: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    let inherited = inherited
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    environment(inherited, policy, Endpoints::standard())
}

fn value<'v>(variables: &'v BTreeMap<OsString, OsString>, name: &str) -> Option<&'v str> {
    variables
        .get(std::ffi::OsStr::new(name))
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
    let policy = Policy::restrictive()
        .allow_domain("localhost:5432")
        .unwrap();
    assert_eq!(value(&variables(&policy, &[]), "NO_PROXY"), Some(""));
}

#[test]
fn the_temporary_directory_exists_inside() {
    let policy = Policy::restrictive().allow_write("/home/u/ws").unwrap();
    let temporary = |inherited: &[(&str, &str)]| {
        value(&variables(&policy, inherited), "TMPDIR").map(str::to_owned)
    };
    assert_eq!(temporary(&[]), None);
    assert_eq!(
        temporary(&[("TMPDIR", "/run/user/1/t")]).as_deref(),
        Some("/tmp")
    );
    assert_eq!(
        temporary(&[("TMPDIR", "/home/u/ws/t")]).as_deref(),
        Some("/home/u/ws/t")
    );
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
