//! Hosts that the policy names, and no others.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sandbox_core::{Port, PortMapping, SpawnError, Stdio};
use tokio::io::AsyncReadExt as _;

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
            .args(["-s", "--noproxy", "", &url].map(str::to_owned))
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
async fn what_ignores_the_proxies_reaches_the_listed_port_and_nothing_else_of_the_hosts() {
    let directory = workspace();
    let ((listed, listed_count), (other, other_count)) = (origin(), origin());
    let sandbox = sandbox(directory.path(), |policy| {
        policy.allow_host_port(Port::new(listed).unwrap())
    });
    for (port, works) in [(listed, true), (other, false)] {
        let url = format!("http://127.0.0.1:{port}/");
        let direct = ["-s", "--noproxy", "*", &url].map(str::to_owned);
        let output = sandbox.command("curl").args(direct).output().await.unwrap();
        assert_eq!(output.status.success(), works);
        assert_eq!(output.stdout == b"hello", works);
    }
    assert_eq!(listed_count.load(Ordering::SeqCst), 1);
    assert_eq!(other_count.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_published_port_lasts_as_long_as_its_command() {
    let directory = workspace();
    let free = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Port::new(listener.local_addr().unwrap().port()).unwrap()
    };
    let mapping = PortMapping {
        outside: free(),
        inside: Port::new(8000).unwrap(),
    };
    let sandbox = sandbox(directory.path(), |policy| policy.publish_port(mapping));
    let program = "import socket, sys
listener = socket.create_server(('127.0.0.1', 8000))
print('ready', flush=True)
listener.accept()[0].sendall(b'inside')
sys.stdin.read()";
    let python = || sandbox.command("python3").args(["-c", program]);
    let mut child = python()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    let stdout = child.stdout.as_mut().unwrap();
    stdout.read_exact(&mut ready).await.unwrap();
    let outside = ("127.0.0.1", mapping.outside.get());
    let heard = tokio::task::spawn_blocking(move || {
        let mut heard = [0; 6];
        let mut stream = TcpStream::connect(outside)?;
        stream.read_exact(&mut heard).map(|()| heard)
    });
    assert_eq!(&heard.await.unwrap().unwrap(), b"inside");
    // One command has the port at a time.
    let second = sandbox.command("true").spawn().unwrap_err();
    assert!(matches!(second, SpawnError::Publish { .. }), "{second:?}");
    assert!(second.hint().is_some());
    assert!(child.wait().await.unwrap().success());
    let refused = TcpStream::connect(outside).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let third = sandbox.command("true").spawn().unwrap().wait().await;
    assert!(third.unwrap().success());
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
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
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
