//! `--control-fd`: rules about hosts that change while the command runs.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use sandbox_tests::{Bed, Origin, Running, host, need, need_names, python, timeout, wait_until};
use serde_json::{Value, json};

use crate::{NAME, OTHER, allowing, named, settings};

/// Asks for a name again and again, and logs each status, until there is a file `stop`.
const ASK: &str = "while ! test -e stop; do curl -s -o /dev/null -m 5 -w '%{http_code}\n' \"$1\" >> log; sleep 0.05; done; echo ended";

/// Words that open a file as descriptor 7, for reading and writing, and execute what follows.
fn with_channel(path: &Path) -> [String; 4] {
    let line = "exec 7<>\"$0\" && exec \"$@\"";
    ["/bin/sh", "-c", line, path.to_str().unwrap()].map(str::to_owned)
}

fn statuses(bed: &Bed) -> Vec<String> {
    let log = std::fs::read_to_string(bed.work().join("log")).unwrap_or_else(|_| String::new());
    log.lines().map(str::to_owned).collect()
}

/// Waits until the host answers so, several times in a row from now on.
#[track_caller]
fn becomes(bed: &Bed, status: &str) {
    let from = statuses(bed).len();
    let settled = wait_until(timeout(20.0), || {
        let all = statuses(bed);
        all.len() >= from + 4 && all.iter().rev().take(3).all(|seen| seen == status)
    });
    assert!(settled, "{status}: {:?}", statuses(bed));
}

/// A run that keeps asking for the origin, and the channel that controls it.
struct Controlled<'b> {
    bed: &'b Bed,
    running: Running,
    channel: File,
}

impl<'b> Controlled<'b> {
    fn start(bed: &'b Bed, settings: &Value, port: u16, options: &[&str]) -> Self {
        let mkfifo = sandbox_tests::tool("mkfifo").expect("mkfifo");
        let path = bed.root().join("channel");
        host(&mkfifo, [&path]).ok();
        let url = format!("http://{NAME}:{port}/");
        let running = named(bed, settings)
            .under(with_channel(&path))
            .options(["--control-fd", "7"])
            .options(options.iter().copied())
            .args(["sh", "-c", ASK, "sh", &url])
            .spawn();
        let channel = File::options().read(true).write(true).open(&path).unwrap();
        Self {
            bed,
            running,
            channel,
        }
    }

    fn say(&mut self, line: impl std::fmt::Display) {
        writeln!(self.channel, "{line}").unwrap();
    }

    fn stop(self) -> sandbox_tests::Output {
        self.bed.file("work/stop", "");
        self.running.finish(timeout(20.0)).ok()
    }
}

#[test]
fn a_line_opens_and_closes_hosts_and_a_wrong_one_changes_nothing() {
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let closed = settings(&[], &[]);
    let mut run = Controlled::start(&bed, &closed, port, &[]);
    becomes(&bed, "403");
    assert_eq!(origin.accepted(), 0);
    // Wrong in every way, or about something else.
    for wrong in [
        "nonsense",
        "{\"network\":",
        "[]",
        "{\"network\": {\"allowDomains\": [\"*\"]}}",
        "{\"network\": {\"allowedDomains\": [\"*\"], \"deniedDomains\": []}, \"filesystem\": {\"denyRead\": [], \"allowWrite\": [], \"denyWrite\": []}}",
        "{}",
    ] {
        run.say(wrong);
    }
    run.say("");
    becomes(&bed, "403");
    assert_eq!(origin.accepted(), 0);
    run.say(allowing(port));
    becomes(&bed, "200");
    run.say("{\"network\": 7}");
    becomes(&bed, "200");
    let denied = json!({
        "network": {"allowedDomains": [format!("{NAME}:{port}"), format!("127.0.0.1:{port}")], "deniedDomains": [NAME],
            "deniedDomainReasons": {NAME: "closed for today"}},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    });
    run.say(denied);
    becomes(&bed, "403");
    let seen = origin.accepted();
    becomes(&bed, "403");
    assert_eq!(origin.accepted(), seen);
    let output = run.stop();
    let refused = "Invalid config on control fd 7: ignored, previous config still in force";
    assert_eq!(output.errors().matches(refused).count(), 7, "{output}");
    assert!(output.errors().contains("closed for today"), "{output}");
    assert!(!output.errors().contains("do not hold"), "{output}");
}

#[test]
fn what_other_layers_refuse_stays_closed() {
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    // The project's own file refuses the host; the line, and the file before, say the same and take
    // only their own back.
    bed.file(
        "work/.claude/settings.json",
        json!({"sandbox": {"network": {"deniedDomains": [NAME]}}}).to_string(),
    );
    let both = settings(&[&format!("127.0.0.1:{port}")], &[NAME]);
    let mut run = Controlled::start(&bed, &both, port, &[]);
    becomes(&bed, "403");
    run.say(allowing(port));
    becomes(&bed, "403");
    assert_eq!(origin.accepted(), 0);
    run.stop();
    // The control: without that file the same line opens it.
    std::fs::remove_file(bed.work().join(".claude/settings.json")).unwrap();
    std::fs::remove_file(bed.work().join("stop")).unwrap();
    std::fs::remove_file(bed.root().join("channel")).unwrap();
    let mut run = Controlled::start(&bed, &both, port, &[]);
    becomes(&bed, "403");
    run.say(allowing(port));
    becomes(&bed, "200");
    run.stop();
    // A refusal on the command line, and a permission on it that the file repeated.
    for (options, before, after) in [
        (["--deny-domain", NAME], "403", "403"),
        (["--allow-domain", NAME], "200", "200"),
    ] {
        std::fs::remove_file(bed.work().join("stop")).unwrap();
        std::fs::remove_file(bed.root().join("channel")).unwrap();
        let start = settings(&[NAME, &format!("127.0.0.1:{port}")], &[]);
        let mut run = Controlled::start(&bed, &start, port, &options);
        becomes(&bed, before);
        run.say(settings(&[&format!("127.0.0.1:{port}")], &[]));
        becomes(&bed, after);
        run.stop();
    }
}

