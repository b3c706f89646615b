//! The two loopbacks: strangers, but for the ports that are named.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a witness that fails is a failed test"
)]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};
use sandbox_tests::{Bed, Running, Srt, inapplicable, is_root, need, python, timeout, wait_until};
use serde_json::{Value, json};

/// A server: see its first lines.
const SERVE: &str = include_str!("serve.py");
/// A client: see its first lines.
const ASK: &str = include_str!("ports.py");

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// A server of the host that says what it hears backwards, once its client has said everything.
struct Mirror {
    port: u16,
    accepted: Arc<AtomicUsize>,
    /// Keeps servers of other tests off the same port of the other family, where a client would find them first.
    reserved: Option<OwnedFd>,
}

impl Mirror {
    fn on(address: IpAddr, port: u16) -> Self {
        let listener = TcpListener::bind((address, port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || mirror(stream));
            }
        });
        Self {
            port,
            accepted,
            reserved: None,
        }
    }

    /// A server whose port no other one gets in the other family, where nothing listens.
    fn alone_on(address: IpAddr) -> Self {
        let other = if address.is_ipv4() { V6 } else { V4 };
        for _ in 0..100 {
            let mut server = Self::on(address, 0);
            let family = if other.is_ipv4() {
                AddressFamily::INET
            } else {
                AddressFamily::INET6
            };
            let socket = rustix::net::socket(family, SocketType::STREAM, None).unwrap();
            if rustix::net::bind(&socket, &SocketAddr::new(other, server.port)).is_ok() {
                server.reserved = Some(socket);
                return server;
            }
        }
        panic!("every port that is free in one family has a server in the other");
    }

    fn accepted(&self) -> usize {
        // What the kernel completed may not have been counted yet.
        std::thread::sleep(Duration::from_millis(50));
        self.accepted.load(Ordering::SeqCst)
    }
}

fn mirror(mut stream: TcpStream) -> std::io::Result<()> {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard)?;
    heard.reverse();
    stream.write_all(&heard)
}

/// Ports that nobody has; both loopback addresses were free a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let held: Vec<_> = std::iter::repeat_with(|| TcpListener::bind((V4, 0)).unwrap())
        .filter(|v4| TcpListener::bind((V6, v4.local_addr().unwrap().port())).is_ok())
        .take(N)
        .collect();
    std::array::from_fn(|index| held[index].local_addr().unwrap().port())
}

fn settings(network: Value) -> Value {
    let mut all = json!({ "allowedDomains": [], "deniedDomains": [] });
    for (key, value) in network.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({
        "network": all,
        "filesystem": { "denyRead": [], "allowWrite": ["."], "denyWrite": [] },
    })
}

/// What a client inside gets from each `address/port`.
fn ask_inside(bed: &Bed, python: &Path, settings: &Value, words: &[String]) -> Vec<String> {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let output = bed.srt().flat(settings).py(python, ASK, &words).run().ok();
    output.text().lines().map(str::to_owned).collect()
}

fn word(address: IpAddr, port: u16) -> String {
    format!("{address}/{port}")
}

/// Says `bytes` to a server and returns what comes back until the end.
fn talk(address: IpAddr, port: u16, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let address = SocketAddr::new(address, port);
    let mut stream = TcpStream::connect_timeout(&address, timeout(10.0))?;
    stream.set_read_timeout(Some(timeout(60.0)))?;
    let mut writer = stream.try_clone()?;
    let said = bytes.to_owned();
    let saying = std::thread::spawn(move || {
        writer.write_all(&said)?;
        writer.shutdown(Shutdown::Write)
    });
    let mut heard = Vec::new();
    let read = stream.read_to_end(&mut heard);
    let said = saying.join().unwrap();
    read.and(said).map(|()| heard)
}

/// A run whose command is a server, which listens after `delay` seconds.
fn serving(run: Srt<'_>, python: &Path, delay: &str, words: &[String]) -> Running {
    let mut arguments = vec![delay];
    arguments.extend(words.iter().map(String::as_str));
    run.open_stdin()
        .within(120.0)
        .py(python, SERVE, &arguments)
        .spawn()
}

fn is_up(address: IpAddr, port: u16) -> bool {
    let up = || talk(address, port, b"abc").is_ok_and(|heard| heard == b"cba");
    wait_until(timeout(20.0), up)
}

