//! The name service on real sockets.

use std::{net::SocketAddr, time::Duration};

use sandbox_proxy::{FrontEnd, Outcome, Proxy};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::support::{PATIENCE, Setup, dial, listener, read_all, read_exactly};

/// A query for the IPv4 address of a name.
fn query(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend(b"\x01\x00\0\x01\0\0\0\0\0\0");
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend(b"\0\0\x01\0\x01");
    message
}

/// Response code and IPv4 address of an answer.
fn verdict(id: u16, answer: &[u8]) -> (u8, Option<[u8; 4]>) {
    assert_eq!(answer[..2], id.to_be_bytes());
    assert_eq!(answer[2] & 0x80, 0x80, "an answer");
    let address = (answer[7] == 1).then(|| answer[answer.len() - 4..].try_into().unwrap());
    (answer[3] & 15, address)
}

async fn serve_udp(proxy: &Proxy, address: &str) -> u16 {
    let socket = UdpSocket::bind((address, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(proxy.serve_dns_udp(socket));
    port
}

/// Sends from a connected socket, which takes answers from the address that was asked only.
async fn ask(server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let local: SocketAddr = if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    }
    .parse()
    .unwrap();
    let socket = UdpSocket::bind(local).await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(message).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut answer))
        .await
        .expect("an answer arrives in time")
        .unwrap();
    answer.truncate(length);
    answer
}

async fn send_framed(stream: &mut TcpStream, messages: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend(message);
    }
    stream.write_all(&bytes).await.unwrap();
}

async fn receive_framed(stream: &mut TcpStream) -> Vec<u8> {
    let length = read_exactly(stream, 2).await;
    let length = u16::from_be_bytes([length[0], length[1]]);
    read_exactly(stream, length.into()).await
}

#[tokio::test]
async fn an_answer_comes_from_the_address_that_was_asked() {
    let proxy = Setup::exactly(&["ok.test"]).start().await;
    let port = serve_udp(&proxy.proxy, "0.0.0.0").await;
    // Linux has all of 127.0.0.0/8.
    let hosts: &[&str] = if cfg!(target_os = "linux") {
        &["127.0.0.1", "127.0.0.53", "127.9.9.9"]
    } else {
        &["127.0.0.1"]
    };
    for host in hosts {
        let server = SocketAddr::new(host.parse().unwrap(), port);
        let answer = ask(server, &query(7, "ok.test")).await;
        assert_eq!(verdict(7, &answer), (0, Some([198, 18, 0, 1])), "{host}");
    }
    let port = serve_udp(&proxy.proxy, "::").await;
    let server = SocketAddr::new("::1".parse().unwrap(), port);
    let answer = ask(server, &query(7, "ok.test")).await;
    assert_eq!(verdict(7, &answer), (0, Some([198, 18, 0, 1])));
    assert_eq!(
        proxy.resolver.count(),
        0,
        "nothing is looked up for a look-up"
    );
}

#[tokio::test]
async fn a_refused_name_is_told_and_never_looked_up() {
    let mut proxy = Setup::exactly(&["ok.test"]).start().await;
    let port = serve_udp(&proxy.proxy, "127.0.0.1").await;
    let server = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
    let answer = ask(server, &query(9, "secret.denied.test")).await;
    assert_eq!(verdict(9, &answer), (3, None));
    let event = proxy.events.recv().await.unwrap();
    assert_eq!(event.front_end, FrontEnd::Dns);
    assert!(matches!(event.outcome, Outcome::Denied(denial)
        if denial.object == "secret.denied.test" && denial.reason.code() == "host_not_allowed"));
    assert_eq!(proxy.resolver.count(), 0);
}

#[tokio::test]
async fn the_policy_can_be_replaced_between_two_questions() {
    let proxy = Setup::exactly(&[]).start().await;
    let port = serve_udp(&proxy.proxy, "127.0.0.1").await;
    let server = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
    assert_eq!(verdict(1, &ask(server, &query(1, "ok.test")).await).0, 3);
    proxy
        .proxy
        .replace_policy(Setup::exactly(&["ok.test"]).policy());
    assert_eq!(verdict(2, &ask(server, &query(2, "ok.test")).await).0, 0);
}

