//! What holds for every policy and every question.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{base, origin};
use crate::{
    AbsolutePath, AddressRule, DomainPattern, DomainRule, FileVerdict, FilesystemPolicy, Firmness,
    Host, HostPattern, LayerId, LookupVerdict, NetworkPolicy, OwnAddresses, PathPattern, PathRule,
    PatternSyntax, Port, Protection, ReadAllow, ReadDeny, Target, Verdict,
};

/// Names out of few labels, so that rules and targets meet often.
fn name() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "ok", "evilok", "test", "com", "localhost"]);
    vec(label, 1..5).prop_map(|labels| labels.join("."))
}

fn address() -> impl Strategy<Value = String> {
    let known = vec![
        "127.0.0.1",
        "10.0.0.1",
        "10.0.0.2",
        "169.254.169.254",
        "192.0.2.1",
        "[::1]",
        "[2001:db8::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
    ];
    prop::sample::select(known).prop_map(str::to_owned)
}

fn port() -> impl Strategy<Value = Port> {
    prop::sample::select(vec![22, 80, 443]).prop_map(|number| Port::new(number).unwrap())
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![3 => name(), 1 => address()].prop_map(|text| Host::parse(text.as_bytes()).unwrap())
}

fn target() -> impl Strategy<Value = Target> {
    (host(), port()).prop_map(|(host, port)| Target { host, port })
}

fn entry() -> impl Strategy<Value = DomainPattern> {
    let host = prop_oneof![
        4 => name(),
        3 => name().prop_map(|name| format!("*.{name}")),
        2 => address(),
        1 => Just("*".to_owned()),
    ];
    (host, option::of(port())).prop_filter_map("not a pattern", |(host, port)| {
        let text = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        DomainPattern::parse_deny(&text).ok()
    })
}

