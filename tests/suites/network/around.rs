//! Ways around the proxies: direct connects, datagrams, sockets of the host.

use sandbox_tests::{
    Bed, Datagrams, Listener, Origin, carriers, host, need, python, timeout, wait_until,
};

use crate::settings;

const DIRECT: &str = r"
import socket, sys
port = int(sys.argv[1])
for host in sys.argv[2:]:
    try:
        s = socket.create_connection((host, port), 2)
        s.settimeout(2)
        print(host, s.recv(10))
    except OSError as e:
        print(host, type(e).__name__)
";

/// Addresses of this machine besides loopback.
fn own_addresses() -> Vec<String> {
    let Some(ip) = sandbox_tests::tool("hostname") else {
        return Vec::new();
    };
    host(&ip, ["-I"])
        .text()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn direct_connections_do_not_arrive() {
    let python = python!("socket");
    let bed = Bed::new();
    let witness = Listener::on("0.0.0.0").unwrap();
    let port = witness.port().to_string();
    let own = own_addresses();
    let mut addresses = vec![
        "127.0.0.1",
        "localhost",
        "127.0.0.2",
        "0.0.0.0",
        "10.0.2.2",
        "192.168.0.1",
        "172.17.0.1",
        "169.254.169.254",
    ];
    addresses.extend(
        own.iter()
            .map(String::as_str)
            .filter(|address| !address.contains(':')),
    );
    let mut words = vec![port.as_str()];
    words.extend(addresses.iter());
    for settings in [
        settings(&[], &[]),
        settings(&["example.com"], &[]),
        settings(&["*.example.com"], &["*"]),
    ] {
        let output = bed
            .srt()
            .flat(&settings)
            .py(&python, DIRECT, &words)
            .within(120.0)
            .run()
            .ok();
        assert!(!output.text().contains("HOST"), "{output}");
        let variables = [
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "no_proxy",
            "NO_PROXY",
        ];
        let line = format!(
            "unset {}; exec curl -sS -m 5 http://127.0.0.1:{port}/",
            variables.join(" ")
        );
        let output = bed.srt().flat(&settings).sh(&line).run().refused();
        assert!(!output.text().contains("HOST"), "{output}");
    }
    assert_eq!(witness.accepted(), 0);
    let control = host(&python, ["-c", DIRECT, &port, "127.0.0.1"]).ok();
    assert!(control.text().contains("HOST"), "{control}");
    assert_eq!(witness.accepted(), 1);
}

#[test]
fn direct_connections_over_ipv6_do_not_arrive() {
    let python = python!("socket");
    let Ok(witness) = Listener::on("::1") else {
        sandbox_tests::skip!("no IPv6 on this machine")
    };
    let bed = Bed::new();
    let port = witness.port().to_string();
    bed.srt()
        .flat(&settings(&[], &[]))
        .py(&python, DIRECT, &[&port, "::1", "::", "::ffff:127.0.0.1"])
        .run()
        .ok();
    assert_eq!(witness.accepted(), 0);
    host(&python, ["-c", DIRECT, &port, "::1"]).ok();
    assert_eq!(witness.accepted(), 1);
}

/// Connects by sending: an address, which no call of connect(2) ever has, goes with the first bytes.
const FAST: &str = r#"
import socket, struct, sys
MSG_FASTOPEN, TCP_FASTOPEN_CONNECT = 0x20000000, 30
said = b'GET /fast HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
def sendto(s, where): s.sendto(said, MSG_FASTOPEN, where)
def sendmsg(s, where): s.sendmsg([said], [], MSG_FASTOPEN, where)
def option(s, where): s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1); s.connect(where); s.sendall(said)
def multipath(s, where): s.close(); s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.connect(where); s.sendall(said); return s
for host in sys.argv[2:]:
    for way in (sendto, sendmsg, option, multipath):
        try:
            s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 10, 0))
            s = way(s, (host, int(sys.argv[1]))) or s
            answer = b''
            while part := s.recv(65536): answer += part
            print(way.__name__, b'ORIGIN' in answer)
        except OSError as error: print(way.__name__, False)
"#;

#[test]
fn connections_by_sending_are_judged_as_others() {
    sandbox_tests::need_names!();
    let python = python!("socket");
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port().to_string();
    let mut addresses = vec!["127.0.0.1".to_owned(), "10.0.2.2".to_owned()];
    addresses.extend(own_addresses().into_iter().filter(|own| !own.contains(':')));
    let mut words = vec![port.as_str()];
    words.extend(addresses.iter().map(String::as_str));
    let denied = bed
        .srt()
        .flat(&settings(&["example.com"], &[]))
        .py(&python, FAST, &words)
        .within(120.0)
        .run()
        .ok();
    assert!(!denied.text().contains("True"), "{denied}");
    assert_eq!(origin.accepted(), 0);
    // The control: to an allowed name they get through, but for multipath TCP, which is refused.
    crate::named(&bed, &crate::allowing(origin.port()))
        .py(&python, FAST, &[&port, crate::NAME])
        .run()
        .ok()
        .prints("sendto True\nsendmsg True\noption True\nmultipath False\n");
    assert_eq!(origin.accepted(), 3);
}

#[test]
fn datagrams_do_not_arrive() {
    let python = python!("socket");
    let bed = Bed::new();
    let witness = Datagrams::start();
    let program = r"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for host in ('127.0.0.1', '127.0.0.2', '10.0.2.2', '8.8.8.8', '255.255.255.255'):
    try: s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); s.sendto(b'x', (host, int(sys.argv[1])))
    except OSError: pass
