//! A project's files narrow at once and widen when trusted; managed settings win.

use sandbox_tests::{Bed, Output, host, inapplicable, is_root, need, skip};
use serde_json::{Value, json};

/// Writes in a place that only the project's settings open.
const WRITE: &str = "echo x > ~/open/file";

fn bed_with_project(rules: &Value) -> Bed {
    let bed = Bed::new();
    std::fs::create_dir(bed.home().join("open")).unwrap();
    bed.file("work/.claude/settings.json", rules.to_string());
    bed
}

fn widening() -> Value {
    json!({"permissions": {"allow": ["Edit(~/open)"]}})
}

fn written(bed: &Bed) -> bool {
    std::fs::remove_file(bed.home().join("open/file")).is_ok()
}

fn trust(bed: &Bed) -> Output {
    bed.srt().args(["trust"]).run()
}

#[test]
fn what_widens_is_held_back_until_it_is_trusted() {
    let bed = bed_with_project(&widening());
    let held = bed.srt().sh(WRITE).run().refused();
    assert!(!written(&bed));
    assert!(held.errors().contains("srt trust"), "{held}");
    let notes: Vec<String> = held
        .errors()
        .lines()
        .filter(|line| line.contains("srt trust"))
        .map(str::to_owned)
        .collect();
    assert_eq!(notes.len(), 1, "{held}");
    assert!(
        notes.iter().all(|note| note.contains("settings.json")
            || note.contains("~/open")
            || note.contains("/open")),
        "{held}"
    );
    // Once, by a flag.
    bed.srt().options(["--trust-project"]).sh(WRITE).run().ok();
    assert!(written(&bed));
    bed.srt().sh(WRITE).run().refused();
    // From now on, by a record.
    trust(&bed).ok();
    let trusted = bed.srt().sh(WRITE).run().ok();
    assert!(written(&bed));
    assert!(!trusted.errors().contains("srt trust"), "{trusted}");
}

#[test]
fn another_content_is_another_decision() {
    let bed = bed_with_project(&widening());
    trust(&bed).ok();
    bed.srt().sh(WRITE).run().ok();
    assert!(written(&bed));
    bed.file(
        "work/.claude/settings.json",
        json!({"permissions": {"allow": ["Edit(~/open)", "Edit(~/more)"]}}).to_string(),
    );
    bed.srt().sh(WRITE).run().refused();
    assert!(!written(&bed));
    bed.file("work/.claude/settings.json", widening().to_string());
    bed.srt().sh(WRITE).run().ok();
    assert!(written(&bed));
}

#[test]
fn the_same_content_elsewhere_is_not_trusted() {
    let bed = bed_with_project(&widening());
    trust(&bed).ok();
    let other = bed.root().join("other");
    std::fs::create_dir_all(other.join(".claude")).unwrap();
    std::fs::write(other.join(".claude/settings.json"), widening().to_string()).unwrap();
    bed.srt().directory(&other).sh(WRITE).run().refused();
    assert!(!written(&bed));
    bed.srt().sh(WRITE).run().ok();
}

#[test]
fn the_local_file_is_the_projects_too() {
    let bed = Bed::new();
    std::fs::create_dir(bed.home().join("open")).unwrap();
    bed.file("work/.claude/settings.local.json", widening().to_string());
    bed.srt().sh(WRITE).run().refused();
    assert!(!written(&bed));
    trust(&bed).ok();
    bed.srt().sh(WRITE).run().ok();
    assert!(written(&bed));
}

#[test]
fn a_command_inside_cannot_trust_for_the_next_one() {
    let bed = bed_with_project(&widening());
    let before = bed.tree();
    // Inside it is a program like any other; its record would have to be written in the home.
    let own = sandbox_tests::binary();
    let _inside = bed.srt().args([own.as_os_str(), "trust".as_ref()]).run();
    assert_eq!(before.changes(&bed.tree()), [""; 0]);
    bed.srt().sh(WRITE).run().refused();
    assert!(!written(&bed));
}

#[test]
fn the_record_is_not_writable_from_inside() {
    let bed = bed_with_project(&widening());
    trust(&bed).ok();
    let before = bed.tree();
    let _output = bed
        .srt()
        .sh("find ~ -type f | while read f; do echo x >> \"$f\"; rm -f \"$f\"; done")
        .run();
    let changes: Vec<String> = before
        .changes(&bed.tree())
        .into_iter()
        .filter(|change| change.contains("/home/"))
        .collect();
    assert!(changes.is_empty(), "{changes:#?}");
}

#[test]
fn what_narrows_applies_at_once() {
    let deny = json!({"permissions": {"deny": ["Read(secret)", "Edit(locked)", "WebFetch(domain:denied.test)"], "allow": ["Edit(~/open)"]}});
    let bed = bed_with_project(&deny);
    bed.file("work/secret", "hidden");
    bed.file("work/locked", "old");
    bed.srt().args(["cat", "secret"]).run().refused().prints("");
    bed.srt().sh("echo new > locked").run().refused();
    bed.srt().sh(WRITE).run().refused();
    assert_eq!(std::fs::read(bed.work().join("locked")).unwrap(), b"old");
    std::fs::remove_file(bed.work().join(".claude/settings.json")).unwrap();
    bed.srt().sh("cat secret && echo new > locked").run().ok();
}