/// Ends a server by the end of its input.
fn end(mut server: Running) {
    drop(server.stdin());
    drop(server.finish(timeout(20.0)));
}

#[test]
fn a_listed_port_of_the_host_is_there_inside() {
    let python = python!("socket");
    let bed = Bed::new();
    let listed = Mirror::alone_on(V4);
    let other = Mirror::alone_on(V4);
    let words = [listed.port, other.port].map(|port| word(V4, port));
    let answers = |network: Value| ask_inside(&bed, &python, &settings(network), &words);
    let port = listed.port;
    for (network, works) in [
        (json!({ "hostPorts": [port] }), true),
        (
            json!({ "allowedDomains": [format!("localhost:{port}")] }),
            true,
        ),
        (
            json!({ "allowedDomains": [format!("127.0.0.1:{port}")] }),
            true,
        ),
        (
            json!({ "allowedDomains": [format!("[::1]:{port}")] }),
            false,
        ),
        // Strangers: nothing is named, or all ports are, which only proxies can lead to.
        (json!({}), false),
        (json!({ "allowedDomains": ["localhost"] }), false),
        // Whoever denies it wins.
        (
            json!({ "hostPorts": [port], "deniedDomains": [format!("localhost:{port}")] }),
            false,
        ),
        (
            json!({ "hostPorts": [port], "deniedDomains": ["127.0.0.1", "[::1]"] }),
            false,
        ),
        (
            json!({ "hostPorts": [port], "deniedDomains": ["*"] }),
            false,
        ),
    ] {
        let before = listed.accepted();
        let expected = if works {
            "cba"
        } else {
            "ConnectionRefusedError"
        };
        assert_eq!(
            answers(network.clone()),
            [
                format!("{} {expected}", words[0]),
                format!("{} ConnectionRefusedError", words[1])
            ],
            "{network}"
        );
        assert_eq!(listed.accepted() - before, usize::from(works), "{network}");
    }
    assert_eq!(other.accepted(), 0);
}

#[test]
fn both_families_lead_to_the_server_wherever_it_listens() {
    let python = python!("socket");
    let bed = Bed::new();
    let (v4, v6) = (Mirror::alone_on(V4), Mirror::alone_on(V6));
    let network = json!({ "hostPorts": [v4.port, v6.port] });
    let mut words = Vec::new();
    for port in [v4.port, v6.port] {
        words.extend([word(V4, port), word(V6, port), format!("localhost/{port}")]);
    }
    let expected: Vec<_> = words.iter().map(|word| format!("{word} cba")).collect();
    assert_eq!(
        ask_inside(&bed, &python, &settings(network), &words),
        expected
    );
    assert_eq!((v4.accepted(), v6.accepted()), (3, 3));
    // One address alone is that one.
    let network =
        json!({ "allowedDomains": [format!("[::1]:{}", v6.port), format!("[::1]:{}", v4.port)] });
    let words = [word(V6, v6.port), word(V4, v6.port), word(V6, v4.port)];
    assert_eq!(
        ask_inside(&bed, &python, &settings(network), &words),
        [
            format!("{} cba", words[0]),
            format!("{} ConnectionRefusedError", words[1]),
            format!("{} ConnectionResetError", words[2]),
        ]
    );
    assert_eq!((v4.accepted(), v6.accepted()), (3, 4));
}

#[test]
fn the_proxies_lead_there_too() {
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = sandbox_tests::Origin::start();
    let port = origin.port();
    let network = json!({ "hostPorts": [port] });
    for (host, extra) in [
        ("localhost", vec![]),
        ("127.0.0.1", vec![]),
        (
            "localhost",
            vec!["--noproxy", "", "-x", "http://127.0.0.1:3128"],
        ),
        (
            "127.0.0.1",
            vec!["--noproxy", "", "-x", "http://127.0.0.1:3128"],
        ),
        (
            "127.0.0.1",
            vec!["--noproxy", "", "-p", "-x", "http://127.0.0.1:3128"],
        ),
        (
            "localhost",
            vec!["--noproxy", "", "-x", "socks5h://127.0.0.1:1080"],
        ),
        (
            "127.0.0.1",
            vec!["--noproxy", "", "-x", "socks5h://127.0.0.1:1080"],
        ),
    ] {
        let url = format!("http://{host}:{port}/");
        let mut words = vec![curl.to_str().unwrap(), "-sS"];
        words.extend(&extra);
        words.push(&url);
        let output = bed.srt().flat(&settings(network.clone())).args(words).run();
        output.ok().prints("ORIGIN GET / 0\n");
    }
    assert_eq!(origin.accepted(), 7);
}

