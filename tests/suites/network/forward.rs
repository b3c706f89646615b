//! What is allowed works: plain requests, tunnels, kept-alive connections, bodies, upgrades.

use sandbox_tests::{Bed, Origin, Reply, need, need_names, python, time_scale};
use serde_json::json;

use crate::{NAME, RAW, allowing, named, settings};

#[test]
fn curl_reaches_an_allowed_name() {
    need_names!();
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let url = format!("http://{NAME}:{}/path?q=1", origin.port());
    let words = |extra: &[&str]| {
        let mut words = vec![curl.to_str().unwrap().to_owned(), "-sS".to_owned()];
        words.extend(extra.iter().map(|word| (*word).to_owned()));
        words.push(url.clone());
        words
    };
    let settings = allowing(origin.port());
    named(&bed, &settings)
        .args(words(&[]))
        .run()
        .ok()
        .prints("ORIGIN GET /path?q=1 0\n");
    // As a tunnel, with a body, and by SOCKS with the name resolved on the other side.
    named(&bed, &settings)
        .args(words(&["--proxytunnel"]))
        .run()
        .ok()
        .prints("ORIGIN GET /path?q=1 0\n");
    named(&bed, &settings)
        .args(words(&["-d", "body"]))
        .run()
        .ok()
        .prints("ORIGIN POST /path?q=1 4\n");
    named(&bed, &settings)
        .args(words(&["-x", "socks5h://127.0.0.1:1080"]))
        .run()
        .ok()
        .prints("ORIGIN GET /path?q=1 0\n");
    assert_eq!(origin.requests().len(), 4);
    for request in origin.requests() {
        assert_eq!(
            request.header("host"),
            Some(format!("{NAME}:{}", origin.port()).as_str())
        );
    }
}

