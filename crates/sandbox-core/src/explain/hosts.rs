//! Hosts and names, judged as the proxies judge them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sandbox_policy::{
    Denial, DenialReason, Host, LookupVerdict, NetworkPolicy, Permit, Port, Target, Verdict,
};

use super::{AllowReason, Explanation};
use crate::{host, sandbox::Sandbox};

const CONNECT: &str = "connect";
const RESOLVE: &str = "resolve";

pub(super) fn connect(sandbox: &Sandbox, text: &str, port: Port) -> Explanation {
    let Ok(host) = Host::parse_typed(text) else {
        return malformed(CONNECT, format!("{text}:{port}"));
    };
    let target = Target::new(host, port);
    let object = target.to_string();
    let policy = &*sandbox.network_control().policy();
    match policy.judge(target) {
        Verdict::Deny(denial) => Explanation::refused_by(CONNECT, object, denial),
        // Nobody is asked who could say yes.
        Verdict::Ask(question) => Explanation::refused_by(CONNECT, object, question.unanswered()),
        Verdict::Allow(permit) => permitted(sandbox, object, permit),
    }
}

/// The rest of the way of a permitted target: where it leads is judged too.
fn permitted(sandbox: &Sandbox, object: String, permit: Permit) -> Explanation {
    let policy = &sandbox.policy().network;
    let mut answer = Explanation::new(CONNECT, object.clone(), AllowReason::Rule.into());
    if let Some(rule) = permit.rule() {
        answer.rule = Some((rule.pattern.to_string(), rule.origin.clone()));
        answer.note.clone_from(&rule.note);
    }
    let Target { host, port } = permit.target().clone();
    let is_host_port = |address: IpAddr| sandbox.backend().is_host_port(address, port);
    let address = match &host {
        Host::Name(_) if host.is_localhost() => {
            let inside = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return if host.is_loopback() && inside.into_iter().any(is_host_port) {
                answer.remark(HOST_PORT)
            } else {
                answer.remark(LOOPBACK)
            };
        }
        Host::Name(_) => {
            return answer.remark(
                "the addresses that the name leads to are judged when it is looked up: none of the host's own, loopback, link-local or metadata ones",
            );
        }
        Host::Ip(address) => *address,
    };
    match reached(policy, permit, address) {
        Ok(()) if is_host_port(address) => answer.remark(HOST_PORT),
        Ok(()) if address.is_loopback() || address.is_unspecified() => answer.remark(LOOPBACK),
        Ok(()) => answer,
        Err(Refused::Address(denial)) => Explanation::refused_by(CONNECT, object, denial),
        Err(Refused::Unknown(error)) => answer.remark(format!(
            "the host's own addresses can't be read, without which nothing is connected: {error}"
        )),
    }
}

enum Refused {
    Address(Denial),
    Unknown(std::io::Error),
}

fn reached(policy: &NetworkPolicy, permit: Permit, address: IpAddr) -> Result<(), Refused> {
    let own = host::own_addresses().map_err(Refused::Unknown)?;
    permit
        .resolve(policy, &[address], &own)
        .map(drop)
        .map_err(Refused::Address)
}

pub(super) fn resolve(sandbox: &Sandbox, text: &str) -> Explanation {
    let host = match Host::parse_typed(text) {
        Ok(host) => host,
        Err(_not_a_host) => return malformed(RESOLVE, text.to_owned()),
    };
    let object = host.to_string();
    let allowed = |reason: AllowReason| Explanation::new(RESOLVE, object.clone(), reason.into());
    let Host::Name(name) = &host else {
        return allowed(AllowReason::IsAddress);
    };
    if host.is_localhost() || sandbox.backend().is_own_name(name.as_str()) {
        return allowed(AllowReason::OwnName);
    }
    let policy = &*sandbox.network_control().policy();
    match policy.judge_lookup(name) {
        LookupVerdict::Allow => {
            let mut answer = allowed(AllowReason::Rule)
                .remark("a connection is judged by itself, once its port is known");
            // Verdicts name the first of several rules.
            let mut rules = policy.allowed().iter();
            let rule = rules.find(|rule| rule.pattern.host.matches(&host));
            answer.rule = rule.map(|rule| (rule.pattern.to_string(), rule.origin.clone()));
            answer
        }
        // Nobody is asked who could say yes.
        LookupVerdict::Ask => {
            let denial = Denial::by_default(DenialReason::HostNotAllowed, object.clone());
            Explanation::refused_by(RESOLVE, object, denial)
        }
        LookupVerdict::Deny(denial) => Explanation::refused_by(RESOLVE, object, denial),
    }
}

fn malformed(operation: &'static str, object: String) -> Explanation {
    let denial = Denial::by_default(DenialReason::MalformedHost, object.clone());
    Explanation::refused_by(operation, object, denial)
}

const LOOPBACK: &str = "only by way of the proxies: a program that connects by itself reaches the sandbox's own loopback";

const HOST_PORT: &str =
    "the port of the sandbox's loopback leads to the host's, with and without the proxies";