fn rules(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<DomainRule>> {
    vec(entry(), size).prop_map(|patterns| {
        (1..)
            .zip(patterns)
            .map(|(line, pattern)| DomainRule {
                pattern,
                origin: origin(line),
                note: None,
            })
            .collect()
    })
}

fn ranges() -> impl Strategy<Value = Vec<AddressRule>> {
    let texts = vec![
        "10.0.0.0/8",
        "10.0.0.0/31",
        "127.0.0.0/8",
        "0.0.0.0/0",
        "2001:db8::/32",
        "::/0",
        "::ffff:10.0.0.0/104",
    ];
    vec(prop::sample::select(texts), 0..3).prop_map(|texts| {
        (1..)
            .zip(texts)
            .map(|(line, text)| AddressRule {
                range: text.parse().unwrap(),
                origin: origin(line),
            })
            .collect()
    })
}

fn network() -> impl Strategy<Value = NetworkPolicy> {
    (rules(0..8), rules(0..4), ranges(), any::<bool>()).prop_map(
        |(allowed, denied, ranges, strict)| {
            NetworkPolicy::new(allowed, denied, ranges).strict(strict)
        },
    )
}

/// How far a target gets: refused, asked about, allowed.
fn reach(policy: &NetworkPolicy, target: &Target) -> u8 {
    match policy.judge(target.clone()) {
        Verdict::Deny(_) => 0,
        Verdict::Ask(_) => 1,
        Verdict::Allow(_) => 2,
    }
}

/// The addresses that may be dialled for a target, if nobody objects.
fn dialled(
    policy: &NetworkPolicy,
    target: &Target,
    addresses: &[Host],
) -> Vec<std::net::SocketAddr> {
    let permit = match policy.judge(target.clone()) {
        Verdict::Deny(_) => return Vec::new(),
        Verdict::Ask(question) => question.approve(),
        Verdict::Allow(permit) => permit,
    };
    let addresses: Vec<_> = addresses
        .iter()
        .filter_map(|host| match host {
            Host::Ip(address) => Some(*address),
            Host::Name(_) => None,
        })
        .collect();
    let resolved = permit.resolve(policy, &addresses, &OwnAddresses(Vec::new()));
    resolved
        .map(|resolved| resolved.addresses().to_vec())
        .unwrap_or_else(|_| Vec::new())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hosts_print_and_parse(host in host()) {
        prop_assert_eq!(Host::parse(host.to_string().as_bytes()), Ok(host));
    }

    #[test]
    fn parsing_a_host_is_idempotent(bytes in "[a-zA-Z0-9._:\\[\\]x-]{0,20}") {
        if let Ok(host) = Host::parse(bytes.as_bytes()) {
            prop_assert_eq!(Host::parse(host.to_string().as_bytes()), Ok(host));
        }
    }

    #[test]
    fn any_bytes_are_a_host_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        if let Ok(host) = Host::parse(&bytes) {
            prop_assert_eq!(Host::parse(host.to_string().as_bytes()), Ok(host));
        }
    }

    #[test]
    fn domain_patterns_print_and_parse(pattern in entry()) {
        prop_assert_eq!(DomainPattern::parse_deny(&pattern.to_string()), Ok(pattern));
    }

    #[test]
    fn any_text_is_a_pattern_that_can_match_or_an_error(text in prop_oneof!["\\PC{0,16}", "[*a-c.:\\[\\]0-9é@/%-]{0,12}"]) {
        if let Ok(pattern) = DomainPattern::parse_deny(&text) {
            prop_assert_eq!(DomainPattern::parse_deny(&pattern.to_string()), Ok(pattern.clone()));
            let host = match &pattern.host {
                HostPattern::Any => "a.test".to_owned(),
                HostPattern::Exact(host) => host.to_string(),
                HostPattern::Subdomains(apex) => format!("a.{apex}"),
            };
            // Names that are too long for a label in front of them are the one exception.
            if host.len() <= 253 {
                let host = Host::parse(host.as_bytes()).unwrap();
                let port = pattern.port.or_else(|| Port::new(1)).unwrap();
                prop_assert!(pattern.matches(&Target { host, port }), "{} never matches", pattern);
            }
        }
    }

    #[test]
    fn wildcards_match_strict_subdomains_only(pattern in entry(), target in target()) {
        if let HostPattern::Subdomains(apex) = &pattern.host {
            let named = match &target.host {
                Host::Ip(_) => false,
                Host::Name(name) => name.as_str().strip_suffix(apex.as_str()).is_some_and(|rest| rest.ends_with('.')),
            };
            prop_assert_eq!(pattern.host.matches(&target.host), named);
        }
    }

    #[test]
    fn the_index_agrees_with_a_scan(policy in network(), target in target()) {
        let first = |rules: &[DomainRule]| rules.iter().find(|rule| rule.pattern.matches(&target)).cloned();
        let expected_deny = first(policy.denied()).map(|rule| (rule.pattern.to_string(), rule.origin));
        let expected_allow = first(policy.allowed());
        match policy.judge(target.clone()) {
            Verdict::Deny(denial) if denial.rule.is_some() => prop_assert_eq!(denial.rule, expected_deny),
            Verdict::Deny(_) => prop_assert!(policy.is_strict() && expected_deny.is_none() && expected_allow.is_none()),
            Verdict::Allow(permit) => {
                prop_assert_eq!(expected_deny, None);
                prop_assert_eq!(permit.rule(), expected_allow.as_ref());
            }
            Verdict::Ask(_) => prop_assert!(!policy.is_strict() && expected_deny.is_none() && expected_allow.is_none()),
        }
    }

    #[test]
    fn a_denied_host_is_never_reached(policy in network(), rule in entry(), target in target()) {
        let rule = DomainRule { pattern: rule, origin: origin(99), note: None };
        let named = rule.pattern.matches(&target);
        let narrowed = policy.with_denied(rule);
        if named {
            prop_assert_eq!(reach(&narrowed, &target), 0);
        }
    }

    #[test]
    fn narrowing_never_reaches_more(
        policy in network(),
        rule in entry(),
        target in target(),
        addresses in vec(address().prop_map(|text| Host::parse(text.as_bytes()).unwrap()), 0..4),
        removed in any::<prop::sample::Index>(),
        range in ranges(),
    ) {
        let deny = DomainRule { pattern: rule, origin: origin(99), note: None };
        let mut narrower = vec![policy.clone().strict(true), policy.clone().with_denied(deny)];
        let mut kept = policy.allowed().to_vec();
        if !kept.is_empty() {
            kept.remove(removed.index(kept.len()));
        }
        let rebuild = |allowed, ranges| NetworkPolicy::new(allowed, policy.denied().to_vec(), ranges).strict(policy.is_strict());
        narrower.push(rebuild(kept, policy.denied_addresses().to_vec()));
        let more_ranges = [policy.denied_addresses(), &range].concat();
        narrower.push(rebuild(policy.allowed().to_vec(), more_ranges));
        let (reached, addresses_before) = (reach(&policy, &target), dialled(&policy, &target, &addresses));
        for narrowed in narrower {
            prop_assert!(reach(&narrowed, &target) <= reached);
            for address in dialled(&narrowed, &target, &addresses) {
                prop_assert!(addresses_before.contains(&address), "{address} is new");
            }
        }
    }

    #[test]
    fn a_lookup_is_refused_only_if_every_port_is(policy in network(), target in target()) {
        let Host::Name(name) = &target.host else { return Ok(()) };
        let lookup = policy.judge_lookup(name);
        let connection = policy.judge(target.clone());
        match lookup {
            LookupVerdict::Deny(_) => prop_assert!(matches!(connection, Verdict::Deny(_))),
            LookupVerdict::Ask => prop_assert!(!matches!(connection, Verdict::Allow(_))),
            LookupVerdict::Allow => {
                let listed = policy.allowed().iter().any(|rule| rule.pattern.host.matches(&target.host));
                prop_assert!(listed);
            }
        }
    }

    #[test]
    fn judging_is_deterministic(policy in network(), target in target()) {
        let again = NetworkPolicy::new(policy.allowed().to_vec(), policy.denied().to_vec(), policy.denied_addresses().to_vec())
            .strict(policy.is_strict());
        prop_assert_eq!(&policy, &again);
        prop_assert_eq!(format!("{:?}", policy.judge(target.clone())), format!("{:?}", again.judge(target)));
    }
}

