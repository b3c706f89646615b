//! Verdicts on targets and on the addresses that they resolve to.

use std::net::SocketAddr;

use super::{domain_rules, ip, origin, target};
use crate::{
    AddressClass, AddressRule, Denial, DenialReason, DomainRule, Host, LookupVerdict,
    NetworkPolicy, Origin, OwnAddresses, Permit, Port, Target, Verdict,
};

fn policy(allowed: &[&str], denied: &[&str]) -> NetworkPolicy {
    NetworkPolicy::new(domain_rules(allowed), domain_rules(denied), Vec::new())
}

fn permit(policy: &NetworkPolicy, target: Target) -> Permit {
    match policy.judge(target) {
        Verdict::Allow(permit) => permit,
        Verdict::Ask(question) => question.approve(),
        Verdict::Deny(denial) => panic!("{denial}"),
    }
}

fn denial(policy: &NetworkPolicy, target: Target) -> Denial {
    match policy.judge(target) {
        Verdict::Deny(denial) => denial,
        other @ (Verdict::Allow(_) | Verdict::Ask(_)) => panic!("{other:?}"),
    }
}

fn resolve(
    policy: &NetworkPolicy,
    host: &str,
    port: u16,
    addresses: &[&str],
) -> Result<Vec<String>, DenialReason> {
    let own = OwnAddresses(vec![ip("203.0.113.7"), ip("2001:db8::7")]);
    let addresses: Vec<_> = addresses.iter().map(|text| ip(text)).collect();
    permit(policy, target(host, port))
        .resolve(policy, &addresses, &own)
        .map(|resolved| {
            resolved
                .addresses()
                .iter()
                .map(|address: &SocketAddr| address.ip().to_string())
                .collect()
        })
        .map_err(|denial| denial.reason)
}

#[test]
fn the_deny_list_is_asked_first_then_the_allow_list() {
    let policy = policy(
        &["*.ok.test", "both.test"],
        &["bad.ok.test", "both.test", "*:22"],
    );
    let rule = |rule: &DomainRule| (rule.pattern.to_string(), rule.origin.clone());

    let allowed = permit(&policy, target("a.ok.test", 443));
    assert_eq!(
        allowed.rule().map(rule),
        Some(("*.ok.test".to_owned(), origin(1)))
    );
    assert_eq!(
        denial(&policy, target("BAD.ok.test.", 443)),
        Denial {
            reason: DenialReason::HostDenied,
            object: "bad.ok.test:443".to_owned(),
            rule: Some(("bad.ok.test".to_owned(), origin(1))),
            note: None,
        }
    );
    assert_eq!(
        denial(&policy, target("both.test", 1)).reason,
        DenialReason::HostDenied
    );
    assert_eq!(
        denial(&policy, target("a.ok.test", 22)).rule,
        Some(("*:22".to_owned(), origin(3)))
    );
    assert!(matches!(
        policy.judge(target("ok.test", 443)),
        Verdict::Ask(_)
    ));
    let strict = policy.strict(true);
    assert_eq!(
        denial(&strict, target("ok.test", 443)),
        Denial::by_default(DenialReason::HostNotAllowed, "ok.test:443".to_owned())
    );
}

#[test]
fn labels_are_boundaries() {
    let policy = policy(&["ok.test", "*.sub.test"], &[]).strict(true);
    for (host, expected) in [
        ("ok.test", true),
        ("evilok.test", false),
        ("ok.test.evil", false),
        ("sub.ok.test", false),
        ("ok.tes", false),
        ("a.sub.test", true),
        ("a.b.c.sub.test", true),
        ("sub.test", false),
        ("evilsub.test", false),
        ("a.sub.test.evil", false),
    ] {
        let verdict = policy.judge(target(host, 443));
        assert_eq!(matches!(verdict, Verdict::Allow(_)), expected, "{host}");
    }
}

#[test]
fn every_spelling_of_a_denied_address_is_denied() {
    let policy = policy(&[], &["127.1", "[::1]", "m\u{fc}nchen.de"]);
    for spelling in [
        "127.0.0.1",
        "0x7f.1",
        "017700000001",
        "2130706433",
        "::ffff:127.0.0.1",
        "[::ffff:7f00:1]",
        "127.0.0.1.",
        "::1",
        "0:0::1",
        "xn--mnchen-3ya.de",
        "XN--MNCHEN-3YA.de.",
    ] {
        let denial = denial(&policy, target(spelling, 80));
        assert_eq!(denial.reason, DenialReason::HostDenied, "{spelling}");
    }
    // Built by hand, not parsed: canonicalised all the same.
    let mapped = Target::new(Host::Ip(ip("::ffff:127.0.0.1")), Port::new(1).unwrap());
    assert_eq!(denial(&policy, mapped).reason, DenialReason::HostDenied);
}

