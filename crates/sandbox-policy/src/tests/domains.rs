//! Which texts are domain patterns, and what the refusals advise.

use crate::{DomainPattern, DomainPatternError as Error};

#[test]
fn accepted_entries_print_in_canonical_form() {
    for (text, canonical) in ACCEPTED {
        for parse in [DomainPattern::parse_allow, DomainPattern::parse_deny] {
            let parsed = parse(text).map(|pattern| pattern.to_string());
            assert_eq!(parsed.as_deref(), Ok(*canonical), "{text:?}");
        }
    }
}

#[test]
fn everything_is_for_deny_lists_only() {
    for text in ["*", "*:22"] {
        assert_eq!(DomainPattern::parse_deny(text).unwrap().to_string(), text);
        let error = DomainPattern::parse_allow(text).unwrap_err();
        assert_eq!(
            error,
            Error::AnyInAllowList {
                text: text.to_owned()
            }
        );
    }
}

#[test]
fn refused_entries_say_what_to_write_instead() {
    for (text, advice) in REFUSED {
        for parse in [DomainPattern::parse_allow, DomainPattern::parse_deny] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(advice), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{text:?}: {error}");
        }
    }
}

#[test]
fn an_advised_spelling_is_accepted() {
    for (text, advised) in [
        ("https://example.com/x", "example.com"),
        (
            "https://user:secret@example.com:8443/x?y",
            "example.com:8443",
        ),
        ("example.com.", "example.com"),
        ("example.com.:443", "example.com:443"),
        ("*.example.com.", "*.example.com"),
        ("::1", "[::1]"),
        ("[fe80::1%eth0]:22", "[fe80::1]:22"),
        ("user@a.test", "a.test"),
        ("a.test/path", "a.test"),
        ("*.10.0.0.1", "10.0.0.1"),
    ] {
        let error = DomainPattern::parse_allow(text)
            .expect_err(text)
            .to_string();
        assert!(error.contains(&format!("`{advised}`")), "{text:?}: {error}");
        assert!(DomainPattern::parse_allow(advised).is_ok(), "{advised:?}");
    }
}

const ACCEPTED: &[(&str, &str)] = &[
    ("example.com", "example.com"),
    ("*.example.com", "*.example.com"),
    ("example.com:443", "example.com:443"),
    ("*.example.com:8443", "*.example.com:8443"),
    ("localhost", "localhost"),
    ("localhost:3000", "localhost:3000"),
    ("app.localhost", "app.localhost"),
    ("1.2.3.4", "1.2.3.4"),
    ("1.2.3.4:80", "1.2.3.4:80"),
    ("[::1]", "[::1]"),
    ("[2001:db8::1]:443", "[2001:db8::1]:443"),
    ("*.co.uk", "*.co.uk"),
    ("*.github.io", "*.github.io"),
    ("*.github.com", "*.github.com"),
    ("a.test:1", "a.test:1"),
    ("a.test:65535", "a.test:65535"),
    // Canonicalised as requests are, or they would never match.
    ("127.1", "127.0.0.1"),
    ("0x7f.0.0.1", "127.0.0.1"),
    ("2130706433", "127.0.0.1"),
    ("[::ffff:127.0.0.1]", "127.0.0.1"),
    ("[2001:DB8:0::1]", "[2001:db8::1]"),
    ("m\u{fc}nchen.de", "xn--mnchen-3ya.de"),
    ("*.M\u{dc}NCHEN.de:80", "*.xn--mnchen-3ya.de:80"),
    ("ex\u{ad}ample\u{3002}com", "example.com"),
    ("\u{ff11}\u{ff12}\u{ff17}.1", "127.0.0.1"),
    ("EXAMPLE.Com", "example.com"),
    ("_srv.example.com", "_srv.example.com"),
];

const REFUSED: &[(&str, &str)] = &[
    ("", "such as `example.com`"),
    (":443", "such as `example.com`"),
    ("https://x", "write only the host, `x`"),
    ("https://example.com", "`example.com`"),
    ("://", "`example.com`"),
    ("x/y", "write `x`"),
    ("example.com/", "write `example.com`"),
    ("10.0.0.0/8", "`deniedResolvedAddresses`"),
    ("2001:db8::/32", "`deniedResolvedAddresses`"),
    ("[2001:db8::]/32", "`deniedResolvedAddresses`"),
    ("user@a.b", "`a.b`"),
    ("a.b?x", "`a.b`"),
    ("a.b#x", "`a.b`"),
    ("a b.com", "white space"),
    (" example.com", "white space"),
    ("example.com\n", "white space"),
    ("a\0.com", "white space"),
    ("vm", "`vm.example.com`"),
    ("not-a-domain", "only `localhost` stands alone"),
    ("vm:80", "`vm.example.com`"),
    ("*.localhost", "covers all of `localhost`"),
    ("*.com", "covers all of `com`"),
    ("*.com:443", "`*.example.com`"),
    ("*example.com", "`*.example.com`"),
    ("*.", "`*.example.com`"),
    ("*.*.b", "`*.example.com`"),
    ("**", "`*.example.com`"),
    ("**.example.com", "`*.example.com`"),
    ("a.*.com", "`*.example.com`"),
    ("example.*", "`*.example.com`"),
    ("*.127.1", "write `127.0.0.1`"),
    ("*.[::1]", "can match no host"),
    ("example.com.", "write `example.com`"),
    ("*.example.com.", "write `*.example.com`"),
    (".example.com", "write `*.example.com`"),
    ("::1", "write `[::1]`"),
    ("2001:db8::1", "write `[2001:db8::1]`"),
    ("[fe80::1%eth0]", "write `[fe80::1]`"),
    ("fe80::1%eth0", "write `[fe80::1]`"),
    ("example.com:0", "bad port `0`"),
    ("example.com:080", "bad port `080`"),
    ("example.com:65536", "bad port `65536`"),
    ("example.com:", "bad port ``"),
    ("example.com:http", "bad port `http`"),
    ("example.com:+80", "bad port `+80`"),
    ("[::1]:0", "bad port `0`"),
    ("*:0", "bad port `0`"),
    ("a..b", "can match no host"),
    ("a.b..", "can match no host"),
    ("..", "can match no host"),
    ("a:b:c", "can match no host"),
    ("[::1]x", "can match no host"),
    ("[::1", "can match no host"),
    ("[1.2.3.4]", "can match no host"),
    ("ex%61mple.com", "can match no host"),
    ("a\\b.com", "can match no host"),
    ("256.1.1.1", "can match no host"),
    ("a.1", "can match no host"),
    ("a,b.com", "can match no host"),
    ("xn--a.com", "can match no host"),
];