#[test]
fn weaker_modes_of_a_project_are_held_back() {
    for weaker in [
        json!({"sandbox": {"enabled": false}}),
        json!({"sandbox": {"excludedCommands": ["sh", "sh *"]}}),
        json!({"sandbox": {"enableWeakerNestedSandbox": true}}),
        json!({"permissions": {"allow": ["Edit(/)", "Edit(~)", "Edit(//)"]}}),
    ] {
        let bed = bed_with_project(&weaker);
        let output = bed.srt().sh(WRITE).run().refused();
        assert!(!written(&bed), "{weaker}");
        assert!(output.errors().contains("srt trust"), "{weaker}\n{output}");
    }
}

#[test]
fn a_deny_of_any_layer_stands() {
    let bed = Bed::new();
    bed.file("work/locked", "old");
    let deny = json!({"permissions": {"deny": ["Edit(locked)"]}}).to_string();
    let allow = json!({"permissions": {"allow": ["Edit(locked)"], "deny": []}}).to_string();
    let layers = [
        "home/.claude/settings.json",
        "work/.claude/settings.json",
        "work/.claude/settings.local.json",
    ];
    for denying in layers {
        for layer in layers {
            bed.file(layer, if layer == denying { &deny } else { &allow });
        }
        bed.srt()
            .options(["--trust-project"])
            .sh("echo new > locked")
            .run()
            .refused();
        assert_eq!(
            std::fs::read(bed.work().join("locked")).unwrap(),
            b"old",
            "denied in {denying}"
        );
    }
    for layer in layers {
        bed.file(layer, &allow);
    }
    bed.srt()
        .options(["--trust-project"])
        .sh("echo new > locked")
        .run()
        .ok();
}

#[test]
fn managed_settings_win_over_everything() {
    if !is_root() {
        inapplicable!("managed settings can only be placed by root");
    }
    let bed = Bed::new();
    let check = host(&need!("unshare"), ["-m", "true"]);
    if !check.succeeded() {
        skip!("no mount namespace for a private /etc");
    }
    std::fs::create_dir(bed.home().join("open")).unwrap();
    bed.file("work/locked", "old");
    bed.file(
        "etc/managed-settings.json",
        json!({"permissions": {"deny": ["Edit(locked)", "Edit(~/open)"]}}).to_string(),
    );
    bed.file(
        "home/.claude/settings.json",
        json!({"permissions": {"allow": ["Edit(~/open)", "Edit(locked)"]}}).to_string(),
    );
    // The directory is made on a private copy of /etc, so the host's is not touched.
    let line = "mount -t tmpfs none /mnt && cp -a /etc/. /mnt/ && mkdir -p /mnt/claude-code && cp \"$0\" /mnt/claude-code/ && mount --move /mnt /etc && exec \"$@\"";
    let launcher = [
        "unshare".into(),
        "-m".into(),
        "/bin/sh".into(),
        "-c".into(),
        line.to_owned(),
        bed.root()
            .join("etc/managed-settings.json")
            .display()
            .to_string(),
    ];
    let run = |line: &str, options: &[&str]| {
        bed.srt()
            .under(launcher.clone())
            .options(options.iter().copied())
            .sh(line)
            .run()
    };
    run("echo new > locked", &[]).refused();
    run(WRITE, &["--trust-project"]).refused();
    let flat = bed.file(
        "flat.json",
        json!({"network": {"allowedDomains": [], "deniedDomains": []}, "filesystem": {"denyRead": [], "allowWrite": ["/", "~/open", "locked"], "denyWrite": []}}).to_string(),
    );
    run("echo new > locked", &["-s", flat.to_str().unwrap()]).refused();
    assert_eq!(std::fs::read(bed.work().join("locked")).unwrap(), b"old");
    run("echo free > other", &[]).ok();
    bed.srt().sh(WRITE).run().ok();
    // A broken one is an error like any other.
    bed.file("etc/managed-settings.json", "{");
    run("true", &[]).exits(125);
}

#[test]
fn a_home_behind_a_link_is_guarded_like_any_other() {
    let bed = Bed::new();
    let link = bed.root().join("me");
    std::os::unix::fs::symlink(bed.home(), &link).unwrap();
    let line = "mkdir -p .claude; echo '{\"sandbox\": {\"enabled\": false}}' > .claude/settings.json; echo x > .bashrc";
    for home in [link.as_path(), bed.home()] {
        bed.srt()
            .directory(bed.home())
            .env("HOME", home)
            .sh(line)
            .run()
            .refused();
        assert!(std::fs::symlink_metadata(bed.home().join(".claude/settings.json")).is_err());
        assert!(std::fs::symlink_metadata(bed.home().join(".bashrc")).is_err());
    }
    // Elsewhere the directory itself is writable, and these names are protected.
    bed.srt().env("HOME", &link).sh(line).run().refused();
    assert!(std::fs::symlink_metadata(bed.work().join(".bashrc")).is_err());
    let open = "mkdir -p .claude; echo x > .claude/notes; echo x > bashrc";
    bed.srt().env("HOME", &link).sh(open).run().ok();
    assert!(std::fs::symlink_metadata(bed.work().join("bashrc")).is_ok());
}

#[test]
fn a_planted_fifo_is_an_error_and_nobody_waits() {
    let bed = Bed::new();
    let directory = bed.work().join(".claude");
    std::fs::create_dir(&directory).unwrap();
    let mkfifo = need!("mkfifo");
    let path = directory.join("settings.json");
    host(&mkfifo, [path.as_os_str()]).ok();
    bed.srt().sh("echo ran").run().exits(125).prints("");
    std::fs::remove_file(&path).unwrap();
    bed.srt().sh("echo ran").run().ok().prints("ran\n");
}
