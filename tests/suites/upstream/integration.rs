//! Network and file limits in use.

use sandbox_tests::{
    Bed, Output, UnixWitness, carriers, inapplicable, is_root, need, python, signal, timeout,
    wait_until,
};
use serde_json::{Value, json};

use crate::{Case, line, usual, usually};

fn blocked(bed: &Bed, settings: &Value, url: &str) -> Output {
    line(bed, settings, &format!("curl -s --max-time 5 {url}")).run()
}

fn empty() -> Value {
    let mut settings = usual();
    settings["network"]["allowedDomains"] = json!([]);
    settings
}

fn read_only(output: &Output) {
    let said = output.errors().to_lowercase();
    assert!(
        !output.succeeded() && said.contains("read-only file system"),
        "{output}"
    );
}

fn unix_socket_refused(kind: &str) {
    let python = python!("socket");
    let bed = Bed::new();
    let program = format!("import socket; socket.socket(socket.AF_UNIX, socket.{kind})");
    let output = usually(&bed).py(&python, &program, &[]).run().refused();
    assert!(
        output
            .errors()
            .to_lowercase()
            .contains("operation not permitted"),
        "{output}"
    );
}

pub(crate) const CASES: &[Case] = &[
    ("integration: unix socket connections", || {
        let python = python!("socket");
        let bed = Bed::new();
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let path = directory.path().join("s");
        let witness = UnixWitness::at(&path);
        let program = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
        let output = usually(&bed)
            .directory(directory.path())
            .py(&python, program, &[path.to_str().unwrap()])
            .run()
            .refused();
        assert!(
            output
                .errors()
                .to_lowercase()
                .contains("operation not permitted"),
            "{output}"
        );
        assert_eq!(witness.accepted(), 0);
    }),
    ("integration: plain HTTP not on the list", || {
        need!("curl");
        let bed = Bed::new();
        let output = blocked(&bed, &usual(), "http://blocked-domain.example");
        assert!(
            output.text().contains("blocked by network allowlist"),
            "{output}"
        );
    }),
    ("integration: HTTPS not on the list", || {
        need!("curl");
        let bed = Bed::new();
        let output = blocked(&bed, &usual(), "https://www.anthropic.com");
        assert!(
            !output.succeeded() && !output.text().to_lowercase().contains("<html"),
            "{output}"
        );
    }),
    ("integration: write outside the working directory", || {
        let bed = Bed::new();
        let target = bed.outside().join("file");
        read_only(&line(&bed, &usual(), &format!("echo x > {}", target.display())).run());
        assert!(target.symlink_metadata().is_err());
    }),
    ("integration: write in the working directory", || {
        let bed = Bed::new();
        line(&bed, &usual(), "echo content > file").run().ok();
        assert_eq!(
            std::fs::read(bed.work().join("file")).unwrap(),
            b"content\n"
        );
    }),
    ("integration: reads are open", || {
        let bed = Bed::new();
        bed.file("home/.bashrc", "# mine\n");
        line(&bed, &usual(), "head -n 5 ~/.bashrc")
            .run()
            .ok()
            .prints("# mine\n");
    }),
    ("integration: basic commands and pipelines", || {
        let bed = Bed::new();
        line(&bed, &usual(), "echo 'Hello from sandbox'")
            .run()
            .ok()
            .prints("Hello from sandbox\n");
        line(
            &bed,
            &usual(),
            "printf 'line1\\nline2\\nline3\\n' | grep line2",
        )
        .run()
        .ok()
        .prints("line2\n");
    }),
    ("integration: bash is the default shell", || {
        need!("bash");
        let bed = Bed::new();
        let output = line(&bed, &usual(), "echo \"$BASH_VERSION\"").run().ok();
        assert!(
            output
                .text()
                .starts_with(|first: char| first.is_ascii_digit()),
            "{output}"
        );
    }),
    ("integration: process ids are private", || {
        let bed = Bed::new();
        let output = line(&bed, &usual(), "ls -d /proc/[0-9]* | wc -l")
            .run()
            .ok();
        let count: u32 = output.text().trim().parse().unwrap();
        assert!((1..30).contains(&count), "{output}");
    }),
    ("integration: write through a link", || {
        let bed = Bed::new();
        let target = bed.outside().join("file");
        let text = format!("ln -s {} link && echo x > link", target.display());
        read_only(&line(&bed, &usual(), &text).run());
        assert!(target.symlink_metadata().is_err());
    }),
    ("integration: background processes end", || {
        let bed = Bed::new();
        let text = "(while true; do echo tick >> ticks; sleep 0.2; done) & sleep 0.5; exit 0";
        let output = line(&bed, &usual(), text).run().ok();
        assert!(output.elapsed < timeout(4.0));
        let ticks = || {
            std::fs::read_to_string(bed.work().join("ticks"))
                .unwrap()
                .lines()
                .count()
        };
        let before = ticks();
        std::thread::sleep(timeout(0.6));
        assert!(before < 10 && ticks() == before);
    }),
    ("integration: a time limit ends everything", || {
        let limit = need!("timeout");
        let bed = Bed::new();
        let srt = line(
            &bed,
            &usual(),
            "while true; do echo tick >> ticks; sleep 0.1; done",
        );
        srt.under([limit.to_str().unwrap(), "1"]).run().exits(124);
        std::thread::sleep(timeout(0.5));
        assert!(
            std::fs::read_to_string(bed.work().join("ticks"))
                .unwrap()
                .lines()
                .count()
                < 13
        );
        assert!(
            wait_until(timeout(3.0), || carriers(bed.marker()).is_empty()),
            "{:#?}",
            carriers(bed.marker())
        );
    }),
    ("integration: no orphans after SIGTERM", || {
        let bed = Bed::new();
        let running = line(&bed, &usual(), "touch up; sleep 300 & sleep 300").spawn();
        assert!(wait_until(timeout(20.0), || bed
            .work()
            .join("up")
            .symlink_metadata()
            .is_ok()));
        signal(running.pid(), "TERM");
        running.finish(timeout(10.0));
        assert!(
            wait_until(timeout(3.0), || carriers(bed.marker()).is_empty()),
            "{:#?}",
            carriers(bed.marker())
        );
    }),
    ("integration: no privileges to gain", || {
        if is_root() {
            inapplicable!("only an ordinary user could gain privileges");
        }
        let bed = Bed::new();
        let text = "cp $(command -v id) ./i && chmod u+s ./i && ./i -u";
        let output = line(&bed, &usual(), text).run().ok();
        assert_ne!(output.text().trim(), "0", "{output}");
        assert!(!line(&bed, &usual(), "sudo -n true").run().succeeded());
        assert!(
            !line(&bed, &usual(), "su -c true < /dev/null")
                .run()
                .succeeded()
        );
    }),
    ("integration: protocols, ports and bare addresses", || {
        need!("curl");
        let bed = Bed::new();
        for url in ["http://blocked-domain.example:8080", "http://1.1.1.1"] {
            let output = blocked(&bed, &usual(), url);
            assert!(
                output.text().contains("blocked by network allowlist"),
                "{url}\n{output}"
            );
        }
        assert!(!blocked(&bed, &usual(), "https://blocked-domain.example").succeeded());
    }),
    ("integration: wildcards match sub-domains only", || {
        need!("curl");
        let bed = Bed::new();
        let mut settings = usual();
        settings["network"]["allowedDomains"] = json!(["*.github.com", "example.com"]);
        for host in [
            "github.com",
            "malicious-github.com",
            "raw.githubusercontent.com",
        ] {
            let output = blocked(&bed, &settings, &format!("http://{host}"));
            assert!(
                output.text().contains("blocked by network allowlist"),
                "{host}\n{output}"
            );
        }
        let allowed = blocked(&bed, &settings, "http://api.github.com");
        assert!(
            !allowed.text().contains("blocked by network allowlist"),
            "{allowed}"
        );
    }),
    ("integration: special files", || {
        let bed = Bed::new();
        line(&bed, &usual(), "mkfifo pipe && test -p pipe")
            .run()
            .ok();
        let link = line(&bed, &usual(), "ln /etc/passwd hard 2>&1").run();
        let said = link.text().to_lowercase();
        let refusals = [
            "read-only",
            "cross-device",
            "permission denied",
            "not permitted",
        ];
        assert!(
            !link.succeeded() && refusals.iter().any(|refusal| said.contains(refusal)),
            "{link}"
        );
        assert!(!line(&bed, &usual(), "mknod node c 1 3").run().succeeded());
        assert!(bed.work().join("node").symlink_metadata().is_err());
    }),
    ("integration: empty list blocks HTTP and HTTPS", || {
        need!("curl");
        let bed = Bed::new();
        for url in ["http://example.com", "https://example.com"] {
            let output = blocked(&bed, &empty(), url);
            assert!(
                !output.succeeded() || output.text().contains("blocked by network allowlist"),
                "{output}"
            );
            assert!(!output.text().contains("Example Domain"), "{output}");
        }
    }),
    ("integration: empty list blocks names", || {
        let bed = Bed::new();
        assert!(
            !line(&bed, &empty(), "getent hosts example.com")
                .run()
                .succeeded()
        );
    }),
    ("integration: empty list blocks wget", || {
        need!("wget");
        let bed = Bed::new();
        assert!(
            !line(&bed, &empty(), "wget -q -T 5 -t 1 -O - http://example.com")
                .run()
                .succeeded()
        );
    }),
    ("integration: files work without a network", || {
        let bed = Bed::new();
        line(&bed, &empty(), "echo data > file && cat file")
            .run()
            .ok()
            .prints("data\n");
    }),
    ("integration: one domain allowed blocks others", || {
        need!("curl");
        let bed = Bed::new();
        let output = blocked(&bed, &usual(), "http://other-domain.example");
        assert!(
            output.text().contains("blocked by network allowlist"),
            "{output}"
        );
    }),
    ("seccomp: unix stream sockets refused", || {
        unix_socket_refused("SOCK_STREAM");
    }),
    ("seccomp: unix datagram sockets refused", || {
        unix_socket_refused("SOCK_DGRAM");
    }),
    ("seccomp: internet sockets exist", || {
        let python = python!("socket");
        let bed = Bed::new();
        let program = "import socket\nfor f, k in ((2, 1), (2, 2), (10, 1)): socket.socket(f, k)\nprint('made')";
        usually(&bed)
            .py(&python, program, &[])
            .run()
            .ok()
            .prints("made\n");
    }),
];
