//! Plain-HTTP upgrades, as WebSocket uses them.

use tokio::io::AsyncWriteExt;

use crate::support::{Origin, Setup, dial, field, read_all, read_exactly, read_head, status};

/// Switches protocols and then echoes, with a first message right behind its answer.
async fn websocket() -> Origin {
    Origin::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        if field(&head, "upgrade") != Some("websocket") || field(&head, "connection") != Some("Upgrade") {
            drop(stream.write_all(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n").await);
            return;
        }
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        drop(tokio::io::copy(&mut read, &mut write).await);
    })
    .await
}

fn request(host: &str, port: u16, fields: &str) -> String {
    format!("GET http://{host}:{port}/chat HTTP/1.1\r\nHost: {host}:{port}\r\n{fields}\r\n")
}

#[tokio::test]
async fn a_websocket_works_through_the_proxy() {
    let origin = websocket().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let fields = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n";

    let answer = proxy
        .http_exchange(request("denied.test", origin.port(), fields).as_bytes())
        .await;
    assert_eq!(status(&answer), 403);
    assert_eq!(origin.accepted().await, 0);

    let mut stream = dial(proxy.http).await;
    stream
        .write_all(request("ok.test", origin.port(), fields).as_bytes())
        .await
        .unwrap();
    let head = read_head(&mut stream).await;
    assert_eq!(status(&head), 101, "{head}");
    assert_eq!(field(&head, "upgrade"), Some("websocket"));
    assert_eq!(field(&head, "connection"), Some("Upgrade"));
    assert!(field(&head, "sec-websocket-accept").is_some());
    assert_eq!(read_exactly(&mut stream, 5).await, b"hello");
    // Frames that would be refused as HTTP.
    stream
        .write_all(b"\x81\x05\0\n\n\r\x01GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(
        read_exactly(&mut stream, 25).await,
        b"\x81\x05\0\n\n\r\x01GET / HTTP/1.1\r\n\r\n"
    );
    stream.shutdown().await.unwrap();
    assert_eq!(read_all(&mut stream).await, b"");
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn http_2_is_not_upgraded_to() {
    let origin = websocket().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    for fields in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        // Without the connection option it is not meant for this hop.
        "Upgrade: websocket\r\n",
    ] {
        let answer = proxy
            .http_exchange(request("ok.test", origin.port(), fields).as_bytes())
            .await;
        assert_eq!(status(&answer), 426, "{fields}");
    }
}
