//! Targets that are reached through the user's own proxies: what was judged gets there, by its
//! name, and nothing else does.

use std::sync::{Arc, Mutex};

use sandbox_policy::Port;
use sandbox_proxy::{ExternalProxies, Outcome};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    Origin, Running, Setup, SocksHost, dial, listener, read_answer, read_exactly, status,
    try_read_head,
};

/// A proxy on loopback that writes down what it is asked for and leads everything to one server.
struct External {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

/// How a proxy answers.
#[derive(Clone, Copy)]
enum Answer {
    /// Leads to a server.
    Open,
    /// A complete answer of another kind; the connection is closed after it.
    Bytes(&'static [u8]),
}

impl External {
    async fn http(server: &Origin, answer: Answer) -> Self {
        let server = server.address;
        Self::start(move |mut stream, asked| async move {
            let Some(head) = try_read_head(&mut stream).await else {
                return;
            };
            let line = head.lines().next().unwrap().to_owned();
            asked.lock().unwrap().push(line);
            match answer {
                Answer::Open => {
                    let opened = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 x\r\n\r\n";
                    lead(stream, server, opened).await;
                }
                Answer::Bytes(bytes) => drop(stream.write_all(bytes).await),
            }
        })
        .await
    }

    async fn socks(server: &Origin, answer: Answer) -> Self {
        let server = server.address;
        Self::start(move |mut stream, asked| async move {
            assert_eq!(read_exactly(&mut stream, 3).await, [5, 1, 0]);
            stream.write_all(&[5, 0]).await.unwrap();
            let head = read_exactly(&mut stream, 4).await;
            assert_eq!(head[..3], [5, 1, 0]);
            let host = match head[3] {
                1 => {
                    let octets: [u8; 4] = read_exactly(&mut stream, 4).await.try_into().unwrap();
                    std::net::Ipv4Addr::from(octets).to_string()
                }
                3 => {
                    let length = stream.read_u8().await.unwrap();
                    let name = read_exactly(&mut stream, length.into()).await;
                    format!("name {}", String::from_utf8(name).unwrap())
                }
                other => panic!("address type {other}"),
            };
            let port = stream.read_u16().await.unwrap();
            asked.lock().unwrap().push(format!("{host}:{port}"));
            match answer {
                // Proxies may tell a bound name, too.
                Answer::Open => lead(stream, server, b"\x05\x00\x00\x03\x02me\x00\x00").await,
                Answer::Bytes(bytes) => drop(stream.write_all(bytes).await),
            }
        })
        .await
    }

    async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (listener, address) = listener().await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, record.clone()));
            }
        });
        Self {
            port: address.port(),
            asked,
        }
    }

    /// What it was asked for since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn port(&self) -> Option<Port> {
        Port::new(self.port)
    }
}

/// Joins the client with the server. The server's first words go with the answer, in one packet.
async fn lead(mut client: TcpStream, server: std::net::SocketAddr, answer: &[u8]) {
    let mut server = dial(server).await;
    let mut first = answer.to_vec();
    let mut words = [0; 64];
    let wait = std::time::Duration::from_millis(50);
    if let Ok(Ok(length)) = tokio::time::timeout(wait, server.read(&mut words)).await {
        first.extend(&words[..length]);
    }
    client.write_all(&first).await.unwrap();
    drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
}

/// A proxy that has no address for `ok.test`: whoever looks it up fails.
async fn start(http: Option<&External>, socks: Option<&External>) -> Running {
    start_with(
        &["ok.test", "127.0.0.1", "localhost", "10.1.2.3"],
        http,
        socks,
    )
    .await
}

async fn start_with(allow: &[&str], http: Option<&External>, socks: Option<&External>) -> Running {
    let mut setup = Setup::exactly(allow);
    setup.resolver.set("ok.test", &[&[]]);
    setup.resolver.set("localhost", &[&["127.0.0.1"]]);
    setup.config.external = ExternalProxies {
        http: http.and_then(External::port),
        socks: socks.and_then(External::port),
    };
    setup.start().await
}

/// Asks every front end for a host: the status of a tunnel and of a request, and the SOCKS reply.
async fn ask_all(proxy: &Running, host: &str) -> (u16, u16, u8) {
    let (head, _stream) = proxy.connect(&format!("{host}:81")).await;
    let request = format!("GET http://{host}:82/p HTTP/1.1\r\nHost: {host}:82\r\n\r\n");
    let mut stream = dial(proxy.http).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let (answer, _) = read_answer(&mut stream).await;
    let socks_host = host
        .parse()
        .map_or(SocksHost::Name(host.as_bytes()), SocksHost::Ip);
    let (reply, _stream) = proxy.socks_connect(&socks_host, 83).await;
    (status(&head), status(&answer), reply)
}

