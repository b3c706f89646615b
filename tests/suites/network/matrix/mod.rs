//! Programs as they are, by what they may reach: each tries the same five targets, and what left
//! the host is read from a link, a name server and origins that answer for everything there is.
//!
//! The host is a network namespace with one link out of it (`matrix/world.py`). Beyond the link
//! every name has an address, and every address takes connections: a denied target that was let
//! through would work, and be seen three times.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sandbox_tests::{
    Background, Bed, Output, count_skip, host, is_root, note, python, say, skip, timeout, tool,
    tool_path, wait_until,
};
use serde_json::json;

mod clients;

use clients::{CLIENTS, Client, Way};

const WORLD: &str = include_str!("world.py");

/// What the clients' programs are called in the bed, and their text.
const PROGRAMS: [(&str, &str); 7] = [
    ("world.py", WORLD),
    ("client.py", include_str!("client.py")),
    ("client.js", include_str!("client.js")),
    ("client.pl", include_str!("client.pl")),
    ("client.tcl", include_str!("client.tcl")),
    ("client.c", include_str!("client.c")),
    ("Client.java", include_str!("Client.java")),
];

/// The one name that is allowed, on one port for each client.
const ALLOWED: &str = "allowed.matrix.test";
/// A name that one rule allows and another denies.
const SECRET: &str = "secret.wide.test";
/// A name that no rule knows.
const UNLISTED: &str = "unlisted.other.test";
/// Addresses that no rule knows.
const LITERAL: &str = "203.0.113.77";
const LITERAL_V6: &str = "2001:db8:66::77";
/// Where the allowed name leads.
const ADDRESSES: [&str; 2] = ["203.0.113.10", "2001:db8:66::10"];
/// The name server, as the packets name it.
const NAME_SERVER: (&str, &str) = ("203.0.113.53", "53");
/// The host's own addresses on the link.
const OWN: [&str; 2] = ["203.0.113.2", "2001:db8:66::2"];

/// How many clients a machine that has all packages must have tried.
const ENOUGH: usize = 25;

/// The port of the first client; the world is a namespace of its own, so all are free.
const FIRST_PORT: usize = 20_000;
/// How far the port that no rule allows is from the allowed one. The origins listen on both.
const DENIED_PORT: usize = 1000;

/// Puts a line in front of what runs in the world: its own names and name server.
const PREPARE: &str = "mount --bind \"$0/resolv.conf\" /etc/resolv.conf && \
     mount --bind \"$0/hosts\" /etc/hosts && mount --bind \"$0/nsswitch.conf\" /etc/nsswitch.conf && \
     exec \"$@\"";

/// The host that the clients' commands run on.
struct World {
    bed: Bed,
    python: PathBuf,
    pid: String,
    _process: Background,
}

