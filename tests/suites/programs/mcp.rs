//! An MCP server over standard streams: any stray byte on stdout would break the protocol.

use std::io::Write as _;

use sandbox_tests::{Bed, python, timeout, wait_until};
use serde_json::{Value, json};

const SERVER: &str = include_str!("server.py");

fn request(id: u32, method: &str, params: &Value) -> String {
    format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    )
}

#[test]
fn a_server_answers_initialize_and_its_tools_are_confined() {
    let python = python!("json");
    let bed = Bed::new();
    bed.file("work/server.py", SERVER);
    let initialize = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}});
    let write = |path: &str| json!({"name": "write", "arguments": {"path": path, "text": "x"}});
    let outside = bed.outside().join("file");
    let input = [
        request(1, "initialize", &initialize),
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n".to_owned(),
        request(2, "tools/list", &json!({})),
        request(3, "tools/call", &write("inside")),
        request(4, "tools/call", &write(outside.to_str().unwrap())),
    ]
    .concat();
    for options in [vec![], vec!["-d"]] {
        let output = bed
            .srt()
            .options(options)
            .args([python.to_str().unwrap(), "-u", "server.py"])
            .stdin(input.clone())
            .run()
            .ok();
        let lines: Vec<Value> = output
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 4, "{output}");
        assert_eq!(lines[0]["result"]["serverInfo"]["name"], "tiny");
        assert_eq!(lines[2]["result"]["content"][0]["text"], "written");
        assert_eq!(lines[3]["result"]["isError"], true);
        let first = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-06-18\",";
        assert!(output.text().starts_with(first), "{output}");
        assert!(
            output.errors().contains("note: notifications/initialized"),
            "{output}"
        );
    }
    assert!(outside.symlink_metadata().is_err());
    assert!(bed.work().join("inside").symlink_metadata().is_ok());
}

#[test]
fn messages_framed_by_length_arrive_byte_for_byte() {
    let python = python!("json");
    let bed = Bed::new();
    // A server that echoes frames; `\r\n` and multi-byte text must survive.
    let server = r"
import sys
while (head := sys.stdin.buffer.readline()):
    length = int(head.split(b':')[1]); sys.stdin.buffer.readline()
    body = sys.stdin.buffer.read(length)
    sys.stdout.buffer.write(b'Content-Length: %d\r\n\r\n' % len(body) + body); sys.stdout.buffer.flush()
";
    let bodies = [
        "{}",
        "{\"text\":\"\u{e9}\u{1f600}\\r\\n\"}",
        &"x".repeat(200_000),
    ];
    let frames: String = bodies
        .iter()
        .map(|body| format!("Content-Length: {}\r\n\r\n{body}", body.len()))
        .collect();
    bed.srt()
        .py(&python, server, &[])
        .stdin(frames.clone())
        .run()
        .ok()
        .prints(frames);
}

#[test]
fn a_server_answers_while_its_input_stays_open_and_ends_with_it() {
    let python = python!("json");
    let bed = Bed::new();
    bed.file("work/server.py", SERVER);
    bed.file("work/client.py", include_str!("client.py"));
    let argv: Vec<String> = bed
        .srt()
        .args([python.to_str().unwrap(), "-u", "server.py"])
        .argv()
        .into_iter()
        .map(|word| word.into_string().unwrap())
        .collect();
    // The client stands outside and asks one question after another.
    let mut words = vec![
        "-ES".to_owned(),
        bed.work().join("client.py").display().to_string(),
        bed.work().display().to_string(),
    ];
    words.extend(argv);
    let output = sandbox_tests::host(&python, &words).ok();
    output.prints("answers 20\nexit 0\n");
}

#[test]
fn a_server_ends_with_its_client() {
    let python = python!("json");
    let bed = Bed::new();
    bed.file("work/server.py", SERVER);
    let mut running = bed
        .srt()
        .args([python.to_str().unwrap(), "-u", "server.py"])
        .open_stdin()
        .spawn();
    let mut input = running.stdin().unwrap();
    input
        .write_all(request(1, "ping", &json!({})).as_bytes())
        .unwrap();
    std::thread::sleep(timeout(0.3));
    assert!(!running.ended(), "it ended although its input is open");
    drop(input);
    assert!(wait_until(timeout(10.0), || running.ended()));
    running
        .finish(timeout(1.0))
        .ok()
        .prints("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
}
