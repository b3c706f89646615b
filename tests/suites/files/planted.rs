//! What a command leaves for others to follow or to run: symlinks for host-side code, for the next start and
//! for files of our own, and files that people execute later.

use std::os::unix::fs::symlink;

use sandbox_tests::{Bed, Output, Watch, host, need, tree_hash};

use crate::rules;

/// Everything of ours that touches a write root from outside, after a command has planted links there.
#[test]
fn nothing_of_ours_follows_a_planted_symlink() {
    let shell = need!("sh");
    let bed = Bed::new();
    let victim = bed.file("outside/file", "as it was");
    let outside = bed.outside().display().to_string();
    bed.srt()
        .sh(&format!(
            "ln -s {outside} a && ln -s {outside}/file log && ln -s {outside}/new dangling"
        ))
        .run()
        .ok();
    let before = tree_hash(bed.outside());
    let settings = rules(&[], &[], &["."], &[]);
    for planted in ["a/x", "log", "dangling", "a/../work/log"] {
        let srt = bed.srt().flat(&settings).options(["--violations", planted]);
        srt.args(["true"]).run().exits(125);
    }
    let line = "touch a/x; echo x > log; echo x > dangling; mkdir a/d; mv log a/log; true";
    bed.srt().flat(&settings).sh(line).run().ok();
    bed.srt().sh(line).run().ok();
    for root in ["a", "a/x", "dangling"] {
        // The start is refused, or goes on without the place: neither makes anything.
        let settings = rules(&[], &[], &[".", root], &[]);
        let _either = bed.srt().flat(&settings).sh(line).run();
    }
    for words in [
        &["settings"][..],
        &["plan"],
        &["trust"],
        &["learn", "sh", "-c", line],
        &["learn", "--write", "sh", "-c", line],
    ] {
        let _answer = bed.srt().args(words.iter().copied()).run();
    }
    let changes = before.changes(&tree_hash(bed.outside()));
    assert!(changes.is_empty(), "{changes:#?}");
    // The control: code that follows links gets there by the same names.
    let line = format!(
        "cd {} && touch a/x && echo x > log && echo x > dangling",
        bed.work().display()
    );
    // `mv` has taken the link itself away in case it was permitted.
    symlink(&victim, bed.work().join("log")).unwrap_or(());
    host(&shell, ["-c", &line]).ok();
    let changes = before.changes(&tree_hash(bed.outside()));
    assert_eq!(changes.len(), 3, "{changes:#?}");
}

/// The one file with a name that can be guessed: the settings that `srt learn --write` is about to put in place.
#[test]
fn a_planted_temporary_file_is_not_written() {
    let shell = need!("sh");
    let bed = Bed::new();
    let victim = bed.file("outside/victim", "as it was");
    let settings = bed.file(
        "home/settings.json",
        rules(&[], &[], &["."], &[]).to_string(),
    );
    let old = std::fs::read(&settings).unwrap();
    let learn = |plant: &str| -> Output {
        // The shell's process becomes srt, so its number is known before.
        let line = format!("{plant} exec \"$@\"");
        bed.srt()
            .under([shell.to_str().unwrap(), "-c", &line, "sh"])
            .options(["--settings".as_ref(), settings.as_os_str()])
            .args(["learn", "--write", "sh", "-c", "echo x > ../outside/one"])
            .run()
    };
    let planted = format!(
        "ln -s {} {}/.srt-settings-$$.new;",
        victim.display(),
        bed.home().display()
    );
    let output = learn(&planted);
    assert!(output.errors().contains("File exists"), "{output}");
    assert_eq!(std::fs::read(&victim).unwrap(), b"as it was");
    assert_eq!(std::fs::read(&settings).unwrap(), old);
    // The control: without the link the same run writes the settings.
    let output = learn("");
    assert_ne!(std::fs::read(&settings).unwrap(), old, "{output}");
}

/// A run makes no file of its own where others can plant names.
#[test]
fn no_temporary_file_is_made_on_the_host() {
    let bed = Bed::new();
    let temporary = bed.outside().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let text = temporary.to_str().unwrap();
    let watch = Watch::on(&temporary);
    for name in ["TMPDIR", "TMP", "TEMP", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"] {
        let srt = bed
            .srt()
            .env(name, text)
            .flat(&rules(&["~/x"], &[], &["."], &["y"]));
        srt.sh("touch made && mktemp").run().ok();
    }
    assert!(bed.work().join("made").symlink_metadata().is_ok());
    let made = |events: &[String]| events.iter().any(|event| !event.is_empty());
    assert!(!made(&watch.events()), "{:?}", watch.events());
    // The control: the watch sees such a file.
    bed.file("outside/temporary/control", "");
    assert!(sandbox_tests::wait_until(
        sandbox_tests::timeout(5.0),
        || made(&watch.events())
    ));
}

