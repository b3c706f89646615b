//! Origins, resolvers and a proxy on loopback.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandbox_policy::{
    DomainPattern, DomainRule, HostName, NetworkPolicy, Origin as RuleOrigin, OwnAddresses,
};
use sandbox_proxy::{BoxFuture, Decide, EventReceiver, EventSink, Proxy, ProxyConfig, Resolve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Everything in these tests answers at once or is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Held by tests that look at the memory of this process, or use much of it.
pub(crate) static MEMORY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Answers from a table; a name may have several answers, given one after the other.
#[derive(Default)]
pub(crate) struct TableResolver {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    pub(crate) lookups: AtomicUsize,
}

impl TableResolver {
    pub(crate) fn set(&self, name: &str, answers: &[&[&str]]) {
        let parsed = answers
            .iter()
            .map(|answer| {
                answer
                    .iter()
                    .map(|address| address.parse().unwrap())
                    .collect()
            })
            .collect();
        self.answers.lock().unwrap().insert(name.to_owned(), parsed);
    }

    pub(crate) fn count(&self) -> usize {
        self.lookups.load(Ordering::SeqCst)
    }
}

impl Resolve for TableResolver {
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.get_mut(name.as_str()) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(rest) if rest.len() > 1 => Ok(rest.remove(0)),
            Some(rest) => Ok(rest[0].clone()),
        };
        Box::pin(async move { answer })
    }
}

/// What a test's proxy is made of.
pub(crate) struct Setup {
    pub(crate) allow: Vec<String>,
    pub(crate) deny: Vec<(String, Option<String>)>,
    pub(crate) strict: bool,
    pub(crate) own: Vec<IpAddr>,
    pub(crate) resolver: Arc<TableResolver>,
    pub(crate) decider: Option<Arc<dyn Decide>>,
    pub(crate) config: ProxyConfig,
}

/// A running proxy.
pub(crate) struct Running {
    pub(crate) proxy: Proxy,
    pub(crate) http: SocketAddr,
    pub(crate) socks: SocketAddr,
    pub(crate) resolver: Arc<TableResolver>,
    pub(crate) events: EventReceiver,
}

impl Setup {
    /// Allows these, and 127.0.0.1 so that names may lead there; `ok.test` leads there.
    pub(crate) fn allowing(hosts: &[&str]) -> Self {
        let mut setup = Self::exactly(hosts);
        setup.allow.push("127.0.0.1".to_owned());
        setup
    }

    /// Allows these and nothing else.
    pub(crate) fn exactly(hosts: &[&str]) -> Self {
        let resolver = TableResolver::default();
        for name in ["ok.test", "denied.test", "other.test", "sub.ok.test"] {
            resolver.set(name, &[&["127.0.0.1"]]);
        }
        Self {
            allow: hosts.iter().map(|&host| host.to_owned()).collect(),
            deny: Vec::new(),
            strict: false,
            own: Vec::new(),
            resolver: Arc::new(resolver),
            decider: None,
            config: ProxyConfig::standard(),
        }
    }

    pub(crate) fn policy(&self) -> Arc<NetworkPolicy> {
        let rule = |pattern, note: Option<String>| DomainRule {
            pattern,
            origin: RuleOrigin::Program,
            note,
        };
        let allowed = self
            .allow
            .iter()
            .map(|text| rule(DomainPattern::parse_allow(text).unwrap(), None))
            .collect();
        let denied = self
            .deny
            .iter()
            .map(|(text, note)| rule(DomainPattern::parse_deny(text).unwrap(), note.clone()))
            .collect();
        Arc::new(NetworkPolicy::new(allowed, denied, Vec::new()).strict(self.strict))
    }

