//! URLs of proxies, lists of exceptions, and what is shown of a login.

use super::*;
use crate::text::without_logins;

fn target(text: &str) -> Target {
    let (host, port) = text.rsplit_once(':').unwrap();
    Target::new(
        Host::parse(host.as_bytes()).unwrap(),
        Port::new(port.parse().unwrap()).unwrap(),
    )
}

#[test]
fn urls_are_read_as_other_programs_read_them() {
    for (text, shown, login) in [
        ("http://proxy.test:3128", "http://proxy.test:3128", None),
        ("proxy.test:3128", "http://proxy.test:3128", None),
        ("proxy.test", "http://proxy.test:80", None),
        ("HTTP://Proxy.Test/", "http://proxy.test:80", None),
        ("http://[::1]:8080/", "http://[::1]:8080", None),
        ("socks5://10.0.0.1", "socks5://10.0.0.1:1080", None),
        ("socks5h://10.0.0.1:9", "socks5h://10.0.0.1:9", None),
        (
            "http://me:word@proxy.test:1",
            "http://proxy.test:1",
            Some(("me", "word")),
        ),
        (
            "http://me%40corp:w%3Ao%20r%2Fd%25@proxy.test:1",
            "http://proxy.test:1",
            Some(("me@corp", "w:o r/d%")),
        ),
        (
            "http://me:p@ss@proxy.test:1",
            "http://proxy.test:1",
            Some(("me", "p@ss")),
        ),
        (
            "http://me@proxy.test:1",
            "http://proxy.test:1",
            Some(("me", "")),
        ),
        // What is no escape stays, as elsewhere.
        (
            "http://me:5%@proxy.test:1",
            "http://proxy.test:1",
            Some(("me", "5%")),
        ),
        ("http://@proxy.test:1", "http://proxy.test:1", None),
        (
            "me:word@proxy.test:1",
            "http://proxy.test:1",
            Some(("me", "word")),
        ),
    ] {
        let proxy = ParentProxy::parse(text).unwrap();
        assert_eq!(proxy.to_string(), shown, "{text}");
        let found = proxy.login.as_ref().map(|login| {
            let part = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (part(&login.user), part(&login.password))
        });
        let expected = login.map(|(user, word)| (user.to_owned(), word.to_owned()));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn what_is_no_proxy_is_refused_without_repeating_it() {
    for text in [
        "https://me:secret@proxy.test",
        "ftp://me:secret@proxy.test",
        "socks4://me:secret@proxy.test",
        "http://me:secret@proxy.test/path",
        "http://me:secret@proxy.test?x",
        "http://me:secret@proxy.test:0",
        "http://me:secret@proxy.test:65536",
        "http://me:secret@proxy.test:x",
        "http://me:secret@",
        "http://me:secret@a b",
        "http://me:secret@a\r\nb",
        "http://me%3Aus:secret@proxy.test",
        "socks5://:secret@proxy.test",
        "socks5h://secret@proxy.test",
        "://me:secret@x",
    ] {
        let error = ParentProxy::parse(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    let long = "x".repeat(256);
    assert_eq!(
        ParentProxy::parse(&format!("socks5://{long}:x@proxy.test")),
        Err(ParentProxyError::LoginLength)
    );
    assert!(ParentProxy::parse(&format!("http://{long}:x@proxy.test")).is_ok());
}

#[test]
fn exceptions_are_names_with_those_below_addresses_ranges_and_ports() {
    let list = "a.test, .b.test *.c.test,d.test:81\n10.0.0.0/8,192.0.2.1 [2001:db8::1]:82,2001:db8:1::/48,::ffff:203.0.113.9,x/y,,e..test";
    let bypass = ProxyBypass::parse(list);
    for direct in [
        "a.test:1",
        "A.test.:1",
        "x.a.test:1",
        "b.test:1",
        "x.y.b.test:1",
        "c.test:1",
        "x.c.test:1",
        "d.test:81",
        "x.d.test:81",
        "10.255.0.1:1",
        "192.0.2.1:1",
        "[2001:db8::1]:82",
        "[2001:db8:1:2::3]:1",
        "203.0.113.9:1",
        "[::ffff:10.1.1.1]:1",
    ] {
        assert!(bypass.matches(&target(direct)), "{direct}");
    }
    for proxied in [
        "test:1",
        "ba.test:1",
        "xb.test:1",
        "d.test:80",
        "11.0.0.1:1",
        "192.0.2.2:1",
        "[2001:db8::1]:81",
        "[2001:db8:2::1]:1",
        "x:1",
        "e.test:1",
    ] {
        assert!(!bypass.matches(&target(proxied)), "{proxied}");
    }
    assert_eq!(
        bypass.to_string(),
        "a.test,b.test,c.test,d.test:81,10.0.0.0/8,192.0.2.1,[2001:db8::1]:82,2001:db8:1::/48,203.0.113.9"
    );
    assert!(ProxyBypass::parse("*").matches(&target("x.test:1")));
    assert!(ProxyBypass::parse("*:2").matches(&target("x.test:2")));
    assert!(!ProxyBypass::parse("*:2").matches(&target("x.test:1")));
    assert!(!ProxyBypass::parse("").matches(&target("x.test:1")));
}

#[test]
fn each_kind_of_target_has_its_proxy_and_the_loopback_has_none() {
    let proxies = ParentProxies {
        http: ParentChoice::read("http://one.test"),
        https: ParentChoice::read("https://bad.test"),
        bypass: ProxyBypass::parse("direct.test"),
    };
    let choose = |host: &str, plain| proxies.choose(&target(host), plain).to_string();
    assert_eq!(choose("x.test:80", true), "http://one.test:80");
    assert!(choose("x.test:80", false).starts_with("unusable: "));
    for host in [
        "direct.test:1",
        "localhost:1",
        "a.localhost:1",
        "127.9.9.9:1",
        "[::1]:1",
        "0.0.0.0:1",
    ] {
        assert_eq!(choose(host, true), "none", "{host}");
        assert_eq!(choose(host, false), "none", "{host}");
    }
    let none = ParentProxies::none();
    assert_eq!(
        none.choose(&target("x.test:1"), true),
        &ParentChoice::Direct
    );
    assert_eq!(ParentChoice::read(" "), ParentChoice::Direct);
}

#[test]
fn a_login_is_shown_nowhere() {
    let choice = ParentChoice::read("http://me:secret@proxy.test:1");
    assert!(choice.has_login());
    for shown in [
        choice.to_string(),
        format!("{choice:?}"),
        format!("{choice:#?}"),
    ] {
        assert!(
            !shown.contains("secret") && !shown.contains("me:"),
            "{shown}"
        );
    }
    for (text, covered) in [
        ("plain", "plain"),
        ("http://a.test/x", "http://a.test/x"),
        (
            "\"http://me:pw@a.test\", \"x@y\"",
            "\"http://*****@a.test\", \"x@y\"",
        ),
        ("http://me:p@w@a.test", "http://******@a.test"),
        // In doubt more is covered.
        (
            "HTTP_PROXY=http://u:p@h:1,http://v:q@i:2",
            "HTTP_PROXY=http://******************@i:2",
        ),
        ("socks5h://ü:p@h", "socks5h://****@h"),
        (r#""http:\/\/u:p@h", "x:y""#, r#""http:\/\/***@h", "x:y""#),
        (
            r#""http://u:p \" w@h", "a@b""#,
            r#""http://********@h", "a@b""#,
        ),
        (r#"{"http":"u:p@h:1"}"#, r#"{"http":"***@h:1"}"#),
        ("http://u:p,\nw@h", "http://u:p,\nw@h"),
        ("me@there.test", "me@there.test"),
    ] {
        assert_eq!(without_logins(text), covered);
        assert_eq!(without_logins(text).len(), text.len());
    }
}
