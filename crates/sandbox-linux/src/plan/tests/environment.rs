//! The variables that differ inside.

use std::{collections::BTreeMap, ffi::OsString};

use sandbox_policy::Policy;

use crate::{facts::Endpoints, plan::environment};

fn variables(policy: &Policy, inherited: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
    let inherited = inherited
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    environment(inherited, policy, Endpoints::standard(), &[])
}

fn value<'v>(variables: &'v BTreeMap<OsString, OsString>, name: &str) -> Option<&'v str> {
    variables
        .get(std::ffi::OsStr::new(name))
        .and_then(|value| value.to_str())
}

#[test]
fn each_proxy_is_at_its_own_port() {
    let variables = variables(&Policy::restrictive(), &[]);
    assert_eq!(
        value(&variables, "HTTP_PROXY"),
        Some("http://127.0.0.1:3128")
    );
    assert_eq!(
        value(&variables, "ALL_PROXY"),
        Some("socks5h://127.0.0.1:1080")
    );
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
    let inherited = [("TMPDIR", "/run/user/1/t")];
    let policy = Policy::restrictive().deny_variable("TMPDIR").unwrap();
    assert_eq!(value(&variables(&policy, &inherited), "TMPDIR"), None);
    let policy = policy.set_variable("TMPDIR", "/var/tmp").unwrap();
    let variables = variables(&policy, &inherited);
    assert_eq!(value(&variables, "TMPDIR"), Some("/var/tmp"));
}
