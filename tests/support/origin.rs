//! A small HTTP/1.1 server on loopback that records what reaches it.
//!
//! It understands just what the suites send: bodies by length or in chunks, kept-alive
//! connections, and an upgrade after which it echoes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// What reached the origin.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "read by the suites")]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target as it was spelled.
    pub target: String,
    /// The fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first field of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What the origin answers.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "built by the suites")]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Fields besides the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// 404.
    #[must_use]
    pub fn missing() -> Self {
        Self {
            status: 404,
            headers: Vec::new(),
            body: b"missing\n".to_vec(),
        }
    }
}

/// The server.
#[derive(Debug)]
pub struct Origin {
    port: u16,
    accepted: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Origin {
    /// Answers every request with `ORIGIN method target` and the length of the body.
    ///
    /// # Panics
    /// When there is no loopback.
    #[must_use]
    pub fn start() -> Self {
        Self::serving(|request| {
            Reply::ok(format!(
                "ORIGIN {} {} {}\n",
                request.method,
                request.target,
                request.body.len()
            ))
        })
    }

    /// Answers with what the handler says.
    ///
    /// # Panics
    /// When there is no loopback.
    #[must_use]
    pub fn serving(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an origin on loopback");
        let port = listener.local_addr().expect("a bound socket").port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, log, handler): (_, _, Arc<Handler>) = (
            Arc::clone(&accepted),
            Arc::clone(&requests),
            Arc::new(handler),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let (log, handler) = (Arc::clone(&log), Arc::clone(&handler));
                // A connection that breaks is the peer's doing; the records stay.
                std::thread::spawn(move || converse(&stream, &log, handler.as_ref()).ok());
            }
        });
        Self {
            port,
            accepted,
            requests,
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections arrived.
    #[must_use]
    pub fn accepted(&self) -> usize {
        std::thread::sleep(std::time::Duration::from_millis(50));
        self.accepted.load(Ordering::SeqCst)
    }

    /// The requests so far.
    ///
    /// # Panics
    /// When a handler panicked.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no handler panicked").clone()
    }
}

fn converse(
    stream: &TcpStream,
    log: &Mutex<Vec<Request>>,
    handler: &Handler,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream.try_clone()?;
    while let Some(request) = read_request(&mut reader)? {
        let upgrade = request.header("upgrade").map(str::to_owned);
        let close = request
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let head_only = request.method == "HEAD";
        log.lock()
            .expect("no handler panicked")
            .push(request.clone());
        if let Some(protocol) = upgrade {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
            );
            writer.write_all(answer.as_bytes())?;
            std::io::copy(&mut reader, &mut writer)?;
            return Ok(());
        }
        let reply = handler(&request);
        let mut answer = format!(
            "HTTP/1.1 {} Answer\r\nContent-Length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        for (name, value) in &reply.headers {
            answer.push_str(&format!("{name}: {value}\r\n"));
        }
        answer.push_str("\r\n");
        writer.write_all(answer.as_bytes())?;
        if !head_only {
            writer.write_all(&reply.body)?;
        }
        if close {
            break;
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field)?;
        let Some((name, value)) = field.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
    };
    if request.header("transfer-encoding").is_some() {
        request.body = read_chunks(reader)?;
    } else if let Some(length) = request
        .header("content-length")
        .and_then(|value| value.parse().ok())
    {
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(body);
        }
        chunk.truncate(size);
        body.append(&mut chunk);
    }
}
