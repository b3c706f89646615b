//! Addresses that the name service made up are the names that they stand for, whatever is asked for
//! them: a tunnel, a request, SOCKS5, a plain connection.

use sandbox_tests::{Bed, Origin, need_names, python};

use crate::{NAME, OTHER, allowing, named};

/// Asks each front end for what the words say; `made-up` is the address of the name that was looked up.
const ASK: &str = r#"
import socket, struct, sys
name, port = sys.argv[1], int(sys.argv[2])
v4 = socket.getaddrinfo(name, port, socket.AF_INET)[0][4][0]
v6 = socket.getaddrinfo(name, port, socket.AF_INET6)[0][4][0]
def everything(s, data=b""):
    while part := s.recv(65536):
        data += part
    return data.split(b"\r\n\r\n")[1].decode().strip()
def http(head):
    s = socket.create_connection(("127.0.0.1", 3128), 20)
    s.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += s.recv(65536)
    return s, answer.split(b"\r\n")[0].split(b" ")[1].decode(), answer
def tunnel(address, port, host=None):
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    s, status, answer = http(f"CONNECT {where} HTTP/1.1\r\nHost: {host or where}\r\n\r\n")
    if status != "200":
        return status + (" stale" if b"stands for no name" in answer else "")
    s.sendall(b"GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return everything(s)
def request(address, port, host=None):
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    s, status, answer = http(f"GET http://{where}/request HTTP/1.1\r\nHost: {host or where}\r\nConnection: close\r\n\r\n")
    if status != "200":
        return status + (" stale" if b"stands for no name" in answer else "")
    return everything(s, answer)
def socks(address, port):
    s = socket.create_connection(("127.0.0.1", 1080), 20)
    s.sendall(b"\5\1\0"); s.recv(2)
    six = ":" in address
    raw = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
    s.sendall(b"\5\1\0" + (b"\4" if six else b"\1") + raw + struct.pack(">H", port))
    reply = s.recv(10)[1]
    if reply: return f"reply {reply}"
    s.sendall(b"GET /socks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return everything(s)
for what, answer in [
    ("tunnel 4", tunnel(v4, port)), ("tunnel 6", tunnel(v6, port)), ("tunnel host", tunnel(v4, port, f"{name}:{port}")),
    ("request 4", request(v4, port)), ("request 6", request(v6, port)), ("request host", request(v4, port, f"{name}:{port}")),
    ("request other", request(v4, port, "evil.test")),
    ("socks 4", socks(v4, port)), ("socks 6", socks(v6, port)),
    ("tunnel port", tunnel(v4, port + 1)), ("request port", request(v4, port + 1)), ("socks port", socks(v4, port + 1)),
    ("tunnel stale", tunnel("198.18.77.7", port)), ("request stale", request("198.18.77.7", port)),
    ("socks stale", socks("198.18.77.7", port)), ("tunnel stale 6", tunnel("fd00:5b00::4d07", port)),
    ("tunnel own", tunnel("198.19.255.1", port)),
]:
    print(what + ": " + answer)
"#;

#[test]
fn a_made_up_address_is_its_name_in_every_proxy() {
    need_names!();
    let python = python!("socket", "struct");
    let bed = Bed::new();
    let origin = Origin::start();
    let output = named(&bed, &allowing(origin.port()))
        .py(&python, ASK, &[NAME, &origin.port().to_string()])
        .run()
        .ok();
    output.prints(
        "tunnel 4: ORIGIN GET /tunnel 0\n\
         tunnel 6: ORIGIN GET /tunnel 0\n\
         tunnel host: ORIGIN GET /tunnel 0\n\
         request 4: ORIGIN GET /request 0\n\
         request 6: ORIGIN GET /request 0\n\
         request host: ORIGIN GET /request 0\n\
         request other: 421\n\
         socks 4: ORIGIN GET /socks 0\n\
         socks 6: ORIGIN GET /socks 0\n\
         tunnel port: 403\n\
         request port: 403\n\
         socks port: reply 2\n\
         tunnel stale: 403 stale\n\
         request stale: 403 stale\n\
         socks stale: reply 2\n\
         tunnel stale 6: 403 stale\n\
         tunnel own: 403 stale\n",
    );
    assert_eq!(origin.accepted(), 8);
    let forwarded = origin.requests();
    let forwarded = forwarded
        .iter()
        .filter(|request| request.target == "/request");
    for request in forwarded {
        let host = format!("{NAME}:{}", origin.port());
        assert_eq!(request.header("host"), Some(host.as_str()), "{request:?}");
    }
}

#[test]
fn a_name_that_is_refused_has_no_address_to_ask_for() {
    need_names!();
    let python = python!("socket");
    let bed = Bed::new();
    let origin = Origin::start();
    let line = "import socket, sys\ntry: print(socket.getaddrinfo(sys.argv[1], 80)[0][4][0])\nexcept OSError: print('none')";
    for (name, found) in [(NAME, "198.18."), (OTHER, "none")] {
        let output = named(&bed, &allowing(origin.port()))
            .py(&python, line, &[name])
            .run()
            .ok();
        assert!(output.text().starts_with(found), "{output}");
    }
    assert_eq!(origin.accepted(), 0);
}
