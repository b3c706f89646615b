//! Plain HTTP through the proxy.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;

use crate::support::{
    Origin, Running, Setup, dial, field, read_all, read_answer, read_exactly, read_head, status,
    text, try_read_head,
};

/// An origin that sends a fixed answer to each request head, and keeps the heads.
async fn scripted(answer: &'static [u8], close: bool) -> (Origin, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = heads.clone();
    let origin = Origin::start(move |mut stream| {
        let heads = heads.clone();
        async move {
            while let Some(head) = try_read_head(&mut stream).await {
                heads.lock().unwrap().push(head);
                stream.write_all(answer).await.unwrap();
                if close {
                    return;
                }
            }
        }
    })
    .await;
    (origin, kept)
}

fn get(authority: &str, fields: &str) -> String {
    format!("GET http://{authority}/a/../b?c=%20#d HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n")
        .replace("#d", "")
}

async fn open_proxy() -> Running {
    Setup::allowing(&["ok.test", "other.test"]).start().await
}

#[tokio::test]
async fn a_permitted_host_is_reached_and_others_are_not() {
    let origin = Origin::mirror().await;
    let proxy = open_proxy().await;
    let port = origin.port();
    let mut stream = dial(proxy.http).await;

    let refused = get(&format!("denied.test:{port}"), "");
    stream.write_all(refused.as_bytes()).await.unwrap();
    let (head, content) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{head}");
    assert_eq!(field(&head, "content-type"), Some("text/plain"));
    assert_eq!(field(&head, "x-proxy-error"), Some("blocked-by-allowlist"));
    assert_eq!(content, "Connection blocked by network allowlist\n");
    assert_eq!(origin.accepted().await, 0);
    assert_eq!(proxy.resolver.count(), 0, "a refused name is not looked up");

    // The same connection goes on.
    let permitted = get(&format!("OK.test:{port}"), "X-CamelCase: kept\r\n");
    stream.write_all(permitted.as_bytes()).await.unwrap();
    let (head, seen) = read_answer(&mut stream).await;
    assert_eq!(status(&head), 200);
    assert!(seen.starts_with("GET /a/../b?c=%20 HTTP/1.1\r\n"), "{seen}");
    assert_eq!(
        field(&seen, "host"),
        Some(format!("ok.test:{port}").as_str())
    );
    assert!(seen.contains("X-CamelCase: kept\r\n"), "{seen}");
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn connection_fields_stay_on_their_connection() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\n\
        Keep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n\
        X-Kept: yes\r\n\r\nok";
    let (origin, heads) = scripted(answer, false).await;
    let proxy = open_proxy().await;
    let request = get(
        &format!("ok.test:{}", origin.port()),
        "Connection: X-Private, Upgrade, HTTP2-Settings, close\r\nX-Private: 1\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authorization: Basic c2VjcmV0\r\nKeep-Alive: 5\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nAuthorization: Bearer x\r\nX-Kept: yes\r\n",
    );
    let answer = proxy.http_exchange(request.as_bytes()).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    for name in [
        "x-secret",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "upgrade",
        "via",
        "date",
    ] {
        assert_eq!(field(&answer, name), None, "{name} in {answer}");
    }
    assert_eq!(field(&answer, "x-kept"), Some("yes"));
    let seen = heads.lock().unwrap()[0].clone();
    for name in [
        "x-private",
        "proxy-connection",
        "proxy-authorization",
        "keep-alive",
        "upgrade",
        "http2-settings",
        "via",
        "x-forwarded-for",
    ] {
        assert_eq!(field(&seen, name), None, "{name} in {seen}");
    }
    assert_eq!(field(&seen, "te"), Some("trailers"));
    assert_eq!(field(&seen, "connection"), Some("TE"));
    assert_eq!(field(&seen, "authorization"), Some("Bearer x"));
    assert_eq!(field(&seen, "x-kept"), Some("yes"));
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let origin = Origin::mirror().await;
    let proxy = open_proxy().await;
    let mut stream = dial(proxy.http).await;
    let authority = format!("ok.test:{}", origin.port());
    for _ in 0..5 {
        stream
            .write_all(get(&authority, "").as_bytes())
            .await
            .unwrap();
        assert_eq!(status(&read_answer(&mut stream).await.0), 200);
    }
    assert_eq!(origin.accepted().await, 1);
    assert_eq!(proxy.resolver.count(), 1);

    // Another host of the same address is another target, also when requests are pipelined.
    let other = get(&format!("other.test:{}", origin.port()), "");
    stream
        .write_all(format!("{}{other}", get(&authority, "")).as_bytes())
        .await
        .unwrap();
    let (_, first) = read_answer(&mut stream).await;
    let (_, second) = read_answer(&mut stream).await;
    assert!(
        field(&first, "host").unwrap().starts_with("ok.test"),
        "{first}"
    );
    assert!(
        field(&second, "host").unwrap().starts_with("other.test"),
        "{second}"
    );
    assert_eq!(origin.accepted().await, 2);
    assert_eq!(proxy.resolver.count(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_replaced() {
    let (origin, heads) = scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true).await;
    let proxy = open_proxy().await;
    let mut stream = dial(proxy.http).await;
    for _ in 0..3 {
        let request = get(&format!("ok.test:{}", origin.port()), "");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.1, "ok");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(heads.lock().unwrap().len(), 3);
    assert_eq!(origin.accepted().await, 3);
}

#[tokio::test]
async fn answers_without_content_do_not_hang() {
    for (method, answer, expected) in [
        (
            "HEAD",
            &b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"[..],
            "1234",
        ),
        (
            "GET",
            b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
            "",
        ),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let answer: &'static [u8] = answer;
        let (origin, _) = scripted(answer, false).await;
        let proxy = open_proxy().await;
        let mut stream = dial(proxy.http).await;
        for _ in 0..2 {
            let request = get(&format!("ok.test:{}", origin.port()), "").replace("GET", method);
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = read_head(&mut stream).await;
            assert_eq!(
                field(&head, "content-length").unwrap_or(""),
                expected,
                "{head}"
            );
            assert_eq!(field(&head, "transfer-encoding"), None, "{head}");
        }
        assert_eq!(origin.accepted().await, 1);
    }
}

#[tokio::test]
async fn interim_answers_do_not_confuse_the_final_one() {
    let answer = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (origin, _) = scripted(answer, false).await;
    let proxy = open_proxy().await;
    let mut stream = dial(proxy.http).await;
    for _ in 0..2 {
        let request = get(&format!("ok.test:{}", origin.port()), "");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = read_answer(&mut stream).await;
        if answer.0.starts_with("HTTP/1.1 103") {
            answer = read_answer(&mut stream).await;
        }
        assert_eq!((status(&answer.0), answer.1.as_str()), (200, "ok"));
    }
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it() {
    let origin = Origin::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        assert_eq!(field(&head, "expect"), Some("100-continue"));
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(read_exactly(&mut stream, 5).await, b"hello");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
    })
    .await;
    let proxy = open_proxy().await;
    let mut stream = dial(proxy.http).await;
    let fields = "Expect: 100-continue\r\nContent-Length: 5\r\n";
    let request = get(&format!("ok.test:{}", origin.port()), fields).replace("GET", "PUT");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(status(&read_head(&mut stream).await), 100);
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(status(&read_head(&mut stream).await), 200);
}

#[tokio::test]
async fn chunks_and_trailers_pass_in_both_directions() {
    let origin = Origin::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
        let mut content = Vec::new();
        while !(content.ends_with(b"\r\n\r\n") && text(&content).contains("\r\n0\r\n")) {
            content.extend(read_exactly(&mut stream, 1).await);
        }
        let content = text(&content);
        assert!(content.starts_with("2\r\nhe\r\n3\r\nllo\r\n0\r\n") || content.starts_with("5\r\nhello\r\n0\r\n"));
        assert_eq!(field(&content, "x-sum"), Some("7"), "{content}");
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\n\r\n3\r\nabc\r\n0\r\nx-end: 1\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let proxy = open_proxy().await;
    let fields =
        "Connection: close, TE\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n";
    let mut request = get(&format!("ok.test:{}", origin.port()), fields).replace("GET", "POST");
    request.push_str("2\r\nhe\r\n003\r\nllo\r\n0\r\nx-sum: 7\r\n\r\n");
    let answer = proxy.http_exchange(request.as_bytes()).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("\r\n3\r\nabc\r\n0\r\n"), "{answer}");
    assert_eq!(field(&answer, "x-end"), Some("1"), "{answer}");
}