#[test]
fn an_open_tunnel_to_a_host_that_is_refused_now_ends() {
    let python = python!("socket");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let port = origin.port();
    let mkfifo = need!("mkfifo");
    let path = bed.root().join("channel");
    host(&mkfifo, [&path]).ok();
    // Through the proxy, and as programs do that know of none.
    let program = r"
import os, socket, sys
name, port = sys.argv[1], int(sys.argv[2])
tunnel = socket.create_connection(('127.0.0.1', 3128))
tunnel.sendall(b'CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n\r\n' % (name.encode(), port, name.encode(), port))
assert b' 200 ' in tunnel.recv(1000)
direct = socket.create_connection((name, port))
for s in (tunnel, direct):
    s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    said = b''
    while not said.endswith(b'/ 0\n'): said += s.recv(1000)
open('up', 'w').close()
for s in (tunnel, direct):
    s.settimeout(20)
    try: print('end' if s.recv(1) == b'' else 'data')
    except ConnectionResetError: print('reset')
";
    let running = named(&bed, &allowing(port))
        .under(with_channel(&path))
        .options(["--control-fd", "7"])
        .py(&python, program, &[NAME, &port.to_string()])
        .spawn();
    let mut channel = File::options().read(true).write(true).open(&path).unwrap();
    let up = bed.work().join("up");
    assert!(wait_until(timeout(20.0), || up.symlink_metadata().is_ok()));
    // A line that permits as much leaves them alone.
    writeln!(channel, "{}", allowing(port)).unwrap();
    std::thread::sleep(timeout(0.3));
    writeln!(channel, "{}", settings(&[OTHER], &[])).unwrap();
    let output = running.finish(timeout(30.0)).ok();
    output.prints("reset\nreset\n");
}

#[test]
fn rules_that_are_not_about_hosts_are_told_not_to_hold() {
    need!("curl");
    need_names!();
    let bed = Bed::new();
    let origin = Origin::start();
    let mut run = Controlled::start(&bed, &settings(&[], &[]), origin.port(), &[]);
    becomes(&bed, "403");
    let mut line = allowing(origin.port());
    line["filesystem"]["denyRead"] = json!(["secret"]);
    run.say(line);
    becomes(&bed, "200");
    let output = run.stop();
    assert!(
        output.errors().contains("some of the line do not hold: 1"),
        "{output}"
    );
}

#[test]
fn a_descriptor_that_cannot_be_read_runs_nothing() {
    let bed = Bed::new();
    let closed = settings(&[], &[]);
    for number in ["9", "1000000"] {
        let run = bed.srt().flat(&closed).options(["--control-fd", number]);
        let output = run.args(["touch", "ran"]).run();
        assert_eq!(output.code(), Some(125), "{output}");
        assert!(output.errors().contains("not usable"), "{output}");
    }
    for number in ["2", "-1", "x"] {
        let run = bed.srt().flat(&closed).options(["--control-fd", number]);
        assert_eq!(run.args(["touch", "ran"]).run().code(), Some(2));
    }
    let write_only = ["/bin/sh", "-c", "exec 7>\"$0\" && exec \"$@\"", "/dev/null"];
    let run = bed.srt().flat(&closed).under(write_only);
    let output = run
        .options(["--control-fd", "7"])
        .args(["touch", "ran"])
        .run();
    assert_eq!(output.code(), Some(125), "{output}");
    assert!(bed.work().join("ran").symlink_metadata().is_err());
    // The control: one that can be read, and has ended, changes nothing.
    let empty = ["/bin/sh", "-c", "exec 7</dev/null && exec \"$@\"", "sh"];
    let run = bed.srt().flat(&closed).under(empty);
    run.options(["--control-fd", "7"])
        .args(["touch", "ran"])
        .run()
        .ok();
    assert!(bed.work().join("ran").symlink_metadata().is_ok());
}

#[test]
fn the_command_does_not_have_the_channel() {
    let python = python!("socket");
    let bed = Bed::new();
    // A pair of sockets, non-blocking, as programs in Node make them.
    let launcher = r"
import os, socket, sys
ours, theirs = socket.socketpair()
ours.setblocking(False); theirs.setblocking(False)
os.dup2(ours.fileno(), 7); os.set_inheritable(7, True)
if os.fork() == 0:
    theirs.send(b'nonsense\n'); import time; time.sleep(1); os._exit(0)
theirs.close()
os.execv(sys.argv[1], sys.argv[1:])
";
    let output = bed
        .srt()
        .flat(&settings(&[], &[]))
        .under([python.to_str().unwrap(), "-ES", "-c", launcher])
        .options(["--control-fd", "7"])
        .sh("sleep 0.5; ls /proc/self/fd/7 2>&1 || echo gone")
        .run()
        .ok();
    assert!(output.text().ends_with("gone\n"), "{output}");
    assert!(
        output.errors().contains("Invalid config on control fd 7"),
        "{output}"
    );
}
