//! Laws and tables of the policy.

mod addresses;
mod domains;
mod environment;
mod filesystem;
mod hosts;
mod judge;
mod laws;
mod network;
mod paths;
mod patterns;
mod policy;
mod ports;
mod protected;
mod unix_sockets;

use std::net::IpAddr;
use std::sync::Arc;

use crate::{
    AbsolutePath, DomainPattern, DomainRule, Host, NetworkPolicy, Origin, PathBase, PathPattern,
    PathRule, PatternSyntax, Permit, Port, Target, Verdict,
};

/// An origin that tells rules apart by their line.
fn origin(line: u32) -> Origin {
    Origin::File {
        path: Arc::new("/settings.json".into()),
        line,
        column: 1,
    }
}

fn path(text: &str) -> AbsolutePath {
    AbsolutePath::new(text).unwrap()
}

fn base() -> PathBase {
    PathBase {
        working_directory: path("/w"),
        home: Some(path("/home/u")),
    }
}

fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text.as_ref(), PatternSyntax::Glob, &base()).unwrap()
}

/// As a permission rule has it.
fn gitignore(text: &str) -> PathPattern {
    PathPattern::parse(text.as_ref(), PatternSyntax::Gitignore, &base()).unwrap()
}

fn path_rule(text: &str, line: u32) -> PathRule {
    PathRule {
        pattern: pattern(text),
        origin: origin(line),
    }
}

fn host(text: &str) -> Host {
    Host::parse(text.as_bytes()).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn target(text: &str, port: u16) -> Target {
    Target::new(host(text), Port::new(port).unwrap())
}

/// Rules of a list, with their place in it as line.
fn domain_rules(texts: &[&str]) -> Vec<DomainRule> {
    (1..)
        .zip(texts)
        .map(|(line, text)| DomainRule {
            pattern: DomainPattern::parse_deny(text).unwrap(),
            origin: origin(line),
            note: None,
        })
        .collect()
}

/// The permit of a target that a rule allows.
fn permit_of(policy: &NetworkPolicy, target: Target) -> Option<Permit> {
    match policy.judge(target) {
        Verdict::Allow(permit) => Some(permit),
        Verdict::Ask(_) | Verdict::Deny(_) => None,
    }
}