#[tokio::test]
async fn old_clients_get_answers_that_they_understand() {
    let (origin, heads) = scripted(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        false,
    )
    .await;
    let proxy = open_proxy().await;
    let request = format!("GET http://ok.test:{}/ HTTP/1.0\r\n\r\n", origin.port());
    let mut stream = dial(proxy.http).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = text(&read_all(&mut stream).await);
    assert_eq!(status(&answer), 200);
    assert_eq!(field(&answer, "transfer-encoding"), None, "{answer}");
    assert!(answer.ends_with("\r\n\r\nabc"), "{answer}");
    let seen = heads.lock().unwrap()[0].clone();
    assert!(seen.starts_with("GET / HTTP/1.1\r\n"), "{seen}");
    assert_eq!(
        field(&seen, "host"),
        Some(format!("ok.test:{}", origin.port()).as_str())
    );
}

#[tokio::test]
async fn other_forms_and_schemes_are_explained() {
    let origin = Origin::mirror().await;
    let proxy = open_proxy().await;
    let port = origin.port();
    for (target, words) in [
        ("/".to_owned(), "this is a proxy"),
        ("*".to_owned(), "this is a proxy"),
        (format!("ok.test:{port}"), "this is a proxy"),
        (format!("https://ok.test:{port}/"), "use CONNECT"),
        (format!("ftp://ok.test:{port}/"), "use CONNECT"),
        (format!("http://user:pw@ok.test:{port}/"), "user name"),
        (format!("http://ok.test:{port}0000/"), ""),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: ok.test:{port}\r\n\r\n");
        let answer = proxy.http_exchange(request.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{target}: {answer}");
        assert!(answer.contains(words), "{target}: {answer}");
    }
    assert_eq!(origin.accepted().await, 0);
    let request = format!(
        "GET HTTP://ok.test:{port} HTTP/1.1\r\nHost: ok.test:{port}\r\nConnection: close\r\n\r\n"
    );
    let answer = proxy.http_exchange(request.as_bytes()).await;
    assert!(answer.contains("GET / HTTP/1.1"), "{answer}");
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn a_host_field_that_names_another_host_is_refused() {
    let origin = Origin::mirror().await;
    let proxy = open_proxy().await;
    let port = origin.port();
    let request =
        |host: &str| format!("GET http://ok.test:{port}/ HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (host, expected) in [
        ("other.test", 421),
        ("denied.test", 421),
        ("127.0.0.1", 421),
        ("ok.test.evil.test", 421),
        ("ok.test, other.test", 400),
        ("user@ok.test", 400),
        ("", 400),
    ] {
        let answer = proxy.http_exchange(request(host).as_bytes()).await;
        assert_eq!(status(&answer), expected, "{host}: {answer}");
    }
    assert_eq!(origin.accepted().await, 0);
    let answer = proxy.http_exchange(request("Ok.Test.").as_bytes()).await;
    assert_eq!(status(&answer), 200);
    assert_eq!(
        field(answer.split("\r\n\r\n").nth(1).unwrap(), "host"),
        Some(format!("ok.test:{port}").as_str())
    );
}

#[tokio::test]
async fn answers_that_are_not_http_become_502() {
    for answer in [
        &b"SSH-2.0-OpenSSH\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw",
    ] {
        let answer: &'static [u8] = answer;
        let (origin, _) = scripted(answer, true).await;
        let proxy = open_proxy().await;
        let request = get(&format!("ok.test:{}", origin.port()), "");
        let got = proxy.http_exchange(request.as_bytes()).await;
        assert!(
            got.starts_with("HTTP/1.1 502 Bad Gateway\r\n"),
            "{}: {got}",
            answer.escape_ascii()
        );
        assert!(got.ends_with("\r\n\r\nBad Gateway"), "{got}");
    }
}

#[tokio::test]
async fn a_new_policy_holds_for_the_next_request_of_a_connection() {
    let origin = Origin::mirror().await;
    let proxy = open_proxy().await;
    let authority = format!("ok.test:{}", origin.port());
    let mut stream = dial(proxy.http).await;
    stream
        .write_all(get(&authority, "").as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&read_answer(&mut stream).await.0), 200);
    proxy
        .proxy
        .replace_policy(Setup::allowing(&["other.test"]).policy());
    stream
        .write_all(get(&authority, "").as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&read_answer(&mut stream).await.0), 403);
    // The name is permitted again, but not the address: the kept connection must not be used.
    proxy
        .proxy
        .replace_policy(Setup::exactly(&["ok.test"]).policy());
    stream
        .write_all(get(&authority, "").as_bytes())
        .await
        .unwrap();
    assert_eq!(status(&read_answer(&mut stream).await.0), 403);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_first_and_reads_later() {
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let mut stream = dial(proxy.http).await;
    let fields = "Content-Length: 3000000\r\n";
    let request = get("denied.test", fields).replace("GET", "POST");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 3_000_000]).await.unwrap();
    let answer = text(&read_all(&mut stream).await);
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
}
