//! Hosts that the policy names, and no others.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{sandbox, workspace};

/// An HTTP origin on the loopback that counts its connections.
fn origin() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            stream.read(&mut [0; 4096]).map(drop).unwrap_or(());
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
            stream.write_all(answer).unwrap_or(());
        }
    });
    (port, count)
}

#[tokio::test]
async fn an_allowed_origin_is_reached_and_another_one_sees_nothing() {
    let directory = workspace();
    let ((allowed, _), (denied, denied_count)) = (origin(), origin());
    let sandbox = sandbox(directory.path(), |policy| {
        policy
            .allow_domain(&format!("127.0.0.1:{allowed}"))
            .unwrap()
    });
    let fetch = async |port: u16| {
        let url = format!("http://127.0.0.1:{port}/");
        let output = sandbox
            .command("curl")
            .args(["-s".to_owned(), url])
            .output()
            .await
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(fetch(allowed).await, "hello");
    assert_eq!(
        fetch(denied).await,
        "Connection blocked by network allowlist\n"
    );
    assert_eq!(denied_count.load(Ordering::SeqCst), 0);
    let report = sandbox.report();
    assert_eq!(report.violation_count, 1);
    let object = report
        .violations
        .first()
        .map(|refused| refused.object.clone());
    assert_eq!(
        object.as_deref(),
        Some(format!("127.0.0.1:{denied}").as_str())
    );
}

#[tokio::test]
async fn what_ignores_the_proxies_reaches_nothing_of_the_hosts() {
    let directory = workspace();
    let (port, count) = origin();
    let sandbox = sandbox(directory.path(), |policy| {
        policy.allow_domain(&format!("127.0.0.1:{port}")).unwrap()
    });
    let url = format!("http://127.0.0.1:{port}/");
    let direct = ["-s", "--noproxy", "*", &url].map(str::to_owned);
    let output = sandbox.command("curl").args(direct).output().await.unwrap();
    assert!(!output.status.success());
    assert_eq!(count.load(Ordering::SeqCst), 0);
    let output = sandbox
        .command("curl")
        .args(["-s".to_owned(), url])
        .output()
        .await
        .unwrap();
    assert_eq!(output.stdout, b"hello");
}