#[tokio::test]
async fn permitted_names_go_through_the_http_proxy_and_others_never_reach_it() {
    let server = Origin::mirror().await;
    let external = External::http(&server, Answer::Open).await;
    let mut proxy = start(Some(&external), None).await;

    assert_eq!(ask_all(&proxy, "denied.test").await, (403, 403, 2));
    assert_eq!(external.asked(), [""; 0]);

    assert_eq!(ask_all(&proxy, "OK.test.").await, (200, 200, 0));
    assert_eq!(
        external.asked(),
        [81, 82, 83].map(|port| format!("CONNECT ok.test:{port} HTTP/1.1"))
    );
    assert_eq!(proxy.resolver.count(), 0, "the name is left to the proxy");
    assert_eq!(server.accepted().await, 3);
    for denied in [true, true, true, false, false, false] {
        let event = proxy.events.try_recv().unwrap();
        let as_expected = if denied {
            matches!(event.outcome, Outcome::Denied(_))
        } else {
            matches!(event.outcome, Outcome::Allowed { .. })
        };
        assert!(as_expected, "{event:?}");
    }
}

#[tokio::test]
async fn permitted_names_go_through_the_socks_proxy_and_others_never_reach_it() {
    let server = Origin::mirror().await;
    let external = External::socks(&server, Answer::Open).await;
    let proxy = start(None, Some(&external)).await;
    assert_eq!(ask_all(&proxy, "denied.test").await, (403, 403, 2));
    assert_eq!(external.asked(), [""; 0]);
    assert_eq!(ask_all(&proxy, "ok.test").await, (200, 200, 0));
    assert_eq!(
        external.asked(),
        ["name ok.test:81", "name ok.test:82", "name ok.test:83"]
    );
    assert_eq!(proxy.resolver.count(), 0);
}

#[tokio::test]
async fn with_two_proxies_each_gets_its_own_kind() {
    let server = Origin::mirror().await;
    let http = External::http(&server, Answer::Open).await;
    let socks = External::socks(&server, Answer::Open).await;
    let proxy = start(Some(&http), Some(&socks)).await;
    assert_eq!(ask_all(&proxy, "ok.test").await, (200, 200, 0));
    let tunnels = [81, 82].map(|port| format!("CONNECT ok.test:{port} HTTP/1.1"));
    assert_eq!(http.asked(), tunnels);
    assert_eq!(socks.asked(), ["name ok.test:83"]);
}

#[tokio::test]
async fn addresses_and_localhost_are_judged_before_a_proxy_hears_of_them() {
    let server = Origin::mirror().await;
    let http = External::http(&server, Answer::Open).await;
    let socks = External::socks(&server, Answer::Open).await;
    let listed = start(Some(&http), Some(&socks)).await;
    for (host, literal) in [
        ("127.0.0.1", "127.0.0.1"),
        ("10.1.2.3", "10.1.2.3"),
        ("localhost", "127.0.0.1"),
    ] {
        assert_eq!(ask_all(&listed, host).await, (200, 200, 0), "{host}");
        let tunnels = [81, 82].map(|port| format!("CONNECT {literal}:{port} HTTP/1.1"));
        assert_eq!(http.asked(), tunnels);
        assert_eq!(socks.asked(), [format!("{literal}:83")]);
    }

    // A name that is loopback's own stays there: elsewhere it is refused, and nobody is asked.
    listed.resolver.set("localhost", &[&["192.0.2.1"]]);
    assert_eq!(ask_all(&listed, "localhost").await, (403, 403, 2));
    let unlisted = start_with(&["ok.test"], Some(&http), Some(&socks)).await;
    for host in ["127.0.0.1", "10.1.2.3", "localhost", "127.0.0.2"] {
        assert_eq!(ask_all(&unlisted, host).await, (403, 403, 2), "{host}");
    }
    assert_eq!((http.asked(), socks.asked()), (vec![], vec![]));
}