#[test]
fn a_server_that_is_not_there_is_a_reset_and_not_a_wait() {
    let python = python!("socket");
    let bed = Bed::new();
    let [port] = free_ports();
    let network = json!({ "hostPorts": [port] });
    let started = Instant::now();
    assert_eq!(
        ask_inside(&bed, &python, &settings(network), &[word(V4, port)]),
        [format!("{} ConnectionResetError", word(V4, port))]
    );
    assert!(started.elapsed() < timeout(10.0));
}

#[test]
fn a_listed_port_is_taken_inside() {
    let python = python!("socket");
    let bed = Bed::new();
    let listed = Mirror::alone_on(V4);
    let [free] = free_ports();
    let program = "
import socket, sys
for port in sys.argv[1:]:
    for address in ('127.0.0.1', '0.0.0.0'):
        try:
            socket.create_server((address, int(port))).close()
            print('free')
        except OSError as error:
            print(error.errno)
";
    let arguments = [listed.port.to_string(), free.to_string()];
    let arguments = arguments.each_ref().map(String::as_str);
    // EADDRINUSE
    bed.srt()
        .flat(&settings(json!({ "hostPorts": [listed.port] })))
        .py(&python, program, &arguments)
        .run()
        .ok()
        .prints("98\n98\nfree\nfree\n");
}

#[test]
fn a_privileged_port_of_the_host_is_there_inside() {
    if !is_root() {
        inapplicable!("only a privileged user has a server there");
    }
    let python = python!("socket");
    let bed = Bed::new();
    let low = (600..1024).find(|port| TcpListener::bind((V4, *port)).is_ok());
    let listed = Mirror::on(V4, low.unwrap());
    let words = [word(V4, listed.port)];
    assert_eq!(
        ask_inside(
            &bed,
            &python,
            &settings(json!({ "hostPorts": [listed.port] })),
            &words
        ),
        [format!("{} cba", words[0])]
    );
}

#[test]
fn many_ports_are_there_at_once() {
    let python = python!("socket");
    let bed = Bed::new();
    let listed: Vec<_> = (0..40).map(|_| Mirror::alone_on(V4)).collect();
    let ports: Vec<_> = listed.iter().map(|mirror| mirror.port).collect();
    let words: Vec<_> = ports.iter().map(|port| word(V6, *port)).collect();
    let expected: Vec<_> = words.iter().map(|word| format!("{word} cba")).collect();
    assert_eq!(
        ask_inside(
            &bed,
            &python,
            &settings(json!({ "hostPorts": ports })),
            &words
        ),
        expected
    );
}

#[test]
fn explaining_gives_the_same_verdict() {
    let python = python!("socket");
    let bed = Bed::new();
    let (listed, other) = (Mirror::alone_on(V4), Mirror::alone_on(V4));
    let network = json!({
        "hostPorts": [listed.port, other.port],
        "deniedDomains": [format!("localhost:{}", other.port)],
    });
    let settings = settings(network);
    for (port, works) in [(listed.port, true), (other.port, false)] {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let object = format!("{host}:{port}");
            let output = bed
                .srt()
                .flat(&settings)
                .args(["explain", "connect", &object])
                .run();
            assert_eq!(output.code(), Some(i32::from(!works)), "{output}");
            let with_and_without = output.text().contains("with and without the proxies");
            assert_eq!(with_and_without, works, "{output}");
            let address = if host == "[::1]" { V6 } else { V4 };
            let answers = ask_inside(&bed, &python, &settings, &[word(address, port)]);
            assert_eq!(answers[0].ends_with(" cba"), works, "{answers:?}");
        }
    }
}