pub(super) fn path() -> impl Strategy<Value = AbsolutePath> {
    let name = prop::sample::select(vec!["a", "b", "ab", ".env", ".git", "hooks", ".vscode"]);
    vec(name, 0..5).prop_map(|names| AbsolutePath::new(format!("/{}", names.join("/"))).unwrap())
}

pub(super) fn path_pattern() -> impl Strategy<Value = PathPattern> {
    let name = prop::sample::select(vec![
        "a", "b", "ab", ".env", "a", "b", ".git", "hooks", "*", "?", "a*", "**", "[ab]",
    ]);
    vec(name, 0..5).prop_map(|names| {
        let text = format!("/{}", names.join("/"));
        PathPattern::parse(text.as_ref(), PatternSyntax::Glob, &base()).unwrap()
    })
}

fn path_rules() -> impl Strategy<Value = Vec<PathRule>> {
    vec(path_pattern(), 0..4).prop_map(|patterns| {
        (1..)
            .zip(patterns)
            .map(|(line, pattern)| PathRule {
                pattern,
                origin: origin(line),
            })
            .collect()
    })
}

fn layer() -> impl Strategy<Value = LayerId> {
    (0_u16..3).prop_map(LayerId)
}

fn firmness() -> impl Strategy<Value = Firmness> {
    prop_oneof![
        Just(Firmness::Default),
        layer().prop_map(Firmness::Layer),
        Just(Firmness::Final)
    ]
}