/// Places that the set-up mounts on or looks at, each below a symlink that somebody has put there.
#[test]
fn hostile_symlinks_at_mount_points_make_nothing_on_the_host() {
    let shell = need!("sh");
    let targets = |bed: &Bed| {
        let outside = bed.outside().display().to_string();
        let up = format!("{}{outside}", "../".repeat(12));
        let through = format!("/proc/self/root{outside}");
        let old = format!("/oldroot{outside}");
        let missing = format!("{outside}/missing");
        [outside, up, through, old, missing, "loop".to_owned()]
    };
    let mut started = 0;
    for number in 0..6 {
        let bed = Bed::new();
        let target = targets(&bed)[number].clone();
        let target = if target == "loop" {
            "w".to_owned()
        } else {
            target
        };
        symlink(&target, bed.work().join("w")).unwrap();
        let before = tree_hash(bed.outside());
        let watch = Watch::on(bed.outside());
        let points = ["w/x", "w/x/y", "w"];
        for point in points {
            for settings in [
                rules(&[point], &[], &["."], &[]),
                rules(&[], &[], &["."], &[point]),
                rules(&[], &[], &[".", point], &[]),
                rules(&["."], &[point], &["."], &[]),
            ] {
                let output = bed.srt().flat(&settings).args(["true"]).run();
                started += usize::from(output.succeeded());
                let changes = before.changes(&tree_hash(bed.outside()));
                assert!(changes.is_empty(), "{target} {settings}: {changes:#?}");
            }
        }
        assert_eq!(watch.events(), [""; 0], "{target}");
        // The control: what leads anywhere leads there for a careless `mkdir`.
        if number < 3 {
            let line = format!("mkdir -p {}/w/x/y", bed.work().display());
            host(&shell, ["-c", &line]).ok();
            assert!(
                bed.outside().join("x/y").symlink_metadata().is_ok(),
                "{target}"
            );
        }
    }
    assert!(started > 0, "no start of all went on");
}

/// What a person or a tool runs later: what the table names is closed, what it can't name a rule closes.
#[test]
fn files_that_are_executed_later_are_closed_by_the_table_or_by_a_rule() {
    let bed = Bed::new();
    let named = [
        ".envrc",
        "sub/.envrc",
        ".vscode/tasks.json",
        ".idea/run.xml",
    ];
    let common = [
        "Makefile",
        "sub/Makefile",
        "venv/pyvenv.cfg",
        "node_modules/.bin/tool",
        "p/node_modules/.bin/tool",
    ];
    let write = |path: &str, denied: &[&str]| {
        let line = format!("mkdir -p \"$(dirname {path})\"; echo evil > {path}");
        bed.srt()
            .flat(&rules(&[], &[], &["."], denied))
            .sh(&line)
            .run()
    };
    let content = |path: &str| std::fs::read_to_string(bed.work().join(path)).ok();
    for path in named {
        write(path, &[]).refused();
        assert_eq!(content(path), None, "{path}");
    }
    let denied = ["**/Makefile", "**/pyvenv.cfg", "**/node_modules/.bin/**"];
    for exists in [false, true] {
        for path in common {
            let old = exists.then(|| "good".to_owned());
            if exists {
                bed.file(format!("work/{path}"), "good");
            }
            write(path, &denied).refused();
            assert_eq!(content(path), old, "{path}");
        }
    }
    // The control: no row of the table is about these.
    for path in common {
        write(path, &[]).ok();
        assert_eq!(content(path).as_deref(), Some("evil\n"), "{path}");
    }
}

/// An entry that opens a place for reading means what it names, not what a command has put there.
#[test]
fn a_planted_symlink_opens_no_closed_place_for_reading() {
    let bed = Bed::new();
    let secret = bed.file("outside/in/secret", bed.marker());
    let outside = bed.outside().display().to_string();
    let line = format!("cat open open/secret {}; true", secret.display());
    let read = |denied: &str, allowed: &str| {
        let settings = rules(&[denied], &[allowed], &["."], &[]);
        let output = bed.srt().flat(&settings).sh(&line).run();
        output.text().contains(bed.marker())
    };
    for target in ["../outside", "../outside/in", "../outside/in/secret"] {
        let plant = format!("ln -sfn {target} open");
        let settings = rules(&[], &[], &["."], &[]);
        bed.srt().flat(&settings).sh(&plant).run().ok();
        for denied in [outside.as_str(), "**/secret"] {
            assert!(!read(denied, "open"), "{denied} by {target}");
        }
        // The control: the place itself may be named.
        assert!(read(&outside, secret.to_str().unwrap()), "{target}");
    }
}
