//! Allowed hosts through a proxy of the user's own, which hears of nothing else.
#![expect(
    clippy::expect_used,
    reason = "a test stops where its setting is broken"
)]

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sandbox_tests::{Bed, Origin, need};
use serde_json::json;

use crate::{NAME, OTHER, settings};

/// An HTTP proxy of the host that knows one server by all names, and writes down what it is asked.
struct OwnProxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl OwnProxy {
    fn to(origin: &Origin) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener on loopback");
        let port = listener.local_addr().expect("its address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (record, origin) = (Arc::clone(&asked), origin.port());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let record = Arc::clone(&record);
                thread::spawn(move || lead(client, origin, &record));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }
}

fn lead(mut client: TcpStream, origin: u16, record: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut received = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    received.read_line(&mut line)?;
    record
        .lock()
        .expect("nobody panicked")
        .push(line.trim_end().to_owned());
    while line != "\r\n" {
        line.clear();
        if received.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    let mut server = TcpStream::connect(("127.0.0.1", origin))?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        io::copy(&mut answers, &mut back).ok();
        back.shutdown(Shutdown::Write).ok();
    });
    io::copy(&mut received, &mut server)?;
    server.shutdown(Shutdown::Write)
}

#[test]
fn allowed_names_go_through_the_users_own_proxy_and_denied_ones_do_not() {
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let proxy = OwnProxy::to(&origin);
    let mut settings = settings(&[NAME], &[]);
    settings["network"]["httpProxyPort"] = json!(proxy.port);
    let run = |host: &str, options: &[&str]| {
        let url = format!("http://{host}:8001/");
        bed.srt()
            .flat(&settings)
            .args([curl.to_str().unwrap(), "-sS", "-m", "10"])
            .args(options.iter().copied())
            .args([url])
            .within(60.0)
            .run()
    };
    // Nothing on the host knows these names.
    let allowed = run(NAME, &[]).ok();
    allowed.prints("ORIGIN GET / 0\n");
    assert_eq!(proxy.asked(), [format!("CONNECT {NAME}:8001 HTTP/1.1")]);
    assert_eq!(origin.accepted(), 1);

    let denied = run(OTHER, &[]);
    assert!(
        denied.text().contains("blocked by network allowlist"),
        "{denied}"
    );
    let literal = run("127.0.0.1", &[]);
    assert!(!literal.text().contains("ORIGIN"), "{literal}");
    // The proxy itself is no way out: it is on the host's loopback, not on the command's.
    let own = format!("http://127.0.0.1:{}", proxy.port);
    let around = run(OTHER, &["-p", "-x", &own]);
    assert!(!around.text().contains("ORIGIN"), "{around}");
    assert_eq!((proxy.asked().len(), origin.accepted()), (1, 1));
}
