//! Every spelling of a host has one canonical form, or none.

use std::net::IpAddr;

use crate::{Host, HostError};

#[test]
fn spellings_have_one_canonical_form() {
    for (spelling, canonical) in SPELLINGS {
        let parsed = Host::parse(spelling.as_bytes());
        assert_eq!(
            parsed.map(|host| host.to_string()).as_deref(),
            Ok(*canonical),
            "{spelling:?}"
        );
    }
}

#[test]
fn canonical_forms_are_fixed_points() {
    for (_, canonical) in SPELLINGS {
        let parsed = Host::parse(canonical.as_bytes()).unwrap();
        assert_eq!(parsed.to_string(), *canonical);
    }
}

#[test]
fn what_is_no_host_is_malformed() {
    for spelling in MALFORMED {
        let parsed = Host::parse(spelling);
        let error = parsed.expect_err(&spelling.escape_ascii().to_string());
        assert!(error.to_string().starts_with("malformed host"), "{error}");
    }
}

#[test]
fn lengths_are_limited() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(longest.len(), 253);
    let parse = |text: &str| Host::parse(text.as_bytes()).map(|host| host.to_string());
    assert_eq!(parse(&longest), Ok(longest.clone()));
    assert_eq!(parse(&format!("{longest}.")), Ok(longest.clone()));
    assert_eq!(parse(&format!("{longest}b")), Err(HostError::TooLong));
    assert_eq!(parse(&"a.".repeat(200)), Err(HostError::TooLong));
    assert_eq!(parse(&format!("a{label}.test")), Err(HostError::Label));
}

#[test]
fn mapped_addresses_are_never_hosts() {
    let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
    assert_eq!(Host::from_ip(mapped), Host::Ip("10.0.0.1".parse().unwrap()));
}

#[test]
fn localhost_and_names_below_it_are_told_apart() {
    for (text, expected) in [
        ("localhost", true),
        ("LOCALHOST.", true),
        ("a.localhost", true),
        ("a.b.localhost", true),
        ("notlocalhost", false),
        ("localhost.test", false),
        ("127.0.0.1", false),
    ] {
        assert_eq!(super::host(text).is_localhost(), expected, "{text}");
    }
}

