//! Records that are no addresses: asked for at the host's name servers for names that the policy
//! lists, and for no others.
//!
//! The host is a network namespace with nothing but loopback, a name server and a witness on it.

use std::ffi::OsString;
use std::path::Path;

use sandbox_tests::{Bed, Output, Srt, host, is_root, need, python, skip, tool};

use crate::settings;

const RESOLVER: &str = include_str!("resolver.py");
const ASK: &str = include_str!("ask.py");

/// Words that make the namespace and run what follows in it.
fn launcher(bed: &Bed, python: &Path) -> Option<Vec<OsString>> {
    let (unshare, _ip) = (tool("unshare")?, tool("ip")?);
    let options = if is_root() { "-mn" } else { "-Urmn" };
    let resolv = bed.file("resolv.conf", "nameserver 127.0.0.1\nsearch corp.test\n");
    let hosts = bed.file("hosts", "127.0.0.1 localhost\n127.0.0.1 ok.test\n");
    let program = bed.file("resolver.py", RESOLVER);
    let line = "ip link set lo up && mount --bind \"$0\" /etc/resolv.conf && mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let probe = [
        OsString::from(options),
        "/bin/sh".into(),
        "-c".into(),
        line.into(),
    ]
    .into_iter()
    .chain([resolv.clone().into(), hosts.clone().into(), "true".into()]);
    let works = host(&unshare, probe).succeeded();
    let mut words: Vec<OsString> = vec![unshare.into(), options.into()];
    words.extend(["/bin/sh", "-c", line].map(OsString::from));
    words.extend([resolv.into(), hosts.into(), python.into(), program.into()]);
    words.extend([bed.root().join("asked"), bed.root().join("packets")].map(OsString::from));
    works.then_some(words)
}

fn ask<'b>(
    bed: &'b Bed,
    python: &Path,
    settings: &serde_json::Value,
    questions: &[&str],
) -> Option<Srt<'b>> {
    let launcher = launcher(bed, python)?;
    let srt = bed.srt().flat(settings).under(launcher);
    Some(srt.py(python, ASK, questions).within(60.0))
}

/// The line of an answer.
fn told(output: &Output, question: &str) -> String {
    let text = output.text();
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{question} ")));
    line.unwrap_or_else(|| panic!("no {question}: {output}"))
        .to_owned()
}

fn asked(bed: &Bed) -> String {
    std::fs::read_to_string(bed.root().join("asked")).unwrap_or_else(|_| String::new())
}

fn passed(bed: &Bed, label: &str) -> bool {
    let packets = std::fs::read(bed.root().join("packets")).unwrap_or_else(|_| Vec::new());
    packets
        .windows(label.len())
        .any(|bytes| bytes.eq_ignore_ascii_case(label.as_bytes()))
}

const ALLOWED: [&str; 5] = [
    "ok.test",
    "alias.ok.test",
    "gone.ok.test",
    "big.ok.test",
    "slow.ok.test",
];

#[test]
fn records_of_allowed_names_come_from_the_hosts_name_servers_without_addresses() {
    let python = python!("socket");
    need!("unshare");
    let bed = Bed::new();
    let questions = [
        "udp:16:ok.test",
        "tcp:15:ok.test",
        "edns:33:_mongodb._tcp.ok.test",
        "udp:65:ok.test",
        "tcp:64:ok.test",
        "udp:257:OK.test",
        "udp:35:ok.test",
        "udp:16:alias.ok.test",
        "udp:16:gone.ok.test",
        "udp:16:_gone._tcp.ok.test",
        "udp:1:gone.ok.test",
        "udp:16:big.ok.test",
        "edns:16:big.ok.test",
        "tcp:16:big.ok.test",
    ];
    let Some(srt) = ask(&bed, &python, &settings(&ALLOWED, &[]), &questions) else {
        skip!("no namespaces for a name server of the test's own")
    };
    let output = srt.run().ok();
    let hex = |text: &str| -> String { text.bytes().map(|byte| format!("{byte:02x}")).collect() };
    for question in questions {
        let line = told(&output, question);
        assert!(line.contains("extra=0"), "{line}");
        // 203.0.113.7 and 2001:db8::7.
        assert!(
            !line.contains("cb007107") && !line.contains("20010db8"),
            "{line}"
        );
    }
    for (question, part) in [
        ("udp:16:ok.test", hex("v=spf1 -all")),
        ("tcp:15:ok.test", hex("mail")),
        ("edns:33:_mongodb._tcp.ok.test", "6989".to_owned()),
        ("udp:257:OK.test", hex("ca.test")),
        ("udp:35:ok.test", hex("SIP")),
        // Without the hints: what is mandatory of the rest, ALPN, the port.
        (
            "udp:65:ok.test",
            "000100000000020001000100030268320003000220fb".to_owned(),
        ),
    ] {
        let line = told(&output, question);
        assert!(line.contains("code=0 cut=0 answers=1"), "{line}");
        assert!(line.contains(&part), "{line}\n{part}");
    }
    // The alias and what it leads to, but not the address behind.
    let line = told(&output, "udp:16:alias.ok.test");
    assert!(line.contains("code=0 cut=0 answers=2"), "{line}");
    // A name that has an address here exists, whatever its zone says.
    assert!(told(&output, "udp:16:gone.ok.test").contains("code=0 cut=0 answers=0"));
    assert!(told(&output, "udp:16:_gone._tcp.ok.test").contains("code=3"));
    assert!(told(&output, "udp:1:gone.ok.test").contains("code=0 cut=0 answers=1"));
    // 3,000 bytes of text: too long for 512, short enough for 4,096.
    assert!(told(&output, "udp:16:big.ok.test").contains("code=0 cut=1 answers=0"));
    assert!(told(&output, "edns:16:big.ok.test").contains("code=0 cut=0 answers=1"));
    assert!(told(&output, "tcp:16:big.ok.test").contains("code=0 cut=0 answers=1"));
    let asked = asked(&bed);
    assert!(asked.contains("big.ok.test 16 tcp\n"), "{asked}");
    // Addresses are never asked for.
    assert!(!asked.contains(" 1 ") && !asked.contains(" 28 "), "{asked}");
    assert!(passed(&bed, "mongodb"));
}