impl World {
    /// None where namespaces can't be had.
    fn start(python: PathBuf, origins: &[String]) -> Option<Self> {
        let (unshare, _) = (tool("unshare")?, tool("ip")?);
        let options = if is_root() { "-mn" } else { "-Urmn" };
        // Both that a namespace can be had and that things can be mounted in it.
        let probe = [options, "mount", "--bind", "/etc/hostname", "/etc/hosts"];
        if !host(&unshare, probe).succeeded() {
            return None;
        }
        let bed = Bed::new();
        for (name, text) in PROGRAMS {
            bed.file(Path::new("work").join(name), text);
        }
        bed.file(
            "resolv.conf",
            "nameserver 203.0.113.53\noptions timeout:2\n",
        );
        bed.file("hosts", "127.0.0.1 localhost\n");
        bed.file(
            "nsswitch.conf",
            "hosts: files dns\npasswd: files\ngroup: files\n",
        );
        let root = bed.root().to_str()?.to_owned();
        make_certificate(&bed);
        let mut launcher: Vec<String> = vec![unshare.to_str()?.to_owned()];
        launcher.extend([options, "/bin/sh", "-c", PREPARE, &root].map(str::to_owned));
        let program = bed.work().join("world.py");
        let words = ["-ES", program.to_str()?, "host", &root];
        let words = words.into_iter().chain(origins.iter().map(String::as_str));
        let mut process = Background::start(&launcher, &python, words);
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout());
        said.read_line(&mut line).unwrap();
        let pid = line.strip_prefix("ready ").expect("a world").trim();
        let pid = pid.to_owned();
        Some(Self {
            bed,
            python,
            pid,
            _process: process,
        })
    }

    /// Words that run what follows in the world.
    fn enter(&self) -> Vec<OsString> {
        let program = tool("nsenter").map_or_else(|| OsString::from("nsenter"), Into::into);
        let mut words = vec![program];
        if !is_root() {
            words.extend(["-U", "--preserve-credentials"].map(OsString::from));
        }
        words.extend(["-m", "-n", "-t", &self.pid, "--"].map(OsString::from));
        words
    }

    /// Runs a Python program in the world, without the tool.
    fn python(&self, program: &str, words: &[&str]) -> Output {
        let enter = self.enter();
        let (first, rest) = enter.split_first().unwrap();
        let python = self.python.to_str().unwrap();
        let head = [python, "-ESc", program];
        let rest = rest.iter().map(|word| word.to_str().unwrap());
        host(
            Path::new(first),
            rest.chain(head).chain(words.iter().copied()),
        )
    }

    fn log(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.bed.root().join(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the witness has seen a packet that is sent now, and with it all before.
    fn settle(&self, port: u16) {
        // To itself, so that nothing answers.
        let program = "import socket, sys; s = socket.socket(2, 2); s.bind(('127.0.0.1', int(sys.argv[1]))); s.sendto(b'', s.getsockname())";
        self.python(program, &[&port.to_string()]).ok();
        let last = format!(" 127.0.0.1 {port}");
        let seen = || self.log("packets").iter().any(|line| line.ends_with(&last));
        assert!(wait_until(timeout(20.0), seen), "the witness sees nothing");
    }
}

/// For the origins that speak TLS; without it those that need one are not tried.
fn make_certificate(bed: &Bed) {
    let Some(openssl) = tool("openssl") else {
        return;
    };
    let (key, certificate) = (bed.root().join("key"), bed.root().join("certificate"));
    let line = "exec \"$0\" req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
                -subj /CN=allowed.matrix.test -days 2 -keyout \"$1\" -out \"$2\"";
    let words = [openssl, key, certificate];
    let head = ["-c", line].map(PathBuf::from);
    host(Path::new("/bin/sh"), head.into_iter().chain(words)).ok();
}

/// Builds the clients that are compiled, where there is a compiler.
fn build(bed: &Bed) {
    let source = bed.work().join("client.c");
    if let Some(gcc) = tool("gcc") {
        for (name, options) in [
            ("client", ["-O1", "-DLIBC"]),
            ("client-static", ["-static", "-DNO_LIBC_NAMES"]),
        ] {
            let output = bed.work().join(name);
            let files = [source.as_os_str(), "-o".as_ref(), output.as_os_str()];
            let options = options.map(std::ffi::OsStr::new);
            host(&gcc, options.into_iter().chain(files)).ok();
        }
    }
    if let Some(javac) = tool("javac") {
        let source = bed.work().join("Client.java");
        let words = ["-d".as_ref(), bed.work().as_os_str(), source.as_os_str()];
        host(&javac, words).ok();
    }
}

fn port(index: usize) -> String {
    (FIRST_PORT + index).to_string()
}

/// The columns: what it is called, the host and the port.
fn columns(index: usize, client: &Client) -> [[String; 3]; 5] {
    let (allowed, denied) = (port(index), port(index + DENIED_PORT));
    let literal = if client.only_v6 { LITERAL_V6 } else { LITERAL };
    [
        ["allowed", ALLOWED, &allowed],
        ["denied-name", SECRET, &allowed],
        ["denied-port", ALLOWED, &denied],
        ["literal", literal, &allowed],
        ["unlisted", UNLISTED, &allowed],
    ]
    .map(|words| words.map(str::to_owned))
}

/// One run of the tool for all columns of a client.
fn run(world: &World, index: usize, client: &Client) -> Output {
    let line = match client.way {
        Way::Each(line) => format!(
            "while [ $# -gt 0 ]; do echo \"== $1\"; export H=$2 P=$3 U=$2; shift 3; \
             case $H in *:*) U=\"[$H]\";; esac; \
             timeout 15 bash -c '{}' </dev/null 2>&1; echo; done",
            line.replace('\'', r"'\''")
        ),
        Way::Once(line) => format!("timeout 60 {line} </dev/null 2>&1"),
    };
    let port = port(index);
    let rules = json!({
        "network": {
            "allowedDomains": [format!("{ALLOWED}:{port}"), format!("*.wide.test:{port}")],
            "deniedDomains": [SECRET],
        },
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    });
    // A bed for its own settings file; the programs are the world's.
    let bed = Bed::new();
    let words = columns(index, client);
    bed.srt()
        .flat(&rules)
        .under(world.enter())
        .env("PYTHON", world.python.as_os_str())
        .directory(world.bed.work())
        .args(["bash", "-c", &format!("cd \"$0\"; {line}")])
        .args([world.bed.work()])
        .args(words.into_iter().flatten())
        .within(120.0)
        .run()
}

/// What is wrong with the answers that a client got.
fn judge_answers(index: usize, client: &Client, output: &Output) -> Option<String> {
    let text = output.text();
    let token = format!("ORIGIN-{}", port(index));
    let mut wrong = Vec::new();
    for [column, ..] in columns(index, client) {
        let answer = text
            .split("== ")
            .find_map(|part| part.strip_prefix(&format!("{column}\n")));
        let Some(answer) = answer else {
            wrong.push(format!("{column} was not tried"));
            continue;
        };
        let proven = answer.contains(client.proof.unwrap_or(&token));
        if proven != (column == "allowed") {
            wrong.push(format!(
                "{column} {}",
                if proven { "worked" } else { "did not work" }
            ));
        }
    }
    (!wrong.is_empty()).then(|| format!("{}: {}\n{output}", client.name, wrong.join(", ")))
}

/// Whether the commands of the suites find all that a client needs.
fn lacks(client: &Client) -> Option<&'static str> {
    let found = |program: &str| {
        tool(program).is_some_and(|path| {
            let directories = tool_path().split(':');
            path.parent()
                .is_some_and(|parent| directories.clone().any(|at| Path::new(at) == parent))
        })
    };
    client.needs.iter().copied().find(|program| !found(program))
}

