//! `srt doctor` and `srt learn`.

use sandbox_tests::{Bed, Listener, UnixWitness, need};
use serde_json::{Value, json};

use crate::{permissive::copies, settings};

#[test]
fn the_doctor_says_what_works_here() {
    let bed = Bed::new();
    let output = bed.srt().args(["doctor"]).run().ok();
    for line in [
        "kernel: ",
        "landlock: ",
        "refusing: works",
        "telling: works",
        "not seen",
    ] {
        assert!(output.text().contains(line), "no {line:?}\n{output}");
    }
    let output = bed.srt().args(["doctor", "--json"]).run().ok();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["good"], true, "{output}");
    assert!(
        answer["visibility"].as_array().unwrap().len() > 3,
        "{output}"
    );
    // Where no sandbox can be made, that is the answer.
    let unshare = need!("unshare");
    let limit = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"";
    if sandbox_tests::host(&unshare, ["-Ur", "true"]).succeeded() {
        let output = bed
            .srt()
            .under([
                unshare.as_os_str(),
                "-Ur".as_ref(),
                "sh".as_ref(),
                "-c".as_ref(),
                limit.as_ref(),
            ])
            .args(["doctor"])
            .run()
            .exits(1);
        assert!(output.errors().contains("error: "), "{output}");
    }
}

/// What is proposed is enough, and no more than was asked for.
#[test]
fn what_is_learned_lets_the_command_pass() {
    let bed = Bed::new();
    let curl = need!("curl");
    let listener = Listener::start();
    let target = format!("127.0.0.1:{}", listener.port());
    bed.file("outside/cache/keep", "");
    let line = format!(
        "cd ../outside && for i in 1 2 3; do echo x > cache/f$i; done; echo y > one; '{}' --noproxy '' -s -f -m 5 http://{target}/; echo z > /etc/srt-test; test -e one",
        curl.display()
    );
    let before = settings(&["."], &[], &[]);
    let file = bed.file("settings.json", format!("{before:#}\n"));
    let learn = |extra: &[&str]| {
        let srt = bed.srt().options(["--settings".as_ref(), file.as_os_str()]);
        let words = ["learn"].iter().chain(extra).copied();
        srt.args(words).sh(&line).run()
    };
    let output = learn(&[]).refused();
    let text = output.text();
    let added = |text: &str| text.lines().filter(|line| line.starts_with('+')).count();
    let outside = bed.outside().display().to_string();
    for part in [
        format!("{outside}/cache"),
        format!("{outside}/one"),
        target.clone(),
    ] {
        assert!(text.contains(&format!("\"{part}\"")), "no {part}\n{output}");
    }
    assert!(
        !text.contains("/cache/f1") && !text.contains("/etc"),
        "{output}"
    );
    assert!(added(&text) < 12, "{output}");
    assert!(
        output.errors().contains("not proposed: `/etc/srt-test`"),
        "{output}"
    );
    let unchanged: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(unchanged, before, "it was not asked to write");
    assert_eq!(listener.accepted(), 0);
    learn(&["--write"]).refused();
    let after: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        after["filesystem"]["allowWrite"],
        json!([".", format!("{outside}/cache"), format!("{outside}/one")])
    );
    assert_eq!(after["network"]["allowedDomains"], json!([target]));
    let srt = bed.srt().options(["--settings".as_ref(), file.as_os_str()]);
    srt.sh(&line).run().ok();
    assert_eq!(listener.accepted(), 1);
    assert_eq!(
        std::fs::read(bed.outside().join("cache/f3")).unwrap(),
        b"x\n"
    );
    assert!(bed.outside().join("two").symlink_metadata().is_err());
}

