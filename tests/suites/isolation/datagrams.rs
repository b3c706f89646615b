//! Datagram Unix sockets of the host: a listed one gets messages, whichever call sends them; no other
//! one gets any.

use std::{
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandbox_tests::{Bed, Output, python, race_time};
use serde_json::{Value, json};

const LIBRARY: &str = include_str!("datagrams.py");

/// A server that keeps what it gets.
struct Server {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Server {
    fn at(path: PathBuf) -> Self {
        let socket = UnixDatagram::bind(&path).expect("a socket at a path");
        socket.set_nonblocking(true).expect("a socket");
        Self { socket, path }
    }

    fn text(&self) -> &str {
        self.path.to_str().expect("a path of text")
    }

    fn received(&self) -> Vec<String> {
        std::thread::sleep(Duration::from_millis(30));
        let mut all = Vec::new();
        let mut room = [0; 65536];
        while let Ok(length) = self.socket.recv(&mut room) {
            let bytes = room.get(..length).expect("what was received");
            all.push(bytes.escape_ascii().to_string());
        }
        all
    }
}

fn settings(sockets: &[&str]) -> Value {
    json!({
        "network": {
            "allowedDomains": [],
            "deniedDomains": [],
            "allowUnixSockets": sockets,
        },
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
}

fn run(bed: &Bed, python: &Path, sockets: &[&str], arguments: &[&str]) -> Output {
    let srt = bed
        .srt()
        .flat(&settings(sockets))
        .within(20.0 + race_time().as_secs_f64());
    srt.py(python, LIBRARY, arguments).run()
}

#[test]
fn every_way_to_send_reaches_a_listed_socket_and_no_other_one() {
    let python = python!("socket", "ctypes");
    let bed = Bed::new();
    let listed = Server::at(bed.outside().join("listed"));
    let other = Server::at(bed.outside().join("other"));
    let ways = [
        "connect",
        "sendto",
        "sendmsg",
        "sendmmsg",
        "sendmsg-parts",
        "pair",
        "again",
    ];
    for way in ways {
        let output = run(&bed, &python, &[listed.text()], &[way, listed.text()]).ok();
        assert_eq!(output.text(), "sent\n", "{way}: {output}");
        assert_eq!(listed.received(), [format!("by {way}")], "{way}: {output}");
        let output = run(&bed, &python, &[listed.text()], &[way, other.text()]).ok();
        assert!(output.text().starts_with("refused"), "{way}: {output}");
        assert_eq!(other.received(), Vec::<String>::new(), "{way}: {output}");
        assert!(output.errors().contains(other.text()), "{way}: {output}");
        // Where none is listed there are no such sockets, or the kernel refuses.
        let output = run(&bed, &python, &[], &[way, listed.text()]).ok();
        assert!(output.text().starts_with("refused"), "{way}: {output}");
        assert_eq!(listed.received(), Vec::<String>::new(), "{way}: {output}");
    }
}

/// Everything else that is sent arrives as it does outside, descriptors and long messages too.
#[test]
fn other_sockets_work_while_sends_are_supervised() {
    let python = python!("socket", "ctypes");
    let bed = Bed::new();
    let listed = Server::at(bed.outside().join("listed"));
    for case in [
        "own-datagrams",
        "stream",
        "descriptors",
        "udp",
        "control",
        "full",
        "broken-pipe",
        "too-long",
        "bad-memory",
        "netlink",
        "abstract",
    ] {
        let output = run(&bed, &python, &[listed.text()], &[case, listed.text()]).ok();
        assert_eq!(output.text(), "as it should\n", "{case}: {output}");
        let outside = sandbox_tests::host(&python, ["-ES", "-c", LIBRARY, case, listed.text()]);
        assert_eq!(outside.text(), "as it should\n", "{case}: {outside}");
    }
}

#[test]
fn no_race_sends_to_another_socket() {
    let python = python!("socket", "ctypes");
    let bed = Bed::new();
    let listed = Server::at(bed.outside().join("good"));
    let other = Server::at(bed.outside().join("bad!"));
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, draining) = (Arc::clone(&count), listed.socket.try_clone().unwrap());
    draining.set_nonblocking(false).unwrap();
    std::thread::spawn(move || {
        let mut room = [0; 16];
        while draining.recv(&mut room).is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let seconds = (race_time().as_secs_f64() / 4.0).to_string();
    for mode in ["race-address", "race-descriptor"] {
        let arguments = [mode, listed.text(), other.text(), seconds.as_str()];
        let output = run(&bed, &python, &[listed.text()], &arguments).ok();
        let done = count.swap(0, Ordering::SeqCst);
        assert!(done > 50, "{mode}: {done} {output}");
        assert_eq!(other.received(), Vec::<String>::new(), "{mode}: {output}");
        sandbox_tests::say(&format!("datagrams, {mode}: {done} sent, 0 forbidden"));
    }
}