#[test]
fn a_published_server_is_there_on_the_hosts_loopback_alone() {
    let python = python!("socket");
    let bed = Bed::new();
    let [same, outside, inside, secret] = free_ports();
    let words = [same, inside, secret].map(|port| word(V4, port));
    let settings = settings(json!({ "publishPorts": [same] }));
    let run = bed.srt().flat(&settings);
    let run = run.options(["-p", &format!("{outside}:{inside}")]);
    let server = serving(run, &python, "0", &words);
    for port in [same, outside] {
        for address in [V4, V6] {
            assert!(is_up(address, port), "{address} {port}");
        }
    }
    // What is not published is not there, and neither is the inner number of what is.
    for port in [secret, inside] {
        let refused = talk(V4, port, b"abc").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    // Other addresses of the host have no listener.
    for address in listeners(&[same, outside]) {
        assert!(address.ip().is_loopback(), "{address}");
    }
    assert_eq!(listeners(&[same, outside]).len(), 4);
    end(server);
    assert_eq!(listeners(&[same, outside]), []);
    assert!(talk(V4, same, b"abc").is_err());
}

/// The host's TCP listeners at some ports (proc(5), `/proc/net/tcp`).
fn listeners(ports: &[u16]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap();
        for line in text.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let (address, port) = fields[1].split_once(':').unwrap();
            let port = u16::from_str_radix(port, 16).unwrap();
            // LISTEN
            if fields[3] == "0A" && ports.contains(&port) {
                found.push(SocketAddr::new(table_address(address), port));
            }
        }
    }
    found
}

/// Words of 32 bits in the machine's byte order.
fn table_address(text: &str) -> IpAddr {
    let words = text.as_bytes().chunks(8).flat_map(|word| {
        let word = std::str::from_utf8(word).unwrap();
        u32::from_str_radix(word, 16).unwrap().to_ne_bytes()
    });
    let bytes: Vec<_> = words.collect();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => v4.into(),
        Err(_) => <[u8; 16]>::try_from(bytes.as_slice()).unwrap().into(),
    }
}

#[test]
fn a_published_server_may_listen_on_either_address() {
    let python = python!("socket");
    let bed = Bed::new();
    let [only_v4, only_v6, any] = free_ports();
    let words = [
        word(V4, only_v4),
        word(V6, only_v6),
        format!("0.0.0.0/{any}"),
    ];
    let ports = [only_v4, only_v6, any];
    let settings = settings(json!({ "publishPorts": ports }));
    let server = serving(bed.srt().flat(&settings), &python, "0", &words);
    for port in ports {
        for address in [V4, V6] {
            assert!(is_up(address, port), "{address} {port}");
        }
    }
    end(server);
}

#[test]
fn a_server_that_starts_late_keeps_nobody_waiting() {
    let python = python!("socket");
    let bed = Bed::new();
    let [port] = free_ports();
    let settings = settings(json!({ "publishPorts": [port] }));
    let server = serving(bed.srt().flat(&settings), &python, "3", &[word(V4, port)]);
    assert!(wait_until(timeout(10.0), || !listeners(&[port]).is_empty()));
    let started = Instant::now();
    let early = talk(V4, port, b"abc").unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(started.elapsed() < timeout(2.0), "{:?}", started.elapsed());
    assert!(is_up(V4, port));
    end(server);
}

#[test]
fn a_taken_port_is_an_error_before_the_command_runs() {
    let bed = Bed::new();
    let taken = Mirror::on(V4, 0);
    let [free] = free_ports();
    let run = |mapping: String| {
        let run = bed.srt().options(["-p", &mapping]);
        run.sh("echo ran; touch ran").run()
    };
    let output = run(format!("{}:{free}", taken.port)).exits(125);
    let errors = output.errors();
    assert!(
        errors.contains(&format!("cannot publish port {}", taken.port)),
        "{output}"
    );
    assert!(
        errors.contains("another program of this machine has it"),
        "{output}"
    );
    assert!(bed.work().join("ran").metadata().is_err() && output.text().is_empty());
    assert_eq!(taken.accepted(), 0);
    // Inside the number is free.
    run(format!("{free}:{}", taken.port)).ok().prints("ran\n");
    // The other family's alone is no better: a client that takes it would talk to a stranger.
    let taken = Mirror::on(V6, 0);
    let output = run(taken.port.to_string()).exits(125);
    assert!(output.errors().contains("at `::1`"), "{output}");
}