#[test]
fn what_is_guarded_is_not_learned() {
    let bed = Bed::new();
    bed.file("home/.ssh/config", "");
    let line = "echo x > ~/.ssh/config; echo x > ~/.bashrc; echo x > .git/hooks/x; echo x > locked; mkdir ../home2; unshare -U true; for i in 1 2 3 4; do echo x > ~/n$i; done; true";
    bed.file("work/.git/hooks/x", "");
    bed.file("work/locked", "");
    let output = bed
        .srt()
        .settings_text(&format!("{:#}\n", settings(&["."], &["locked"], &[])))
        .args(["learn"])
        .sh(line)
        .run()
        .ok();
    let text = output.text();
    let added = text.lines().filter(|line| line.starts_with('+')).skip(1);
    let text: String = added.map(|line| format!("{line}\n")).collect();
    for never in [
        ".ssh",
        ".bashrc",
        ".git",
        "locked",
        "unprotect",
        "Namespaces",
    ] {
        assert!(
            !text.contains(&format!("+ {never}")) && !text.contains(&format!("{never}\"")),
            "{output}"
        );
    }
    let home = bed.home().display().to_string();
    assert!(!text.contains(&format!("\"{home}\"")), "{output}");
    assert!(text.contains(&format!("\"{home}/n1\"")), "{output}");
    assert!(
        output.errors().contains("a rule closes it on purpose"),
        "{output}"
    );
}

/// The file comes with the repository: a link in its place could lead into the user's own settings.
#[test]
fn a_projects_symlinked_settings_file_is_not_followed() {
    let line = "echo x > ../outside/one";
    let modes = [
        &["learn", "--write"][..],
        &["learn", "--permissive", "--write"],
    ];
    let has_copies = copies(&Bed::new());
    for directory in [false, true] {
        let bed = Bed::new();
        let victim = bed.file("home/theirs/settings.local.json", "{}\n");
        let link = |target: &std::path::Path, name: &str| {
            std::os::unix::fs::symlink(target, bed.work().join(name)).unwrap();
        };
        if directory {
            link(&bed.home().join("theirs"), ".claude");
        } else {
            bed.file("work/.claude/keep", "");
            link(&victim, ".claude/settings.local.json");
        }
        for mode in modes.iter().take(if has_copies { 2 } else { 1 }) {
            let output = bed.srt().args(mode.iter().copied()).sh(line).run();
            assert!(output.errors().contains("is a symlink"), "{output}");
            assert_eq!(std::fs::read(&victim).unwrap(), b"{}\n", "{output}");
        }
    }
}

#[test]
fn without_a_flat_file_the_projects_local_one_is_written_and_applies() {
    let bed = Bed::new();
    let line = "echo x > ../outside/one";
    bed.srt()
        .args(["learn", "--write"])
        .sh(line)
        .run()
        .refused();
    let file = bed.work().join(".claude/settings.local.json");
    let value: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let list = &value["sandbox"]["filesystem"]["allowWrite"];
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{value}");
    bed.srt().sh(line).run().ok();
    assert_eq!(std::fs::read(bed.outside().join("one")).unwrap(), b"x\n");
    // What somebody else put there is not trusted along the way.
    let other = json!({"sandbox": {"filesystem": {"allowWrite": [bed.home()]}}});
    bed.file("work/.claude/settings.json", other.to_string());
    let output = bed
        .srt()
        .args(["learn", "--write"])
        .sh("echo x > ../outside/two")
        .run()
        .refused();
    assert!(output.errors().contains("srt trust"), "{output}");
    bed.srt().sh("echo x > ~/planted").run().refused();
}

/// The name in a hint is the one to be written into the settings.
#[test]
fn names_beyond_ascii_are_hinted_as_they_are() {
    let bed = Bed::new();
    let python = need!("python3");
    let path = bed.outside().join("s\u{f6}cket-\u{65e5}");
    let server = UnixWitness::at(&path);
    let file = bed.file(
        "settings.json",
        format!("{:#}\n", settings(&["."], &[], &[])),
    );
    let srt = || {
        let options = ["--settings".as_ref(), file.as_os_str()];
        bed.srt().options(options)
    };
    let path = path.display().to_string();
    let program = "import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
    let output = srt().py(&python, program, &[&path]).run().refused();
    let hint = format!("\"allowUnixSockets\": [\"{path}\"]");
    assert!(output.errors().contains(&hint), "{output}");
    let learn = srt().args(["learn", "--write"]);
    learn.py(&python, program, &[&path]).run().refused();
    assert_eq!(server.accepted(), 0);
    srt().py(&python, program, &[&path]).run().ok();
    assert_eq!(server.accepted(), 1);
}
