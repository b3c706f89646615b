//! Parent proxies: what they are asked, with which login, what goes around them, and that a login of
//! theirs is nowhere inside.
//!
//! The parents are on loopback and write down every head and every SOCKS message that they get.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sandbox_tests::{Bed, Origin, Output, Srt, need, need_names, python};
use serde_json::{Value, json};

use crate::{NAME, OTHER, settings};

/// `user:p@ss w%rd` in base64, and as a URL has it.
const BASIC: &str = "dXNlcjpwQHNzIHclcmQ=";
const USERINFO: &str = "user:p%40ss%20w%25rd";

/// What a parent does with what it is asked.
#[derive(Clone, Copy)]
enum Manner {
    /// Leads everything to one server; wants the login.
    Works,
    /// Answers with these bytes.
    Says(&'static [u8]),
    /// Takes the connection and says nothing.
    Silent,
}

struct Parent {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Parent {
    fn http(origin: &Origin, manner: Manner) -> Self {
        let origin = origin.port();
        Self::start(move |client, record| http(client, origin, manner, record))
    }

    fn socks(origin: &Origin) -> Self {
        let origin = origin.port();
        Self::start(move |client, record| socks(client, origin, record))
    }

    fn start<F>(serve: F) -> Self
    where
        F: Fn(TcpStream, &Mutex<Vec<String>>) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener on loopback");
        let port = listener.local_addr().expect("its address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (record, serve) = (Arc::clone(&asked), Arc::new(serve));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (record, serve) = (Arc::clone(&record), Arc::clone(&serve));
                thread::spawn(move || serve(client, &record));
            }
        });
        Self { port, asked }
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("nobody panicked"))
    }
}

/// One exchange: a tunnel, or a request in absolute form.
fn http(
    mut client: TcpStream,
    origin: u16,
    manner: Manner,
    record: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut received = BufReader::new(client.try_clone()?);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if received.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8(head).expect("a head in UTF-8");
        let mut lines = text.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let login = lines.find_map(|line| line.strip_prefix("Proxy-Authorization: "));
        let login = login.unwrap_or("-").to_owned();
        let host = text.lines().find_map(|line| line.strip_prefix("Host: "));
        let note = format!("{line} | {} | {login}", host.unwrap_or("-"));
        record.lock().expect("nobody panicked").push(note);
        match manner {
            Manner::Works => {}
            Manner::Says(bytes) => return client.write_all(bytes),
            Manner::Silent => {
                thread::sleep(std::time::Duration::from_secs(120));
                return Ok(());
            }
        }
        if login != format!("Basic {BASIC}") {
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
            return client.write_all(answer.as_bytes());
        }
        let mut server = TcpStream::connect(("127.0.0.1", origin))?;
        if line.starts_with("CONNECT ") {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            return lead(client, received, server);
        }
        // Forwarded with its body, without the login, for one answer.
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.eq_ignore_ascii_case("content-length")).then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        received.read_exact(&mut body)?;
        let fields: String = text
            .lines()
            .skip(1)
            .filter(|line| !line.is_empty() && !line.starts_with("Proxy-Authorization"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let mut words = line.split(' ');
        let (method, uri) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let path = uri.splitn(4, '/').nth(3).unwrap_or("");
        write!(server, "{method} /{path} HTTP/1.1\r\n{fields}\r\n")?;
        server.write_all(&body)?;
        let mut answers = BufReader::new(server);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            answers.read_line(&mut head)?;
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.eq_ignore_ascii_case("content-length")).then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        answers.read_exact(&mut body)?;
        client.write_all(head.as_bytes())?;
        client.write_all(&body)?;
    }
}

fn lead(
    client: TcpStream,
    mut received: BufReader<TcpStream>,
    mut server: TcpStream,
) -> io::Result<()> {
    let (mut answers, mut back) = (server.try_clone()?, client);
    thread::spawn(move || {
        io::copy(&mut answers, &mut back).ok();
        back.shutdown(Shutdown::Write).ok();
    });
    io::copy(&mut received, &mut server)?;
    server.shutdown(Shutdown::Write)
}

/// Takes what was sent part by part.
struct Wire(TcpStream);

impl Wire {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).map(|()| bytes)
    }

    /// A text behind its length.
    fn text(&mut self) -> io::Result<String> {
        let [length] = self.take()?;
        let mut bytes = vec![0; length.into()];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes.escape_ascii().to_string())
    }
}

