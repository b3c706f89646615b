//! Rules about what is not there yet: patterns, and write roots that the command makes.

use std::os::unix::fs::symlink;
use std::path::Path;

use sandbox_tests::{Bed, Running, timeout, wait_until};
use serde_json::Value;

use crate::driver::{Call, driver};
use crate::rules;

const SECRET: &str = "the-secret-itself";

/// A command that says when it runs, waits for `go`, and then does the rest.
fn started(bed: &Bed, settings: &Value, rest: &str) -> Running {
    for name in ["up", "go"] {
        std::fs::remove_file(bed.work().join(name)).ok();
    }
    let line = format!("echo > up; while ! test -e go; do sleep 0.01; done; {rest}");
    let running = bed.srt().flat(settings).sh(&line).spawn();
    let up = bed.work().join("up");
    assert!(
        wait_until(timeout(20.0), || up.symlink_metadata().is_ok()),
        "did not start"
    );
    running
}

fn go_on(bed: &Bed, running: Running) -> sandbox_tests::Output {
    bed.file("work/go", "");
    running.finish(timeout(60.0))
}

fn content(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[test]
fn a_pattern_hides_what_the_host_makes_later() {
    let bed = Bed::new();
    let work = bed.work();
    bed.file("work/replaced/.env", "old");
    bed.file("work/renamed/.env", SECRET);
    bed.file("work/d/x", "x");
    let reads = [
        ".env",
        "a/b/c/d/e/.env",
        "new.pem",
        "replaced/.env",
        "moved/.env",
        "link",
        "d/link/.env",
        "/proc/self/cwd/.env",
        "/proc/self/root$W/a/b/c/d/e/.env",
    ];
    let line: String = reads.iter().map(|path| format!("cat {path}; ")).collect();
    let line = format!(
        "W={}; {line} exec 3<a/b; cat /proc/self/fd/3/c/d/e/.env; cd a/b/c/d/e; cat .env; cat plain",
        work.display()
    );
    let make = || {
        bed.file("work/.env", SECRET);
        bed.file("work/a/b/c/d/e/.env", SECRET);
        bed.file("work/a/b/c/d/e/plain", "readable");
        bed.file("work/new.pem", SECRET);
        // As an editor saves.
        bed.file("work/replaced/new", SECRET);
        std::fs::rename(work.join("replaced/new"), work.join("replaced/.env")).unwrap();
        std::fs::rename(work.join("renamed"), work.join("moved")).ok();
        symlink(work.join("a/b/c/d/e/.env"), work.join("link")).ok();
        symlink(work.join("a/b/c/d/e"), work.join("d/link")).ok();
    };
    let rule = rules(&["**/.env", "*.pem"], &[], &["."], &[]);
    let running = started(&bed, &rule, &line);
    make();
    let output = go_on(&bed, running);
    assert_eq!(output.text(), "readable", "{output}");
    assert!(!output.errors().contains(SECRET), "{output}");
    let running = started(&bed, &rules(&[], &[], &["."], &[]), &line);
    let output = go_on(&bed, running);
    assert_eq!(output.text().matches(SECRET).count(), 11, "{output}");
}

#[test]
fn a_pattern_hides_by_every_call() {
    let bed = Bed::new();
    let driver = driver!(&bed);
    let names = ["d/.env", "d/.env2", ".env", "plain", "k.pem", "d/k.pem"];
    for name in names {
        bed.file(format!("work/{name}"), SECRET);
    }
    let operations = ["read", "open", "readat", "read2", "readroot"];
    let all: Vec<Call> = names
        .iter()
        .flat_map(|name| {
            let path = bed.work().join(name);
            let on = move |operation: &&str| Call::on(operation, &path);
            operations.iter().map(on).collect::<Vec<_>>()
        })
        .collect();
    let answers = driver.inside(&rules(&["**/.env", "*.pem"], &[], &["."], &[]), &all);
    for (number, name) in names.iter().enumerate() {
        let denied = name.ends_with(".env") || name.ends_with(".pem");
        for index in 0..operations.len() {
            let at = number * operations.len() + index;
            let (answer, call) = (&answers[at], all[at].show());
            // openat2 may be said not to exist: callers fall back.
            if denied || answer.errno == 38 {
                assert!(answer.errno != 0 && answer.data.is_empty(), "{call}");
            } else {
                assert_eq!((answer.errno, answer.data.as_str()), (0, SECRET), "{call}");
            }
        }
    }
}

#[test]
fn the_command_can_neither_make_nor_move_what_a_pattern_hides() {
    let bed = Bed::new();
    let work = bed.work();
    let settings = rules(&["**/.env", "**/private"], &[], &["."], &[]);
    bed.file("work/there/.env", SECRET);
    bed.file("work/private/inner", SECRET);
    for line in [
        "echo new > .env",
        "mkdir -p a/b && echo new > a/b/.env",
        "echo new > plain && mv plain .env",
        "echo new > plain && ln plain .env",
        "ln -s plain .env",
        "mkdir .env",
        "mkfifo .env",
        "echo new > there/.env",
        "mv there/.env t && cat t",
        "ln there/.env t && cat t",
        "cp there/.env t",
        "ln -s there/.env t && cat t",
        "mv there elsewhere && cat elsewhere/.env",
        "cat private/inner",
        "mv private p && cat p/inner",
        "ls private | grep inner",
        "cd private && cat inner",
        "mv there t2 && mv t2/.env t2/open && cat t2/open",
    ] {
        let output = bed.srt().flat(&settings).sh(line).run().refused();
        assert!(!output.text().contains(SECRET), "`{line}`\n{output}");
        assert!(work.join(".env").symlink_metadata().is_err(), "`{line}`");
        assert!(work.join("a/b/.env").symlink_metadata().is_err());
        for moved in ["elsewhere", "t2"] {
            std::fs::rename(work.join(moved), work.join("there")).ok();
        }
        assert_eq!(content(&work.join("there/.env")).as_deref(), Some(SECRET));
        assert_eq!(
            content(&work.join("private/inner")).as_deref(),
            Some(SECRET)
        );
        for left in ["t", "plain"] {
            std::fs::remove_file(work.join(left)).ok();
        }
    }
    let line = "cat there/.env private/inner && echo new > .env && mv there t && cat t/.env";
    let open = rules(&[], &[], &["."], &[]);
    let output = bed.srt().flat(&open).sh(line).run().ok();
    assert_eq!(output.text().matches(SECRET).count(), 3);
}

#[test]
fn a_pattern_protects_what_appears_later_from_writing() {
    let bed = Bed::new();
    let work = bed.work();
    bed.file("work/renamed/k.lock", "old");
    let line = "for f in top.pem a/b/c/k.lock moved/k.lock; do echo new > $f; rm -f $f; mv $f x; chmod 777 $f; truncate -s 1 $f; echo n > n; mv n $f; ln -sf n $f; done; exec 3<a/b; echo new > /proc/self/fd/3/c/k.lock; mv a a2; echo new > a2/b/c/k.lock; mv a2 a; cat top.pem a/b/c/k.lock; echo new > a/b/c/free; echo new > a/pem";
    let run = |settings: &Value| {
        let running = started(&bed, settings, line);
        bed.file("work/top.pem", "old");
        bed.file("work/a/b/c/k.lock", "old");
        std::fs::rename(work.join("renamed"), work.join("moved")).ok();
        go_on(&bed, running)
    };
    let settings = rules(&[], &[], &["."], &["**/*.lock", "*.pem"]);
    let output = run(&settings).ok();
    assert_eq!(output.text(), "oldold", "{output}");
    for name in ["top.pem", "a/b/c/k.lock", "moved/k.lock"] {
        assert_eq!(
            content(&work.join(name)).as_deref(),
            Some("old"),
            "{name}\n{output}"
        );
    }
    // `*` does not cross a directory, and other names are free.
    for name in ["a/b/c/free", "a/pem"] {
        assert_eq!(content(&work.join(name)).as_deref(), Some("new\n"));
    }
    run(&rules(&[], &[], &["."], &[]));
    for name in ["top.pem", "a/b/c/k.lock", "moved/k.lock"] {
        assert!(
            content(&work.join(name)).as_deref() != Some("old"),
            "{name}"
        );
    }
}

#[test]
fn a_pattern_protects_names_that_nobody_made_yet() {
    let bed = Bed::new();
    let work = bed.work();
    let settings = rules(&[], &[], &["."], &["**/*.lock", "**/build/**"]);
    for line in [
        "echo new > x.lock",
        "mkdir -p a/b && echo new > a/b/x.lock",
        "mkdir x.lock",
        "echo new > n && mv n x.lock",
        "echo new > n && ln n x.lock",
        "ln -s n x.lock",
        "mkfifo x.lock",
        "mkdir build && echo new > build/x",
        "mkdir -p pre && echo new > pre/x.lock",
    ] {
        bed.srt().flat(&settings).sh(line).run().refused();
        for path in ["x.lock", "a/b/x.lock", "build/x", "pre/x.lock"] {
            let found = work.join(path).symlink_metadata();
            assert!(found.is_err(), "`{line}` made {path}");
        }
        std::fs::remove_file(work.join("n")).ok();
        for left in ["pre", "build"] {
            std::fs::remove_dir_all(work.join(left)).ok();
        }
    }
    let line =
        "echo new > x.lockx && echo new > n && mv n y && mkdir builds && echo new > builds/x";
    bed.srt().flat(&settings).sh(line).run().ok();
    assert_eq!(content(&work.join("builds/x")).as_deref(), Some("new\n"));
}

/// What a directory holds comes to new names with it.
#[test]
fn a_directory_does_not_take_its_content_to_a_denied_name() {
    let bed = Bed::new();
    let work = bed.work();
    let settings = rules(&[], &[], &["."], &["**/build/**", "fixed/inner"]);
    for line in [
        "mkdir -p pre && echo new > pre/x && mv pre build",
        "mkdir -p pre/d/e && echo new > pre/d/e/x && mv pre build",
        "mkdir -p pre && echo new > pre/inner && mv pre fixed",
        "mkdir -p pre/hooks && echo new > pre/hooks/pre-commit && mv pre .git",
        "mkdir -p pre/.g/hooks && echo new > pre/.g/hooks/pre-commit && mv pre/.g pre/.git",
        "mkdir -p pre/workflows && echo new > pre/workflows/ci.yml && mv pre .github",
        "mkdir -p pre/a && echo new > pre/a/settings.json && mv pre/a pre/.claude",
    ] {
        bed.srt().flat(&settings).sh(line).run().refused();
        for path in [
            "build/x",
            "build/d/e/x",
            "fixed/inner",
            ".git/hooks/pre-commit",
            "pre/.git/hooks/pre-commit",
            ".github/workflows/ci.yml",
            "pre/.claude/settings.json",
        ] {
            let found = work.join(path).symlink_metadata();
            assert!(found.is_err(), "`{line}` made {path}");
        }
        std::fs::remove_dir_all(work.join("pre")).unwrap();
    }
    let line = "mkdir -p pre/d/e && echo new > pre/d/e/x && mv pre builds && cat builds/d/e/x";
    bed.srt()
        .flat(&settings)
        .sh(line)
        .run()
        .ok()
        .prints("new\n");
}

#[test]
fn a_missing_file_can_be_made_and_nothing_beside() {
    let bed = Bed::new();
    let (outside, home) = (bed.outside(), bed.home());
    bed.file("outside/there", "old");
    let settings = rules(
        &[],
        &[],
        &[".", outside.join("new").to_str().unwrap(), "~/state"],
        &[],
    );
    bed.file("settings.json", settings.to_string());
    let before = bed.tree();
    // Nothing is made for a command that makes nothing, and nothing is there for one that looks.
    let look = format!(
        "ls -A {} ~; test ! -e ~/state && cat {}/there",
        outside.display(),
        outside.display()
    );
    let output = bed.srt().flat(&settings).sh(&look).run().ok();
    assert!(!output.text().contains("state"), "{output}");
    assert_eq!(before.changes(&bed.tree()), [""; 0]);
    let run = |line: &str| {
        let srt = bed.srt().flat(&settings).env("O", outside.as_os_str());
        srt.sh(line).run()
    };
    for line in [
        "echo x > $O/new2",
        "echo x > $O/ne",
        "echo x > $O/NEW",
        "echo x > $O/new.tmp",
        "echo x > $O/there",
        "mkdir $O/other",
        "echo x > ~/state.tmp",
        "ln -s x $O/link",
        "rm $O/there",
        "mv $O/there $O/new",
        "echo x > $O/new/below",
        "chmod 700 $O",
        "touch $O",
    ] {
        run(line).refused();
        assert_eq!(before.changes(&bed.tree()), [""; 0], "after `{line}`");
    }
    run("echo one > $O/new && echo two >> $O/new && cat $O/new && echo s > ~/state")
        .ok()
        .prints("one\ntwo\n");
    assert_eq!(content(&outside.join("new")).as_deref(), Some("one\ntwo\n"));
    assert_eq!(content(&home.join("state")).as_deref(), Some("s\n"));
    // Now that it is there: changed, but not to another name.
    run("mv $O/new $O/newer").refused();
    run("echo three > $O/new && chmod 600 $O/new && truncate -s 2 $O/new").ok();
    assert_eq!(content(&outside.join("new")).as_deref(), Some("th"));
    assert_eq!(before.changes(&bed.tree()).len(), 2);
}

/// A working directory below `/tmp` is the host's, though what is around it is private.
#[test]
fn a_missing_file_below_tmp_can_be_made_in_the_working_directory() {
    let bed = Bed::new();
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let place = directory.path().canonicalize().unwrap();
    let new = place.join("new");
    let settings = rules(&[], &[], &[new.to_str().unwrap()], &[]);
    let run = |line: &str| {
        let srt = bed.srt().flat(&settings).directory(&place);
        srt.sh(line).run()
    };
    let output = run("echo x > other").refused();
    let advice = format!("--allow-write {}", place.join("other").display());
    assert!(output.errors().contains(&advice), "{output}");
    run("echo x > ../other; echo x > new && echo y >> new").ok();
    assert_eq!(content(&new).as_deref(), Some("x\ny\n"));
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
}

#[test]
fn a_missing_directory_can_be_made_and_lived_in() {
    let bed = Bed::new();
    let outside = bed.outside();
    let deep = outside.join("a/b/c");
    let settings = rules(
        &[],
        &[],
        &[
            deep.to_str().unwrap(),
            outside.join("flat").to_str().unwrap(),
            "~/.cache/tool",
        ],
        &[],
    );
    bed.file("settings.json", settings.to_string());
    let before = bed.tree();
    let run = |line: &str| {
        let srt = bed.srt().flat(&settings).env("O", outside.as_os_str());
        srt.sh(line).run()
    };
    for line in [
        "mkdir $O/other",
        "mkdir -p $O/x/b/c",
        "echo x > $O/file",
        "mkdir ~/.cache2",
        "mkdir here",
    ] {
        run(line).refused();
        assert_eq!(before.changes(&bed.tree()), [""; 0], "after `{line}`");
    }
    run("mkdir $O/flat && cd $O/flat && echo x > y && mv y z && mkdir -p d/e && ln z d/z && rm -r d && cat z").ok().prints("x\n");
    run("mkdir -p $O/a/b/c && echo x > $O/a/b/c/file && mkdir $O/a/b/c/d && mv $O/a/b/c/file $O/a/b/c/d/").ok();
    run("mkdir -p ~/.cache/tool && echo x > ~/.cache/tool/file").ok();
    assert_eq!(content(&deep.join("d/file")).as_deref(), Some("x\n"));
    assert_eq!(content(&outside.join("flat/z")).as_deref(), Some("x\n"));
    let made = bed.tree();
    for line in [
        "echo x > $O/a/file",
        "mkdir $O/a/other",
        "echo x > $O/a/b/file",
        "mkdir $O/a/b/c2",
        "mv $O/a/b/c $O/a/b/d",
        "mv $O/a $O/a2",
        "echo x > ~/.cache/other",
        "mv $O/flat $O/flat2",
    ] {
        run(line).refused();
        assert_eq!(made.changes(&bed.tree()), [""; 0], "after `{line}`");
    }
    // All in one command as well: what it made is writable to it at once.
    std::fs::remove_dir_all(outside.join("a")).unwrap();
    run("mkdir -p $O/a/b/c && cd $O/a/b/c && echo x > f && cat f")
        .ok()
        .prints("x\n");
}

#[test]
fn a_pattern_opens_names_that_do_not_exist_yet_or_is_an_error() {
    let bed = Bed::new();
    let outside = bed.outside();
    let pattern = format!("{}/*.log", outside.display());
    let settings = rules(&[], &[], &[&pattern], &[]);
    let run = |line: &str| {
        let srt = bed.srt().flat(&settings).env("O", outside.as_os_str());
        srt.sh(line).run()
    };
    let first = run("true");
    if first.code() == Some(125) {
        // What can't be enforced is said so.
        assert!(first.errors().contains("pattern"), "{first}");
        return;
    }
    for line in ["echo x > $O/a.txt", "echo x > $O/a.log.txt", "mkdir $O/d"] {
        run(line).refused();
        assert_eq!(outside.read_dir().unwrap().count(), 0, "after `{line}`");
    }
    run("echo x > $O/a.log && mv $O/a.log $O/b.log && cat $O/b.log")
        .ok()
        .prints("x\n");
    assert_eq!(content(&outside.join("b.log")).as_deref(), Some("x\n"));
}

#[test]
fn the_host_may_make_a_write_root_later() {
    let bed = Bed::new();
    let root = bed.outside().join("later");
    let settings = rules(&[], &[], &[".", root.to_str().unwrap()], &[]);
    let line = format!("echo x > {}/file", root.display());
    let running = started(&bed, &settings, &line);
    std::fs::create_dir(&root).unwrap();
    go_on(&bed, running).ok();
    assert_eq!(content(&root.join("file")).as_deref(), Some("x\n"));
    let other = bed.outside().join("other");
    let line = format!("echo x > {}/file", other.display());
    let running = started(&bed, &settings, &line);
    std::fs::create_dir(&other).unwrap();
    go_on(&bed, running).refused();
    assert!(other.join("file").symlink_metadata().is_err());
}