    pub(crate) async fn start(self) -> Running {
        let (sink, events) = EventSink::channel(1024);
        let policy = self.policy();
        let proxy = Proxy::new(
            policy,
            OwnAddresses(self.own),
            self.resolver.clone(),
            self.decider,
            sink,
            self.config,
        );
        let (http_listener, http) = listener().await;
        let (socks_listener, socks) = listener().await;
        tokio::spawn(proxy.serve_http(http_listener));
        tokio::spawn(proxy.serve_socks5(socks_listener));
        Running {
            proxy,
            http,
            socks,
            resolver: self.resolver,
            events,
        }
    }
}

impl Running {
    /// Sends bytes to the HTTP listener and reads until the proxy closes.
    pub(crate) async fn http_exchange(&self, bytes: &[u8]) -> String {
        text(&exchange(self.http, bytes).await)
    }

    /// A CONNECT: the answer's head, and the stream behind it.
    pub(crate) async fn connect(&self, authority: &str) -> (String, TcpStream) {
        let mut stream = dial(self.http).await;
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        (head, stream)
    }

    /// A SOCKS5 CONNECT without authentication: the reply code, and the stream behind it.
    pub(crate) async fn socks_connect(&self, host: &SocksHost<'_>, port: u16) -> (u8, TcpStream) {
        let mut stream = dial(self.socks).await;
        stream.write_all(b"\x05\x01\x00").await.unwrap();
        assert_eq!(read_exactly(&mut stream, 2).await, b"\x05\x00");
        stream.write_all(&socks_request(host, port)).await.unwrap();
        let reply = read_exactly(&mut stream, 10).await;
        (reply[1], stream)
    }
}

pub(crate) enum SocksHost<'a> {
    Ip(IpAddr),
    Name(&'a [u8]),
}

pub(crate) fn socks_request(host: &SocksHost<'_>, port: u16) -> Vec<u8> {
    let mut request = vec![5, 1, 0];
    match host {
        SocksHost::Ip(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        SocksHost::Ip(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        SocksHost::Name(name) => {
            request.push(3);
            request.push(u8::try_from(name.len()).unwrap());
            request.extend(*name);
        }
    }
    request.extend(port.to_be_bytes());
    request
}

/// A server that counts its connections.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Origin {
    pub(crate) async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (listener, address) = listener().await;
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, accepted }
    }

    /// Sends back what it gets.
    pub(crate) async fn echo() -> Self {
        Self::start(|mut stream| async move {
            let (mut read, mut write) = stream.split();
            drop(tokio::io::copy(&mut read, &mut write).await);
            drop(write.shutdown().await);
        })
        .await
    }

    /// Answers each request head with the head itself as content, on one connection for as long as
    /// the client likes. Requests have no content here.
    pub(crate) async fn mirror() -> Self {
        Self::start(|mut stream| async move {
            while let Some(head) = try_read_head(&mut stream).await {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}",
                    head.len()
                );
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        })
        .await
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How often it was reached so far. Loopback accepts are at most a scheduling away.
    pub(crate) async fn accepted(&self) -> usize {
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.accepted.load(Ordering::SeqCst)
    }
}

pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[expect(clippy::disallowed_methods, reason = "the client of the test")]
pub(crate) async fn dial(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = dial(address).await;
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    read_all(&mut stream).await
}

pub(crate) async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut received))
        .await
        .expect("the peer closes in time")
        .unwrap();
    received
}

pub(crate) async fn read_exactly(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut received = vec![0; length];
    timeout(PATIENCE, stream.read_exact(&mut received))
        .await
        .expect("the peer sends in time")
        .unwrap();
    received
}

pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    timeout(PATIENCE, try_read_head(stream))
        .await
        .expect("a head arrives in time")
        .expect("a whole head arrives")
}

/// Reads byte by byte up to the first empty line, so that nothing behind it is lost.
pub(crate) async fn try_read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(text(&head))
}

/// An answer with a Content-Length: head and content.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> (String, String) {
    let head = read_head(stream).await;
    let length = field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let content = read_exactly(stream, length).await;
    (head, text(&content))
}

/// The value of a field of a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.get(9..12).unwrap().parse().unwrap()
}

/// Resident bytes of this process; `None` where the system does not tell in this way.
pub(crate) fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
