//! Large contents pass without being collected.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{MEMORY, Origin, Setup, dial, read_head, resident, status};

const TOTAL: usize = 100 * 1024 * 1024;

/// Reads an upload of `TOTAL` bytes (in chunks of any shape) and answers with as many.
async fn bulk() -> Origin {
    Origin::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        if head.starts_with("POST") {
            assert_eq!(swallow(&mut stream, TOTAL).await, TOTAL);
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {TOTAL}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        pour(&mut stream, TOTAL).await;
    })
    .await
}

async fn pour(stream: &mut TcpStream, total: usize) {
    let block = vec![b'x'; 128 * 1024];
    for _ in 0..total / block.len() {
        stream.write_all(&block).await.unwrap();
    }
}

async fn swallow(stream: &mut TcpStream, total: usize) -> usize {
    let mut block = vec![0; 128 * 1024];
    let mut seen = 0;
    while seen < total {
        match stream.read(&mut block).await.unwrap() {
            0 => break,
            length => seen += length,
        }
    }
    seen
}

async fn check(label: &str, transfer: impl Future<Output = ()>) {
    let before = resident();
    let start = Instant::now();
    timeout(Duration::from_secs(60), transfer)
        .await
        .expect("the transfer ends");
    let rate = f64::from(u32::try_from(TOTAL).unwrap())
        / start.elapsed().as_secs_f64()
        / f64::from(1 << 30);
    println!("{label}: {rate:.2} GiB/s");
    if let (Some(before), Some(after)) = (before, resident()) {
        // Other tests run in the same process; a collected content would be three times this.
        assert!(
            after.saturating_sub(before) < 32 * 1024 * 1024,
            "{before} -> {after}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_megabytes_up_and_down_stay_in_flat_memory() {
    let _alone = MEMORY.lock().await;
    let origin = bulk().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let authority = format!("ok.test:{}", origin.port());

    check("tunnel", async {
        let (_, mut stream) = proxy.connect(&authority).await;
        stream.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
        pour(&mut stream, TOTAL).await;
        assert_eq!(status(&read_head(&mut stream).await), 200);
        assert_eq!(swallow(&mut stream, TOTAL).await, TOTAL);
    })
    .await;

    check("forwarded download", async {
        let mut stream = dial(proxy.http).await;
        let request = format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(status(&read_head(&mut stream).await), 200);
        assert_eq!(swallow(&mut stream, TOTAL).await, TOTAL);
    })
    .await;

    check("forwarded upload", async {
        let mut stream = dial(proxy.http).await;
        let request =
            format!("POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {TOTAL}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        pour(&mut stream, TOTAL).await;
        assert_eq!(status(&read_head(&mut stream).await), 200);
        assert_eq!(swallow(&mut stream, TOTAL).await, TOTAL);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunked_upload_arrives_whole() {
    const SIZES: [usize; 6] = [1, 15, 4096, 8191, 70_000, 300_000];
    let origin = Origin::start(|mut stream| async move {
        read_head(&mut stream).await;
        let mut received = Vec::new();
        while !received.ends_with(b"\r\n0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
        }
        let count = received.iter().filter(|byte| **byte == b'x').count();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Count: {count}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let authority = format!("ok.test:{}", origin.port());
    let mut bytes = format!(
        "POST http://{authority}/ HTTP/1.1\r\nHost: ok.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    for size in SIZES.iter().cycle().take(60) {
        bytes.push_str(&format!("{size:x}\r\n{}\r\n", "x".repeat(*size)));
    }
    bytes.push_str("0\r\n\r\n");
    let mut stream = dial(proxy.http).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    let expected = (SIZES.iter().sum::<usize>() * 10).to_string();
    assert_eq!(
        crate::support::field(&head, "x-count"),
        Some(expected.as_str())
    );
}
