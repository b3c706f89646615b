//! Behaviour of the latest release that its own tests do not cover.

use sandbox_tests::{
    Bed, Subject, host, need, need_names, python, signal, subject, timeout, wait_until,
};
use serde_json::json;

use crate::{Case, line, usual, usually};

fn config_error() -> i32 {
    if subject() == Subject::Ours { 125 } else { 1 }
}

pub(crate) const CASES: &[Case] = &[
    ("latest: missing settings file", || {
        let bed = Bed::new();
        bed.srt()
            .options(["--settings", "/no/such/file.json"])
            .args(["true"])
            .run()
            .exits(config_error());
    }),
    ("latest: empty settings file", || {
        let bed = Bed::new();
        bed.srt()
            .settings_text("")
            .args(["true"])
            .run()
            .exits(config_error());
    }),
    ("latest: deny wins over allow", || {
        need!("curl");
        let bed = Bed::new();
        let mut settings = usual();
        settings["network"]["deniedDomains"] = json!(["*"]);
        let output = line(&bed, &settings, "curl -s --max-time 5 http://example.com").run();
        assert!(
            output.text().contains("blocked by network allowlist"),
            "{output}"
        );
    }),
    ("latest: a name that resolves to loopback", || {
        need_names!();
        need!("curl");
        let bed = Bed::new();
        let origin = sandbox_tests::Origin::start();
        let text = format!(
            "curl -si --max-time 5 http://example.com:{}/",
            origin.port()
        );
        let output = line(&bed, &usual(), &text)
            .hosts(&[("example.com", "127.0.0.1")])
            .run();
        let head = output.text().to_lowercase();
        assert!(
            head.contains(" 403 ") && head.contains("blocked-by-sandbox-runtime"),
            "{output}"
        );
        assert_eq!(origin.accepted(), 0);
    }),
    ("latest: the reason phrase of a denied tunnel", || {
        need!("curl");
        let bed = Bed::new();
        let output = line(
            &bed,
            &usual(),
            "curl -sv --max-time 5 https://denied.example 2>&1",
        )
        .run();
        assert!(
            output.text().contains("403 host is not on the allow list"),
            "{output}"
        );
    }),
    ("latest: proxy demands its token", || {
        need!("curl");
        let bed = Bed::new();
        let text = "curl -s -o /dev/null -w '%{http_code}' --max-time 5 --noproxy '' -x http://localhost:3128 http://example.com";
        let output = line(&bed, &usual(), text).run();
        assert_eq!(output.text(), "407", "{output}");
    }),
    ("latest: socks without login is refused", || {
        let python = python!("socket");
        let bed = Bed::new();
        let program = "import socket\ns = socket.create_connection(('localhost', 1080)); s.sendall(b'\\x05\\x01\\x00')\nanswer = s.recv(2)\ns.sendall(b'\\x05\\x01\\x00\\x03\\x0bexample.com\\x00\\x50'); print(s.recv(10)[1])";
        usually(&bed)
            .py(&python, program, &[])
            .run()
            .ok()
            .prints("2\n");
    }),
    ("latest: an ancestor of a protected path stays", || {
        let bed = Bed::new();
        bed.file("work/a/b/locked", "x");
        let mut settings = usual();
        settings["filesystem"]["denyWrite"] = json!(["a/b/locked"]);
        for text in ["mv a c", "mv a/b d", "rm -rf a"] {
            assert!(!line(&bed, &settings, text).run().succeeded(), "`{text}`");
        }
        assert_eq!(std::fs::read(bed.work().join("a/b/locked")).unwrap(), b"x");
    }),
    ("latest: user namespaces and mounts are refused", || {
        let bed = Bed::new();
        for text in ["unshare -r true", "mount -t tmpfs none ."] {
            assert!(!line(&bed, &usual(), text).run().succeeded(), "`{text}`");
        }
    }),
    ("latest: exit status of a signal", || {
        let bed = Bed::new();
        line(&bed, &usual(), "sh -c 'kill -9 $$'").run().exits(137);
        line(&bed, &usual(), "sh -c 'kill -15 $$'").run().exits(143);
    }),
    ("latest: a literal path is no pattern", || {
        let bed = Bed::new();
        bed.file("work/[x]", "old");
        bed.file("work/x", "old");
        let mut settings = usual();
        settings["filesystem"]["denyWrite"] = json!([{"path": "[x]", "literal": true}]);
        line(&bed, &settings, "echo new > '[x]'").run().refused();
        line(&bed, &settings, "echo new > x").run().ok();
        assert_eq!(std::fs::read(bed.work().join("[x]")).unwrap(), b"old");
    }),
    ("latest: reads re-opened inside a denied directory", || {
        let bed = Bed::new();
        bed.file("home/a/open/file", "OPEN");
        bed.file("home/a/secret", "SECRET");
        let mut settings = usual();
        settings["filesystem"]["denyRead"] = json!(["~/a"]);
        settings["filesystem"]["allowRead"] = json!(["~/a/open"]);
        line(&bed, &settings, "cat ~/a/open/file")
            .run()
            .ok()
            .prints("OPEN");
        line(&bed, &settings, "cat ~/a/secret")
            .run()
            .refused()
            .prints("");
    }),
    ("latest: the variable that names the sandbox", || {
        let bed = Bed::new();
        usually(&bed)
            .sh("echo $SANDBOX_RUNTIME")
            .run()
            .ok()
            .prints("1\n");
    }),
    ("latest: no placeholder is left after a kill", || {
        let bed = Bed::new();
        let mut settings = usual();
        settings["filesystem"]["denyWrite"] = json!(["absent", ".git/hooks"]);
        bed.file("settings.json", settings.to_string());
        let before = bed.tree();
        let mut running = bed.srt().flat(&settings).args(["sleep", "60"]).spawn();
        std::thread::sleep(timeout(1.0));
        if subject() == Subject::Ours {
            assert_eq!(before.changes(&bed.tree()), [""; 0]);
        }
        signal(running.pid(), "TERM");
        assert!(wait_until(timeout(10.0), || running.ended()));
        running.finish(timeout(5.0));
        assert_eq!(before.changes(&bed.tree()), [""; 0]);
    }),
    (
        "latest: the working directory is closed unless named",
        || {
            let bed = Bed::new();
            let mut settings = usual();
            settings["filesystem"]["allowWrite"] = json!([]);
            line(&bed, &settings, "echo x > file").run().refused();
            assert!(bed.work().join("file").symlink_metadata().is_err());
            host(&need!("touch"), [bed.work().join("file")]).ok();
        },
    ),
];