fn allows() -> impl Strategy<Value = Vec<ReadAllow>> {
    (path_rules(), vec(layer(), 4)).prop_map(|(rules, layers)| {
        rules
            .into_iter()
            .zip(layers)
            .map(|(rule, layer)| ReadAllow { rule, layer })
            .collect()
    })
}

fn denies() -> impl Strategy<Value = Vec<ReadDeny>> {
    (path_rules(), vec(firmness(), 4)).prop_map(|(rules, firmness)| {
        rules
            .into_iter()
            .zip(firmness)
            .map(|(rule, firmness)| ReadDeny { rule, firmness })
            .collect()
    })
}

fn protection() -> impl Strategy<Value = Protection> {
    prop::sample::select(vec![
        Protection::none(),
        Protection::all(),
        Protection::all().without(".git/hooks"),
    ])
}

pub(super) fn filesystem() -> impl Strategy<Value = FilesystemPolicy> {
    let rules = (denies(), allows(), allows(), path_rules(), path_rules());
    (rules, protection()).prop_map(
        |((deny_read, allow_read, allow_write, deny_write, scratch), protected)| FilesystemPolicy {
            deny_read: deny_read.into(),
            allow_read,
            allow_write,
            deny_write: deny_write.into(),
            scratch,
            protected,
        },
    )
}