#[test]
fn nothing_leaves_for_names_that_are_not_allowed() {
    let python = python!("socket");
    need!("unshare");
    let bed = Bed::new();
    let questions = [
        "udp:16:secret-one.example",
        "tcp:15:secret-two.example",
        "udp:33:_secret3._tcp.example.test",
        "udp:65:secret-four.ok.test",
        "udp:1:secret-five.example",
        "udp:16:_a._b._secret6.ok.test",
        "udp:2:secret-seven",
        "udp:12:7.113.0.203.in-addr.arpa",
        "udp:252:ok.test",
        "udp:255:ok.test",
        "udp:16:ok.test",
    ];
    let rules = settings(&["ok.test", "*.deep.ok.test"], &["secret-four.ok.test"]);
    let Some(srt) = ask(&bed, &python, &rules, &questions) else {
        skip!("no namespaces for a name server of the test's own")
    };
    let output = srt.run().ok();
    for question in &questions[..8] {
        let line = told(&output, question);
        assert!(
            line.contains("code=3") && line.contains("answers=0"),
            "{line}"
        );
    }
    assert!(told(&output, "udp:252:ok.test").contains("answers=0"));
    // The control: the one allowed question, and nothing else, was asked outside.
    assert!(told(&output, "udp:16:ok.test").contains("answers=1"));
    assert_eq!(asked(&bed), "ok.test 16 udp\n");
    assert!(passed(&bed, "\u{2}ok\u{4}test"));
    assert!(!passed(&bed, "secret"), "a refused name was on the wire");
    assert!(!passed(&bed, "in-addr"), "an address was looked up");
}

#[test]
fn silence_and_absence_of_name_servers_are_told_quickly() {
    let python = python!("socket");
    need!("unshare");
    let bed = Bed::new();
    let questions = [
        "udp:16:slow.ok.test",
        "tcp:16:slow.ok.test",
        "udp:16:ok.test",
    ];
    let Some(srt) = ask(&bed, &python, &settings(&ALLOWED, &[]), &questions) else {
        skip!("no namespaces for a name server of the test's own")
    };
    let output = srt.run().ok();
    for question in &questions[..2] {
        let line = told(&output, question);
        assert!(
            line.contains("code=2") && line.contains("quick=1"),
            "{line}"
        );
    }
    assert!(told(&output, "udp:16:ok.test").contains("code=0"));
    // A user's own proxy looks names up itself: nobody else is asked.
    let mut rules = settings(&ALLOWED, &[]);
    rules["network"]["httpProxyPort"] = 9.into();
    let before = asked(&bed);
    let output = ask(&bed, &python, &rules, &["udp:16:ok.test"])
        .unwrap()
        .run()
        .ok();
    assert!(
        told(&output, "udp:16:ok.test").contains("code=0 cut=0 answers=0"),
        "{output}"
    );
    assert_eq!(asked(&bed), before);
}

#[test]
fn short_names_find_their_domain() {
    let python = python!("socket");
    need!("unshare");
    let bed = Bed::new();
    let Some(launcher) = launcher(&bed, &python) else {
        skip!("no namespaces for a name server of the test's own")
    };
    let program = "import socket\nfor n in ('db', 'db.corp.test', 'secret'):\n    try: print(n, socket.gethostbyname(n).startswith('198.18.'))\n    except OSError: print(n, 'none')\n";
    bed.srt()
        .flat(&settings(&["db.corp.test"], &[]))
        .under(launcher)
        .py(&python, program, &[])
        .within(60.0)
        .run()
        .ok()
        .prints("db True\ndb.corp.test True\nsecret none\n");
    assert_eq!(asked(&bed), "");
    assert!(!passed(&bed, "secret") && !passed(&bed, "corp"));
}
