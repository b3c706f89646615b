//! CONNECT: tunnels, early data, half-close, and the answers to refused ones.

use tokio::io::AsyncWriteExt;

use crate::support::{Origin, Setup, dial, field, read_all, read_exactly, read_head, status};

#[tokio::test]
async fn a_permitted_host_is_reached_and_others_are_not() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;

    let (head, mut stream) = proxy
        .connect(&format!("denied.test:{}", origin.port()))
        .await;
    assert!(
        head.starts_with("HTTP/1.1 403 host is not on the allow list\r\n"),
        "{head}"
    );
    assert_eq!(field(&head, "content-type"), Some("text/plain"));
    assert_eq!(field(&head, "x-proxy-error"), Some("blocked-by-allowlist"));
    let reason = field(&head, "x-sandbox-reason").unwrap();
    assert!(reason.starts_with("host_not_allowed: "), "{reason}");
    assert_eq!(
        read_all(&mut stream).await,
        b"Connection blocked by network allowlist"
    );
    assert_eq!(origin.accepted().await, 0);
    assert_eq!(proxy.resolver.count(), 0, "a refused name is not looked up");

    let (head, mut stream) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    stream.write_all(b"through").await.unwrap();
    assert_eq!(read_exactly(&mut stream, 7).await, b"through");
    assert_eq!(origin.accepted().await, 1);
    assert_eq!(proxy.resolver.count(), 1);
}

#[tokio::test]
async fn a_deny_rule_wins_and_speaks_in_its_own_words() {
    let origin = Origin::echo().await;
    let mut setup = Setup::allowing(&["*.ok.test", "ok.test"]);
    setup.deny.push((
        "sub.ok.test".to_owned(),
        Some("ask\r\nX-Evil: 1 <b>Zoë</b>".to_owned()),
    ));
    let proxy = setup.start().await;

    let (head, _stream) = proxy
        .connect(&format!("sub.ok.test:{}", origin.port()))
        .await;
    assert!(
        head.starts_with("HTTP/1.1 403 ask X-Evil: 1 bZo?/b\r\n"),
        "{head}"
    );
    assert_eq!(field(&head, "x-evil"), None);
    assert_eq!(origin.accepted().await, 0);

    let (head, _stream) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    assert_eq!(status(&head), 200);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn an_empty_policy_permits_nothing() {
    let origin = Origin::echo().await;
    let closed = Setup::exactly(&[]).start().await;
    for host in ["ok.test", "127.0.0.1", "localhost", "[::1]"] {
        let (head, _stream) = closed.connect(&format!("{host}:{}", origin.port())).await;
        assert_eq!(status(&head), 403, "{host}");
    }
    assert_eq!(origin.accepted().await, 0);
    let open = Setup::exactly(&["127.0.0.1"]).start().await;
    let (head, _stream) = open.connect(&format!("127.0.0.1:{}", origin.port())).await;
    assert_eq!(status(&head), 200);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn bytes_sent_with_the_request_reach_the_server() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let authority = format!("ok.test:{}", origin.port());
    for version in ["1.1", "1.0"] {
        let mut stream = dial(proxy.http).await;
        // What follows looks malformed, but is none of HTTP's business.
        let request = format!(
            "CONNECT {authority} HTTP/{version}\r\nHost: {authority}\r\n\r\n\x16\x03\n\0early"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(status(&read_head(&mut stream).await), 200);
        assert_eq!(read_exactly(&mut stream, 9).await, b"\x16\x03\n\0early");
    }
}

#[tokio::test]
async fn half_closed_directions_stay_apart() {
    // Answers only after the client has ended.
    let origin = Origin::start(|mut stream| async move {
        let received = read_all(&mut stream).await;
        stream
            .write_all(format!("got {}", received.len()).as_bytes())
            .await
            .unwrap();
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let (head, mut stream) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    assert_eq!(status(&head), 200);
    stream.write_all(&[7; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_all(&mut stream).await, b"got 100000");

    // The client may end before it has the answer to its CONNECT.
    let authority = format!("ok.test:{}", origin.port());
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\nabc");
    let answer = proxy.http_exchange(request.as_bytes()).await;
    assert!(answer.ends_with("\r\n\r\ngot 3"), "{answer}");
}

#[tokio::test]
async fn malformed_targets_are_refused_before_policy() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let port = origin.port();
    for target in [
        "ok.test".to_owned(),
        "ok.test:".to_owned(),
        "ok.test:0".to_owned(),
        "ok.test:65536".to_owned(),
        format!("ok.test:+{port}"),
        format!("user@ok.test:{port}"),
        format!("http://ok.test:{port}/"),
        format!("http://ok.test:{port}"),
        format!("/ok.test:{port}"),
        "*".to_owned(),
        format!("::1:{port}"),
        format!("[::1:{port}"),
        format!("ok.test:{port}:{port}"),
        format!(":{port}"),
    ] {
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: ok.test\r\n\r\n");
        let answer = proxy.http_exchange(request.as_bytes()).await;
        assert!(matches!(status(&answer), 400 | 403), "{target}: {answer}");
    }
    assert_eq!(origin.accepted().await, 0);
    let (head, _stream) = proxy.connect(&format!("OK.Test.:{port}")).await;
    assert_eq!(status(&head), 200);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn a_host_field_that_names_another_host_is_refused() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test", "other.test"]).start().await;
    let port = origin.port();
    let request = |host: &str| format!("CONNECT ok.test:{port} HTTP/1.1\r\n{host}\r\n");
    for (host, expected) in [
        ("Host: other.test\r\n", 421),
        ("Host: ok.test\u{e9}\r\n", 400),
        ("Host: \r\n", 400),
    ] {
        assert_eq!(
            status(&proxy.http_exchange(request(host).as_bytes()).await),
            expected,
            "{host}"
        );
    }
    assert_eq!(origin.accepted().await, 0);
    for host in ["Host: ok.test\r\n", "Host: OK.TEST.:1\r\n", ""] {
        assert_eq!(
            status(&proxy.http_exchange(request(host).as_bytes()).await),
            200,
            "{host}"
        );
    }
    assert_eq!(origin.accepted().await, 3);
}

#[tokio::test]
async fn an_unreachable_server_is_a_bare_502() {
    let proxy = Setup::allowing(&["ok.test", "nowhere.test"]).start().await;
    // Port 1 of loopback has no server; the other name has no address.
    for authority in ["ok.test:1", "nowhere.test:443"] {
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        let answer = proxy.http_exchange(request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn what_follows_a_refused_connect_is_not_a_request() {
    let origin = Origin::mirror().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let port = origin.port();
    let second = format!("GET http://ok.test:{port}/ HTTP/1.1\r\nHost: ok.test\r\n\r\n");
    let request =
        format!("CONNECT denied.test:{port} HTTP/1.1\r\nHost: denied.test\r\n\r\n{second}");
    let answer = proxy.http_exchange(request.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert_eq!(origin.accepted().await, 0);
    assert_eq!(status(&proxy.http_exchange(second.as_bytes()).await), 200);
    assert_eq!(origin.accepted().await, 1);
}