/// SOCKS5 with a login.
fn socks(client: TcpStream, origin: u16, record: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut wire = Wire(client);
    let [_version] = wire.take()?;
    let mut note = format!("offers {}", wire.text()?);
    wire.0.write_all(&[5, 2])?;
    let [_version] = wire.take()?;
    let (user, password) = (wire.text()?, wire.text()?);
    let welcome = user == "user" && password == "p@ss w%rd";
    note.push_str(&format!(" | {user} {password}"));
    wire.0.write_all(&[1, u8::from(!welcome)])?;
    if welcome {
        let [_version, _command, _reserved, kind] = wire.take()?;
        let host = match kind {
            1 => format!("ipv4 {:?}", wire.take::<4>()?),
            3 => format!("name {}", wire.text()?),
            _ => format!("ipv6 {:?}", wire.take::<16>()?),
        };
        let port = u16::from_be_bytes(wire.take()?);
        note.push_str(&format!(" | {host} {port}"));
    }
    record.lock().expect("nobody panicked").push(note);
    if !welcome {
        return Ok(());
    }
    wire.0.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let server = TcpStream::connect(("127.0.0.1", origin))?;
    let received = BufReader::new(wire.0.try_clone()?);
    lead(wire.0, received, server)
}

/// Settings with parents, that allow the name at any port.
fn through(parents: &Value) -> Value {
    json!({
        "network": {"allowedDomains": [NAME, "192.0.2.7"], "deniedDomains": [], "parentProxy": parents},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
}

fn url(scheme: &str, parent: &Parent) -> String {
    format!("{scheme}://{USERINFO}@127.0.0.1:{}", parent.port)
}

fn curl<'b>(bed: &'b Bed, settings: &Value, words: &[&str]) -> Srt<'b> {
    let curl = sandbox_tests::tool("curl").expect("curl was asked for");
    bed.srt()
        .flat(settings)
        .args([curl.to_str().expect("a path in UTF-8"), "-sS", "-m", "20"])
        .args(words.iter().copied())
        .within(60.0)
}