#[test]
fn claude_settings_open_the_network_too() {
    need_names!();
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let allow = [
        format!("WebFetch(domain:{NAME})"),
        "WebFetch(domain:127.0.0.1)".to_owned(),
    ];
    bed.file(
        "home/.claude/settings.json",
        json!({"permissions": {"allow": allow}}).to_string(),
    );
    let url = format!("http://{NAME}:{}/", origin.port());
    let run = |url: &str| {
        bed.srt()
            .hosts(&[(NAME, "127.0.0.1"), ("sub.origin.srt.test", "127.0.0.1")])
            .args([curl.to_str().unwrap(), "-sS", url])
            .run()
    };
    run(&url).ok().prints("ORIGIN GET / 0\n");
    let other = run(&format!("http://sub.{NAME}:{}/", origin.port()));
    assert!(
        other.text().contains("blocked by network allowlist"),
        "{other}"
    );
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn python_and_wget_follow_the_variables() {
    need_names!();
    let python = python!("urllib.request");
    let bed = Bed::new();
    let origin = Origin::start();
    let url = format!("http://{NAME}:{}/", origin.port());
    let program = "import sys, urllib.request\nprint(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode(), end='')";
    named(&bed, &allowing(origin.port()))
        .py(&python, program, &[&url])
        .run()
        .ok()
        .prints("ORIGIN GET / 0\n");
    let wget = need!("wget");
    named(&bed, &allowing(origin.port()))
        .args([wget.to_str().unwrap(), "-qO-", &url])
        .run()
        .ok()
        .prints("ORIGIN GET / 0\n");
}

#[test]
fn an_allowed_loopback_address_is_reached_by_its_number() {
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let url = format!("http://127.0.0.1:{}/", origin.port());
    let settings = settings(&[&format!("127.0.0.1:{}", origin.port())], &[]);
    // The variables must not tell programs to go around the proxy for what is allowed.
    bed.srt()
        .flat(&settings)
        .args([curl.to_str().unwrap(), "-sS", &url])
        .run()
        .ok()
        .prints("ORIGIN GET / 0\n");
}

#[test]
fn one_connection_carries_many_requests() {
    need_names!();
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let target = format!("http://{NAME}:{}", origin.port());
    let request = |path: &str| format!("GET {target}{path} HTTP/1.1\r\nHost: {NAME}\r\n\r\n");
    let input = [request("/1"), request("/2"), request("/3")].join("<<wait>>");
    let output = named(&bed, &allowing(origin.port()))
        .py(&python, RAW, &["http", "1"])
        .stdin(input)
        .run()
        .ok();
    for path in ["/1", "/2", "/3"] {
        assert!(
            output.text().contains(&format!("ORIGIN GET {path} 0")),
            "{output}"
        );
    }
    // Sent at once, they are answered in order.
    let input = [request("/4"), request("/5")].concat();
    let text = named(&bed, &allowing(origin.port()))
        .py(&python, RAW, &["http", "1"])
        .stdin(input)
        .run()
        .ok()
        .text();
    assert!(
        text.find("GET /4")
            .is_some_and(|first| text.find("GET /5").is_some_and(|second| first < second)),
        "{text}"
    );
}

#[test]
fn large_bodies_stream_both_ways() {
    need_names!();
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::serving(|request| Reply::ok(request.body.clone()));
    let body: Vec<u8> = (0..3_000_000_u32)
        .map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    bed.file("work/body", &body);
    let url = format!("http://{NAME}:{}/", origin.port());
    for extra in [
        vec![],
        vec!["-H", "Transfer-Encoding: chunked"],
        vec!["--proxytunnel"],
    ] {
        let mut words = vec![
            curl.to_str().unwrap(),
            "-sS",
            "--data-binary",
            "@body",
            "-H",
            "Expect:",
            "-o",
            "back",
        ];
        words.extend(extra.iter());
        words.push(&url);
        named(&bed, &allowing(origin.port())).args(words).run().ok();
        assert!(
            std::fs::read(bed.work().join("back")).unwrap() == body,
            "with {extra:?}"
        );
    }
}

#[test]
fn an_upgraded_connection_is_passed_through() {
    need_names!();
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let target = format!("http://{NAME}:{}/ws", origin.port());
    let input = format!(
        "GET {target} HTTP/1.1\r\nHost: {NAME}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n<<wait>>echo \u{1}this<<wait>>and that"
    );
    let output = named(&bed, &allowing(origin.port()))
        .py(&python, RAW, &["http", "1"])
        .stdin(input)
        .run()
        .ok();
    assert!(output.text().starts_with("HTTP/1.1 101"), "{output}");
    assert!(
        output.text().ends_with("echo \u{1}thisand that"),
        "{output}"
    );
}

#[test]
fn fields_of_one_hop_stay_on_it() {
    need_names!();
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::serving(|_| Reply {
        status: 200,
        headers: vec![
            ("Connection".into(), "X-Private".into()),
            ("X-Private".into(), "1".into()),
            ("X-Kept".into(), "2".into()),
        ],
        body: b"ok".to_vec(),
    });
    let target = format!("http://{NAME}:{}/", origin.port());
    let input = format!(
        "GET {target} HTTP/1.1\r\nHost: {NAME}\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic c2VjcmV0\r\nTE: trailers\r\nKeep-Alive: timeout=9\r\nX-End: kept\r\n\r\n"
    );
    let output = named(&bed, &allowing(origin.port()))
        .py(&python, RAW, &["http", "1"])
        .stdin(input)
        .run()
        .ok();
    let request = origin.requests().pop().unwrap();
    for name in [
        "x-hop",
        "proxy-connection",
        "proxy-authorization",
        "keep-alive",
    ] {
        assert_eq!(
            request.header(name),
            None,
            "{name} reached the origin: {request:?}"
        );
    }
    assert_eq!(request.header("x-end"), Some("kept"));
    let head = output.text().to_ascii_lowercase();
    assert!(
        head.contains("x-kept: 2") && !head.contains("x-private"),
        "{output}"
    );
}

#[test]
fn the_host_field_does_not_decide_where_a_request_goes() {
    need_names!();
    let python = python!("socket", "urllib.parse");
    let bed = Bed::new();
    let origin = Origin::start();
    let target = format!("http://{NAME}:{}/", origin.port());
    let input = format!("GET {target} HTTP/1.1\r\nHost: evil.test\r\n\r\n");
    let output = named(&bed, &allowing(origin.port()))
        .py(&python, RAW, &["http", "1"])
        .stdin(input)
        .run()
        .ok();
    for request in origin.requests() {
        assert!(
            request
                .header("host")
                .is_some_and(|host| host.starts_with(NAME)),
            "{request:?}\n{output}"
        );
    }
}

#[test]
fn requests_in_parallel_all_arrive() {
    need_names!();
    let python = python!("threading", "urllib.request");
    let bed = Bed::new();
    let origin = Origin::start();
    let program = r"
import sys, threading, urllib.request
answers = []
def get(n):
    answers.append(urllib.request.urlopen(sys.argv[1] + str(n), timeout=30).read())
threads = [threading.Thread(target=get, args=(n,)) for n in range(30)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(set(answers)))
";
    let url = format!("http://{NAME}:{}/", origin.port());
    named(&bed, &allowing(origin.port()))
        .py(&python, program, &[&url])
        .run()
        .ok()
        .prints("30\n");
}

#[test]
fn the_first_byte_works_at_every_start() {
    need_names!();
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let url = format!("http://{NAME}:{}/", origin.port());
    let rounds = if time_scale() > 4.0 { 10 } else { 50 };
    for _ in 0..rounds {
        named(&bed, &allowing(origin.port()))
            .args([curl.to_str().unwrap(), "-sS", &url])
            .run()
            .ok()
            .prints("ORIGIN GET / 0\n");
    }
}

#[test]
fn servers_inside_are_reached_inside() {
    let python = python!("socket", "threading", "http.server", "urllib.request");
    let bed = Bed::new();
    let program = r"
import http.server, sys, threading, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'inner')
    def log_message(self, *a): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for host in ('127.0.0.1', 'localhost'):
    print(urllib.request.urlopen('http://%s:%d/' % (host, server.server_port), timeout=10).read().decode())
";
    bed.srt()
        .py(&python, program, &[])
        .run()
        .ok()
        .prints("inner\ninner\n");
    let settings = settings(&["example.com"], &[]);
    bed.srt()
        .flat(&settings)
        .py(&python, program, &[])
        .run()
        .ok()
        .prints("inner\ninner\n");
}
