//! Draining.

use std::time::{Duration, Instant};

use tokio::{
    io::AsyncWriteExt,
    time::{sleep, timeout},
};

use crate::support::{Origin, Setup, dial, read_all, read_answer, read_exactly, status};

#[tokio::test]
async fn open_connections_finish_and_new_ones_are_not_accepted() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let (_, mut tunnel) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    let mut idle = dial(proxy.http).await;
    let handle = proxy.proxy.clone();
    let draining = tokio::spawn(async move { handle.shutdown().await });
    sleep(Duration::from_millis(50)).await;

    let mut late = dial_or_none(proxy.http).await;
    if let Some(late) = &mut late {
        drop(late.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await);
    }
    assert_eq!(read_all(&mut idle).await, b"", "an idle connection ends");
    tunnel.write_all(b"still here").await.unwrap();
    assert_eq!(read_exactly(&mut tunnel, 10).await, b"still here");
    assert!(!draining.is_finished());
    tunnel.shutdown().await.unwrap();
    assert_eq!(read_all(&mut tunnel).await, b"");
    timeout(Duration::from_secs(2), draining)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn patience_ends() {
    let origin = Origin::echo().await;
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.drain_timeout = Duration::from_millis(200);
    let proxy = setup.start().await;
    let (_, mut tunnel) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    let (_, mut socks) = proxy
        .socks_connect(&crate::support::SocksHost::Name(b"ok.test"), origin.port())
        .await;
    let start = Instant::now();
    proxy.proxy.shutdown().await;
    assert!(
        start.elapsed() >= Duration::from_millis(190) && start.elapsed() < Duration::from_secs(3)
    );
    assert_eq!(read_all(&mut tunnel).await, b"");
    assert_eq!(read_all(&mut socks).await, b"");
    // Once more does nothing.
    proxy.proxy.shutdown().await;
}

#[tokio::test]
async fn a_request_in_flight_gets_its_answer() {
    let origin = Origin::start(|mut stream| async move {
        drop(crate::support::try_read_head(&mut stream).await);
        sleep(Duration::from_millis(300)).await;
        drop(
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
                .await,
        );
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let mut stream = dial(proxy.http).await;
    let request = format!(
        "GET http://ok.test:{}/ HTTP/1.1\r\nHost: ok.test\r\n\r\n",
        origin.port()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let handle = proxy.proxy.clone();
    let draining = tokio::spawn(async move { handle.shutdown().await });
    let (head, content) = read_answer(&mut stream).await;
    assert_eq!((status(&head), content.as_str()), (200, "late"));
    assert_eq!(read_all(&mut stream).await, b"");
    timeout(Duration::from_secs(2), draining)
        .await
        .unwrap()
        .unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the client of the test")]
async fn dial_or_none(address: std::net::SocketAddr) -> Option<tokio::net::TcpStream> {
    tokio::net::TcpStream::connect(address).await.ok()
}
