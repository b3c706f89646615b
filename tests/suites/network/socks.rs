//! SOCKS5: the same rules behind another protocol.

use sandbox_tests::{Bed, Origin, need_names, python};

use crate::{NAME, OTHER, SOCKS, allowing, named, settings};

const CONNECT: &str = "1";

#[test]
fn allowed_names_and_addresses_connect() {
    need_names!();
    let python = python!("socket", "struct", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port().to_string();
    for (kind, address) in [("name", NAME), ("ipv4", "127.0.0.1"), ("name", "127.0.0.1")] {
        let output = named(&bed, &allowing(origin.port()))
            .py(&python, SOCKS, &[CONNECT, kind, address, &port])
            .run()
            .ok();
        assert!(output.text().starts_with("reply 0\n"), "{output}");
        assert!(output.text().contains("ORIGIN GET /socks"), "{output}");
    }
    assert_eq!(origin.accepted(), 3);
}

#[test]
fn what_is_denied_is_reply_2_in_every_spelling() {
    need_names!();
    let python = python!("socket", "struct", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port().to_string();
    let only_name = settings(&["*.srt.test", NAME], &[OTHER]);
    let addresses = [
        ("name", OTHER),
        ("name", "OTHER.srt.test."),
        ("name", "localhost"),
        ("name", "127.1"),
        ("name", "2130706433"),
        ("name", "0x7f.1"),
        ("name", "origin.srt.test\\x00.evil"),
        ("name", "127.0.0.1\\x00.origin.srt.test"),
        ("name", ""),
        ("name", "origin.srt.test\\x0d\\x0a"),
        ("name", "[::1]"),
        ("name", "::1"),
        ("ipv4", "127.0.0.1"),
        ("ipv4", "0.0.0.0"),
        ("ipv6", "::1"),
        ("ipv6", "::ffff:127.0.0.1"),
        ("ipv6", "::"),
        ("name", "\\xff\\xfe"),
        ("name", "user@origin.srt.test"),
        ("name", NAME),
    ];
    for (kind, address) in addresses {
        let output = named(&bed, &only_name)
            .py(&python, SOCKS, &[CONNECT, kind, address, &port])
            .run()
            .ok();
        let text = output.text();
        assert!(
            text == "reply 2\n" || (text != "reply 0\n" && address.is_empty()),
            "{kind} {address}\n{output}"
        );
    }
    assert_eq!(origin.accepted(), 0);
    named(&bed, &allowing(origin.port()))
        .py(&python, SOCKS, &[CONNECT, "name", NAME, &port])
        .run()
        .ok();
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn only_connect_is_spoken() {
    let python = python!("socket", "struct", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let open = settings(&[&format!("127.0.0.1:{}", origin.port())], &[]);
    for command in ["2", "3", "9"] {
        let output = bed
            .srt()
            .flat(&open)
            .py(
                &python,
                SOCKS,
                &[command, "ipv4", "127.0.0.1", &origin.port().to_string()],
            )
            .run()
            .ok();
        assert!(
            ["reply 7\n", "closed\n"].contains(&output.text().as_str()),
            "command {command}\n{output}"
        );
    }
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn an_unreachable_origin_is_told_apart() {
    let python = python!("socket", "struct", "urllib.parse");
    let bed = Bed::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let open = settings(&[&format!("127.0.0.1:{port}")], &[]);
    let output = bed
        .srt()
        .flat(&open)
        .py(
            &python,
            SOCKS,
            &[CONNECT, "ipv4", "127.0.0.1", &port.to_string()],
        )
        .run()
        .ok();
    assert!(
        ["reply 4\n", "reply 5\n"].contains(&output.text().as_str()),
        "{output}"
    );
}
