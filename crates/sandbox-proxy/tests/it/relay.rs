//! What a tunnel does with much: contents, ends, resets, slow readers, and many tunnels.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::support::{MEMORY, Origin, Running, Setup, read_exactly, resident};

const MUCH: usize = 100 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes whose period shares no factor with any buffer: what is lost, doubled or swapped shows.
fn pattern() -> Vec<u8> {
    let mut state: u32 = 1;
    let bytes = (0..262_139).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    bytes.collect()
}

async fn pour(stream: &mut (impl AsyncWrite + Unpin), total: usize) -> io::Result<()> {
    let pattern = pattern();
    let mut sent = 0;
    while sent < total {
        let rest = &pattern[sent % pattern.len()..];
        let length = rest.len().min(total - sent);
        stream.write_all(&rest[..length]).await?;
        sent += length;
    }
    Ok(())
}

/// How much of the pattern arrives until the end or an error.
async fn swallow(stream: &mut (impl AsyncRead + Unpin)) -> (usize, io::Result<()>) {
    let pattern = pattern();
    let mut block = vec![0; 128 * 1024];
    let mut seen = 0;
    loop {
        let rest = &pattern[seen % pattern.len()..];
        let room = rest.len().min(block.len());
        match stream.read(&mut block[..room]).await {
            Ok(0) => return (seen, Ok(())),
            Ok(length) => {
                assert!(block[..length] == rest[..length], "spoilt near {seen}");
                seen += length;
            }
            Err(error) => return (seen, Err(error)),
        }
    }
}

async fn tunnel(proxy: &Running, origin: &Origin) -> TcpStream {
    let (head, stream) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    stream
}

