//! The host sees nothing of ours: no event in any directory and no difference, at no moment.

use std::ffi::OsString;
use std::time::Duration;

use sandbox_tests::{Bed, Random, Watch, carriers, say, time_scale, timeout, wait_until};
use serde_json::{Value, json};

/// Every kind of rule, most of them about what is not there.
fn policy(bed: &Bed) -> Value {
    let outside = bed.outside().display().to_string();
    json!({
        "network": {"allowedDomains": ["example.com"], "deniedDomains": []},
        "filesystem": {
            "denyRead": ["secret", "vault", "absent/read", "**/.env", "*.pem", "~/.ssh"],
            "allowRead": ["vault/open"],
            "allowWrite": [".", "~/.cache/tool", format!("{outside}/new"), format!("{outside}/a/b/c"), "missing/root"],
            "denyWrite": ["locked", "absent", "none/at/all", "**/*.lock", ".git/hooks", "deep/er/est"],
        },
    })
}

fn bed() -> Bed {
    let bed = Bed::new();
    for name in [
        "work/secret",
        "work/vault/inner",
        "work/vault/open/file",
        "work/locked/file",
        "work/a/.env",
        "work/k.pem",
        "work/deep/file",
        "work/.git/HEAD",
        "work/.git/config",
        "work/plain",
        "home/.ssh/key",
        "outside/file",
    ] {
        bed.file(name, "content");
    }
    std::fs::create_dir_all(bed.work().join("empty/er")).unwrap();
    bed
}

/// The settings are written once, before anybody looks.
fn options(bed: &Bed) -> Vec<OsString> {
    let path = bed.file("settings.json", policy(bed).to_string());
    vec!["--settings".into(), path.into_os_string()]
}

/// Looks at everything, and tries what is refused.
const LOOK: &str = "find . ~ ../outside > /dev/null 2>&1; cat plain secret a/.env vault/open/file > /dev/null 2>&1; ls -lR > /dev/null 2>&1; for f in absent absent/x none none/at/all x.lock a/.env .bashrc .vscode .git/hooks ../outside/other missing/other locked/file; do { echo x > $f; mkdir $f/x; rm -rf $f; ln -s x $f; mv plain $f; } 2> /dev/null; done; test -e plain";

#[test]
fn nothing_happens_before_during_and_after_a_run() {
    let bed = bed();
    let options = options(&bed);
    let before = bed.tree();
    let watch = Watch::on(bed.root());
    // `none` itself may be made by the command, as nothing says otherwise: not so here.
    let look = LOOK.replace(" none ", " ").replace(" .git/hooks ", " ");
    for _ in 0..5 {
        bed.srt().options(options.clone()).sh(&look).run().ok();
        assert_eq!(watch.events(), [""; 0]);
        assert_eq!(before.changes(&bed.tree()), [""; 0]);
    }
    let line = format!("{look}; sleep 60");
    let mut running = bed.srt().options(options.clone()).sh(&line).spawn();
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(watch.events(), [""; 0], "while it runs");
        assert_eq!(before.changes(&bed.tree()), [""; 0], "while it runs");
    }
    assert!(!running.ended());
    running.kill();
    running.finish(timeout(10.0));
    assert_eq!(watch.events(), [""; 0], "after it was killed");
    assert_eq!(before.changes(&bed.tree()), [""; 0]);
    // A run that is refused at its start leaves as little.
    bed.srt()
        .options(options.clone())
        .args(["/nonexistent/program"])
        .run()
        .exits(127);
    assert_eq!(watch.events(), [""; 0]);
    // And the witness sees what a command may do.
    bed.srt().options(options).sh("echo x > made").run().ok();
    let events = watch.events();
    assert!(
        events.iter().any(|event| event.contains("made")),
        "{events:?}"
    );
}

#[test]
fn nothing_is_left_by_a_kill_at_any_moment() {
    let bed = bed();
    let options = options(&bed);
    let before = bed.tree();
    let watch = Watch::on(bed.root());
    let mut random = Random::new();
    let look = LOOK.replace(" none ", " ").replace(" .git/hooks ", " ");
    let line = format!("while :; do {look}; done");
    let mut ended = 0;
    for _ in 0..100 {
        let mut running = bed.srt().options(options.clone()).sh(&line).spawn();
        let micros = u64::try_from(random.below(30_000)).unwrap();
        std::thread::sleep(Duration::from_micros(micros).mul_f64(time_scale()));
        ended += usize::from(running.ended());
        running.kill();
        running.finish(timeout(20.0));
        let events = watch.events();
        assert!(events.is_empty(), "after {micros} µs: {events:#?}");
    }
    assert_eq!(before.changes(&bed.tree()), [""; 0]);
    assert!(
        wait_until(timeout(10.0), || carriers(bed.marker()).is_empty()),
        "{:#?}",
        carriers(bed.marker())
    );
    assert_eq!(watch.events(), [""; 0]);
    say(&format!("killed 100 runs, {ended} had ended"));
    assert!(ended < 50, "most runs ended by themselves");
}

/// A command that is killed in the midst of making things leaves what it made, and nothing else.
#[test]
fn a_kill_while_files_are_made_leaves_only_those() {
    let bed = bed();
    let options = options(&bed);
    let mut random = Random::new();
    let line = "i=0; while :; do mkdir -p made/$i; echo x > made/$i/f; mv made/$i/f made/$i/g; echo x > .bashrc; mkdir -p ~/.cache/tool/$i; i=$((i+1)); done 2> /dev/null";
    for _ in 0..30 {
        let before = bed.tree();
        let mut running = bed.srt().options(options.clone()).sh(line).spawn();
        let micros = u64::try_from(random.below(60_000)).unwrap();
        std::thread::sleep(Duration::from_micros(micros).mul_f64(time_scale()));
        running.kill();
        running.finish(timeout(20.0));
        assert!(wait_until(timeout(10.0), || {
            carriers(bed.marker()).is_empty()
        }));
        let changes = before.changes(&bed.tree());
        let own = [
            bed.work().join("made").display().to_string(),
            bed.home().join(".cache").display().to_string(),
        ];
        let foreign: Vec<&String> = changes
            .iter()
            .filter(|change| !own.iter().any(|path| change.contains(path)))
            .collect();
        assert!(foreign.is_empty(), "{foreign:#?}");
        for path in [bed.work().join("made"), bed.home().join(".cache")] {
            std::fs::remove_dir_all(path).ok();
        }
    }
}