/// Runs what a client does for each, some at a time, and returns what is wrong.
fn run_all(world: &World, rows: &[(usize, &Client)]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some((index, client)) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let output = run(world, *index, client);
            wrong.extend(judge_answers(*index, client, &output));
        }
        wrong
    };
    std::thread::scope(|scope| {
        let workers = [(); 6].map(|()| scope.spawn(work));
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    })
}

/// Whether a packet belongs to an allowed target, or to the question where that is.
fn is_expected(packet: &str, ports: &BTreeSet<String>) -> bool {
    let words: Vec<&str> = packet.split(' ').collect();
    let ["wan0", kind, source, from, target, to, name @ ..] = words.as_slice() else {
        return false;
    };
    let (peer, at) = match (OWN.contains(source), OWN.contains(target)) {
        (true, false) => (target, to),
        (false, true) => (source, from),
        _ => return false,
    };
    match *kind {
        "6" => ADDRESSES.contains(peer) && ports.contains(*at),
        "17" => (*peer, *at) == NAME_SERVER && name.iter().all(|name| *name == ALLOWED),
        _ => false,
    }
}

/// Everything that left the host, was asked for or arrived, must be of the allowed cells.
fn judge_world(world: &World, rows: &[(usize, &Client)]) {
    world.settle(9);
    let ports: BTreeSet<String> = rows.iter().map(|(index, _)| port(*index)).collect();
    let packets = world.log("packets");
    let strange: Vec<_> = packets
        .iter()
        .filter(|packet| !packet.ends_with(" 127.0.0.1 9") && !is_expected(packet, &ports))
        .collect();
    assert!(strange.is_empty(), "packets of denied targets: {strange:?}");
    let asked = world.log("asked");
    let kinds = [1, 28].map(|kind| format!("{ALLOWED} {kind}"));
    assert!(!asked.is_empty(), "no name was looked up");
    assert!(asked.iter().all(|line| kinds.contains(line)), "{asked:?}");
    let accepted = world.log("accepted");
    for line in &accepted {
        let (address, port) = line.split_once(' ').unwrap();
        assert!(
            ADDRESSES.contains(&address) && ports.contains(port),
            "arrived at a denied target: {line}"
        );
    }
    for (index, client) in rows {
        let ending = format!(" {}", port(*index));
        assert!(
            accepted.iter().any(|line| line.ends_with(&ending)),
            "{} did not arrive",
            client.name
        );
    }
    say(&format!(
        "matrix: {} clients, 5 targets each; {} connections arrived, {} questions, {} packets, none of a denied target",
        rows.len(),
        accepted.len(),
        asked.len(),
        packets.len() - 1,
    ));
}