print('sent')
";
    let port = witness.port().to_string();
    bed.srt()
        .flat(&settings(&["example.com"], &[]))
        .py(&python, program, &[&port])
        .run()
        .ok()
        .prints("sent\n");
    assert_eq!(witness.received(), 0);
    host(&python, ["-c", program, &port]).ok();
    assert!(witness.received() >= 1);
}

#[test]
fn pings_and_raw_sockets_are_refused() {
    let python = python!("socket");
    let bed = Bed::new();
    let program = r"
import socket
for family, kind, protocol in ((2, 2, 1), (10, 2, 58), (2, 3, 1), (2, 3, 255), (17, 3, 768), (17, 2, 768)):
    try: socket.socket(family, kind, protocol); print('open', family, kind, protocol)
    except OSError: pass
socket.socket(2, 2, 0).close(); print('udp')
";
    bed.srt()
        .flat(&settings(&["example.com"], &[]))
        .py(&python, program, &[])
        .run()
        .ok()
        .prints("udp\n");
}

#[test]
fn names_do_not_resolve_to_the_hosts_view_without_being_allowed() {
    let python = python!("socket");
    let bed = Bed::new();
    let program = "import socket\nfor n in ('unlisted.test', 'vm', 'example.com'):\n    try: print(n, socket.gethostbyname(n))\n    except OSError: print(n, 'none')\nprint(socket.gethostbyname('localhost'))";
    let output = bed
        .srt()
        .flat(&settings(&[], &[]))
        .py(&python, program, &[])
        .within(60.0)
        .run()
        .ok();
    assert!(
        output.text().starts_with("unlisted.test none\n"),
        "{output}"
    );
    assert!(output.text().contains("example.com none\n"), "{output}");
    assert!(output.text().ends_with("127.0.0.1\n"), "{output}");
}

#[test]
fn the_host_side_listens_on_no_port() {
    let bed = Bed::new();
    let up = bed.work().join("up");
    let mut running = bed
        .srt()
        .flat(&settings(&["example.com"], &[]))
        .sh("touch up; sleep 60")
        .spawn();
    assert!(
        wait_until(timeout(20.0), || up.symlink_metadata().is_ok()),
        "did not start"
    );
    let listening: Vec<String> = [
        "/proc/net/tcp",
        "/proc/net/tcp6",
        "/proc/net/udp",
        "/proc/net/udp6",
        "/proc/net/unix",
    ]
    .iter()
    .flat_map(|table| sockets_of(table))
    .collect();
    let owned = own_sockets(running.pid());
    let mut mine: Vec<&String> = listening
        .iter()
        .filter(|inode| owned.contains(inode))
        .collect();
    mine.retain(|inode| !inode.is_empty());
    assert!(mine.is_empty(), "listens on the host: inodes {mine:?}");
    running.kill();
    running.finish(timeout(10.0));
    assert!(wait_until(timeout(5.0), || carriers(bed.marker()).is_empty()));
}

/// Inodes of listening sockets in a table of the kernel.
fn sockets_of(table: &str) -> Vec<String> {
    let text = std::fs::read_to_string(table).unwrap_or_else(|_| String::new());
    let listening = |fields: &Vec<&str>| match table {
        "/proc/net/unix" => fields.get(3).is_some_and(|flags| *flags == "00010000"),
        _ => fields
            .get(3)
            .is_some_and(|state| *state == "0A" || *state == "07"),
    };
    let column = if table == "/proc/net/unix" { 6 } else { 9 };
    let rows = text
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(listening)
        .filter_map(|fields| fields.get(column).map(|inode| (*inode).to_owned()))
        .collect()
}

fn own_sockets(pid: u32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links
        .filter_map(|link| {
            link.to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')
                .map(str::to_owned)
        })
        .collect()
}

#[test]
fn no_secret_is_in_any_argument_vector() {
    let bed = Bed::new();
    let up = bed.work().join("up");
    let mut running = bed
        .srt()
        .flat(&settings(&["example.com"], &[]))
        .sh("env > vars; touch up; sleep 60")
        .spawn();
    assert!(
        wait_until(timeout(20.0), || up.symlink_metadata().is_ok()),
        "did not start"
    );
    for process in carriers(bed.marker()) {
        for word in ["3128", "1080", "proxy", "token"] {
            assert!(!process.contains(word), "{process}");
        }
    }
    running.kill();
    running.finish(timeout(10.0));
}

#[test]
fn two_sandboxes_do_not_share_their_lists() {
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let url = format!("http://127.0.0.1:{}/", origin.port());
    let other = Bed::new();
    let up = other.work().join("up");
    let open = settings(&[&format!("127.0.0.1:{}", origin.port())], &[]);
    let mut holder = other.srt().flat(&open).sh("touch up; sleep 60").spawn();
    assert!(
        wait_until(timeout(20.0), || up.symlink_metadata().is_ok()),
        "did not start"
    );
    let words = [
        curl.to_str().unwrap(),
        "-sS",
        "--noproxy",
        "",
        "-x",
        "http://127.0.0.1:3128",
        &url,
    ];
    let output = bed.srt().flat(&settings(&[], &[])).args(words).run();
    assert!(!output.text().contains("ORIGIN"), "{output}");
    bed.srt()
        .flat(&open)
        .args(words)
        .run()
        .ok()
        .prints("ORIGIN GET / 0\n");
    assert_eq!(origin.accepted(), 1);
    holder.kill();
    holder.finish(timeout(10.0));
}
