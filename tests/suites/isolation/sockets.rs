//! Sockets besides the network's: Unix sockets and the other families.

use sandbox_tests::{Bed, UnixWitness, host, python};
use serde_json::{Value, json};

const CONNECT: &str = r"
import socket, sys
name = sys.argv[1]
name = '\0' + name[1:] if name.startswith('@') else name
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect(name)
print(s.recv(10).decode(), end='')
";

fn settings(all_unix_sockets: bool) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": [], "allowAllUnixSockets": all_unix_sockets},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
}

#[test]
fn host_unix_sockets_are_out_of_reach() {
    let python = python!("socket");
    let bed = Bed::new();
    // Short, for the address has room for 107 bytes only.
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let path = directory.path().join("s");
    let (at_path, by_name) = (UnixWitness::at(&path), UnixWitness::named(bed.marker()));
    let (path, name) = (
        path.to_str().unwrap().to_owned(),
        format!("@{}", bed.marker()),
    );
    for address in [&path, &name] {
        let output = bed
            .srt()
            .directory(directory.path())
            .py(&python, CONNECT, &[address])
            .run()
            .refused();
        assert!(
            output.errors().contains("Operation not permitted"),
            "{output}"
        );
    }
    assert_eq!((at_path.accepted(), by_name.accepted()), (0, 0));
    // With all Unix sockets allowed the path is reached, the abstract name of the host is not.
    let open = settings(true);
    bed.srt()
        .flat(&open)
        .directory(directory.path())
        .py(&python, CONNECT, &[&path])
        .run()
        .ok()
        .prints("HOST\n");
    bed.srt()
        .flat(&open)
        .directory(directory.path())
        .py(&python, CONNECT, &[&name])
        .run()
        .refused();
    assert_eq!((at_path.accepted(), by_name.accepted()), (1, 0));
    for address in [&path, &name] {
        host(&python, ["-ES", "-c", CONNECT, address])
            .ok()
            .prints("HOST\n");
    }
    assert_eq!((at_path.accepted(), by_name.accepted()), (2, 1));
}

#[test]
fn unix_sockets_are_refused_pairs_are_not() {
    let python = python!("socket");
    let bed = Bed::new();
    for kind in ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"] {
        let program = format!(
            "import socket\ntry: socket.socket(socket.AF_UNIX, socket.{kind})\nexcept OSError as e: print(e.errno)"
        );
        bed.srt()
            .py(&python, &program, &[])
            .run()
            .ok()
            .prints("1\n");
        host(&python, ["-c", &program]).ok().prints("");
    }
    let pair = "import socket\na, b = socket.socketpair(); a.send(b'x'); print(b.recv(1).decode())";
    bed.srt().py(&python, pair, &[]).run().ok().prints("x\n");
    // A datagram of a pair could be sent to any other address. The kernel makes one of a raw pair too.
    for kind in ["SOCK_DGRAM", "SOCK_RAW"] {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let path = directory.path().join("d");
        let stray = format!(
            "import socket\ntry:\n    a, b = socket.socketpair(socket.AF_UNIX, socket.{kind})\n    a.sendto(b'x', {:?})\n    print('sent')\nexcept OSError as e: print('refused')",
            path.to_str().unwrap()
        );
        let witness = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        witness.set_nonblocking(true).unwrap();
        let output = bed
            .srt()
            .directory(directory.path())
            .py(&python, &stray, &[])
            .run()
            .ok();
        let mut buffer = [0; 8];
        assert!(
            witness.recv(&mut buffer).is_err(),
            "a datagram came out of a pair of {kind}\n{output}"
        );
        host(&python, ["-c", &stray]).ok().prints("sent\n");
        assert_eq!(witness.recv(&mut buffer).unwrap(), 1);
    }
}

#[test]
fn only_internet_families_exist() {
    let python = python!("socket");
    let bed = Bed::new();
    let program = r"
import socket
for family in range(0, 64):
    for kind in (1, 2, 3, 4, 5, 6, 10):
        for protocol in (0, 1, 132, 262):
            try: s = socket.socket(family, kind, protocol)
            except OSError: continue
            print(family, kind, protocol); s.close()
";
    for all_unix_sockets in [false, true] {
        let output = bed
            .srt()
            .flat(&settings(all_unix_sockets))
            .py(&python, program, &[])
            .run()
            .ok();
        let allowed: &[u32] = if all_unix_sockets {
            &[1, 2, 10, 16]
        } else {
            &[2, 10, 16]
        };
        let mut stream = false;
        for line in output.text().lines() {
            let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            assert!(
                allowed.contains(&numbers[0]),
                "family {line} exists\n{output}"
            );
            // Raw and packet sockets, ICMP, SCTP and multi-path TCP have no business here; of
            // netlink only the routing protocol has, which name resolution asks.
            let plain = matches!(numbers[..], [2 | 10, 1 | 2, 0] | [1, _, _] | [16, 2 | 3, 0]);
            assert!(plain, "socket {line} exists\n{output}");
            stream |= numbers[..2] == [2, 1];
        }
        assert!(stream, "no TCP sockets\n{output}");
    }
    let control = host(&python, ["-c", program]).ok();
    assert!(
        control.text().lines().any(|line| line.starts_with("1 1 ")),
        "{control}"
    );
}