/// In one thread, as the tool has it.
#[tokio::test]
async fn both_directions_carry_much_at_once_and_end_on_their_own() {
    let origin = Origin::start(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let answer = async {
            pour(&mut write, MUCH).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let ((seen, ended), ()) = tokio::join!(swallow(&mut read), answer);
        ended.unwrap();
        assert_eq!(seen, MUCH);
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let mut stream = tunnel(&proxy, &origin).await;
    let (mut read, mut write) = stream.split();
    let request = async {
        pour(&mut write, MUCH).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let both = async { tokio::join!(swallow(&mut read), request) };
    let ((seen, ended), ()) = timeout(PATIENCE, both).await.unwrap();
    ended.unwrap();
    assert_eq!(seen, MUCH);
}

#[tokio::test]
async fn either_side_may_end_first_and_still_get_much() {
    const SOME: usize = 10_000_019;
    let origin = Origin::start(|mut stream| async move {
        let mut first = [0];
        stream.read_exact(&mut first).await.unwrap();
        if &first == b"c" {
            let (seen, _) = swallow(&mut stream).await;
            pour(&mut stream, seen).await.unwrap();
        } else {
            pour(&mut stream, SOME).await.unwrap();
            stream.shutdown().await.unwrap();
            assert_eq!(swallow(&mut stream).await.0, SOME);
        }
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    for client_first in [true, false] {
        let mut stream = tunnel(&proxy, &origin).await;
        let talk = async {
            if client_first {
                stream.write_all(b"c").await.unwrap();
                pour(&mut stream, SOME).await.unwrap();
                stream.shutdown().await.unwrap();
                swallow(&mut stream).await.0
            } else {
                stream.write_all(b"s").await.unwrap();
                let (seen, ended) = swallow(&mut stream).await;
                ended.unwrap();
                pour(&mut stream, SOME).await.unwrap();
                seen
            }
        };
        assert_eq!(timeout(PATIENCE, talk).await.unwrap(), SOME);
    }
}

#[tokio::test]
async fn a_reset_of_either_side_resets_the_other() {
    let (told, mut origins) = mpsc::unbounded_channel();
    let origin = Origin::start(move |mut stream| {
        let told = told.clone();
        async move {
            let mut first = [0];
            stream.read_exact(&mut first).await.unwrap();
            pour(&mut stream, 1_000_000).await.unwrap();
            if &first == b"s" {
                stream.read_exact(&mut first).await.unwrap();
                stream.set_zero_linger().unwrap();
            } else {
                told.send(swallow(&mut stream).await).unwrap();
            }
        }
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;

    let mut stream = tunnel(&proxy, &origin).await;
    stream.write_all(b"s").await.unwrap();
    read_exactly(&mut stream, 1_000_000).await;
    stream.write_all(b"x").await.unwrap();
    let error = timeout(PATIENCE, stream.read_u8()).await.unwrap();
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionReset);

    let mut stream = tunnel(&proxy, &origin).await;
    stream.write_all(b"c").await.unwrap();
    pour(&mut stream, 500_000).await.unwrap();
    read_exactly(&mut stream, 1_000_000).await;
    // What was sent has arrived by then.
    sleep(Duration::from_millis(200)).await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    let (seen, ended) = timeout(PATIENCE, origins.recv()).await.unwrap().unwrap();
    assert_eq!(seen, 500_000);
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// More slow readers than there are pipes: each holds its sender back, and gets everything.
#[tokio::test]
async fn slow_readers_hold_their_senders_back() {
    const EACH: usize = 64 * 1024 * 1024;
    let (told, mut sent) = mpsc::unbounded_channel();
    let origin = Origin::start(move |mut stream| {
        let told = told.clone();
        async move {
            pour(&mut stream, EACH).await.unwrap();
            told.send(()).unwrap();
        }
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(tunnel(&proxy, &origin).await);
    }
    sleep(Duration::from_millis(500)).await;
    assert!(sent.try_recv().is_err(), "somebody took it all");
    // Others are served meanwhile, and these once they read.
    let all = async {
        for stream in waiting.iter_mut().rev().take(10) {
            let (seen, ended) = swallow(stream).await;
            ended.unwrap();
            assert_eq!(seen, EACH);
        }
    };
    timeout(PATIENCE, all).await.unwrap();
}

/// An urgent byte stands in the way of splice(2), and is not part of what a read returns.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_byte_does_not_stop_a_tunnel() {
    use rustix::net::{SendFlags, send};

    const HALF: usize = 3_000_000;
    let origin = Origin::start(|mut stream| async move {
        let mut seen = vec![0; 2 * HALF];
        stream.read_exact(&mut seen).await.unwrap();
        assert!(
            seen.chunks(HALF)
                .all(|half| half.iter().eq(pattern().iter().cycle().take(HALF)))
        );
        stream.write_all(b"k").await.unwrap();
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    for _ in 0..5 {
        let mut stream = tunnel(&proxy, &origin).await;
        let talk = async {
            pour(&mut stream, HALF).await.unwrap();
            let urgent = stream.async_io(tokio::io::Interest::WRITABLE, || {
                Ok(send(&stream, b"!", SendFlags::OOB)?)
            });
            urgent.await.unwrap();
            pour(&mut stream, HALF).await.unwrap();
            read_exactly(&mut stream, 1).await
        };
        assert_eq!(timeout(PATIENCE, talk).await.unwrap(), b"k");
    }
}

#[tokio::test]
async fn two_thousand_idle_tunnels_keep_no_buffers() {
    const TUNNELS: usize = 2000;
    const BURST: usize = 200_000;
    let _alone = MEMORY.lock().await;
    let origin = Origin::start(|mut stream| async move {
        let mut size = [0; 8];
        while stream.read_exact(&mut size).await.is_ok() {
            pour(&mut stream, BURST).await.unwrap();
        }
    })
    .await;
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.max_connections = 3000;
    let proxy = setup.start().await;
    let mut open = Vec::new();
    let mut before = None;
    for count in 0..=TUNNELS {
        if count == 100 {
            before = resident();
        }
        let mut stream = tunnel(&proxy, &origin).await;
        stream.write_all(&[0; 8]).await.unwrap();
        read_exactly(&mut stream, BURST).await;
        open.push(stream);
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        // Of the origin's and the client's ends too, and of the tests beside this one.
        let each = after.saturating_sub(before) / (TUNNELS - 100);
        println!("an idle tunnel: {each} bytes");
        assert!(each < 12 * 1024, "{each}");
    }
}
