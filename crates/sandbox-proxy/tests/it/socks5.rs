//! SOCKS5 sessions.

use std::net::{IpAddr, Ipv4Addr};

use sandbox_proxy::Outcome;
use tokio::io::AsyncWriteExt;

use crate::support::{
    Origin, Setup, SocksHost, dial, exchange, read_all, read_exactly, socks_request,
};

#[tokio::test]
async fn a_permitted_host_is_reached_and_others_are_not() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let port = origin.port();

    let (reply, mut stream) = proxy
        .socks_connect(&SocksHost::Name(b"denied.test"), port)
        .await;
    assert_eq!(reply, 2);
    assert_eq!(read_all(&mut stream).await, b"");
    assert_eq!(proxy.resolver.count(), 0, "a refused name is not looked up");
    let (reply, _stream) = proxy
        .socks_connect(&SocksHost::Ip("127.0.0.2".parse().unwrap()), port)
        .await;
    assert_eq!(reply, 2);
    assert_eq!(origin.accepted().await, 0);

    let mapped = "::ffff:127.0.0.1".parse().unwrap();
    for host in [
        SocksHost::Name(b"ok.test"),
        SocksHost::Name(b"OK.TEST."),
        SocksHost::Ip(Ipv4Addr::LOCALHOST.into()),
        SocksHost::Ip(IpAddr::V6(mapped)),
    ] {
        let (reply, mut stream) = proxy.socks_connect(&host, port).await;
        assert_eq!(reply, 0);
        stream.write_all(b"through").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_all(&mut stream).await, b"through");
    }
    assert_eq!(origin.accepted().await, 4);
}

#[tokio::test]
async fn names_with_odd_bytes_are_refused() {
    let origin = Origin::echo().await;
    let mut proxy = Setup::allowing(&["ok.test", "*.ok.test"]).start().await;
    for name in [
        &b"denied.test\0.ok.test"[..],
        b"ok.test\0",
        b"\0ok.test",
        b"ok.test\n",
        b"ok.test ",
        b"ok%2etest",
        b"ok.test/",
        b"ok.test:80",
        b"user@ok.test",
        b"\xffok.test",
        "ök.test".as_bytes(),
        b"",
        b".",
        b"..ok.test",
    ] {
        let (reply, _stream) = proxy
            .socks_connect(&SocksHost::Name(name), origin.port())
            .await;
        assert_eq!(reply, 2, "{}", name.escape_ascii());
        let event = proxy.events.recv().await.unwrap();
        assert!(event.target.is_none());
        assert!(
            matches!(event.outcome, Outcome::Denied(denial) if denial.reason.code() == "malformed_host")
        );
    }
    assert_eq!(origin.accepted().await, 0);
    assert_eq!(proxy.resolver.count(), 0);
    let (reply, _stream) = proxy
        .socks_connect(&SocksHost::Name(b"ok.test"), origin.port())
        .await;
    assert_eq!(reply, 0);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn any_credentials_will_do_where_a_client_insists() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let mut stream = dial(proxy.socks).await;
    stream.write_all(b"\x05\x01\x02").await.unwrap();
    assert_eq!(read_exactly(&mut stream, 2).await, b"\x05\x02");
    stream.write_all(b"\x01\x03srt\x06secret").await.unwrap();
    assert_eq!(read_exactly(&mut stream, 2).await, b"\x01\x00");
    stream
        .write_all(&socks_request(&SocksHost::Name(b"ok.test"), origin.port()))
        .await
        .unwrap();
    assert_eq!(read_exactly(&mut stream, 10).await[1], 0);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn a_whole_conversation_may_arrive_at_once() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let mut bytes = b"\x05\x02\x00\x02".to_vec();
    bytes.extend(socks_request(&SocksHost::Name(b"ok.test"), origin.port()));
    bytes.extend(b"early");
    let answer = exchange(proxy.socks, &bytes).await;
    assert_eq!(answer, b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0early");

    // And it may arrive in single bytes.
    let mut stream = dial(proxy.socks).await;
    stream.set_nodelay(true).unwrap();
    for byte in &bytes {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    assert_eq!(read_all(&mut stream).await, answer);
}

#[tokio::test]
async fn what_is_not_served_is_refused_by_its_code() {
    let origin = Origin::echo().await;
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    let connect = socks_request(&SocksHost::Name(b"ok.test"), origin.port());
    let with_command = |command: u8| {
        let mut request = connect.clone();
        request[1] = command;
        request
    };
    let mut address_type = connect.clone();
    address_type[3] = 9;
    for (request, code) in [
        (with_command(2), 7),
        (with_command(3), 7),
        (with_command(0), 7),
        (address_type, 8),
        (socks_request(&SocksHost::Name(b"ok.test"), 0), 1),
        (socks_request(&SocksHost::Name(b"ok.test"), 1), 5),
    ] {
        let answer = exchange(proxy.socks, &[b"\x05\x01\x00", &request[..]].concat()).await;
        assert_eq!(answer[..4], [5, 0, 5, code]);
        assert_eq!(answer.len(), 12);
    }
    // No acceptable method; SOCKS4, SOCKS4a and HTTP get no answer at all.
    assert_eq!(exchange(proxy.socks, b"\x05\x01\x01").await, b"\x05\xff");
    for other in [
        &b"\x04\x01\x00\x50\x7f\x00\x00\x01user\0"[..],
        b"\x04\x01\x00\x50\x00\x00\x00\x01user\0evil\0.ok.test\0",
        b"GET http://ok.test/ HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01",
    ] {
        let mut stream = dial(proxy.socks).await;
        stream.write_all(other).await.unwrap();
        let mut received = Vec::new();
        // The kernel may reset: bytes were left unread.
        drop(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut received).await);
        assert!(received.is_empty());
    }
    assert_eq!(origin.accepted().await, 0);
    let (reply, _stream) = proxy
        .socks_connect(&SocksHost::Name(b"ok.test"), origin.port())
        .await;
    assert_eq!(reply, 0);
    assert_eq!(origin.accepted().await, 1);
}

#[tokio::test]
async fn ssh_is_told_why_it_is_refused() {
    let proxy = Setup::allowing(&["ok.test"]).start().await;
    for host in [
        SocksHost::Name(b"denied.test"),
        SocksHost::Ip("127.0.0.2".parse().unwrap()),
    ] {
        let (reply, mut stream) = proxy.socks_connect(&host, 22).await;
        assert_eq!(reply, 0);
        let farewell = read_all(&mut stream).await;
        assert!(farewell.starts_with(b"SSH-2.0-policy_refusal\r\n"));
        let reason = b"host is not on the allow list";
        assert!(
            farewell
                .windows(reason.len())
                .any(|window| window == reason)
        );
    }
    assert_eq!(proxy.resolver.count(), 0);
}