#[test]
fn privileged_ports_are_for_the_privileged() {
    if is_root() {
        inapplicable!("root may have any port");
    }
    let bed = Bed::new();
    let output = bed
        .srt()
        .options(["-p", "443"])
        .sh("echo ran")
        .run()
        .exits(125);
    assert!(
        output.errors().contains("the port is privileged"),
        "{output}"
    );
    assert!(output.errors().contains("-p 8080:80"), "{output}");
    assert!(output.text().is_empty());
    // Behind another one it is no matter of privilege.
    let [free] = free_ports();
    let mapping = format!("{free}:443");
    bed.srt()
        .options(["-p", &mapping])
        .sh("echo ran")
        .run()
        .ok()
        .prints("ran\n");
}

#[test]
fn what_names_no_port_is_a_settings_error() {
    let bed = Bed::new();
    for text in [
        "0",
        "65536",
        "http",
        "1:2:3",
        "127.0.0.1:80",
        ":80",
        "80:",
        "+80",
        "080",
        "",
    ] {
        let output = bed
            .srt()
            .options(["--publish", text])
            .sh("echo ran")
            .run()
            .exits(125);
        assert!(output.errors().contains("bad published port"), "{output}");
        assert!(
            output.errors().contains(&format!("--publish {text}")),
            "{output}"
        );
        assert!(output.text().is_empty());
    }
    for (network, key) in [
        (json!({ "hostPorts": [0] }), "network.hostPorts[0]"),
        (json!({ "hostPorts": [80, 65536] }), "network.hostPorts[1]"),
        (json!({ "hostPorts": ["80"] }), "network.hostPorts[0]"),
        (json!({ "hostPort": [80] }), "did you mean `hostPorts`?"),
        (json!({ "publishPorts": [0] }), "network.publishPorts[0]"),
        (json!({ "publishPorts": [true] }), "network.publishPorts[0]"),
        (json!({ "publishPorts": ["80:x"] }), "`x` is no port"),
        (
            json!({ "publishPort": [80] }),
            "did you mean `publishPorts`?",
        ),
    ] {
        let output = bed
            .srt()
            .flat(&settings(network))
            .sh("echo ran")
            .run()
            .exits(125);
        assert!(output.errors().contains(key), "{output}");
        assert!(output.errors().contains("settings.json:1:"), "{output}");
        assert!(output.text().is_empty());
    }
}

#[test]
fn ports_that_exclude_each_other_are_an_error() {
    let bed = Bed::new();
    for (network, text) in [
        (
            json!({ "publishPorts": ["81:1001", "81:1002"] }),
            "can't be published twice",
        ),
        (
            json!({ "publishPorts": [4000], "hostPorts": [4000] }),
            "it is the host's own port",
        ),
        (
            json!({ "publishPorts": ["4001:3128"] }),
            "the sandbox's own listener has it",
        ),
    ] {
        let output = bed
            .srt()
            .flat(&settings(network))
            .sh("echo ran")
            .run()
            .exits(125);
        assert!(output.errors().contains(text), "{output}");
        assert!(output.text().is_empty());
    }
    // A port of our own inside is the proxies' to lead to.
    let network = json!({ "hostPorts": [3128] });
    let output = bed.srt().flat(&settings(network)).sh("echo ran").run().ok();
    assert!(
        output.errors().contains("by way of the proxies only"),
        "{output}"
    );
}

#[test]
fn a_project_opens_no_port_until_it_is_trusted() {
    let python = python!("socket");
    let bed = Bed::new();
    let listed = Mirror::alone_on(V4);
    let [published] = free_ports();
    let content = json!({ "sandbox": { "network": {
        "hostPorts": [listed.port], "publishPorts": [published],
    } } });
    bed.file("work/.claude/settings.json", content.to_string());
    let words = [word(V4, listed.port)];
    let ask = |run: Srt<'_>| run.py(&python, ASK, &[&words[0]]).run().ok();
    let output = ask(bed.srt());
    assert_eq!(
        output.text(),
        format!("{} ConnectionRefusedError\n", words[0])
    );
    assert_eq!(listed.accepted(), 0);
    let held = bed.srt().args(["settings"]).run().ok().text();
    assert!(
        held.contains("held back `sandbox.network.hostPorts`"),
        "{held}"
    );
    assert!(
        held.contains("held back `sandbox.network.publishPorts`"),
        "{held}"
    );
    // The port is free for others while the project is not trusted, and taken afterwards.
    let other = Mirror::on(V4, published);
    ask(bed.srt());
    let refused = bed
        .srt()
        .options(["--trust-project"])
        .sh("echo ran")
        .run()
        .exits(125);
    assert!(
        refused.errors().contains("cannot publish port"),
        "{refused}"
    );
    assert_eq!(other.accepted(), 0);
}