const SPELLINGS: &[(&str, &str)] = &[
    // Names: case and one trailing dot do not matter.
    ("example.com", "example.com"),
    ("EXAMPLE.com", "example.com"),
    ("eXaMpLe.CoM.", "example.com"),
    ("example.com.", "example.com"),
    ("localhost", "localhost"),
    ("LocalHost.", "localhost"),
    ("vm", "vm"),
    ("a.b.c.d.e.f.example.com", "a.b.c.d.e.f.example.com"),
    ("_dmarc.example.com", "_dmarc.example.com"),
    ("a_b.example.com", "a_b.example.com"),
    ("-a.example.com", "-a.example.com"),
    ("a-.example.com", "a-.example.com"),
    ("r3---sn-x.example.com", "r3---sn-x.example.com"),
    ("1.example.com", "1.example.com"),
    ("1a", "1a"),
    ("127.0.0.1.example.com", "127.0.0.1.example.com"),
    ("127.0.0.1a", "127.0.0.1a"),
    ("0x7g", "0x7g"),
    ("a.0x7g", "a.0x7g"),
    ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
    ("XN--MNCHEN-3YA.DE", "xn--mnchen-3ya.de"),
    // IPv4 as inet_aton reads it.
    ("127.0.0.1", "127.0.0.1"),
    ("127.0.0.1.", "127.0.0.1"),
    ("127.1", "127.0.0.1"),
    ("127.0.1", "127.0.0.1"),
    ("127.256", "127.0.1.0"),
    ("127.0.256", "127.0.1.0"),
    ("2130706433", "127.0.0.1"),
    ("0x7f000001", "127.0.0.1"),
    ("0X7F000001", "127.0.0.1"),
    ("017700000001", "127.0.0.1"),
    ("0x7f.1", "127.0.0.1"),
    ("0x7f.0.0.1", "127.0.0.1"),
    ("0x7F.0.0.0X1", "127.0.0.1"),
    ("0177.0.0.1", "127.0.0.1"),
    ("0177.0.0.01", "127.0.0.1"),
    ("0177.0x0.0.1.", "127.0.0.1"),
    ("0", "0.0.0.0"),
    ("0x", "0.0.0.0"),
    ("0x0", "0.0.0.0"),
    ("00", "0.0.0.0"),
    ("127.0x", "127.0.0.0"),
    ("1", "0.0.0.1"),
    ("4294967295", "255.255.255.255"),
    ("0xffffffff", "255.255.255.255"),
    ("169.254.169.254", "169.254.169.254"),
    ("2852039166", "169.254.169.254"),
    ("0xa9fea9fe", "169.254.169.254"),
    ("0251.0376.0251.0376", "169.254.169.254"),
    ("10.0.0.010", "10.0.0.8"),
    ("1.2.3.4", "1.2.3.4"),
    // IPv6, with and without brackets.
    ("::1", "[::1]"),
    ("[::1]", "[::1]"),
    ("0:0:0:0:0:0:0:1", "[::1]"),
    ("[0000:0000:0000:0000:0000:0000:0000:0001]", "[::1]"),
    ("[0:0::0:1]", "[::1]"),
    ("::", "[::]"),
    ("[2001:DB8::A]", "[2001:db8::a]"),
    ("[2001:db8:0:0:1:0:0:1]", "[2001:db8::1:0:0:1]"),
    ("fe80::1", "[fe80::1]"),
    // IPv4-mapped addresses are IPv4 addresses.
    ("[::ffff:127.0.0.1]", "127.0.0.1"),
    ("::ffff:127.0.0.1", "127.0.0.1"),
    ("[::ffff:7f00:1]", "127.0.0.1"),
    ("[0:0:0:0:0:ffff:7f00:0001]", "127.0.0.1"),
    ("[::FFFF:a9fe:a9fe]", "169.254.169.254"),
    // Other embeddings stay what they are; their class is judged, not their spelling.
    ("[::127.0.0.1]", "[::7f00:1]"),
    ("[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]"),
    ("[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]"),
    ("[64:ff9b::7f00:1]", "[64:ff9b::7f00:1]"),
    ("[2002:7f00:1::]", "[2002:7f00:1::]"),
    ("[2002:7F00:0001:0:0:0:0:0]", "[2002:7f00:1::]"),
];

const MALFORMED: &[&[u8]] = &[
    b"",
    b".",
    b"..",
    b"a..b",
    b".a",
    b"a..",
    b"example.com..",
    b"127.0.0.1..",
    b"a b",
    b" example.com",
    b"example.com ",
    b"example.com\0",
    b"example.com\0.evil.test",
    b"example.com\r\n",
    b"ex%61mple.com",
    b"127.0.0.1%00",
    b"*",
    b"*.example.com",
    b"user@example.com",
    b"example.com/",
    b"example.com?",
    b"example.com#",
    b"example.com\\",
    b"example.com:80",
    b"a,b",
    b"m\xc3\xbcnchen.de",
    b"\xff.test",
    b"\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.1",
    b"xn--a.test",
    // What ends in a number is IPv4 or nothing (WHATWG URL, "ends in a number").
    b"256.0.0.1",
    b"1.2.3.4.5",
    b"1.2.3.256",
    b"1.2.3.09",
    b"a.1",
    b"example.0x1",
    b"4294967296",
    b"0x100000000",
    // IPv6
    b"[",
    b"]",
    b"[]",
    b"[::1",
    b"::1]",
    b"[[::1]]",
    b"[1.2.3.4]",
    b"[example.com]",
    b"[::1%25lo]",
    b"fe80::1%eth0",
    b"[fe80::1%eth0]",
    b":::",
    b"1:2:3:4:5:6:7:8:9",
    b"12345::",
    b"[::1]:80",
    b"[::ffff:127.1]",
];

proptest::proptest! {
    /// What is told without the URL standard's parser is what that would say.
    #[test]
    fn plain_names_are_what_the_url_standard_makes_of_them(
        text in "(xn--)?[a-z0-9.-]{1,12}(\\.[a-z0-9-]{1,6}){0,3}|0x[0-9a-f]{1,4}|[a-z-]{60,66}"
    ) {
        if crate::host::is_canonical(&text) {
            let parsed = url::Host::parse(&text).map(|host| host.to_string());
            proptest::prop_assert_eq!(parsed, Ok(text));
        }
    }
}