#[test]
fn a_blocked_network_asks_nobody() {
    let policy = NetworkPolicy::blocked();
    assert!(policy.permits_nothing());
    assert_eq!(
        denial(&policy, target("a.test", 1)).reason,
        DenialReason::HostNotAllowed
    );
}

#[test]
fn a_question_leads_to_a_permit_or_a_denial() {
    let policy = policy(&[], &[]);
    let ask = || match policy.judge(target("a.test", 80)) {
        Verdict::Ask(question) => question,
        other @ (Verdict::Allow(_) | Verdict::Deny(_)) => panic!("{other:?}"),
    };
    assert!(ask().approve().rule().is_none());
    let refused = ask().refuse(Some("not today".to_owned()));
    assert_eq!(refused.to_string(), "not today: `a.test:80`");
    assert_eq!(ask().unanswered().reason, DenialReason::HostNotAllowed);
}

#[test]
fn notes_and_origins_are_shown() {
    let mut rules = domain_rules(&["evil.test"]);
    rules[0].note = Some("use the mirror".to_owned());
    let policy = NetworkPolicy::new(Vec::new(), rules, Vec::new());
    assert_eq!(
        denial(&policy, target("evil.test", 443)).to_string(),
        "host is on the deny list: `evil.test:443` (rule `evil.test` of /settings.json:1:1): use the mirror"
    );
}

#[test]
fn names_must_not_lead_to_special_addresses() {
    let policy = policy(&["*.ok.test"], &[]);
    for (address, class) in [
        ("127.0.0.1", AddressClass::Loopback),
        ("::1", AddressClass::Loopback),
        ("::ffff:127.0.0.1", AddressClass::Loopback),
        ("64:ff9b::7f00:1", AddressClass::Loopback),
        ("2002:7f00:1::", AddressClass::Loopback),
        ("0.0.0.0", AddressClass::Unspecified),
        ("169.254.169.254", AddressClass::LinkLocal),
        ("224.0.0.1", AddressClass::Multicast),
        ("255.255.255.255", AddressClass::Broadcast),
        ("100.100.100.200", AddressClass::Metadata),
        ("203.0.113.7", AddressClass::OwnHost),
        ("64:ff9b::203.0.113.7", AddressClass::OwnHost),
        ("2001:db8::7", AddressClass::OwnHost),
    ] {
        let expected = Err(DenialReason::AddressDenied(class));
        assert_eq!(
            resolve(&policy, "a.ok.test", 443, &[address]),
            expected,
            "{address}"
        );
        // What a decider approved is judged no less.
        assert_eq!(
            resolve(&policy, "asked.test", 443, &[address]),
            expected,
            "{address}"
        );
    }
    assert_eq!(
        resolve(&policy, "a.ok.test", 443, &["10.0.0.1"]),
        Ok(vec!["10.0.0.1".to_owned()])
    );
}

#[test]
fn good_addresses_remain_in_order_and_bad_ones_are_dropped() {
    let policy = policy(&["a.test"], &[]);
    let addresses = ["127.0.0.1", "192.0.2.2", "::1", "192.0.2.1"];
    let expected = Ok(vec!["192.0.2.2".to_owned(), "192.0.2.1".to_owned()]);
    assert_eq!(resolve(&policy, "a.test", 443, &addresses), expected);
    let worse = ["224.0.0.1", "127.0.0.1"];
    let expected = Err(DenialReason::AddressDenied(AddressClass::Multicast));
    assert_eq!(resolve(&policy, "a.test", 443, &worse), expected);
    assert_eq!(resolve(&policy, "a.test", 443, &[]), Ok(Vec::new()));
}