#[tokio::test]
async fn garbage_is_survived() {
    let proxy = Setup::exactly(&["ok.test"]).start().await;
    let port = serve_udp(&proxy.proxy, "127.0.0.1").await;
    let server = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in [0, 1, 11, 12, 600, 60_000] {
        socket.send_to(&vec![0x7f; length], server).await.unwrap();
    }
    let answer = ask(server, &query(3, "ok.test")).await;
    assert_eq!(verdict(3, &answer).0, 0);
}

#[tokio::test]
async fn queries_on_one_connection_are_answered_in_order() {
    let proxy = Setup::exactly(&["ok.test", "*.ok.test"]).start().await;
    let (tcp, address) = listener().await;
    tokio::spawn(proxy.proxy.serve_dns_tcp(tcp));
    let mut stream = dial(address).await;
    let names = ["ok.test", "a.ok.test", "no.test", "b.ok.test", "ok.test"];
    let queries: Vec<_> = (0..).zip(names).map(|(id, name)| query(id, name)).collect();
    send_framed(&mut stream, &queries).await;
    let mut verdicts = Vec::new();
    for id in 0..5 {
        verdicts.push(verdict(id, &receive_framed(&mut stream).await));
    }
    let synthetic = |last| (0, Some([198, 18, 0, last]));
    let expected = [
        synthetic(1),
        synthetic(2),
        (3, None),
        synthetic(3),
        synthetic(1),
    ];
    assert_eq!(verdicts, expected);

    // A query in two parts, then the end.
    let bytes = query(6, "ok.test");
    let (first, second) = bytes.split_at(5);
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream
        .write_all(&[&length[..], first].concat())
        .await
        .unwrap();
    stream.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    stream.write_all(second).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(verdict(6, &receive_framed(&mut stream).await), synthetic(1));
    assert_eq!(read_all(&mut stream).await, b"");
}

#[tokio::test]
async fn a_connection_that_is_no_name_service_one_is_closed() {
    let proxy = Setup::exactly(&["ok.test"]).start().await;
    let (tcp, address) = listener().await;
    tokio::spawn(proxy.proxy.serve_dns_tcp(tcp));
    // Too short for a header, longer than any query, and an answer.
    let mut answer = query(1, "ok.test");
    answer[2] |= 0x80;
    let framed = [
        &u16::try_from(answer.len()).unwrap().to_be_bytes()[..],
        &answer,
    ]
    .concat();
    for bytes in [&b"\0\0"[..], b"\0\x03abc", b"\x20\x00", &framed] {
        let mut stream = dial(address).await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(read_all(&mut stream).await, b"");
    }
}

#[tokio::test]
async fn a_drain_ends_the_name_service_at_once() {
    let proxy = Setup::exactly(&["ok.test"]).start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let udp = tokio::spawn(proxy.proxy.serve_dns_udp(socket));
    let (tcp, address) = listener().await;
    let tcp = tokio::spawn(proxy.proxy.serve_dns_tcp(tcp));
    let mut idle = dial(address).await;
    send_framed(&mut idle, &[query(1, "ok.test")]).await;
    receive_framed(&mut idle).await;
    timeout(PATIENCE / 4, proxy.proxy.shutdown())
        .await
        .expect("nothing holds the drain up");
    timeout(PATIENCE, udp).await.unwrap().unwrap();
    timeout(PATIENCE, tcp).await.unwrap().unwrap();
    assert_eq!(read_all(&mut idle).await, b"");
}

#[tokio::test]
async fn our_own_transparent_listener_is_no_destination() {
    let mut proxy = Setup::allowing(&["ok.test"]).start().await;
    let (transparent, address) = listener().await;
    tokio::spawn(proxy.proxy.serve_transparent(transparent));
    let mut stream = dial(address).await;
    let mut byte = [0];
    let read = timeout(
        PATIENCE,
        tokio::io::AsyncReadExt::read(&mut stream, &mut byte),
    )
    .await;
    let error = read.expect("an end in time").expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let event = proxy.events.recv().await.unwrap();
    assert_eq!(event.front_end, FrontEnd::Transparent);
    assert_eq!(event.target.unwrap().to_string(), address.to_string());
    assert!(matches!(event.outcome, Outcome::Denied(_)));
}
