//! The families of sockets that exist inside.

use sandbox_tests::{Bed, host, python};
use serde_json::{Value, json};

fn settings(all_unix_sockets: bool) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": [], "allowAllUnixSockets": all_unix_sockets},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
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
        let allowed: &[u32] = &[1, 2, 10, 16];
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
