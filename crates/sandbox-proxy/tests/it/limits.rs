//! Limits and timeouts.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::support::{
    Origin, Setup, SocksHost, dial, read_all, read_exactly, read_head, status, text,
};

#[tokio::test]
async fn large_heads_get_431() {
    let origin = Origin::mirror().await;
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.max_head_bytes = 16 * 1024;
    let proxy = setup.start().await;
    let request = |filler: usize| {
        let field = "x".repeat(filler);
        format!(
            "GET http://ok.test:{}/ HTTP/1.1\r\nHost: ok.test\r\nX: {field}\r\n\r\n",
            origin.port()
        )
    };
    let many = request(1).replace("X: x\r\n", &"Y: z\r\n".repeat(5000));
    for head in [request(20_000), request(2_000_000), many] {
        // The client may see the answer only after its own write broke off.
        let mut stream = dial(proxy.http).await;
        drop(stream.write_all(head.as_bytes()).await);
        let mut received = [0; 12];
        stream.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"HTTP/1.1 431", "{}", head.len());
    }
    assert_eq!(origin.accepted().await, 0);
    assert_eq!(
        status(&proxy.http_exchange(request(15_000).as_bytes()).await),
        200
    );
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.head_timeout = Duration::from_millis(300);
    setup.config.handshake_timeout = Duration::from_millis(300);
    let proxy = setup.start().await;
    for (address, bytes) in [
        (proxy.http, &b""[..]),
        (proxy.http, b"GET http://ok.test/ HTTP/1.1\r\nHost: ok.t"),
        (proxy.socks, b""),
        (proxy.socks, b"\x05\x01\x00\x05\x01\x00\x03\x07ok."),
    ] {
        let start = Instant::now();
        let mut stream = dial(address).await;
        for byte in bytes {
            stream.write_all(&[*byte]).await.unwrap();
        }
        let mut received = Vec::new();
        drop(stream.read_to_end(&mut received).await);
        let taken = start.elapsed();
        assert!(
            taken >= Duration::from_millis(250) && taken < Duration::from_secs(3),
            "{taken:?}"
        );
    }
}

#[tokio::test]
async fn a_slow_answer_and_an_idle_tunnel_are_not_cut_off() {
    let origin = Origin::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        sleep(Duration::from_millis(700)).await;
        drop(
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
                .await,
        );
        drop(head);
    })
    .await;
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.head_timeout = Duration::from_millis(200);
    setup.config.handshake_timeout = Duration::from_millis(200);
    let proxy = setup.start().await;
    let request = format!(
        "GET http://ok.test:{}/ HTTP/1.1\r\nHost: ok.test\r\n\r\n",
        origin.port()
    );
    let mut stream = dial(proxy.http).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(text(&read_all(&mut stream).await).ends_with("late"));
    for socks in [false, true] {
        let mut stream = if socks {
            proxy
                .socks_connect(&SocksHost::Name(b"ok.test"), origin.port())
                .await
                .1
        } else {
            proxy.connect(&format!("ok.test:{}", origin.port())).await.1
        };
        sleep(Duration::from_millis(500)).await;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(text(&read_all(&mut stream).await).ends_with("late"));
    }
}

#[tokio::test]
async fn idle_tunnels_end_where_that_is_wanted() {
    let origin = Origin::echo().await;
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.tunnel_idle_timeout = Some(Duration::from_millis(300));
    let proxy = setup.start().await;
    let (_, mut stream) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    for _ in 0..4 {
        sleep(Duration::from_millis(150)).await;
        stream.write_all(b"x").await.unwrap();
        assert_eq!(read_exactly(&mut stream, 1).await, b"x");
    }
    let start = Instant::now();
    assert_eq!(read_all(&mut stream).await, b"");
    assert!(start.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn connections_above_the_limit_wait_for_their_turn() {
    let origin = Origin::echo().await;
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.max_connections = 3;
    let proxy = setup.start().await;
    let authority = format!("ok.test:{}", origin.port());
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(proxy.connect(&authority).await.1);
    }
    let mut waiting = dial(proxy.http).await;
    let request = format!("CONNECT {authority} HTTP/1.1\r\n\r\n");
    waiting.write_all(request.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(origin.accepted().await, 3);
    open.clear();
    assert_eq!(status(&read_head(&mut waiting).await), 200);
    assert_eq!(origin.accepted().await, 4);
}

#[tokio::test]
async fn a_thousand_idle_tunnels_do_no_harm() {
    let origin = Origin::echo().await;
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.max_connections = 100;
    let proxy = setup.start().await;
    let authority = format!("ok.test:{}", origin.port());
    for _ in 0..10 {
        let mut open = Vec::new();
        for _ in 0..95 {
            let (head, stream) = proxy.connect(&authority).await;
            assert_eq!(status(&head), 200);
            open.push(stream);
        }
    }
    let (head, mut stream) = proxy.connect(&authority).await;
    assert_eq!(status(&head), 200);
    stream.write_all(b"alive").await.unwrap();
    assert_eq!(read_exactly(&mut stream, 5).await, b"alive");
}
