//! One event for each attempt.

use std::sync::Arc;

use sandbox_policy::OwnAddresses;
use sandbox_proxy::{EventSink, FrontEnd, Outcome, Proxy, ProxyConfig};

use crate::support::{Origin, Setup, SocksHost, TableResolver, dial, listener, read_all};

#[tokio::test]
async fn each_attempt_is_told_once_with_its_rule_and_source() {
    let origin = Origin::mirror().await;
    let mut setup = Setup::allowing(&["ok.test", "nowhere.test", "denied.test"]);
    setup.deny.push(("denied.test".to_owned(), None));
    let mut proxy = setup.start().await;
    let port = origin.port();

    let (_, stream) = proxy.connect(&format!("ok.test:{port}")).await;
    let event = proxy.events.recv().await.unwrap();
    assert_eq!(event.front_end, FrontEnd::HttpConnect);
    assert_eq!(event.client_port, stream.local_addr().unwrap().port());
    assert_eq!(event.target.unwrap().to_string(), format!("ok.test:{port}"));
    assert!(
        matches!(event.outcome, Outcome::Allowed { rule: Some(rule) } if rule.pattern.to_string() == "ok.test")
    );

    let request = format!("GET http://denied.test:{port}/ HTTP/1.1\r\nHost: denied.test\r\n\r\n");
    proxy.http_exchange(request.as_bytes()).await;
    let event = proxy.events.recv().await.unwrap();
    assert_eq!(event.front_end, FrontEnd::HttpForward);
    assert!(matches!(&event.outcome, Outcome::Denied(denial)
        if denial.reason.code() == "host_denied" && denial.rule.as_ref().is_some_and(|rule| rule.0 == "denied.test")));

    // Two requests on one connection are two attempts.
    let request = format!("GET http://ok.test:{port}/ HTTP/1.1\r\nHost: ok.test\r\n\r\n");
    proxy.http_exchange(request.repeat(2).as_bytes()).await;
    for _ in 0..2 {
        let event = proxy.events.recv().await.unwrap();
        assert!(matches!(event.outcome, Outcome::Allowed { .. }));
    }

    let (reply, _stream) = proxy
        .socks_connect(&SocksHost::Name(b"nowhere.test"), port)
        .await;
    assert_eq!(reply, 4);
    let event = proxy.events.recv().await.unwrap();
    assert_eq!(event.front_end, FrontEnd::Socks5);
    assert!(
        matches!(&event.outcome, Outcome::Failed { message } if message.contains("nowhere.test"))
    );
    assert!(proxy.events.try_recv().is_none());
    assert_eq!(proxy.events.dropped(), 0);
}

#[tokio::test]
async fn events_that_nobody_reads_are_counted_and_hold_nothing_up() {
    let (sink, mut events) = EventSink::channel(2);
    let proxy = Proxy::new(
        Setup::exactly(&[]).policy(),
        OwnAddresses(Vec::new()),
        Arc::new(TableResolver::default()),
        None,
        sink,
        ProxyConfig::standard(),
    );
    let (listener, address) = listener().await;
    tokio::spawn(proxy.serve_http(listener));
    for _ in 0..5 {
        let mut stream = dial(address).await;
        let request = b"CONNECT denied.test:443 HTTP/1.1\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, request)
            .await
            .unwrap();
        assert!(read_all(&mut stream).await.starts_with(b"HTTP/1.1 403"));
    }
    assert!(events.recv().await.is_some());
    assert!(events.try_recv().is_some());
    assert!(events.try_recv().is_none());
    assert_eq!(events.dropped(), 3);
}
