//! Known ways around filters of names, live: sixty spellings of an address, bytes that no name has,
//! requests that can be read in two ways, and an address that changes between check and use.

use std::ffi::OsString;
use std::fmt::Write as _;

use sandbox_tests::{
    Bed, Listener, Origin, Request, host, is_root, need, need_names, python, skip, tool,
};

use crate::{NAME, OTHER, allowing, named, settings};

const TRY: &str = include_str!("bypasses.py");
const FLIP: &str = include_str!("flip.py");

/// Spellings of addresses of this host and of metadata services, and of names that lead to some.
const SPELLINGS: [&str; 64] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.00.0.01",
    "0x7f.0.0.1",
    "0X7F.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0x000000007f000001",
    "0177.0.0.1",
    "00177.0.0.1",
    "017700000001",
    "2130706433",
    "127.0x0.0.1",
    "127.0x1",
    "127.0.0.2",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.0",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fe80::1%lo]",
    "[ff02::1]",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "255.255.255.255",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "other.srt.test",
    "OTHER.SRT.TEST.",
    "sub.origin.srt.test",
    "xorigin.srt.test",
    "origin.srt.test.other.srt.test",
    "origin-srt.test",
    "127.0.0.1.origin.srt.test",
    "user@127.0.0.1",
    "origin.srt.test@127.0.0.1",
    "127.0.0.1%00.origin.srt.test",
    "origin.srt.test#@127.0.0.1",
    "198.18.200.200",
    "[fd00:5b00::c8c8]",
];

#[test]
fn sixty_spellings_on_every_front_end() {
    need_names!();
    let python = python!("socket", "struct");
    let bed = Bed::new();
    // On every address of this host.
    let witness = Listener::on("::").or_else(|_| Listener::on("0.0.0.0"));
    let witness = witness.unwrap();
    let port = witness.port().to_string();
    let mut words = vec!["spellings", port.as_str()];
    words.extend(SPELLINGS);
    let open = settings(&[NAME], &[]);
    let names = SPELLINGS.map(|name| (name, "127.0.0.1"));
    let names: Vec<_> = names
        .into_iter()
        .filter(|(name, _)| name.ends_with(".test") || name.ends_with(".localdomain"))
        .collect();
    let output = bed
        .srt()
        .flat(&open)
        .hosts(&names)
        .py(&python, TRY, &words)
        .within(120.0)
        .run()
        .ok();
    output.prints(format!("{} []\n", SPELLINGS.len() * 4));
    assert_eq!(witness.accepted(), 0);
    // The control: with the address on the list each way gets there, by any spelling of it.
    let origin = Origin::start();
    let port = origin.port().to_string();
    let words: Vec<&str> = ["spellings", &port]
        .into_iter()
        .chain(SPELLINGS[..16].iter().copied())
        .collect();
    let open = settings(&["127.0.0.1"], &[]);
    bed.srt()
        .flat(&open)
        .py(&python, TRY, &words)
        .within(120.0)
        .run()
        .ok();
    assert!(origin.accepted() >= 48, "{}", origin.accepted());
}

#[test]
fn bytes_that_no_name_has_lead_nowhere() {
    need_names!();
    let python = python!("socket", "struct");
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port().to_string();
    for what in ["bytes", "socks4"] {
        let output = named(&bed, &allowing(origin.port()))
            .py(&python, TRY, &[what, &port])
            .within(180.0)
            .run()
            .ok();
        assert!(output.text().ends_with(" []\n"), "{output}");
        let tried = output.text().split(' ').next().unwrap().parse::<usize>();
        assert!(tried.unwrap() >= 3, "{output}");
    }
    assert_eq!(origin.accepted(), 0);
    let control = named(&bed, &allowing(origin.port()))
        .py(&python, TRY, &["spellings", &port, NAME, OTHER])
        .run()
        .ok();
    let mut through = String::new();
    for way in ["tunnel", "absolute", "socks", "plain"] {
        write!(through, "'{way} {NAME}', ").unwrap();
    }
    control.prints(format!("8 [{}]\n", through.trim_end_matches(", ")));
    assert_eq!(origin.accepted(), 4);
}

#[test]
fn no_request_is_hidden_in_another() {
    need_names!();
    let python = python!("socket", "struct");
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port().to_string();
    named(&bed, &allowing(origin.port()))
        .py(&python, TRY, &["smuggling", &port])
        .within(180.0)
        .run()
        .ok();
    let host = format!("{NAME}:{port}");
    let arrived = origin.requests();
    for request in &arrived {
        assert_eq!(request.target, "/first", "{request:?}");
        assert_eq!(request.header("host"), Some(host.as_str()), "{request:?}");
    }
    let control = |request: &Request| request.body == b"abc";
    assert!(arrived.iter().any(control), "{arrived:?}");
}

#[test]
fn an_address_that_changes_between_looking_and_dialling_is_not_followed() {
    let python = python!("socket", "threading", "struct");
    need!("unshare");
    need!("ip");
    let bed = Bed::new();
    let resolv = bed.file("resolv.conf", "nameserver 127.0.0.1\n");
    let hosts = bed.file("hosts", "127.0.0.1 localhost\n");
    let program = bed.file("flip.py", FLIP);
    let told = bed.root().join("told");
    let options = if is_root() { "-mn" } else { "-Urmn" };
    let line = "ip link set lo up && ip address add 192.0.2.10/32 dev lo && mount --bind \"$0\" /etc/resolv.conf && mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let unshare = tool("unshare").unwrap();
    let start = |rest: Vec<OsString>| {
        let mut words: Vec<OsString> = [options, "/bin/sh", "-c", line].map(OsString::from).into();
        words.extend([resolv.clone().into(), hosts.clone().into()]);
        words.extend(rest);
        words
    };
    if !host(&unshare, start(vec!["true".into()])).succeeded() {
        skip!("no namespaces for a name server of the test's own");
    }
    // The name leads to the listed address and to the loopback in turn, with a lifetime of 0.
    let mut launcher = vec![OsString::from(&unshare)];
    launcher.extend(start(vec![
        python.clone().into(),
        program.into(),
        told.clone().into(),
    ]));
    let again = r#"
import socket, sys
got = refused = 0
for _ in range(40):
    s = socket.create_connection(("127.0.0.1", 3128), 20)
    s.sendall(b"GET http://flip.test:8001/ HTTP/1.1\r\nHost: flip.test:8001\r\nConnection: close\r\n\r\n")
    answer = b""
    while part := s.recv(65536): answer += part
    got += b"listed" in answer
    refused += b" 403 " in answer
    assert b"loopback!" not in answer, answer
print(got, refused)
"#;
    let output = bed
        .srt()
        .flat(&settings(&["flip.test", "192.0.2.10"], &[]))
        .under(launcher)
        .py(&python, again, &[])
        .within(120.0)
        .run()
        .ok();
    let text = output.text();
    let mut counts = text
        .split_whitespace()
        .map(|word| word.parse::<u32>().unwrap());
    let (got, refused) = (counts.next().unwrap(), counts.next().unwrap());
    assert!(got > 0 && refused > 0 && got + refused == 40, "{output}");
    let told = std::fs::read_to_string(told).unwrap();
    // One look-up for each request, and none of the connections went to the loopback.
    assert_eq!(
        told.lines().filter(|line| *line == "asked A").count(),
        40,
        "{told}"
    );
    let listed = told.lines().filter(|line| *line == "listed").count();
    assert_eq!(listed, usize::try_from(got).unwrap(), "{told}");
    assert!(!told.contains("loopback"), "{told}");
}