fn without<T: Clone>(list: &[T], index: prop::sample::Index) -> Vec<T> {
    let mut list = list.to_vec();
    if !list.is_empty() {
        list.remove(index.index(list.len()));
    }
    list
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn path_patterns_print_and_parse(pattern in path_pattern()) {
        let text = pattern.to_string();
        let again = PathPattern::parse(text.as_ref(), PatternSyntax::Glob, &base());
        prop_assert_eq!(again, Ok(pattern));
    }

    #[test]
    fn any_entry_is_a_pattern_or_an_error(bytes in vec(any::<u8>(), 0..20), path in path()) {
        use std::os::unix::ffi::OsStrExt;
        let text = std::ffi::OsStr::from_bytes(&bytes);
        for syntax in [PatternSyntax::Glob, PatternSyntax::Literal] {
            if let Ok(pattern) = PathPattern::parse(text, syntax, &base()) {
                prop_assert!(pattern.region(&path) <= pattern.innermost_region(&path));
            }
        }
    }

    #[test]
    fn what_an_allow_opens_a_deny_of_it_covers(pattern in path_pattern(), path in path()) {
        if pattern.opens(&path).is_some() {
            prop_assert!(pattern.region(&path).is_some());
        }
        prop_assert_eq!(pattern.region(&path).is_some(), pattern.innermost_region(&path).is_some());
    }

    #[test]
    fn denied_writes_are_never_allowed(policy in filesystem(), path in path()) {
        if policy.deny_write.iter().any(|rule| rule.pattern.region(&path).is_some()) {
            prop_assert!(!policy.judge_write(&path).is_allowed());
        }
    }

    #[test]
    fn what_is_written_can_be_read(policy in filesystem(), path in path()) {
        if policy.judge_write(&path).is_allowed() {
            prop_assert!(policy.judge_read(&path).is_allowed());
            prop_assert!(policy.judge_remove(&path).is_allowed());
        }
    }

    #[test]
    fn final_denies_stand(policy in filesystem(), path in path()) {
        let stands = |deny: &ReadDeny| deny.firmness == Firmness::Final && deny.rule.pattern.region(&path).is_some();
        if policy.deny_read.iter().any(stands) {
            prop_assert!(!policy.judge_read(&path).is_allowed());
        }
    }

    #[test]
    fn narrowing_never_permits_more(
        policy in filesystem(),
        pattern in path_pattern(),
        firmness in firmness(),
        index in any::<prop::sample::Index>(),
        path in path(),
    ) {
        let rule = PathRule { pattern, origin: origin(99) };
        let mut more_denied = policy.clone();
        more_denied.deny_read.push(ReadDeny { rule: rule.clone(), firmness });
        let mut less_written = policy.clone();
        less_written.deny_write.push(rule);
        let narrower = [
            more_denied,
            less_written,
            FilesystemPolicy { allow_read: without(&policy.allow_read, index), ..policy.clone() },
            FilesystemPolicy { allow_write: without(&policy.allow_write, index), ..policy.clone() },
            FilesystemPolicy { scratch: without(&policy.scratch, index), ..policy.clone() },
            FilesystemPolicy { protected: Protection::all(), ..policy.clone() },
        ];
        for narrowed in &narrower {
            // What an allow showed in a private directory becomes the private directory's: nothing of the host's.
            if narrowed.is_private(&path) {
                continue;
            }
            prop_assert!(policy.judge_read(&path).is_allowed() || !narrowed.judge_read(&path).is_allowed());
            prop_assert!(policy.judge_write(&path).is_allowed() || !narrowed.judge_write(&path).is_allowed());
        }
    }

    #[test]
    fn only_write_roots_open_the_hosts_files(policy in filesystem(), path in path()) {
        let without_scratch = FilesystemPolicy { scratch: Vec::new(), ..policy.clone() };
        if policy.is_private(&path) {
            prop_assert!(!policy.scratch.is_empty());
        } else {
            prop_assert_eq!(policy.judge_write(&path).is_allowed(), without_scratch.judge_write(&path).is_allowed());
            prop_assert_eq!(policy.judge_read(&path).is_allowed(), without_scratch.judge_read(&path).is_allowed());
        }
    }

    #[test]
    fn firmer_denies_permit_no_more(policy in filesystem(), path in path()) {
        let firmer = FilesystemPolicy {
            deny_read: policy.deny_read.iter().cloned().map(|deny| ReadDeny { firmness: Firmness::Final, ..deny }).collect(),
            ..policy.clone()
        };
        let softer = FilesystemPolicy {
            deny_read: policy.deny_read.iter().cloned().map(|deny| ReadDeny { firmness: Firmness::Default, ..deny }).collect(),
            ..policy.clone()
        };
        let readable = policy.judge_read(&path).is_allowed();
        prop_assert!(readable || !firmer.judge_read(&path).is_allowed());
        prop_assert!(softer.judge_read(&path).is_allowed() || !readable);
    }

    #[test]
    fn verdicts_on_files_name_a_rule_that_covers_the_path(policy in filesystem(), path in path()) {
        for verdict in [policy.judge_read(&path), policy.judge_write(&path)] {
            match verdict {
                FileVerdict::Allow(Some(rule)) => prop_assert!(rule.pattern.opens(&path).is_some()),
                FileVerdict::Allow(None) => prop_assert!(policy.deny_read.iter().all(|deny| deny.rule.pattern.region(&path).is_none())),
                FileVerdict::Deny(denial) => {
                    let named = |rule: &PathRule| Some((rule.pattern.to_string(), rule.origin.clone())) == denial.rule;
                    let denies = policy.deny_read.iter().map(|deny| &deny.rule).chain(&policy.deny_write);
                    let covers = denies.filter(|rule| named(rule)).any(|rule| rule.pattern.region(&path).is_some());
                    let protects = policy.protected.iter().any(|row| Some(row.path) == denial.rule.as_ref().map(|(text, _)| text.as_str()));
                    prop_assert!(denial.rule.is_none() || covers || protects);
                }
            }
        }
    }

    #[test]
    fn judging_files_is_deterministic(policy in filesystem(), path in path()) {
        let again = policy.clone();
        prop_assert_eq!(policy.judge_read(&path), again.judge_read(&path));
        prop_assert_eq!(policy.judge_write(&path), again.judge_write(&path));
    }
}
