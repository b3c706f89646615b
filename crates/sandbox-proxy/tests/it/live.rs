//! A policy that takes another's place while connections are open.

use std::{sync::Arc, time::Duration};

use sandbox_policy::Target;
use sandbox_proxy::{BoxFuture, Decide, Decision, Outcome};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::support::{Origin, PATIENCE, Running, Setup, SocksHost, dial, read_exactly, read_head};

async fn echoes(stream: &mut TcpStream) {
    stream.write_all(b"ping").await.unwrap();
    assert_eq!(read_exactly(stream, 4).await, b"ping");
}

/// Whether a stream was reset: neither open nor ended in order.
async fn is_cut(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    matches!(timeout(PATIENCE, stream.read(&mut byte)).await, Ok(Err(_)))
}

/// An open tunnel to `ok.test` and one to `other.test`, on each front end.
async fn tunnels(proxy: &Running, port: u16) -> Vec<(TcpStream, TcpStream)> {
    let mut tunnels = Vec::new();
    let (_, one) = proxy.connect(&format!("ok.test:{port}")).await;
    let (_, other) = proxy.connect(&format!("other.test:{port}")).await;
    tunnels.push((one, other));
    let (_, one) = proxy
        .socks_connect(&SocksHost::Name(b"ok.test"), port)
        .await;
    let (_, other) = proxy
        .socks_connect(&SocksHost::Name(b"other.test"), port)
        .await;
    tunnels.push((one, other));
    for (one, other) in &mut tunnels {
        echoes(one).await;
        echoes(other).await;
    }
    tunnels
}

#[tokio::test]
async fn tunnels_to_a_host_that_is_refused_now_are_cut_and_others_go_on() {
    let origin = Origin::echo().await;
    let mut denied = Setup::allowing(&["ok.test", "other.test"]);
    denied.deny.push(("ok.test".to_owned(), None));
    let unlisted = Setup::allowing(&["other.test"]);
    // The name leads to an address that names must not lead to any more.
    let mut elsewhere = Setup::exactly(&["ok.test", "127.0.0.1:1"]);
    elsewhere.allow.push("other.test".to_owned());
    for (what, policy, other_goes_on) in [
        ("denied", denied.policy(), true),
        ("not listed", unlisted.policy(), true),
        ("address", elsewhere.policy(), false),
    ] {
        let mut proxy = Setup::allowing(&["ok.test", "other.test"]).start().await;
        let mut tunnels = tunnels(&proxy, origin.port()).await;
        while proxy.events.try_recv().is_some() {}
        proxy.proxy.replace_policy(policy);
        for (one, other) in &mut tunnels {
            assert!(is_cut(one).await, "{what}");
            if other_goes_on {
                echoes(other).await;
            } else {
                assert!(is_cut(other).await, "{what}");
            }
        }
        let mut told = 0;
        while let Some(event) = proxy.events.try_recv() {
            assert!(matches!(event.outcome, Outcome::Denied(_)), "{event:?}");
            told += 1;
        }
        assert_eq!(told, if other_goes_on { 2 } else { 4 }, "{what}");
        let (head, _) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
        assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    }
}

#[tokio::test]
async fn an_answer_under_way_breaks_off() {
    let origin = Origin::start(|mut stream| async move {
        read_head(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
        stream.write_all(head).await.unwrap();
        sleep(PATIENCE * 2).await;
    })
    .await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let mut stream = dial(proxy.http).await;
    let request = format!(
        "GET http://ok.test:{}/ HTTP/1.1\r\nHost: ok.test\r\n\r\n",
        origin.port()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(read_exactly(&mut stream, 9).await, b"4\r\npart\r\n");
    proxy.proxy.replace_policy(Setup::allowing(&[]).policy());
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    // What is cut short must not look complete: there is no last chunk.
    assert!(ended.is_ok() && !rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

/// Approves everything.
struct Yes;

impl Decide for Yes {
    fn decide<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, Decision> {
        Box::pin(async { Decision::Approve })
    }
}

#[tokio::test]
async fn what_somebody_approved_lasts_until_a_rule_refuses_it() {
    let origin = Origin::echo().await;
    let mut setup = Setup::allowing(&["other.test"]);
    setup.decider = Some(Arc::new(Yes));
    let proxy = setup.start().await;
    let (_, mut asked) = proxy.connect(&format!("ok.test:{}", origin.port())).await;
    let (_, mut listed) = proxy
        .connect(&format!("other.test:{}", origin.port()))
        .await;
    echoes(&mut asked).await;
    echoes(&mut listed).await;
    // Nobody approved the one that a rule had permitted.
    proxy.proxy.replace_policy(Setup::allowing(&[]).policy());
    assert!(is_cut(&mut listed).await);
    echoes(&mut asked).await;
    let mut strict = Setup::allowing(&[]);
    strict.strict = true;
    proxy.proxy.replace_policy(strict.policy());
    assert!(is_cut(&mut asked).await);
}

/// Takes its time.
struct Slow;

impl Decide for Slow {
    fn decide<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, Decision> {
        Box::pin(async {
            sleep(Duration::from_millis(300)).await;
            Decision::Approve
        })
    }
}

#[tokio::test]
async fn an_answer_to_a_question_of_an_older_policy_does_not_outlive_it() {
    let origin = Origin::echo().await;
    let mut setup = Setup::allowing(&[]);
    setup.decider = Some(Arc::new(Slow));
    let proxy = setup.start().await;
    let control = proxy
        .connect(&format!("other.test:{}", origin.port()))
        .await;
    let mut stream = dial(proxy.http).await;
    let port = origin.port();
    let request = format!("CONNECT ok.test:{port} HTTP/1.1\r\nHost: ok.test:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let mut denied = Setup::allowing(&[]);
    denied.deny.push(("ok.test".to_owned(), None));
    proxy.proxy.replace_policy(denied.policy());
    let mut received = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut received)).await;
    assert!(ended.is_ok_and(|ended| ended.is_err()), "{received:?}");
    let (_, mut control) = control;
    echoes(&mut control).await;
}