#[test]
fn a_trusted_project_opens_its_ports() {
    let python = python!("socket");
    let bed = Bed::new();
    let listed = Mirror::alone_on(V4);
    let [published] = free_ports();
    let content = json!({ "sandbox": { "network": {
        "hostPorts": [listed.port], "publishPorts": [published],
    } } });
    bed.file("work/.claude/settings.json", content.to_string());
    let trusted = || bed.srt().options(["--trust-project"]);
    let asked = word(V4, listed.port);
    let output = trusted().py(&python, ASK, &[&asked]).run().ok();
    assert_eq!(output.text(), format!("{asked} cba\n"));
    let shown = trusted().args(["settings"]).run().ok().text();
    let origin = "work/.claude/settings.json:1:";
    for row in [
        format!("network.hostPorts {} ", listed.port),
        format!("network.publishPorts \"{published}:{published}\" "),
    ] {
        let line = shown.lines().find(|line| line.starts_with(&row));
        assert!(
            line.is_some_and(|line| line.contains(origin)),
            "{row} in {shown}"
        );
    }
    let server = serving(trusted(), &python, "0", &[word(V6, published)]);
    assert!(is_up(V4, published));
    end(server);
}

#[test]
fn fifty_at_once_both_ways() {
    let python = python!("socket", "threading");
    let bed = Bed::new();
    let listed = Mirror::alone_on(V4);
    let [published] = free_ports();
    // Inside: fifty connections that are all open before the first one says anything.
    let program = "
import socket, sys
streams = [socket.create_connection(('localhost', int(sys.argv[1])), timeout=20) for _ in range(50)]
for number, stream in enumerate(streams):
    stream.sendall(b'%04d' % number); stream.shutdown(socket.SHUT_WR)
heard = [stream.makefile('rb').read() for stream in streams]
print(heard == [(b'%04d' % number)[::-1] for number in range(50)])
";
    let all = settings(json!({ "hostPorts": [listed.port], "publishPorts": [published] }));
    let port = listed.port.to_string();
    let run = bed.srt().flat(&all).within(60.0);
    run.py(&python, program, &[&port])
        .run()
        .ok()
        .prints("True\n");
    assert_eq!(listed.accepted(), 50);
    let server = serving(bed.srt().flat(&all), &python, "0", &[word(V4, published)]);
    assert!(is_up(V4, published));
    let mut streams: Vec<_> = (0..50)
        .map(|number| {
            TcpStream::connect((if number % 2 == 0 { V4 } else { V6 }, published)).unwrap()
        })
        .collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(format!("{number:04}").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    for (number, mut stream) in streams.into_iter().enumerate() {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        heard.reverse();
        assert_eq!(heard, format!("{number:04}").as_bytes());
    }
    end(server);
}

#[test]
fn a_hundred_megabytes_both_ways() {
    let python = python!("socket", "threading", "hashlib");
    let bed = Bed::new();
    let listed = Mirror::alone_on(V4);
    let [published] = free_ports();
    let megabytes = 100;
    let body: Vec<u8> = (0..megabytes * 1024 * 1024 / 4_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    // A client inside sends, and compares what comes back by its hash.
    let program = "
import hashlib, socket, sys, threading
body = open('body', 'rb').read()
stream = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60)
def say():
    stream.sendall(body); stream.shutdown(socket.SHUT_WR)
threading.Thread(target=say).start()
heard = bytearray()
while part := stream.recv(1 << 18): heard += part
heard.reverse()
print(hashlib.sha256(heard).digest() == hashlib.sha256(body).digest(), len(heard))
";
    bed.file("work/body", &body);
    let all = settings(json!({ "hostPorts": [listed.port], "publishPorts": [published] }));
    let port = listed.port.to_string();
    let run = bed.srt().flat(&all).within(120.0);
    let output = run.py(&python, program, &[&port]).run().ok();
    output.prints(format!("True {}\n", body.len()));
    let server = serving(bed.srt().flat(&all), &python, "0", &[word(V4, published)]);
    assert!(is_up(V4, published));
    let started = Instant::now();
    let mut heard = talk(V4, published, &body).unwrap();
    heard.reverse();
    assert!(heard == body, "{} bytes came back", heard.len());
    sandbox_tests::say(&format!(
        "published port: {megabytes} MB in and out in {:?}",
        started.elapsed()
    ));
    end(server);
}

#[test]
fn a_half_closed_connection_stays_open_the_other_way() {
    let python = python!("socket", "threading");
    let bed = Bed::new();
    let [published] = free_ports();
    // The server speaks first and ends its half; it prints what the client says after that.
    let program = "
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    stream, _ = listener.accept()
    stream.sendall(b'first'); stream.shutdown(socket.SHUT_WR)
    said = stream.makefile('rb').read()
    if said: break
print(said.decode())
";
    let settings = settings(json!({ "publishPorts": [published] }));
    let run = bed
        .srt()
        .flat(&settings)
        .py(&python, program, &[&published.to_string()]);
    let server = run.spawn();
    let mut stream = None;
    assert!(wait_until(timeout(20.0), || {
        let connected = TcpStream::connect((V4, published))
            .ok()
            .filter(|mut stream| {
                let mut first = Vec::new();
                stream
                    .read_to_end(&mut first)
                    .is_ok_and(|_| first == b"first")
            });
        stream = connected;
        stream.is_some()
    }));
    let mut stream = stream.unwrap();
    // Its own half still goes.
    stream.write_all(b"later").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    server.finish(timeout(20.0)).ok().prints("later\n");
}

#[test]
fn nothing_inside_can_keep_a_published_port_busy() {
    let python = python!("socket", "threading");
    let bed = Bed::new();
    let [published] = free_ports();
    // Whoever guesses how connections come in and hammers at that gets nothing for it.
    let program = "
import socket, sys, threading
def hammer():
    while True:
        stream = socket.socket()
        try:
            stream.connect(('127.0.0.1', 2)); stream.sendall(b'x'); stream.recv(1)
        except OSError: pass
        stream.close()
for _ in range(4): threading.Thread(target=hammer, daemon=True).start()
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=64)
while True:
    stream, _ = listener.accept()
    said = b''
    while part := stream.recv(100): said += part
    stream.sendall(said[::-1]); stream.close()
    if said == b'end': break
";
    let settings = settings(json!({ "publishPorts": [published] }));
    let run = bed.srt().flat(&settings).within(120.0);
    let server = run.py(&python, program, &[&published.to_string()]).spawn();
    assert!(is_up(V4, published));
    let answered =
        (0..200).filter(|_| talk(V4, published, b"abc").is_ok_and(|heard| heard == b"cba"));
    let answered = answered.count();
    // What is in the way of its own server only may cost a connection now and then.
    assert!(answered >= 150, "{answered} of 200");
    assert!(wait_until(timeout(20.0), || talk(V4, published, b"end")
        .is_ok_and(|heard| heard == b"dne")));
    server.finish(timeout(20.0)).ok();
}