#[test]
fn only_the_very_literal_carves_an_address_out() {
    let policy = policy(&["a.test", "127.0.0.1:80", "*.b.test"], &[]);
    let refused = Err(DenialReason::AddressDenied(AddressClass::Loopback));
    assert_eq!(
        resolve(&policy, "a.test", 80, &["127.0.0.1"]),
        Ok(vec!["127.0.0.1".to_owned()])
    );
    assert_eq!(
        resolve(&policy, "a.test", 80, &["::ffff:127.0.0.1"]),
        Ok(vec!["127.0.0.1".to_owned()])
    );
    assert_eq!(resolve(&policy, "a.test", 443, &["127.0.0.1"]), refused);
    assert_eq!(resolve(&policy, "a.test", 80, &["127.0.0.2"]), refused);
    assert_eq!(
        resolve(&policy, "a.test", 80, &["64:ff9b::7f00:1"]),
        refused
    );
}

#[test]
fn localhost_leads_to_loopback_or_to_what_is_listed() {
    let policy = policy(&["localhost", "app.localhost", "10.0.0.1:80"], &[]);
    let loopback = |text: &str| Ok(vec![text.to_owned()]);
    assert_eq!(
        resolve(&policy, "localhost", 80, &["127.0.0.1"]),
        loopback("127.0.0.1")
    );
    assert_eq!(
        resolve(&policy, "app.localhost", 80, &["::1"]),
        loopback("::1")
    );
    assert_eq!(
        resolve(&policy, "localhost", 80, &["10.0.0.1"]),
        loopback("10.0.0.1")
    );
    for elsewhere in [
        "10.0.0.2",
        "93.184.216.34",
        "169.254.169.254",
        "64:ff9b::7f00:1",
    ] {
        let expected = Err(DenialReason::LocalhostElsewhere);
        assert_eq!(
            resolve(&policy, "localhost", 443, &[elsewhere]),
            expected,
            "{elsewhere}"
        );
    }
}

#[test]
fn listed_addresses_refuse_names_that_lead_to_them() {
    let ranges = ["10.0.0.0/8", "::ffff:192.0.2.0/120", "2001:db8:1::/48"];
    let ranges = (100..).zip(ranges).map(|(line, range)| AddressRule {
        range: range.parse().unwrap(),
        origin: origin(line),
    });
    let policy = NetworkPolicy::new(
        domain_rules(&["a.test", "10.0.0.5", "localhost"]),
        domain_rules(&["198.51.100.1:443", "127.0.0.9"]),
        ranges.collect(),
    );
    let listed = Err(DenialReason::AddressDenied(AddressClass::Listed));
    for address in [
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "192.0.2.77",
        "2001:db8:1::9",
        "198.51.100.1",
        "64:ff9b::10.1.2.3",
        "64:ff9b::198.51.100.1",
    ] {
        assert_eq!(
            resolve(&policy, "a.test", 443, &[address]),
            listed,
            "{address}"
        );
    }
    assert_eq!(resolve(&policy, "localhost", 80, &["127.0.0.9"]), listed);
    // The deny list speaks of a port, and a single address that is allowed outweighs a range.
    assert!(resolve(&policy, "a.test", 80, &["198.51.100.1"]).is_ok());
    assert!(resolve(&policy, "a.test", 80, &["10.0.0.5"]).is_ok());
    let denied = permit(&policy, target("a.test", 80))
        .resolve(&policy, &[ip("10.9.9.9")], &OwnAddresses(Vec::new()))
        .unwrap_err();
    assert_eq!(denied.rule, Some(("10.0.0.0/8".to_owned(), origin(100))));
    assert_eq!(
        denied.to_string(),
        "resolved to a denied address: `a.test:80` (rule `10.0.0.0/8` of /settings.json:100:1)"
    );
}

#[test]
fn address_targets_are_permitted_by_their_listing_alone() {
    let policy = policy(&["127.0.0.1", "[2001:db8::7]"], &[]);
    assert!(resolve(&policy, "127.1", 80, &[]).is_ok());
    assert!(resolve(&policy, "[2001:db8::7]", 80, &[]).is_ok());
    // Foreign addresses can't be slipped in.
    let resolved = resolve(&policy, "127.0.0.1", 80, &["169.254.169.254"]);
    assert_eq!(resolved, Ok(vec!["127.0.0.1".to_owned()]));
    // Approved by a decider only: the classes refuse, an ordinary address is fine.
    let refused = Err(DenialReason::AddressDenied(AddressClass::LinkLocal));
    assert_eq!(resolve(&policy, "169.254.169.254", 80, &[]), refused);
    assert!(resolve(&policy, "192.0.2.1", 80, &[]).is_ok());
    // A list that allows everything (built by hand: no text says so) does not name the address.
    let everything = self::policy(&["*"], &[]);
    assert_eq!(resolve(&everything, "169.254.169.254", 80, &[]), refused);
}