#[tokio::test]
async fn what_the_server_says_first_is_not_lost() {
    let server = Origin::start(|mut stream| async move {
        stream.write_all(b"220 ready\r\n").await.unwrap();
        drop(stream.read_u8().await);
    })
    .await;
    let http = External::http(&server, Answer::Open).await;
    let socks = External::socks(&server, Answer::Open).await;
    let proxy = start(Some(&http), Some(&socks)).await;
    let (head, mut stream) = proxy.connect("ok.test:25").await;
    assert_eq!(status(&head), 200);
    assert_eq!(read_exactly(&mut stream, 11).await, b"220 ready\r\n");
    let (reply, mut stream) = proxy.socks_connect(&SocksHost::Name(b"ok.test"), 25).await;
    assert_eq!(reply, 0);
    assert_eq!(read_exactly(&mut stream, 11).await, b"220 ready\r\n");
}

#[tokio::test]
async fn a_proxy_that_opens_nothing_is_a_host_that_cannot_be_reached() {
    let server = Origin::mirror().await;
    let long: &'static [u8] = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 9000]]
        .concat()
        .leak();
    for (answer, reply) in [
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".as_slice(),
            5,
        ),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 5),
        (b"HTTP/1.1 100 Continue\r\n\r\n", 5),
        (b"HTTP/1.1 200", 4),
        (b"", 4),
        (b"SSH-2.0-x\r\n", 4),
        (b"HTTP/1.1 2000 OK\r\n\r\n", 4),
        (b"HTTP/2 200 OK\r\n\r\n", 4),
        (b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", 4),
        (b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", 4),
        (b"HTTP/1.1 200 O\rK\r\n\r\n", 4),
        (long, 4),
    ] {
        let external = External::http(&server, Answer::Bytes(answer)).await;
        let mut proxy = start(Some(&external), None).await;
        let shown = answer.escape_ascii().to_string();
        assert_eq!(
            ask_all(&proxy, "ok.test").await,
            (502, 502, reply),
            "{shown}"
        );
        assert_eq!(external.asked().len(), 3);
        failed(&mut proxy, external.port);
    }
    for (answer, reply) in [
        (b"\x05\x02\x00\x01\0\0\0\0\0\0".as_slice(), 5),
        (b"\x05\x05\x00\x01\0\0\0\0\0\0", 5),
        (b"\x05\x03\x00\x01\0\0\0\0\0\0", 3),
        (b"\x05\x04\x00\x01\0\0\0\0\0\0", 4),
        (b"\x05\x00\x00\x01\0\0", 4),
        (b"\x05\x00\x00\x09\0\0\0\0\0\0", 4),
        (b"\x04\x00\x00\x01\0\0\0\0\0\0", 4),
        (b"", 4),
    ] {
        let external = External::socks(&server, Answer::Bytes(answer)).await;
        let mut proxy = start(None, Some(&external)).await;
        let shown = answer.escape_ascii().to_string();
        assert_eq!(
            ask_all(&proxy, "ok.test").await,
            (502, 502, reply),
            "{shown}"
        );
        assert_eq!(external.asked().len(), 3);
        failed(&mut proxy, external.port);
    }
    assert_eq!(server.accepted().await, 0);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_says_nothing_is_no_way_around_it() {
    let server = Origin::mirror().await;
    let (unused, address) = listener().await;
    drop(unused);
    let mut setup = Setup::allowing(&["ok.test"]);
    setup.config.external.http = Port::new(address.port());
    let mut proxy = setup.start().await;
    assert_eq!(ask_all(&proxy, "ok.test").await, (502, 502, 5));
    failed(&mut proxy, address.port());

    let (_silent, address) = listener().await;
    for socks in [false, true] {
        let mut setup = Setup::allowing(&["ok.test"]);
        setup.config.dial_timeout = std::time::Duration::from_millis(100);
        let port = Port::new(address.port());
        setup.config.external.http = port.filter(|_| !socks);
        setup.config.external.socks = port.filter(|_| socks);
        let mut proxy = setup.start().await;
        assert_eq!(ask_all(&proxy, "ok.test").await, (504, 504, 4));
        failed(&mut proxy, address.port());
    }
    assert_eq!(server.accepted().await, 0);
}

/// Three failures are reported, with the proxy that caused them.
fn failed(proxy: &mut Running, port: u16) {
    for _ in 0..3 {
        let event = proxy.events.try_recv().unwrap();
        let Outcome::Failed { message } = &event.outcome else {
            panic!("{event:?}");
        };
        assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    }
}
