//! What is denied is answered as documented and does not leave the host.

use sandbox_tests::{Bed, Listener, Origin, host, need, need_names, python};
use serde_json::json;

use crate::{NAME, OTHER, RAW, allowing, named, settings};

#[test]
fn a_denied_plain_request_is_answered_with_403() {
    need_names!();
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let url = format!("http://{OTHER}:{}/", origin.port());
    let output = named(&bed, &allowing(origin.port()))
        .args([curl.to_str().unwrap(), "-sSi", &url])
        .run()
        .ok();
    let text = output.text();
    let head = text.to_ascii_lowercase();
    assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{output}");
    assert!(
        head.contains("x-proxy-error: blocked-by-allowlist\r\n"),
        "{output}"
    );
    assert!(head.contains("content-type: text/plain"), "{output}");
    assert!(
        text.ends_with("\r\n\r\nConnection blocked by network allowlist\n"),
        "{output}"
    );
    assert_eq!(origin.accepted(), 0);
    let url = format!("http://{NAME}:{}/", origin.port());
    named(&bed, &allowing(origin.port()))
        .args([curl.to_str().unwrap(), "-sS", &url])
        .run()
        .ok();
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a_denied_tunnel_is_answered_with_403_and_the_reason() {
    need_names!();
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let connect =
        |name: &str| format!("CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n");
    let run = |settings: &serde_json::Value, name: &str| {
        named(&bed, settings)
            .py(&python, RAW, &["http", "1"])
            .stdin(connect(name))
            .run()
            .ok()
    };
    let unlisted = run(&allowing(port), OTHER);
    assert!(
        unlisted
            .text()
            .starts_with("HTTP/1.1 403 host is not on the allow list\r\n"),
        "{unlisted}"
    );
    assert!(
        unlisted
            .text()
            .to_ascii_lowercase()
            .contains("x-proxy-error: blocked-by-allowlist\r\n"),
        "{unlisted}"
    );
    assert!(
        unlisted
            .text()
            .ends_with("\r\n\r\nConnection blocked by network allowlist"),
        "{unlisted}"
    );
    let listed = run(&settings(&["*.srt.test"], &[NAME]), NAME);
    assert!(
        listed
            .text()
            .starts_with("HTTP/1.1 403 host is on the deny list\r\n"),
        "{listed}"
    );
    assert_eq!(origin.accepted(), 0);
    let allowed = run(&allowing(port), NAME);
    assert!(allowed.text().starts_with("HTTP/1.1 200"), "{allowed}");
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a_deny_wins_over_an_allow_in_every_spelling() {
    need_names!();
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let allowed = [
        format!("127.0.0.1:{port}"),
        "*.srt.test".to_owned(),
        "localhost".to_owned(),
    ];
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let spellings = [
        "origin.srt.test",
        "ORIGIN.SRT.TEST",
        "Origin.Srt.Test",
        "origin.srt.test.",
        "sub.origin.srt.test",
        "SUB.ORIGIN.SRT.TEST.",
    ];
    let denied = settings(&allowed, &[NAME, "*.origin.srt.test"]);
    for name in spellings {
        for request in [
            format!("CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n"),
            format!("GET http://{name}:{port}/ HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n"),
        ] {
            let run = |settings: &serde_json::Value| {
                let names = [(NAME, "127.0.0.1"), ("sub.origin.srt.test", "127.0.0.1")];
                bed.srt()
                    .flat(settings)
                    .hosts(&names)
                    .py(&python, RAW, &["http", "0.5"])
                    .stdin(request.clone())
                    .run()
                    .ok()
            };
            let output = run(&denied);
            assert!(
                output.text().starts_with("HTTP/1.1 403"),
                "{name}\n{output}"
            );
            let control = run(&settings(&allowed, &[]));
            assert!(
                control.text().starts_with("HTTP/1.1 200"),
                "{name}\n{control}"
            );
        }
    }
    assert_eq!(origin.accepted(), spellings.len() * 2);
}

#[test]
fn addresses_are_denied_in_every_spelling() {
    need_names!();
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let witness = Listener::on("0.0.0.0").unwrap();
    let port = witness.port();
    let spellings = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "0",
        "[::]",
        "[::1]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.2",
        "127.255.255.254",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "user@127.0.0.1",
        "127.0.0.1%00.origin.srt.test",
        "origin.srt.test%00.evil",
        "origin.srt.test\0.evil",
        "origin.srt.test#@127.0.0.1",
        "origin.srt.test/@127.0.0.1",
    ];
    for name in spellings {
        for request in [
            format!("CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n"),
            format!("GET http://{name}:{port}/ HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n"),
        ] {
            // The name is allowed; the address it stands for is refused when it has been resolved.
            let output = named(&bed, &settings(&[NAME, "*.srt.test"], &[]))
                .py(&python, RAW, &["http", "0.5"])
                .stdin(request)
                .run()
                .ok();
            let status = output.text().split(' ').nth(1).map(str::to_owned);
            assert!(
                !matches!(status.as_deref(), Some("200" | "101")),
                "{name}\n{output}"
            );
        }
    }
    assert_eq!(witness.accepted(), 0);
    let open = settings(&[&format!("127.0.0.1:{port}")], &[]);
    let request = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    let output = named(&bed, &open)
        .py(&python, RAW, &["http", "0.5"])
        .stdin(request)
        .run()
        .ok();
    assert!(output.text().contains("HOST"), "{output}");
}

#[test]
fn a_name_that_resolves_to_a_special_address_is_refused() {
    need_names!();
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let witness = Listener::on("0.0.0.0").unwrap();
    let port = witness.port();
    let addresses = [
        "127.0.0.1",
        "127.0.0.53",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "255.255.255.255",
    ];
    for address in addresses {
        let request = format!("GET http://{NAME}:{port}/ HTTP/1.1\r\nHost: {NAME}:{port}\r\n\r\n");
        let srt = bed
            .srt()
            .flat(&settings(&[NAME], &[]))
            .hosts(&[(NAME, address)]);
        let output = srt
            .py(&python, RAW, &["http", "0.5"])
            .stdin(request)
            .run()
            .ok();
        let head = output.text().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 403"), "{address}\n{output}");
        assert!(
            head.contains("x-proxy-error: blocked-by-sandbox-runtime"),
            "{address}\n{output}"
        );
        assert!(
            !output.text().contains(address),
            "the address is told: {output}"
        );
    }
    assert_eq!(witness.accepted(), 0);
}

#[test]
fn ports_are_part_of_a_rule() {
    need_names!();
    let curl = need!("curl");
    let bed = Bed::new();
    let (listed, unlisted) = (Origin::start(), Origin::start());
    let url = |origin: &Origin| format!("http://{NAME}:{}/", origin.port());
    let settings = allowing(listed.port());
    named(&bed, &settings)
        .args([curl.to_str().unwrap(), "-sS", &url(&listed)])
        .run()
        .ok()
        .prints("ORIGIN GET / 0\n");
    let output = named(&bed, &settings)
        .args([curl.to_str().unwrap(), "-sS", &url(&unlisted)])
        .run();
    assert!(
        output.text().contains("blocked by network allowlist"),
        "{output}"
    );
    assert_eq!(unlisted.accepted(), 0);
}

#[test]
fn an_empty_list_opens_nothing() {
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let url = format!("http://127.0.0.1:{}/", origin.port());
    let flat = |network: serde_json::Value| json!({"network": network, "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []}});
    let attempt = |settings: Option<&serde_json::Value>, extra: &[&str]| {
        let srt = settings.map_or_else(|| bed.srt(), |settings| bed.srt().flat(settings));
        srt.args([curl.to_str().unwrap(), "-sS", "-m", "10"])
            .args(extra.iter().copied())
            .args([&url])
            .run()
    };
    let empty = flat(json!({"allowedDomains": [], "deniedDomains": []}));
    for extra in [
        vec![],
        vec!["--noproxy", "*"],
        vec!["-x", "http://127.0.0.1:3128"],
        vec!["-x", "socks5h://127.0.0.1:1080"],
        vec!["-p"],
    ] {
        for settings in [Some(&empty), None] {
            let output = attempt(settings, &extra);
            assert!(!output.text().contains("ORIGIN"), "{output}");
        }
    }
    // Other shapes of "nothing", and wrong ones, are errors or closed, never open.
    for network in [
        json!({"allowedDomains": null, "deniedDomains": []}),
        json!({"deniedDomains": []}),
        json!({"allowedDomains": "127.0.0.1", "deniedDomains": []}),
        json!({"allowedDomains": {}, "deniedDomains": []}),
        json!({"allowedDomains": [1], "deniedDomains": []}),
        json!({"allowedDomains": [null], "deniedDomains": []}),
        json!({"allowedDomains": true, "deniedDomains": []}),
        json!(null),
        json!([]),
        json!({}),
        json!("*"),
        json!({"allowedDomains": [[]], "deniedDomains": []}),
        json!({"allowedDomains": ["*"], "deniedDomains": []}),
        json!({"allowedDomains": [""], "deniedDomains": []}),
    ] {
        let output = attempt(Some(&flat(network.clone())), &[]);
        assert!(
            !output.succeeded() || !output.text().contains("ORIGIN"),
            "{network}\n{output}"
        );
        assert_eq!(output.code(), Some(125), "{network}\n{output}");
    }
    assert_eq!(origin.accepted(), 0);
    let open = flat(
        json!({"allowedDomains": [format!("127.0.0.1:{}", origin.port())], "deniedDomains": []}),
    );
    attempt(
        Some(&open),
        &["--noproxy", "", "-x", "http://127.0.0.1:3128"],
    )
    .ok()
    .prints("ORIGIN GET / 0\n");
    host(&curl, ["-sS", &url]).ok();
    assert_eq!(origin.accepted(), 2);
}

#[test]
fn nonsense_is_answered_and_goes_nowhere() {
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let open = settings(&[&format!("127.0.0.1:{port}")], &[]);
    let target = format!("http://127.0.0.1:{port}/");
    for request in [
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"),
        "CONNECT nonsense HTTP/1.1\r\n\r\n".to_owned(),
        "CONNECT 127.0.0.1: HTTP/1.1\r\n\r\n".to_owned(),
        "CONNECT 127.0.0.1:99999 HTTP/1.1\r\n\r\n".to_owned(),
        "CONNECT :80 HTTP/1.1\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
        format!("GET https://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"),
        format!("GET ftp://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"),
        format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
        ),
        format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello"
        ),
        format!(
            "GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX: {}\r\n\r\n",
            "y".repeat(600_000)
        ),
    ] {
        let output = bed
            .srt()
            .flat(&open)
            .py(&python, RAW, &["http", "0.5"])
            .stdin(request.clone())
            .run();
        let answered_well = output.text().starts_with("HTTP/1.1 200");
        assert!(
            !answered_well,
            "{}\n{output}",
            request.escape_debug().take(100).collect::<String>()
        );
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.target != "/smuggled"),
        "{:?}",
        origin.requests()
    );
    let good = format!("GET {target}good HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    let output = bed
        .srt()
        .flat(&open)
        .py(&python, RAW, &["http", "0.5"])
        .stdin(good)
        .run()
        .ok();
    assert!(output.text().contains("ORIGIN GET /good"), "{output}");
}

#[test]
fn an_unreachable_origin_is_a_502() {
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let open = settings(&[&format!("127.0.0.1:{port}")], &[]);
    for request in [
        format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"),
        format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"),
    ] {
        let output = bed
            .srt()
            .flat(&open)
            .py(&python, RAW, &["http", "1"])
            .stdin(request)
            .run()
            .ok();
        assert!(
            output.text().starts_with("HTTP/1.1 502 Bad Gateway"),
            "{output}"
        );
    }
}
