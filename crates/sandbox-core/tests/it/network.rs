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
    assert_eq!(report.network_denial_count, 1);
    let object = report
        .network_denials
        .first()
        .map(|refused| refused.denial.object.clone());
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

async fn fetched(sandbox: &sandbox_core::Sandbox, port: u16) -> String {
    let url = format!("http://127.0.0.1:{port}/");
    let words = ["-s", "--noproxy", "", &url].map(str::to_owned);
    let command = sandbox.command("curl").args(words);
    String::from_utf8(command.output().await.unwrap().stdout).unwrap()
}

const BLOCKED: &str = "Connection blocked by network allowlist\n";

#[tokio::test]
async fn rules_change_while_a_command_runs() {
    let directory = workspace();
    let (port, count) = origin();
    let sandbox = sandbox(directory.path(), |policy| policy);
    // Without the variable that keeps the command's own servers from the proxy.
    let line = format!(
        "for i in 1 2; do read step; curl -sS --noproxy '' http://127.0.0.1:{port}/ 2>&1 || true; echo .; done"
    );
    let mut child = sandbox
        .command("sh")
        .args(["-c".to_owned(), line])
        .stdin(sandbox_core::Stdio::piped())
        .stdout(sandbox_core::Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut step = async || {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        input.write_all(b"\n").await.unwrap();
        let mut said = String::new();
        while !said.ends_with(".\n") {
            said.push(char::from(output.read_u8().await.unwrap()));
        }
        said
    };
    assert_eq!(step().await, format!("{BLOCKED}.\n"));
    assert_eq!(count.load(Ordering::SeqCst), 0);
    let control = child.network_control();
    let wider = sandbox_core::Policy::restrictive()
        .allow_domain(&format!("127.0.0.1:{port}"))
        .unwrap();
    control.replace(wider.network.clone());
    assert_eq!(*control.policy(), wider.network);
    assert_eq!(step().await, "hello.\n");
    assert!(child.wait().await.unwrap().success());
    // The rules are the sandbox's: other commands of it have them too.
    assert_eq!(fetched(&sandbox, port).await, "hello");
    sandbox
        .network_control()
        .replace(sandbox_core::Policy::restrictive().network);
    assert_eq!(fetched(&sandbox, port).await, BLOCKED);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_command_may_have_hosts_of_its_own() {
    let directory = workspace();
    let (port, count) = origin();
    let open = sandbox(directory.path(), |policy| {
        let network = policy.network.clone().strict(false);
        sandbox_core::Policy { network, ..policy }
    });
    let name = format!("localhost:{port}");
    let url = format!("http://localhost:{port}/");
    let fetch = async |sandbox: &sandbox_core::Sandbox, allow: bool| {
        let words = ["-s", "--noproxy", "", &url].map(str::to_owned);
        let mut command = sandbox.command("curl").args(words);
        if allow {
            command = command.allow_domain(&name).unwrap();
        }
        String::from_utf8(command.output().await.unwrap().stdout).unwrap()
    };
    assert_eq!(fetch(&open, false).await, BLOCKED);
    assert_eq!(fetch(&open, true).await, "hello");
    assert_eq!(fetch(&open, false).await, BLOCKED);
    // A strict list and a refusal stand.
    let strict = sandbox(directory.path(), |policy| policy);
    assert_eq!(fetch(&strict, true).await, BLOCKED);
    open.network_control().replace(
        sandbox_core::Policy::restrictive()
            .deny_domain("localhost")
            .unwrap()
            .network
            .strict(false),
    );
    assert_eq!(fetch(&open, true).await, BLOCKED);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}
