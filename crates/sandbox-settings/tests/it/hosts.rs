//! Lists of hosts of several layers: their order, and what is said twice.

use sandbox_policy::DomainRule;
use sandbox_settings::NetworkLine;

use crate::support::{File, Machine};

/// The rules as texts, with the line that they stand in and what a refusal says.
fn shown(rules: &[DomainRule]) -> Vec<String> {
    let shown = |rule: &DomainRule| {
        let origin = rule.origin.to_string();
        let file = origin.rsplit('/').next().unwrap_or_default();
        let note = rule.note.as_deref().unwrap_or_default();
        format!("{} {file} {note}", rule.pattern)
            .trim_end()
            .to_owned()
    };
    rules.iter().map(shown).collect()
}

const USER: &str = r#"{
  "permissions": { "allow": ["WebFetch(domain:rule.test)"], "deny": ["WebFetch(domain:x.test)"] },
  "sandbox": { "network": {
    "allowedDomains": ["a.test", "A.test", "localhost:1"],
    "hostPorts": [1, 2],
    "deniedDomains": ["x.test", "y.test"]
  } }
}"#;

const MANAGED: &str = r#"{
  "sandbox": { "network": {
    "allowedDomains": ["b.test", "a.test"],
    "hostPorts": [2, 3],
    "blockedDomains": ["z.test", "y.test"]
  } }
}"#;

const FLAG: &str = r#"{
  "network": {
    "allowedDomains": ["flag.test", "b.test"],
    "hostPorts": [4],
    "deniedDomains": ["Y.test", "v.test"],
    "deniedDomainReasons": { "y.TEST": "why" }
  },
  "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [], "disabled": true }
}"#;

#[test]
fn hosts_and_ports_keep_the_order_of_layers_and_nothing_is_there_twice() {
    let machine = Machine::new()
        .with(File::User, USER)
        .with(File::Managed, MANAGED);
    let network = machine.load().policy.network;
    assert_eq!(
        shown(network.allowed()),
        [
            "rule.test settings.json:2:30",
            "a.test settings.json:4:24",
            "localhost:1 settings.json:4:44",
            "localhost:1 settings.json:5:19",
            "localhost:2 settings.json:5:22",
            "b.test managed.json:3:24",
            "localhost:3 managed.json:4:22",
        ]
    );
    assert_eq!(
        shown(network.denied()),
        [
            "x.test settings.json:2:70",
            "y.test settings.json:6:33",
            "z.test managed.json:5:24",
        ]
    );
}

#[test]
fn a_file_with_reasons_adds_rules_of_its_own() {
    let machine = Machine::new()
        .with(File::User, USER)
        .with(File::Managed, MANAGED)
        .with_flag(FLAG);
    let settings = machine.load();
    let network = &settings.policy.network;
    // The user's file only narrows where a flat file decides.
    assert_eq!(
        shown(network.allowed()),
        [
            "flag.test flag.json:3:24",
            "b.test flag.json:3:37",
            "localhost:4 flag.json:4:19",
            "a.test managed.json:3:34",
            "localhost:2 managed.json:4:19",
            "localhost:3 managed.json:4:22",
        ]
    );
    assert_eq!(
        shown(network.denied()),
        [
            "x.test settings.json:2:70",
            "y.test settings.json:6:33",
            "y.test flag.json:5:23 why",
            "v.test flag.json:5:33",
            "z.test managed.json:5:24",
        ]
    );
    let text = r#"{ "sandbox": { "network": { "allowedDomains": ["line.test", "b.test"] } } }"#;
    let channel = "line";
    let line = settings.network_update(&NetworkLine { channel, text });
    let line = line.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(line.not_live, 0);
    // What was there twice is there still.
    assert_eq!(
        shown(line.policy.allowed()),
        [
            "b.test managed.json:3:24",
            "a.test managed.json:3:34",
            "localhost:2 managed.json:4:19",
            "localhost:3 managed.json:4:22",
            "line.test line:1:48",
            "b.test line:1:61",
        ]
    );
    assert_eq!(
        shown(line.policy.denied()),
        [
            "x.test settings.json:2:70",
            "x.test settings.json:6:23",
            "y.test settings.json:6:33",
            "z.test managed.json:5:24",
            "y.test managed.json:5:34",
        ]
    );
}