/// As the page that a login leads back to: it is served once, and its server ends.
#[test]
fn what_a_server_says_last_arrives() {
    const LENGTH: usize = 8_000_000;
    let python = python!("socket");
    let bed = Bed::new();
    let [published] = free_ports();
    let program = "
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
listener.accept()[0].sendall(b'x' * int(sys.argv[2]))
";
    let settings = settings(json!({ "publishPorts": [published] }));
    let arguments = [published.to_string(), LENGTH.to_string()];
    let arguments = arguments.each_ref().map(String::as_str);
    for round in 0..3 {
        let run = bed.srt().flat(&settings);
        let server = run.py(&python, program, &arguments).spawn();
        let mut heard = 0;
        assert!(wait_until(timeout(20.0), || {
            heard = TcpStream::connect((V4, published)).map_or(0, read_slowly);
            heard > 0
        }));
        assert_eq!(heard, LENGTH, "round {round}");
        server.finish(timeout(20.0)).ok();
    }
}

/// Reads to the end, or to where the stream breaks, at a speed that leaves much in its buffers.
fn read_slowly(mut stream: TcpStream) -> usize {
    let mut heard = 0;
    let mut part = vec![0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut part) {
        heard += length;
        std::thread::sleep(Duration::from_millis(1));
    }
    heard
}
