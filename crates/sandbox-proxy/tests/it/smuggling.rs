//! Requests that two parsers could read in two ways never reach the origin.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::{Origin, Running, Setup, dial, status};

/// Counts occurrences of the word that the smuggled request carries.
async fn origin_that_looks_for_smuggled_requests() -> (Origin, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let origin = Origin::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            let mut received: Vec<u8> = Vec::new();
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut part).await {
                received.extend(&part[..length]);
                if received.windows(4).any(|window| window == b"\r\n\r\n") {
                    drop(
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                            .await,
                    );
                }
            }
            let requests = received
                .windows(9)
                .filter(|window| *window == b" /smuggle")
                .count();
            seen.fetch_add(requests, Ordering::SeqCst);
        }
    })
    .await;
    (origin, counter)
}

/// What comes back, even if the connection is reset.
async fn send(proxy: &Running, bytes: &[u8]) -> String {
    let mut stream = dial(proxy.http).await;
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut received = Vec::new();
    drop(
        timeout(Duration::from_secs(10), stream.read_to_end(&mut received))
            .await
            .expect("an end"),
    );
    crate::support::text(&received)
}

fn answers_in(received: &str) -> usize {
    received
        .lines()
        .filter(|line| line.starts_with("HTTP/1.1 "))
        .count()
}

/// `{A}` is the origin's authority. Heads that are refused as a whole: nothing is dialled.
const HEADS: &[&str] = &[
    // Two lengths, in both orders and in disguise.
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: 4, 4\r\n\r\nabcd",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: +4\r\n\r\nabcd",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: -4\r\n\r\nabcd",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: 0x4\r\n\r\nabcd",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: \r\n\r\nabcd",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: 4 4\r\n\r\nabcd",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: 99999999999999999999\r\n\r\nabcd",
    // Codings that one side may not know.
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: identity\r\n\r\nabc",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.0\r\nHost: {A}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    // Names that one side may trim.
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length\t: 4\r\n\r\nabcd",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent\0-Length: 4\r\n\r\nabcd",
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\n: nameless\r\n\r\n",
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nno colon\r\n\r\n",
    "GET http://{A}/ HTTP/1.1\r\n Host: {A}\r\n\r\n",
    // Folded lines, bare line ends, NUL.
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nX: a\r\n b\r\n\r\n",
    "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "GET http://{A}/ HTTP/1.1\nHost: {A}\n\n",
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nX: y\n\r\n",
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nX: y\rZ: w\r\n\r\n",
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nX: y\r\n\n",
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nX: a\0b\r\n\r\n",
    "GET http://{A}/\0 HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "GET http://{A}/\x7f HTTP/1.1\r\nHost: {A}\r\n\r\n",
    // Host.
    "GET http://{A}/ HTTP/1.1\r\n\r\n",
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nHost: {A}\r\n\r\n",
    "GET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nhost: evil.test\r\n\r\n",
    "GET http://{A}/ HTTP/1.0\r\nHost: {A}\r\nHost: evil.test\r\n\r\n",
    // Request lines.
    "GET  http://{A}/ HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "GET http://{A}/ HTTP/1.1 \r\nHost: {A}\r\n\r\n",
    "GET http://{A}/ x HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "GET\thttp://{A}/\tHTTP/1.1\r\nHost: {A}\r\n\r\n",
    "GET http://{A}/\r\nHost: {A}\r\n\r\n",
    "GET http://{A}/ http/1.1\r\nHost: {A}\r\n\r\n",
    "GET http://{A}/ HTTP/1.2\r\nHost: {A}\r\n\r\n",
    "GET http://{A}/ HTTP/0.9\r\nHost: {A}\r\n\r\n",
    "GET http://{A}/ HTTP/11.1\r\nHost: {A}\r\n\r\n",
    "G(T http://{A}/ HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "\r\n\r\nGET http://{A}/ HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    // CONNECT has no content.
    "CONNECT {A} HTTP/1.1\r\nHost: {A}\r\nContent-Length: 4\r\n\r\nabcd",
    "CONNECT {A} HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// Contents that turn out to be malformed after their head was accepted.
const CONTENTS: &[&str] = &[
    "4;ext=1\r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "4;\r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "4 \r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "4\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "4\r\nabcd\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "4\r\nabcde\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "4\r\nabc\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "0x4\r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "-4\r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "+4\r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "g\r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "\r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "10000000000000004\r\nabcd\r\n0\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "0\r\nContent-Length: 4\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "0\r\nX: a\r\n b\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "0\r\nX: a\n\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "0\r\nnonsense\r\n\r\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
    "0\r\n\nGET http://{A}/smuggle HTTP/1.1\r\nHost: {A}\r\n\r\n",
];

#[tokio::test]
async fn ambiguous_heads_are_refused_before_anything_is_dialled() {
    let (origin, smuggled) = origin_that_looks_for_smuggled_requests().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let authority = format!("ok.test:{}", origin.port());
    for head in HEADS {
        let answer = send(&proxy, head.replace("{A}", &authority).as_bytes()).await;
        assert!(matches!(status(&answer), 400 | 505), "{head:?}: {answer}");
        assert_eq!(answers_in(&answer), 1, "{head:?}: {answer}");
        assert!(
            answer.contains("Connection: close\r\n"),
            "{head:?}: {answer}"
        );
    }
    assert_eq!(origin.accepted().await, 0);
    assert_eq!(smuggled.load(Ordering::SeqCst), 0);

    let well_formed = [
        "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nContent-Length: 4\r\n\r\nabcd",
        "POST http://{A}/ HTTP/1.1\r\nHost: {A}\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "\r\nGET http://{A}/ HTTP/1.1\r\nHost: {A}\r\nX:\ty\t\r\n\r\n",
    ];
    for request in well_formed {
        let answer = send(&proxy, request.replace("{A}", &authority).as_bytes()).await;
        assert_eq!(status(&answer), 200, "{request:?}: {answer}");
    }
    assert_eq!(origin.accepted().await, well_formed.len());
}

#[tokio::test]
async fn malformed_contents_end_their_connection() {
    let (origin, smuggled) = origin_that_looks_for_smuggled_requests().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let authority = format!("ok.test:{}", origin.port());
    for content in CONTENTS {
        let request = format!(
            "POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            content.replace("{A}", &authority)
        );
        let answer = send(&proxy, request.as_bytes()).await;
        assert!(answers_in(&answer) <= 1, "{content:?}: {answer}");
    }
    origin.accepted().await;
    assert_eq!(smuggled.load(Ordering::SeqCst), 0);

    // The second request of a well-formed pair does arrive.
    let pair = format!(
        "POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n\
         GET http://{authority}/smuggle HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    );
    let answer = send(&proxy, pair.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
    origin.accepted().await;
    assert_eq!(smuggled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_request_is_not_answered_in_the_name_of_the_one_before() {
    let (origin, smuggled) = origin_that_looks_for_smuggled_requests().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let authority = format!("ok.test:{}", origin.port());
    let pair = format!(
        "GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n\r\n\
         GET http://{authority}/smuggle HTTP/1.1\r\nHost: {authority}\nX: y\r\n\r\n"
    );
    let answer = send(&proxy, pair.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400").count(), 1, "{answer}");
    origin.accepted().await;
    assert_eq!(smuggled.load(Ordering::SeqCst), 0);
}