/// Neither of the password's spellings stands in it.
fn tells_nothing(text: &str) {
    for secret in [BASIC, USERINFO, "p@ss", "p%40ss", "w%rd"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn tunnels_and_requests_go_to_an_http_parent_with_the_login() {
    need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let parent = Parent::http(&origin, Manner::Works);
    let settings = through(&json!({"http": url("http", &parent)}));
    let target = format!("http://{NAME}:8001/a/b?c=d");
    // Nothing on the host knows the name.
    let run = |words: &[&str]| -> Output {
        let mut words = words.to_vec();
        words.push(&target);
        curl(&bed, &settings, &words).run().ok()
    };
    run(&[]).prints("ORIGIN GET /a/b?c=d 0\n");
    let login = format!("Basic {BASIC}");
    let whole = format!("http://{NAME}:8001/a/b?c=d");
    assert_eq!(
        parent.asked(),
        [format!("GET {whole} HTTP/1.1 | {NAME}:8001 | {login}")]
    );
    run(&["-d", "body", "-H", "Proxy-Authorization: Basic bWU6bWU="])
        .prints("ORIGIN POST /a/b?c=d 4\n");
    assert_eq!(
        parent.asked(),
        [format!("POST {whole} HTTP/1.1 | {NAME}:8001 | {login}")]
    );
    let tunnel = format!("CONNECT {NAME}:8001 HTTP/1.1 | {NAME}:8001 | {login}");
    // By CONNECT, by SOCKS, by a plain connection; and what no proxy is given: upgrades, TRACE
    // however it is spelt, and what nobody knows.
    for words in [
        &["-p"][..],
        &["-x", "socks5h://127.0.0.1:1080"],
        &["--noproxy", "*"],
        &[
            "-H",
            "Connection: Upgrade",
            "-H",
            "Upgrade: websocket",
            "--http1.1",
            "-m",
            "2",
        ],
        &["-X", "TRACE"],
        &["-X", "trace"],
        &["-X", "Trace"],
        &["-X", "TRACK"],
        &["-X", "track"],
        &["-X", "get"],
    ] {
        let mut words = words.to_vec();
        words.push(&target);
        let output = curl(&bed, &settings, &words).run();
        assert_eq!(
            parent.asked(),
            std::slice::from_ref(&tunnel),
            "{words:?}\n{output}"
        );
    }
    for request in origin.requests() {
        assert_eq!(request.header("proxy-authorization"), None, "{request:?}");
    }
    let denied = curl(&bed, &settings, &[&format!("http://{OTHER}:8001/")]).run();
    assert!(
        denied.text().contains("blocked by network allowlist"),
        "{denied}"
    );
    let denied = curl(&bed, &settings, &["-p", &format!("http://{OTHER}:8001/")]).run();
    assert_ne!(denied.code(), Some(0), "{denied}");
    assert_eq!(parent.asked(), [""; 0]);
}

#[test]
fn a_socks_parent_gets_the_login_and_names_or_addresses() {
    need_names!();
    need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let parent = Parent::socks(&origin);
    let target = format!("http://{NAME}:8001/");
    for (scheme, host) in [
        ("socks5h", format!("name {NAME}")),
        ("socks5", "ipv4 [192, 0, 2, 7]".to_owned()),
    ] {
        let settings = through(&json!({"http": url(scheme, &parent)}));
        for words in [&[][..], &["-p"], &["--noproxy", "*"]] {
            let mut words = words.to_vec();
            words.push(&target);
            let srt = curl(&bed, &settings, &words).hosts(&[(NAME, "192.0.2.7")]);
            srt.run().ok().prints("ORIGIN GET / 0\n");
            let note = format!("offers \\x00\\x02 | user p@ss w%rd | {host} 8001");
            assert_eq!(parent.asked(), [note], "{words:?}");
        }
    }
    // What is looked up here is judged here: this name leads to the host itself.
    let settings = through(&json!({"http": url("socks5", &parent)}));
    let srt = curl(&bed, &settings, &[&target]).hosts(&[(NAME, "127.0.0.1")]);
    let denied = srt.run();
    assert!(denied.text().contains("loopback"), "{denied}");
    // A literal is judged, whoever dials it.
    let metadata = json!({"http": url("socks5h", &parent)});
    let denied = curl(&bed, &through(&metadata), &["http://169.254.169.254/"]).run();
    assert!(denied.text().contains("blocked"), "{denied}");
    assert_eq!(parent.asked(), [""; 0]);
    let refused = format!("socks5h://user:wrong@127.0.0.1:{}", parent.port);
    let output = curl(&bed, &through(&json!({"http": refused})), &["-i", &target]).run();
    assert!(output.text().starts_with("HTTP/1.1 502"), "{output}");
    assert!(output.text().contains("it refuses the login"), "{output}");
}

#[test]
fn each_kind_and_each_host_has_its_own_way() {
    need_names!();
    need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let (one, two) = (Parent::http(&origin, Manner::Works), Parent::socks(&origin));
    let local = format!("http://{OTHER}:{}/", origin.port());
    let mut settings = settings(
        &[
            NAME,
            OTHER,
            "localhost",
            &format!("127.0.0.1:{}", origin.port()),
        ],
        &[],
    );
    settings["network"]["parentProxy"] = json!({
        "http": url("http", &one), "https": url("socks5h", &two), "noProxy": ".other.srt.test:1,other.srt.test",
    });
    let run = |words: &[&str]| {
        let srt = curl(&bed, &settings, words);
        srt.hosts(&[(OTHER, "127.0.0.1")]).run()
    };
    let target = format!("http://{NAME}/");
    run(&[&target]).ok();
    assert_eq!((one.asked().len(), two.asked().len()), (1, 0));
    run(&["-p", &target]).ok();
    assert_eq!((one.asked().len(), two.asked().len()), (0, 1));
    // Exceptions are dialled, after their addresses were judged.
    for words in [&[][..], &["-p"], &["--noproxy", "*"]] {
        let mut words = words.to_vec();
        words.push(&local);
        run(&words).ok().prints("ORIGIN GET / 0\n");
    }
    // So is the loopback, always.
    run(&[&format!("http://localhost:{}/", origin.port())]).ok();
    assert_eq!((one.asked(), two.asked()), (vec![], vec![]));
}

#[test]
fn a_parent_that_fails_is_told_and_never_gone_around() {
    need_names!();
    need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = free.local_addr().expect("its address").port();
    drop(free);
    let target = format!("http://{NAME}:{}/", origin.port());
    let run = |parent: &str, words: &[&str]| {
        let mut settings = settings(&[NAME, &format!("127.0.0.1:{}", origin.port())], &[]);
        settings["network"]["parentProxy"] = json!({"http": parent});
        let mut words = words.to_vec();
        words.extend(["-i", &target]);
        let srt = curl(&bed, &settings, &words);
        // A direct dial would reach the origin.
        srt.hosts(&[(NAME, "127.0.0.1")]).run()
    };
    let at = |port: u16| format!("http://{USERINFO}@127.0.0.1:{port}");
    for (answer, why) in [
        (
            &b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"[..],
            "status 403",
        ),
        (
            b"HTTP/1.1 407 Nope\r\nContent-Length: 0\r\n\r\n",
            "refuses the login",
        ),
        (b"", "broke off"),
        (b"nonsense\r\n\r\n", "malformed"),
    ] {
        let parent = Parent::http(&origin, Manner::Says(answer));
        let tunnel = run(&at(parent.port), &["-p"]);
        let text = format!("{}{}", tunnel.text(), tunnel.errors());
        assert!(tunnel.text().starts_with("HTTP/1.1 502"), "{tunnel}");
        assert!(tunnel.text().contains(why), "{why}: {tunnel}");
        tells_nothing(&text);
        assert_eq!(parent.asked().len(), 1);
        let socks = run(&at(parent.port), &["-x", "socks5h://127.0.0.1:1080"]);
        assert_ne!(socks.code(), Some(0), "{socks}");
        let plain = run(&at(parent.port), &["--noproxy", "*"]);
        assert_ne!(plain.code(), Some(0), "{plain}");
        parent.asked();
    }
    // To the command a parent's 407 would look like ours.
    let parent = Parent::http(&origin, Manner::Works);
    let wrong = format!("http://user:wrong@127.0.0.1:{}", parent.port);
    let output = run(&wrong, &[]);
    assert!(output.text().starts_with("HTTP/1.1 502"), "{output}");
    assert!(
        !output.text().to_lowercase().contains("proxy-authenticate"),
        "{output}"
    );
    for (parent, why) in [
        (at(closed), "nothing accepts there"),
        ("http://nowhere.srt.test:1".to_owned(), "can't be resolved"),
    ] {
        for words in [&[][..], &["-p"]] {
            let output = run(&parent, words);
            assert!(output.text().starts_with("HTTP/1.1 502"), "{output}");
            assert!(output.text().contains(why), "{why}: {output}");
        }
    }
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn a_published_port_is_no_parent() {
    let python = python!("socket", "threading");
    let bed = Bed::new();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    // A server inside at the place of a proxy that does not run: it would be given the login.
    let serve = r#"
import socket, sys, threading
got = []
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def take():
    while True:
        s, _ = listener.accept()
        got.append(s.recv(65536))
        s.close()
threading.Thread(target=take, daemon=True).start()
for head in (b"CONNECT origin.srt.test:1 HTTP/1.1\r\nHost: origin.srt.test:1\r\n\r\n",
             b"GET http://origin.srt.test/ HTTP/1.1\r\nHost: origin.srt.test\r\n\r\n"):
    s = socket.create_connection(("127.0.0.1", 3128), 20)
    s.sendall(head)
    answer = s.recv(65536)
    print(answer.split(b"\r\n")[0].decode(), b"leads back" in answer)
print(got)
"#;
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let parent = format!("http://{USERINFO}@{host}:{port}");
        let settings = through(&json!({"http": parent}));
        let srt = bed.srt().flat(&settings);
        let srt = srt.options(["--publish".to_owned(), port.to_string()]);
        let output = srt
            .py(&python, serve, &[&port.to_string()])
            .within(60.0)
            .run();
        let line = "HTTP/1.1 502 Bad Gateway True\n";
        output.ok().prints(format!("{line}{line}[]\n"));
    }
}

#[test]
fn a_silent_parent_ends_with_504() {
    need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let parent = Parent::http(&origin, Manner::Silent);
    let settings = through(&json!({"http": url("http", &parent)}));
    let target = format!("http://{NAME}:8001/");
    let output = bed
        .srt()
        .flat(&settings)
        .args(["curl", "-sS", "-m", "60", "-i", "-p", &target])
        .within(90.0)
        .run();
    assert!(output.text().starts_with("HTTP/1.1 504"), "{output}");
    assert!(output.text().contains("took too long"), "{output}");
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn the_environment_names_parents_where_settings_do_not() {
    need_names!();
    need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let (of_settings, of_environment) = (
        Parent::http(&origin, Manner::Works),
        Parent::http(&origin, Manner::Works),
    );
    let target = format!("http://{NAME}:{}/", origin.port());
    let open = || settings(&[NAME, &format!("127.0.0.1:{}", origin.port())], &[]);
    let run = |settings: &Value, variables: &[(&str, String)], words: &[&str]| {
        let mut words = words.to_vec();
        words.push(&target);
        let srt = curl(&bed, settings, &words).hosts(&[(NAME, "127.0.0.1")]);
        let srt = variables
            .iter()
            .fold(srt, |srt, (name, value)| srt.env(name, value));
        srt.run()
    };
    let there = url("http", &of_environment);
    let count = || (of_settings.asked().len(), of_environment.asked().len());
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        for words in [&[][..], &["-p"]] {
            run(&open(), &[(name, there.clone())], words).ok();
            assert_eq!(count(), (0, 1), "{name} {words:?}");
        }
    }
    run(&open(), &[("https_proxy", there.clone())], &["-p"]).ok();
    assert_eq!(count(), (0, 1));
    // With a proxy for the rest alone, plain requests are dialled.
    run(&open(), &[("HTTPS_PROXY", there.clone())], &[]).ok();
    assert_eq!(count(), (0, 0));
    let spared = [
        ("HTTP_PROXY", there.clone()),
        ("NO_PROXY", "srt.test".to_owned()),
    ];
    run(&open(), &spared, &[]).ok();
    assert_eq!(count(), (0, 0));
    let mut both = open();
    both["network"]["parentProxy"] = json!({"http": url("http", &of_settings)});
    run(&both, &[("HTTP_PROXY", there.clone())], &[]).ok();
    assert_eq!(count(), (1, 0));
    both["network"]["parentProxy"] = json!({"http": "", "https": ""});
    run(&both, &[("HTTP_PROXY", there)], &[]).ok();
    assert_eq!(count(), (0, 0));
    // What can't be used is no reason to go around it.
    let before = origin.accepted();
    let unusable = format!("https://{USERINFO}@127.0.0.1:1");
    let output = run(&open(), &[("HTTP_PROXY", unusable)], &["-i"]);
    assert!(output.text().starts_with("HTTP/1.1 502"), "{output}");
    assert!(output.text().contains("TLS"), "{output}");
    tells_nothing(&output.text());
    assert_eq!(origin.accepted(), before);
}

#[test]
fn a_login_is_nowhere_inside_and_in_no_text() {
    need_names!();
    let python = python!("subprocess", "socket", "urllib.request");
    let bed = Bed::new();
    let origin = Origin::start();
    let parent = Parent::http(&origin, Manner::Works);
    let there = url("http", &parent);
    // Everything that a command can look at: variables, arguments, files, what the proxies answer.
    let look = r#"
import glob, os, subprocess, sys, urllib.request, socket
found = [repr(dict(os.environ))]
for path in glob.glob("/proc/*/environ") + glob.glob("/proc/*/cmdline") + sys.argv[2:]:
    try: found.append(open(path, errors="replace").read())
    except OSError as error: found.append(f"{path}: {error.strerror}")
for url in (sys.argv[1], "http://denied.test/"):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer: found.append(str(answer.headers) + answer.read().decode())
    except urllib.error.HTTPError as error: found.append(str(error.headers) + error.read().decode())
s = socket.create_connection(("127.0.0.1", 3128), 20)
s.sendall(f"TRACE {sys.argv[1]} HTTP/1.1\r\nHost: {sys.argv[1].split('/')[2]}\r\nConnection: close\r\nMax-Forwards: 0\r\n\r\n".encode())
while part := s.recv(65536): found.append(part.decode(errors="replace"))
print("\n".join(found))
"#;
    let target = format!("http://{NAME}:8001/");
    let file = bed.root().join("settings.json");
    let told = bed.root().join("told");
    let variables = [
        ("HTTP_PROXY", there.clone()),
        ("https_proxy", there.clone()),
        ("npm_config_proxy", there.clone()),
        (
            "MY_PROXY",
            format!("user:p@ss w%rd@127.0.0.1:{}", parent.port),
        ),
        ("HARMLESS", "me@there.test".to_owned()),
    ];
    let mut by_file = settings(&[NAME], &[]);
    by_file["network"]["parentProxy"] = json!({"http": there});
    for (settings, variables) in [
        (settings(&[NAME], &[]), &variables[..]),
        (by_file.clone(), &variables[2..]),
    ] {
        let srt = bed
            .srt()
            .flat(&settings)
            .options([
                "--debug".as_ref(),
                "--violations".as_ref(),
                told.as_os_str(),
            ])
            .py(&python, look, &[&target, file.to_str().expect("UTF-8")]);
        let srt = variables
            .iter()
            .fold(srt, |srt, (name, value)| srt.env(name, value));
        let output = srt.within(60.0).run().ok();
        let text = output.text();
        assert!(text.contains("ORIGIN GET / 0"), "{output}");
        assert!(text.contains("HARMLESS"), "{output}");
        // The bed's own command line has the settings, so only what was printed counts.
        tells_nothing(&text);
        tells_nothing(&output.errors());
        tells_nothing(&std::fs::read_to_string(&told).expect("refusals were told"));
        parent.asked();
    }
    // Nor does `srt` tell it: in the settings in effect, in errors that quote the file.
    let shown = bed.srt().flat(&by_file).options(["settings"]).run().ok();
    let text = format!("{}{}", shown.text(), shown.errors());
    assert!(
        text.contains(&format!("http://127.0.0.1:{} (with a login)", parent.port)),
        "{text}"
    );
    tells_nothing(&text);
    let line = by_file.to_string();
    for (wrong, right) in [
        ("\"allowedDomains\"", "\"allowedDomain\""),
        ("http://user", "gopher://user"),
    ] {
        let broken = line.replace(wrong, right);
        let output = bed.srt().settings_text(&broken).args(["true"]).run();
        assert_ne!(output.code(), Some(0));
        assert!(output.errors().contains("settings.json"), "{output}");
        tells_nothing(&output.errors());
    }
}

/// A parent stands in some network, and looks names up there.
#[test]
fn a_permissive_run_gives_a_parent_no_name_of_the_machines_own_network() {
    need_names!();
    need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let parent = Parent::http(&origin, Manner::Works);
    let mut base = settings(&[], &[]);
    base["network"]["parentProxy"] = json!({"http": url("http", &parent)});
    let file = bed.file("settings.json", format!("{base:#}\n"));
    let names = [
        ("private.example", "10.1.2.3"),
        ("loop.example", "127.0.0.1"),
        ("public.example", "93.184.215.14"),
    ];
    let run = |hosts: &[&str], options: &[&str]| {
        let each = |host: &&str| {
            format!(
                "for how in -p --http1.1; do curl -sS -m 10 $how http://{host}:8001/; done; \
                 curl -sS -m 10 -x socks5h://127.0.0.1:1080 http://{host}:8001/; "
            )
        };
        let lines: String = hosts.iter().map(each).collect();
        let srt = bed.srt().hosts(&names).options(options.iter().copied());
        let srt = srt.options(["--settings".as_ref(), file.as_os_str()]);
        srt.args(["learn", "--permissive"])
            .sh(&format!("{lines}true"))
            .within(90.0)
            .run()
    };
    // Nobody here knows the last one.
    let closed = [
        "private.example",
        "loop.example",
        "10.1.2.3",
        "unknown.example",
    ];
    let output = run(&closed, &[]);
    let errors = output.errors();
    if errors.contains("cannot show a copy") || errors.contains("cannot make a private place") {
        sandbox_tests::count_skip("overlayfs can't be mounted in a user namespace here");
        return;
    }
    let output = output.ok();
    assert_eq!(parent.asked(), [""; 0], "{output}");
    for host in closed {
        assert!(
            !output.text().contains(&format!("\"{host}")),
            "{host} is proposed\n{output}"
        );
    }
    let output = run(&["public.example"], &[]).ok();
    assert_eq!(parent.asked().len(), 3, "{output}");
    assert!(output.text().contains("\"public.example"), "{output}");
    // Somebody who lists a host means it.
    let output = run(&["unknown.example"], &["--allow-domain", "unknown.example"]).ok();
    assert_eq!(parent.asked().len(), 3, "{output}");
}
