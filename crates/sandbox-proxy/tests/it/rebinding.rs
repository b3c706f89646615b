//! Names that lead, or come to lead, where they must not.

use crate::support::{Origin, Setup, SocksHost, field, read_all, status, text};

#[tokio::test]
async fn special_addresses_are_refused_on_every_front_end() {
    let origin = Origin::mirror().await;
    let port = origin.port();
    let mut setup = Setup::exactly(&["ok.test"]);
    setup.own = vec!["192.0.2.77".parse().unwrap()];
    let proxy = setup.start().await;
    for (address, class) in [
        ("127.0.0.1", "resolved to a loopback address"),
        ("::1", "resolved to a loopback address"),
        ("::ffff:127.0.0.1", "resolved to a loopback address"),
        ("64:ff9b::7f00:1", "resolved to a loopback address"),
        ("2002:7f00:1::", "resolved to a loopback address"),
        ("0.0.0.0", "resolved to an unspecified address"),
        ("169.254.1.1", "resolved to a link-local address"),
        ("fe80::1", "resolved to a link-local address"),
        ("169.254.169.254", "resolved to"),
        ("100.100.100.200", "resolved to a cloud metadata address"),
        ("224.0.0.1", "resolved to a multicast address"),
        ("255.255.255.255", "resolved to the broadcast address"),
        ("192.0.2.77", "resolved to an address of this host"),
    ] {
        proxy.resolver.set("ok.test", &[&[address]]);
        let before = proxy.resolver.count();
        let (head, mut stream) = proxy.connect(&format!("ok.test:{port}")).await;
        assert_eq!(status(&head), 403, "{address}: {head}");
        assert_eq!(
            field(&head, "x-proxy-error"),
            Some("blocked-by-sandbox-runtime")
        );
        let content = text(&read_all(&mut stream).await);
        assert!(content.starts_with("Connection to ok.test"), "{content}");
        assert!(
            content.contains(&format!(" blocked: {class}")),
            "{address}: {content}"
        );
        if !["127.0.0.1", "::1", "0.0.0.0"].contains(&address) {
            assert!(
                !content.contains(address) && !head.contains(address),
                "{head}{content}"
            );
        }
        let request = format!("GET http://ok.test:{port}/ HTTP/1.1\r\nHost: ok.test\r\n\r\n");
        let answer = proxy.http_exchange(request.as_bytes()).await;
        assert_eq!(status(&answer), 403, "{address}");
        assert_eq!(
            field(&answer, "x-proxy-error"),
            Some("blocked-by-sandbox-runtime")
        );
        let (reply, _stream) = proxy
            .socks_connect(&SocksHost::Name(b"ok.test"), port)
            .await;
        assert_eq!(reply, 2, "{address}");
        assert_eq!(
            proxy.resolver.count() - before,
            3,
            "one lookup for each request"
        );
    }
    assert_eq!(origin.accepted().await, 0);

    let control = Setup::exactly(&["ok.test", "127.0.0.1"]).start().await;
    let (head, _stream) = control.connect(&format!("ok.test:{port}")).await;
    assert_eq!(status(&head), 200);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn what_was_judged_is_what_is_dialled() {
    let permitted = Origin::mirror().await;
    let port = permitted.port();
    // 127.0.0.2 is not in the allow list; a server listens there on the same port.
    let forbidden = tokio::net::TcpListener::bind(("127.0.0.2", port))
        .await
        .unwrap();
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let refused = |accepted: std::io::Result<_>| accepted.is_err();

    // The name flips after its first answer: a second lookup for the dial would get there.
    proxy
        .resolver
        .set("ok.test", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let (head, _stream) = proxy.connect(&format!("ok.test:{port}")).await;
    assert_eq!((status(&head), proxy.resolver.count()), (200, 1));
    assert_eq!(permitted.accepted().await, 1);

    // Now it leads elsewhere, and the next request is judged anew.
    let (head, _stream) = proxy.connect(&format!("ok.test:{port}")).await;
    assert_eq!((status(&head), proxy.resolver.count()), (403, 2));
    let (reply, _stream) = proxy
        .socks_connect(&SocksHost::Name(b"ok.test"), port)
        .await;
    assert_eq!((reply, proxy.resolver.count()), (2, 3));

    // Of a mixed answer only the permitted addresses are dialled, wherever they stand.
    proxy
        .resolver
        .set("ok.test", &[&["127.0.0.2", "127.0.0.1", "127.0.0.2"]]);
    let (head, _stream) = proxy.connect(&format!("ok.test:{port}")).await;
    assert_eq!((status(&head), proxy.resolver.count()), (200, 4));
    assert_eq!(permitted.accepted().await, 2);
    let accepted =
        tokio::time::timeout(std::time::Duration::from_millis(50), forbidden.accept()).await;
    assert!(
        accepted.map_or(true, refused),
        "nobody came to the forbidden address"
    );
}

#[tokio::test]
async fn an_address_that_does_not_answer_yields_to_the_next() {
    let origin = Origin::echo().await;
    let mut setup = Setup::allowing(&["ok.test", "127.0.0.9"]);
    // Nobody listens on 127.0.0.9.
    setup
        .resolver
        .set("ok.test", &[&["127.0.0.9", "127.0.0.1"]]);
    setup.config.connect_timeout = std::time::Duration::from_secs(1);
    let proxy = setup.start().await;
    let (head, _stream) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    assert_eq!(status(&head), 200);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn localhost_is_loopback_and_nothing_else() {
    let origin = Origin::echo().await;
    let proxy = Setup::exactly(&["localhost"]).start().await;
    let authority = format!("localhost:{}", origin.port());
    proxy.resolver.set("localhost", &[&["192.0.2.1"]]);
    let (head, _stream) = proxy.connect(&authority).await;
    assert_eq!(status(&head), 403);
    assert_eq!(origin.accepted().await, 0);
    proxy.resolver.set("localhost", &[&["127.0.0.1"]]);
    let (head, _stream) = proxy.connect(&authority).await;
    assert_eq!(status(&head), 200);
    assert_eq!(origin.accepted().await, 1);
}
