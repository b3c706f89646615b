//! One host, many spellings: the same decision on every front end.

use crate::support::{Origin, Setup, SocksHost, status};

/// Spellings of 127.0.0.1.
const ADDRESS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.00.0.01",
    "0x7f.0.0.1",
    "0X7F.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0x7F000001",
    "0x000000007f000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "00177.0.0.1",
    "017700000001",
    "2130706433",
    "127.0x0.0.1",
    "127.0.0.0x1",
    "127.0.0.01",
    "127.0x1",
    "127.0.0x1",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[0000:0000:0000:0000:0000:ffff:7f00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::0:ffff:7f00:1]",
];

/// Spellings of `ok.test`.
const NAME: &[&str] = &[
    "ok.test", "OK.TEST", "Ok.Test", "oK.tEST", "ok.test.", "OK.TEST.", "oK.Test.",
];

/// Neither the one nor the other, and close to it.
const OTHERS: &[&str] = &[
    "evilok.test",
    "ok.test.evil.test",
    "sub.ok.test",
    "ok-test",
    "ok.tes",
    "k.test",
    "ok..test",
    ".ok.test",
    "ok.test..",
    "ok.test%00",
    "ok%2etest",
    "ok.test%2e",
    "xn--ok-test",
    "127.0.0.2",
    "127.0.0.256",
    "127.0.0.1.1",
    "127.0.0.1.ok.test",
    "127.0.0.0x",
    "127.0.0.1%00.evil.test",
    "256.0.0.1",
    "0x17f000001",
    "4294967296",
    "1.2.3.4.5",
    "0xg.0.0.1",
    "08.0.0.1",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.2]",
    "[::ffff:127.0.0.1%25lo]",
    "[::ffff:127.0.0.1%lo]",
    "[fe80::1%25eth0]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[v1.fe80::1]",
    "[::ffff:127.0.0.1",
    "localhost",
    "localhost.",
    "0",
    "0.0.0.0",
    "_ok.test",
    "ok_test",
];

#[tokio::test]
async fn every_spelling_of_a_permitted_host_is_permitted() {
    let origin = Origin::mirror().await;
    let proxy = Setup::exactly(&["ok.test", "127.0.0.1"]).start().await;
    for spelling in ADDRESS.iter().chain(NAME) {
        assert_eq!(
            decisions(&proxy, spelling, origin.port()).await,
            [true; 3],
            "{spelling}"
        );
    }
    assert_eq!(origin.accepted().await, 3 * (ADDRESS.len() + NAME.len()));
}

#[tokio::test]
async fn every_spelling_of_a_denied_host_is_denied() {
    let origin = Origin::mirror().await;
    let mut setup = Setup::exactly(&["ok.test", "127.0.0.1"]);
    setup.deny.push(("ok.test".to_owned(), None));
    setup.deny.push(("127.0.0.1".to_owned(), None));
    let proxy = setup.start().await;
    for spelling in ADDRESS.iter().chain(NAME) {
        assert_eq!(
            decisions(&proxy, spelling, origin.port()).await,
            [false; 3],
            "{spelling}"
        );
    }
    assert_eq!(origin.accepted().await, 0);
    let control = Setup::exactly(&["127.0.0.1"]).start().await;
    assert_eq!(
        decisions(&control, "127.0.0.1", origin.port()).await,
        [true; 3]
    );
}

#[tokio::test]
async fn what_only_looks_alike_is_refused() {
    let origin = Origin::mirror().await;
    let setup = Setup::exactly(&["ok.test", "127.0.0.1"]);
    for name in OTHERS {
        setup.resolver.set(name, &[&["127.0.0.1"]]);
    }
    let proxy = setup.start().await;
    for spelling in OTHERS {
        assert_eq!(
            decisions(&proxy, spelling, origin.port()).await,
            [false; 3],
            "{spelling}"
        );
    }
    assert_eq!(origin.accepted().await, 0);
    assert_eq!(proxy.resolver.count(), 0);
    assert_eq!(decisions(&proxy, "ok.test", origin.port()).await, [true; 3]);
}

/// CONNECT, absolute-form and SOCKS5: whether each got through.
async fn decisions(proxy: &crate::support::Running, host: &str, port: u16) -> [bool; 3] {
    let (head, _stream) = proxy.connect(&format!("{host}:{port}")).await;
    let request = format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    let answer = proxy.http_exchange(request.as_bytes()).await;
    for answer in [&head, &answer] {
        assert!(
            matches!(status(answer), 200 | 400 | 403),
            "{host}: {answer}"
        );
    }
    let (reply, _stream) = proxy
        .socks_connect(&SocksHost::Name(host.as_bytes()), port)
        .await;
    assert!(matches!(reply, 0 | 2), "{host}: {reply}");
    [status(&head) == 200, status(&answer) == 200, reply == 0]
}