const CONTROL: &str = r"
import socket, sys
for word in sys.argv[1:]:
    host, port = word.rsplit('/', 1)
    with socket.create_connection((host, int(port)), 10) as s:
        s.sendall(b'GET / HTTP/1.0\r\n\r\n')
        s.settimeout(10)
        data = b''
        while part := s.recv(4096): data += part
        print(word, b'ORIGIN-' + port.encode() in data)
";

/// What was refused works and is seen where nobody refuses it.
fn judge_controls(world: &World, index: usize, client: &Client) {
    let words = columns(index, client).map(|[_, host, port]| format!("{host}/{port}"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = world.python(CONTROL, &words).ok();
    for word in &words {
        assert!(output.text().contains(&format!("{word} True")), "{output}");
    }
    world.settle(10);
    let (asked, accepted) = (world.log("asked"), world.log("accepted"));
    let packets = world.log("packets");
    for name in [SECRET, UNLISTED] {
        assert!(asked.contains(&format!("{name} 1")), "{asked:?}");
    }
    let (allowed, denied) = (port(index), port(index + DENIED_PORT));
    let seen = |part: &str| packets.iter().any(|line| line.contains(part));
    assert!(accepted.contains(&format!("{LITERAL} {allowed}")));
    assert!(seen(&format!(" {LITERAL} {allowed}")));
    assert!(seen(&format!(" {denied}")));
    assert!(accepted.iter().any(|line| line.ends_with(&denied)));
}

#[test]
fn every_client_reaches_what_is_allowed_and_nothing_else_leaves() {
    let python = python!("socket", "ssl", "asyncio");
    let origins: Vec<String> = CLIENTS
        .iter()
        .enumerate()
        .map(|(index, client)| format!("{}={}", port(index), client.origin))
        .collect();
    let Some(world) = World::start(python, &origins) else {
        skip!("no namespaces for a link of the test's own")
    };
    build(&world.bed);
    let (mut rows, mut complete) = (Vec::new(), true);
    for (index, client) in CLIENTS.iter().enumerate() {
        match lacks(client) {
            None => rows.push((index, client)),
            Some(program) if client.expected => {
                complete = false;
                count_skip(&format!("no `{program}` on this machine: {}", client.name));
            }
            Some(program) => note(&format!("no `{program}` on this machine: {}", client.name)),
        }
    }
    let start = Instant::now();
    let wrong = run_all(&world, &rows);
    say(&format!("matrix: took {:.1?}", start.elapsed()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    judge_world(&world, &rows);
    let plain = rows.iter().find(|(_, client)| client.origin == "http");
    let (index, client) = plain.unwrap();
    judge_controls(&world, *index, client);
    assert!(!complete || rows.len() >= ENOUGH, "{} clients", rows.len());
}