#[test]
fn the_first_rule_of_the_list_is_named() {
    let policy = policy(&[], &["*.test", "*.a.test"].map(|_| "*.a.test"));
    assert_eq!(
        denial(&policy, target("x.a.test", 1)).rule.unwrap().1,
        origin(1)
    );
    let policy = self::policy(&[], &["*.b.test:80", "x.b.test", "*"]);
    assert_eq!(
        denial(&policy, target("x.b.test", 80)).rule.unwrap().1,
        origin(1)
    );
    assert_eq!(
        denial(&policy, target("x.b.test", 81)).rule.unwrap().1,
        origin(2)
    );
    assert_eq!(
        denial(&policy, target("y.b.test", 81)).rule.unwrap().1,
        origin(3)
    );
}

#[test]
fn added_rules_count() {
    let [rule] = <[DomainRule; 1]>::try_from(domain_rules(&["a.test"])).unwrap();
    let added = NetworkPolicy::blocked().with_allowed(rule.clone());
    assert_eq!(
        added,
        NetworkPolicy::new(vec![rule.clone()], Vec::new(), Vec::new()).strict(true)
    );
    assert!(!added.permits_nothing() && added.is_strict());
    let denied = added.with_denied(rule);
    assert_eq!(
        denial(&denied, target("a.test", 1)).reason,
        DenialReason::HostDenied
    );
}

#[test]
fn lookup_does_not_grow_with_the_number_of_rules() {
    let many = |count: u32| {
        let rules = (0..count).map(|number| DomainRule {
            pattern: crate::DomainPattern::parse_deny(&format!(
                "*.h{number}.test:{}",
                number % 7 + 1
            ))
            .unwrap(),
            origin: Origin::Program,
            note: None,
        });
        NetworkPolicy::new(rules.collect(), Vec::new(), Vec::new()).strict(true)
    };
    let fastest = |policy: &NetworkPolicy| {
        let one = || {
            let start = std::time::Instant::now();
            for _ in 0..200 {
                let verdict = policy.judge(target("a.b.c.d.nothing.test", 443));
                assert!(matches!(verdict, Verdict::Deny(_)));
            }
            start.elapsed()
        };
        (0..20).map(|_| one()).min().unwrap()
    };
    let (few, very_many) = (fastest(&many(10)), fastest(&many(20_000)));
    assert!(
        very_many < few * 10,
        "{few:?} for 10 rules, {very_many:?} for 20,000"
    );
}

fn lookup(policy: &NetworkPolicy, name: &str) -> LookupVerdict {
    let Host::Name(name) = super::host(name) else {
        panic!("{name} is an address");
    };
    policy.judge_lookup(&name)
}

#[test]
fn a_lookup_is_judged_without_a_port() {
    let policy = policy(
        &["ok.test:443", "*.sub.test", "both.test", "port.test"],
        &["bad.sub.test", "both.test", "port.test:80", "*:22"],
    );
    for allowed in ["ok.test", "a.sub.test", "a.b.sub.test", "port.test"] {
        assert_eq!(lookup(&policy, allowed), LookupVerdict::Allow, "{allowed}");
    }
    assert_eq!(
        lookup(&policy, "bad.sub.test"),
        LookupVerdict::Deny(Denial {
            reason: DenialReason::HostDenied,
            object: "bad.sub.test".to_owned(),
            rule: Some(("bad.sub.test".to_owned(), origin(1))),
            note: None,
        })
    );
    assert!(matches!(
        lookup(&policy, "both.test"),
        LookupVerdict::Deny(_)
    ));
    for open in ["sub.test", "a.ok.test", "other.test", "test"] {
        assert_eq!(lookup(&policy, open), LookupVerdict::Ask, "{open}");
    }
    let strict = policy.strict(true);
    assert_eq!(
        lookup(&strict, "other.test"),
        LookupVerdict::Deny(Denial::by_default(
            DenialReason::HostNotAllowed,
            "other.test".to_owned()
        ))
    );
    assert!(matches!(
        lookup(&NetworkPolicy::blocked(), "ok.test"),
        LookupVerdict::Deny(_)
    ));
}
