//! Denied reads and writes, and the ways around them.

use std::os::unix::fs::symlink;

use sandbox_tests::{Bed, Gates, Srt, need, python, timeout, wait_until};
use serde_json::json;

use crate::rules;

const GATES: &str = include_str!("gates.json");

const SECRET: &str = "the-secret-itself";

/// A bed with a denied file and a denied directory, once in the working directory and once in
/// the home, as the rules of Claude Code's format name them.
fn bed_with_secrets() -> Bed {
    let bed = Bed::new();
    for place in ["work", "home"] {
        bed.file(format!("{place}/secret"), SECRET);
        bed.file(format!("{place}/vault/deep/secret"), SECRET);
        bed.file(format!("{place}/open"), "readable");
    }
    let deny = [
        "Read(./secret)",
        "Read(./vault)",
        "Read(~/secret)",
        "Read(~/vault)",
    ];
    bed.file(
        "home/.claude/settings.json",
        json!({"permissions": {"deny": deny}}).to_string(),
    );
    for (target, link) in [
        (bed.work().join("secret"), "host-link"),
        (bed.home().join("vault"), "host-dir-link"),
    ] {
        assert!(
            symlink(target, bed.work().join(link)).is_ok(),
            "cannot make {link}"
        );
    }
    bed
}

fn places(bed: &Bed) -> Vec<(String, String)> {
    [bed.work(), bed.home()]
        .iter()
        .map(|place| {
            (
                format!("{}/secret", place.display()),
                format!("{}/vault", place.display()),
            )
        })
        .collect()
}

#[track_caller]
fn stays_hidden(srt: Srt<'_>) {
    let output = srt.run();
    assert!(output.code() != Some(125), "{output}");
    let shown = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    assert!(
        !shown
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes()),
        "the secret came out\n{output}"
    );
}

/// Runs a line whose own verdict does not matter: the host's files tell.
#[track_caller]
fn ran(srt: Srt<'_>) {
    let output = srt.run();
    assert!(output.code() != Some(125), "{output}");
}

#[test]
fn a_denied_file_is_not_read() {
    let bed = bed_with_secrets();
    for (file, _) in places(&bed) {
        bed.srt().args(["cat", &file]).run().refused().prints("");
        for line in [
            "cat /proc/self/root$F",
            "cat /proc/self/cwd/secret",
            "cat /proc/1/root$F",
            "cat /proc/self/root/proc/self/root$F",
            "ln -s $F l; cat l",
            "ln $F h; cat h",
            "cp $F copy; cat copy",
            "mv $F moved; cat moved",
            "exec 3<$F; cat <&3",
            "cat host-link",
            "dd if=$F",
            "tail -c 100 $F",
            "tar c $F | cat",
            "chmod 777 $F; cat $F",
            "ln -s / r; cat r$F",
            "cd /dev/fd/../cwd 2>/dev/null; cat $F",
            "rm $F; cat $F",
            "cat ./././secret ../work/secret",
            "cat secret*",
            "grep -r secret .",
            "find . -type f -exec cat {} +",
            "cat < $F",
            "exec 3<.; cat /proc/self/fd/3/secret",
            "cat /dev/fd/3/secret 3<.",
            "mkdir m; mount --bind . m; cat m/secret",
            "base64 -d $F; od -c $F; strings $F",
        ] {
            stays_hidden(bed.srt().env("F", &file).sh(line));
        }
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            SECRET,
            "the host's file changed"
        );
    }
    bed.srt()
        .sh("cat open ~/open")
        .run()
        .ok()
        .prints("readablereadable");
}

#[test]
fn a_denied_directory_is_not_listed_or_entered() {
    let bed = bed_with_secrets();
    for (_, directory) in places(&bed) {
        let listing = bed.srt().args(["ls", "-AR", &directory]).run();
        assert!(!listing.text().contains("deep"), "{listing}");
        bed.srt()
            .args(["cat", &format!("{directory}/deep/secret")])
            .run()
            .refused()
            .prints("");
        for line in [
            "cat /proc/self/root$D/deep/secret",
            "ls -R /proc/self/root$D | grep deep && cat $D/deep/secret",
            "ln -s $D l; cat l/deep/secret",
            "cp -r $D copy; cat copy/deep/secret",
            "mv $D moved; cat moved/deep/secret",
            "cd $D && cat deep/secret",
            "cat host-dir-link/deep/secret",
            "cat $D/../vault/deep/secret",
            "chmod -R 777 $D; cat $D/deep/secret",
            "exec 3<$D; cat /proc/self/fd/3/deep/secret",
            "rmdir $D; rm -rf $D; cat $D/deep/secret",
            "umount $D; cat $D/deep/secret",
            "grep -r secret $D",
            "find .. ~ -name secret -path '*vault*' -exec cat {} + 2>/dev/null",
        ] {
            stays_hidden(bed.srt().env("D", &directory).sh(line).within(120.0));
        }
        assert_eq!(
            std::fs::read_to_string(format!("{directory}/deep/secret")).unwrap(),
            SECRET,
            "the host's file changed"
        );
    }
}

#[test]
fn a_denied_directory_takes_no_files() {
    let bed = bed_with_secrets();
    for (_, directory) in places(&bed) {
        bed.srt()
            .env("D", &directory)
            .sh("echo lost > $D/new")
            .run()
            .refused();
        bed.srt()
            .env("D", &directory)
            .sh("mkdir $D/new")
            .run()
            .refused();
    }
    bed.srt()
        .sh("mkdir other && echo kept > other/new")
        .run()
        .ok();
    assert_eq!(
        std::fs::read(bed.work().join("other/new")).unwrap(),
        b"kept\n"
    );
}

#[test]
fn flat_denies_hide_and_the_more_specific_allow_reopens() {
    let bed = Bed::new();
    let top = bed.file("home/top", SECRET);
    let kept = bed.file("home/project/kept", "readable");
    let inner = bed.file("home/project/private/inner", SECRET);
    let home = bed.home().display().to_string();
    let (project, private) = (format!("{home}/project"), format!("{home}/project/private"));
    let settings = rules(&[&home, &private], &[&project], &["."], &[]);
    for hidden in [&top, &inner] {
        stays_hidden(
            bed.srt()
                .flat(&settings)
                .args([std::ffi::OsStr::new("cat"), hidden.as_os_str()]),
        );
    }
    bed.srt()
        .flat(&settings)
        .args([std::ffi::OsStr::new("cat"), kept.as_os_str()])
        .run()
        .ok()
        .prints("readable");
    let names = bed.srt().flat(&settings).args(["ls", "-A", &home]).run();
    assert!(!names.text().contains("top"), "{names}");
    // Without the rules all of it is read.
    bed.srt()
        .flat(&rules(&[], &[], &["."], &[]))
        .args(["cat", top.to_str().unwrap(), inner.to_str().unwrap()])
        .run()
        .ok();
}

/// A bed with one file in a deep directory that a rule denies.
fn deep(read: bool) -> (Bed, std::path::PathBuf, serde_json::Value) {
    let bed = Bed::new();
    let file = bed.file("work/a/b/c/secret", SECRET);
    bed.file("work/a/b/c/open", "readable");
    let path = file.display().to_string();
    let settings = if read {
        rules(&[&path], &[], &["."], &[])
    } else {
        rules(&[], &[], &["."], &[&path])
    };
    (bed, file, settings)
}

const MOVES: &[&str] = &[
    "mv a/b/c moved",
    "mv a/b moved",
    "mv a moved",
    "mv a/b/c x; mkdir a/b/c",
    "mv a x; mkdir -p a/b/c",
    "cd a/b/c; mv ../../b ../../../m",
    "python3 -c 'import os; os.rename(\"a/b\", \"moved\")'",
];

#[test]
fn moving_the_directories_above_does_not_uncover_a_file() {
    for line in MOVES.iter().chain(&[
        "cp -r a copy",
        "mv a/b/c/secret s",
        "ln -s a/b l",
        "ln a/b/c/secret h",
    ]) {
        let (bed, _, settings) = deep(true);
        let look = format!(
            "({line}); find . -type f -exec cat {{}} +; cat secret a/b/c/secret l/c/secret h s"
        );
        stays_hidden(bed.srt().flat(&settings).sh(&look));
    }
    let (bed, _, settings) = deep(true);
    bed.srt()
        .flat(&settings)
        .sh("cat a/b/c/open")
        .run()
        .ok()
        .prints("readable");
}

#[test]
fn a_file_denied_to_one_command_stays_denied_to_the_next() {
    for line in MOVES {
        let (bed, _, settings) = deep(true);
        ran(bed.srt().flat(&settings).sh(line));
        // The same settings again: what was moved must not be in reach by another name now.
        stays_hidden(
            bed.srt()
                .flat(&settings)
                .sh("find . -type f -exec cat {} +"),
        );
    }
}

#[test]
fn the_directories_above_a_denied_path_stay() {
    for read in [true, false] {
        for line in MOVES {
            let (bed, file, settings) = deep(read);
            ran(bed.srt().flat(&settings).sh(line));
            let found = std::fs::read_to_string(&file).ok();
            assert_eq!(
                found.as_deref(),
                Some(SECRET),
                "after `{line}`, denied to read: {read}"
            );
        }
    }
    let (bed, file, _) = deep(true);
    ran(bed
        .srt()
        .flat(&rules(&[], &[], &["."], &[]))
        .sh("mv a/b moved"));
    assert!(
        file.symlink_metadata().is_err(),
        "without a rule it is moved"
    );
}

#[test]
fn a_write_deny_is_not_undone_by_moving_what_is_above() {
    for line in [
        "mv a/b moved && echo new > moved/c/secret",
        "mv a moved && mkdir -p a/b/c && echo new > a/b/c/secret",
        "mv a/b/c x && mkdir a/b/c && echo new > a/b/c/secret",
        "cp -r a copy && mv a old && mv copy a && echo new > a/b/c/secret",
    ] {
        let (bed, file, settings) = deep(false);
        ran(bed.srt().flat(&settings).sh(line));
        let found = std::fs::read_to_string(&file).ok();
        assert_eq!(found.as_deref(), Some(SECRET), "after `{line}`");
    }
}

#[test]
fn a_write_deny_wins() {
    let bed = Bed::new();
    let locked = bed.file("work/locked/file", "old\n");
    let single = bed.file("work/dir/single", "old\n");
    bed.file("work/dir/free", "old\n");
    let (directory, file) = (
        bed.work().join("locked"),
        single.to_str().unwrap().to_owned(),
    );
    let work = bed.work().display().to_string();
    for settings in [
        rules(&[], &[], &["."], &[directory.to_str().unwrap(), &file]),
        rules(
            &[],
            &[],
            &[&work, directory.to_str().unwrap(), &file],
            &["locked", "./dir/single"],
        ),
    ] {
        for line in [
            "echo new > locked/file",
            "echo new > locked/other",
            "rm locked/file",
            "rm -rf locked",
            "mkdir locked/d",
            "echo new > dir/single",
            "rm dir/single",
            "mv dir/single elsewhere",
            "echo new > n && mv n dir/single",
            "ln -sf free dir/single",
            "chmod 777 dir/single",
            "truncate -s 0 dir/single",
            "mv locked unlocked && echo new > unlocked/file",
            "ln dir/single h && echo new > h",
            "echo new > /proc/self/cwd/locked/file",
            "ln -s locked l && echo new > l/file",
            "mv locked l2; mkdir locked && echo new > locked/file",
            "exec 3<locked && echo new > /proc/self/fd/3/file",
        ] {
            ran(bed.srt().flat(&settings).sh(line));
            for path in [&locked, &single] {
                assert_eq!(
                    std::fs::read_to_string(path).ok().as_deref(),
                    Some("old\n"),
                    "after `{line}`: {}",
                    path.display()
                );
            }
            assert!(
                bed.work().join("locked/other").symlink_metadata().is_err(),
                "after `{line}`"
            );
            // Put the rest back for the next line.
            for leftover in ["n", "h", "l", "elsewhere"] {
                std::fs::remove_file(bed.work().join(leftover)).ok();
            }
        }
        bed.srt()
            .flat(&settings)
            .sh("echo new > locked/file")
            .run()
            .refused();
        bed.srt()
            .flat(&settings)
            .sh("cat locked/file && echo ok > dir/free && cat dir/free")
            .run()
            .ok()
            .prints("old\nok\n");
    }
}

#[test]
fn a_denied_path_that_does_not_exist_is_not_made() {
    let outcome = Gates::parse(GATES).run("absent denied paths", absent_paths_are_not_made);
    assert!(outcome.is_ok(), "{outcome:?}");
}

fn absent_paths_are_not_made() {
    let bed = Bed::new();
    bed.file("work/dir/file", "x");
    let settings = rules(&[], &[], &["."], &["dir/absent", "none/deeper"]);
    let before = bed.tree();
    for line in [
        "echo x > dir/absent",
        "mkdir dir/absent",
        "ln -s file dir/absent",
        "echo x > y; mv y dir/absent",
        "mkdir -p none/deeper",
        "mkdir none && echo x > none/deeper",
        "mv dir d && mkdir dir && echo x > dir/absent",
    ] {
        ran(bed.srt().flat(&settings).sh(line));
        for path in ["dir/absent", "none/deeper"] {
            assert!(
                bed.work().join(path).symlink_metadata().is_err(),
                "`{line}` made {path}"
            );
        }
        for leftover in ["y", "none"] {
            std::fs::remove_file(bed.work().join(leftover)).ok();
            std::fs::remove_dir(bed.work().join(leftover)).ok();
        }
        if bed.work().join("d").symlink_metadata().is_ok() {
            std::fs::remove_dir(bed.work().join("dir")).ok();
            std::fs::rename(bed.work().join("d"), bed.work().join("dir")).ok();
        }
    }
    bed.srt()
        .flat(&settings)
        .sh("echo x > dir/allowed && rm dir/allowed")
        .run()
        .ok();
    // The settings file lies beside; nothing else may have appeared.
    let changes: Vec<String> = before
        .changes(&bed.tree())
        .into_iter()
        .filter(|change| !change.ends_with("settings.json"))
        .collect();
    assert!(changes.is_empty(), "{changes:#?}");
}

#[test]
fn the_host_sees_no_placeholder_while_a_command_runs() {
    let bed = Bed::new();
    bed.file("work/dir/file", "x");
    bed.file("work/secret", SECRET);
    let settings = rules(
        &["secret", "hidden/absent"],
        &[],
        &["."],
        &["dir/absent", ".git/hooks", "none/deeper/still"],
    );
    bed.file("settings.json", settings.to_string());
    let before = bed.tree();
    let mut running = bed.srt().flat(&settings).sh("touch up; sleep 60").spawn();
    assert!(
        wait_until(timeout(20.0), || bed
            .work()
            .join("up")
            .symlink_metadata()
            .is_ok()),
        "did not start"
    );
    std::fs::remove_file(bed.work().join("up")).unwrap();
    assert_eq!(before.changes(&bed.tree()), [""; 0], "while it runs");
    running.kill();
    running.finish(timeout(10.0));
    assert_eq!(before.changes(&bed.tree()), [""; 0], "after it was killed");
}

#[test]
fn rules_in_a_project_narrow_without_being_trusted() {
    let bed = Bed::new();
    bed.file("work/secret", SECRET);
    bed.file("work/locked", "old\n");
    let deny = json!({"permissions": {"deny": ["Read(secret)", "Edit(locked)"]}});
    bed.srt().args(["cat", "secret"]).run().ok().prints(SECRET);
    bed.file("work/.claude/settings.json", deny.to_string());
    stays_hidden(bed.srt().args(["cat", "secret"]));
    bed.srt().sh("echo new > locked").run().refused();
    assert_eq!(std::fs::read(bed.work().join("locked")).unwrap(), b"old\n");
    bed.srt().sh("cat locked").run().ok().prints("old\n");
}

#[test]
fn a_racing_rename_does_not_uncover_a_file() {
    let python = python!("threading");
    let bed = Bed::new();
    let file = bed.file("work/a/secret", SECRET);
    std::fs::create_dir(bed.work().join("b")).unwrap();
    bed.file("work/b/secret", "harmless");
    let settings = rules(&[file.to_str().unwrap()], &[], &["."], &[]);
    let program = r"
import os, sys, threading, time
end = time.monotonic() + float(sys.argv[1])
tries = 0
def swap():
    while time.monotonic() < end:
        try: os.rename('a', 't'); os.rename('b', 'a'); os.rename('t', 'b')
        except OSError: pass
t = threading.Thread(target=swap); t.start()
while time.monotonic() < end:
    for name in ('a/secret', 'b/secret', 't/secret'):
        tries += 1
        try: text = open(name).read()
        except OSError: continue
        if text != 'harmless': print(text); os._exit(0)
t.join()
print('tries', tries)
";
    let output = bed
        .srt()
        .flat(&settings)
        .py(&python, program, &["1.5"])
        .run()
        .ok();
    assert!(!output.text().contains(SECRET), "{output}");
    let tries: u64 = output
        .text()
        .trim()
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(tries > 100, "{output}");
}

#[test]
fn a_deny_through_a_link_protects_the_link_too() {
    protects_the_link(&["hooks"]);
}

/// Paths of a long list are not looked at before the command starts.
#[test]
fn a_deny_through_a_link_holds_in_a_list_of_thousands() {
    let others: Vec<_> = (0..3000).map(|number| format!("other/{number}")).collect();
    let mut denied: Vec<_> = others.iter().map(String::as_str).collect();
    denied.insert(1500, "hooks");
    protects_the_link(&denied);
}

/// The places that symlinks among so many files lead to are closed before the first open is answered.
#[test]
fn a_read_deny_through_a_link_holds_in_a_list_of_hundreds() {
    let bed = Bed::new();
    let secret = bed.file("outside/secret", SECRET);
    let control = bed.file("outside/control", "shown");
    for number in 0..1000 {
        bed.file(format!("work/there/{number}"), SECRET);
    }
    let replaced = bed.work().join("there/700");
    std::fs::remove_file(&replaced).unwrap();
    symlink(&secret, &replaced).unwrap();
    let denied: Vec<_> = (0..1000).map(|number| format!("there/{number}")).collect();
    let denied: Vec<_> = denied.iter().map(String::as_str).collect();
    let closed = rules(&denied, &[], &["."], &[]);
    let secret = secret.to_str().unwrap();
    for path in [secret, "there/700", "there/0", "there/999"] {
        stays_hidden(bed.srt().flat(&closed).args(["cat", path]));
    }
    let shown = bed.srt().flat(&closed);
    shown
        .args(["cat", control.to_str().unwrap()])
        .run()
        .ok()
        .prints("shown");
    let open = rules(&[], &[], &["."], &[]);
    bed.srt()
        .flat(&open)
        .args(["cat", secret])
        .run()
        .ok()
        .prints(SECRET);
}

/// A program that opens nothing else before.
#[test]
fn the_first_opens_are_judged_by_each_of_thousands_of_rules() {
    let bed = Bed::new();
    bed.file("work/deep/name2999/file", SECRET);
    bed.file("work/x.key2999", SECRET);
    bed.file("work/free", "shown");
    let globs = (0..3000).flat_map(|number| [format!("**/name{number}"), format!("*.key{number}")]);
    let globs: Vec<_> = globs.collect();
    let globs: Vec<_> = globs.iter().map(String::as_str).collect();
    let closed = rules(&globs, &[], &["."], &[]);
    for path in ["deep/name2999/file", "x.key2999"] {
        stays_hidden(bed.srt().flat(&closed).args(["cat", path]));
        // And the later ones.
        let line = format!("for i in 1 2 3 4 5 6 7 8 9; do cat free; done; cat {path}");
        let later = bed.srt().flat(&closed).sh(&line).run().refused();
        assert!(later.text().starts_with("shownshown"), "{later}");
        assert!(!later.text().contains(SECRET), "{later}");
        let open = rules(&[], &[], &["."], &[]);
        bed.srt()
            .flat(&open)
            .args(["cat", path])
            .run()
            .ok()
            .prints(SECRET);
    }
    bed.srt()
        .flat(&closed)
        .args(["cat", "free"])
        .run()
        .ok()
        .prints("shown");
}

/// Most of them are not looked at.
#[test]
fn hundreds_of_write_roots_in_another_mean_what_a_few_do() {
    let bed = Bed::new();
    for number in 0..400 {
        bed.file(format!("work/roots/{number}/file"), "old");
    }
    bed.file("work/roots/7/inner/file", "old");
    let roots = (0..400).map(|number| format!("roots/{number}"));
    let roots: Vec<_> = roots
        .chain(["roots/7/inner".to_owned(), ".".to_owned()])
        .collect();
    let roots: Vec<_> = roots.iter().map(String::as_str).collect();
    let content = |path: &str| std::fs::read_to_string(bed.work().join(path)).unwrap();
    let closed = rules(&["roots/9"], &[], &roots, &["roots/7", "roots/399/file"]);
    for path in ["roots/7/file", "roots/7/inner/file", "roots/399/file"] {
        let line = format!("echo new > {path}");
        bed.srt().flat(&closed).sh(&line).run().refused();
        assert_eq!(content(path), "old", "{path}");
        let open = rules(&[], &[], &roots, &[]);
        bed.srt().flat(&open).sh(&line).run().ok();
        assert_eq!(content(path), "new\n", "{path}");
    }
    // The root is as specific as the deny.
    bed.srt()
        .flat(&closed)
        .args(["cat", "roots/9/file"])
        .run()
        .ok()
        .prints("old");
    let hidden = rules(&["roots"], &[], &roots, &[]);
    let shown = bed.srt().flat(&hidden);
    shown
        .sh("cat roots/300/file && echo new > roots/300/file")
        .run()
        .ok()
        .prints("old");
    assert_eq!(content("roots/300/file"), "new\n");
    symlink(bed.outside(), bed.work().join("roots/planted")).unwrap();
    let planted = [&roots[..], &["roots/planted"]].concat();
    let planted = rules(&[], &[], &planted, &[]);
    let refused = bed.srt().flat(&planted).args(["true"]).run().exits(125);
    assert!(refused.errors().contains("symlink"), "{refused}");
}

fn protects_the_link(denied: &[&str]) {
    let bed = Bed::new();
    let kept = bed.file("work/real/keep", "kept");
    symlink(bed.work().join("real"), bed.work().join("hooks")).unwrap();
    let replace = "rm hooks && mkdir hooks && echo evil > hooks/keep";
    for line in [
        replace,
        "echo evil > hooks/keep",
        "echo evil > real/keep",
        "rm real/keep",
        "mv hooks h && mkdir hooks && echo evil > hooks/keep",
        "mkdir h && mv -T h hooks",
        "ln -s other h && mv -T h hooks",
        "ln -sfn other hooks",
        "mv real r && mkdir real && echo evil > real/keep",
        "echo evil > hooks/new",
    ] {
        bed.srt()
            .flat(&rules(&[], &[], &["."], denied))
            .sh(line)
            .run()
            .refused();
        let link = std::fs::read_link(bed.work().join("hooks"));
        assert_eq!(link.ok(), Some(bed.work().join("real")), "after `{line}`");
        let content = std::fs::read_to_string(&kept).ok();
        assert_eq!(content.as_deref(), Some("kept"), "after `{line}`");
        let new = bed.work().join("real/new").symlink_metadata();
        assert!(new.is_err(), "after `{line}`");
        std::fs::remove_dir(bed.work().join("h")).ok();
        std::fs::remove_file(bed.work().join("h")).ok();
    }
    // The same line does it where no rule is in the way.
    bed.srt()
        .flat(&rules(&[], &[], &["."], &[]))
        .sh(replace)
        .run()
        .ok();
    let planted = std::fs::read_to_string(bed.work().join("hooks/keep"));
    assert_eq!(planted.unwrap(), "evil\n");
}

#[test]
fn what_cannot_be_examined_in_a_write_root_is_an_error() {
    if sandbox_tests::is_root() {
        sandbox_tests::inapplicable!("root can examine everything");
    }
    let bed = Bed::new();
    bed.file("work/closed/secret", SECRET);
    let closed = bed.work().join("closed");
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let line = "chmod 700 closed; cat closed/secret";
    let run = |deny: &[&str]| {
        bed.srt()
            .flat(&rules(deny, &[], &["."], &[]))
            .sh(line)
            .run()
    };
    mode(0o000);
    run(&["closed/secret"]).exits(125);
    // A pattern asks nobody what is there: it holds by the name when the file is opened.
    let refused = run(&["**/secret"]).refused();
    assert!(!refused.text().contains(SECRET), "{refused}");
    run(&[]).ok().prints(SECRET);
    mode(0o700);
    run(&["closed/secret"]).refused();
}

#[test]
fn links_that_somebody_planted_open_nothing() {
    let bed = Bed::new();
    bed.file("outside/file", "kept");
    for name in ["build", "dist"] {
        symlink(bed.outside(), bed.work().join(name)).unwrap();
    }
    let line = format!("echo pwned > {}/file", bed.outside().display());
    let content = || std::fs::read_to_string(bed.outside().join("file")).unwrap();
    for roots in [&["./build"][..], &["./build", "./dist"], &[".", "./build"]] {
        let refused = bed
            .srt()
            .flat(&rules(&[], &[], roots, &[]))
            .sh(&line)
            .run()
            .exits(125);
        assert!(refused.errors().contains("symlink"), "{refused}");
        assert_eq!(content(), "kept");
    }
    // The place itself, named by somebody, is open.
    let named = bed.outside().display().to_string();
    let open = rules(&[], &[], &[&named], &[]);
    bed.srt().flat(&open).sh(&line).run().ok();
    assert_eq!(content(), "pwned\n");
}

#[test]
fn a_glob_is_judged_where_its_directory_and_a_link_lead() {
    let bed = Bed::new();
    bed.file("work/d/secret", SECRET);
    bed.file("outside/real", SECRET);
    symlink(bed.work(), bed.root().join("alias")).unwrap();
    symlink(bed.work().join("d/secret"), bed.work().join("d/alias")).unwrap();
    symlink(bed.outside(), bed.work().join("sub")).unwrap();
    let root = bed.root().display().to_string();
    for (pattern, path) in [
        (format!("{root}/alias/**/secret"), "d/secret"),
        (format!("{root}/alias/**/secret"), "d/alias"),
        // The link's own name is closed too.
        ("**/alias".to_owned(), "d/alias"),
        (format!("{root}/**/real"), "sub/real"),
    ] {
        let read = |deny: &[&str]| {
            bed.srt()
                .flat(&rules(deny, &[], &["."], &[]))
                .args(["cat", path])
                .run()
        };
        let refused = read(&[&pattern]).refused();
        assert!(!refused.text().contains(SECRET), "{pattern}\n{refused}");
        read(&[]).ok().prints(SECRET);
    }
}

#[test]
fn a_directory_as_standard_input_opens_nothing() {
    let bed = Bed::new();
    bed.file("outside/secret", SECRET);
    let denied = bed.outside().display().to_string();
    let line = format!("cat /proc/self/fd/0/secret < {denied}");
    bed.srt()
        .flat(&rules(&[], &[], &["."], &[]))
        .sh(&line)
        .run()
        .ok()
        .prints(SECRET);
    let srt = bed
        .srt()
        .flat(&rules(&[&denied], &[], &["."], &[]))
        .args(["cat", "/proc/self/fd/0/secret"])
        .under(["sh", "-c", &format!("exec \"$@\" < {denied}"), "sh"])
        .run();
    assert!(!srt.exits(125).text().contains(SECRET));
}

/// Whoever closes hundreds of files takes nothing from directories that are closed: what is in them is not
/// executed, connected to or looked at.
#[test]
fn hundreds_of_closed_files_take_no_mount_from_a_directory() {
    let python = python!("socket");
    let bed = Bed::new();
    let closed = bed.outside().join("closed");
    std::fs::create_dir_all(&closed).unwrap();
    std::fs::copy(need!("echo"), closed.join("tool")).unwrap();
    std::fs::copy(need!("echo"), bed.outside().join("open-tool")).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(closed.join("socket")).unwrap();
    listener.set_nonblocking(true).unwrap();
    symlink(&closed, bed.outside().join("link")).unwrap();
    let fillers: Vec<String> = (0..300)
        .map(|number| {
            bed.file(format!("outside/fill/{number}"), "x")
                .display()
                .to_string()
        })
        .collect();
    let outside = bed.outside().display().to_string();
    let connect = "import socket, sys\nsocket.socket(socket.AF_UNIX).connect(sys.argv[1])\n";
    for named in ["closed", "link"] {
        let named = format!("{outside}/{named}");
        let denied: Vec<&str> = fillers.iter().chain([&named]).map(String::as_str).collect();
        let mut settings = rules(&denied, &[], &["."], &[]);
        settings["network"]["allowAllUnixSockets"] = json!(true);
        let srt = || bed.srt().flat(&settings);
        for line in [
            format!("{outside}/closed/tool ran"),
            format!("{outside}/link/tool ran"),
            format!("stat {outside}/closed/tool"),
            format!("cd {outside}/closed"),
            format!("ls {outside}/closed/."),
            format!("cat {outside}/fill/7"),
        ] {
            let output = srt().sh(&line).run().refused();
            assert!(output.stdout.is_empty(), "{line}: {output}");
        }
        let socket = format!("{outside}/closed/socket");
        srt().py(&python, connect, &[&socket]).run().refused();
        assert!(listener.accept().is_err(), "{named}");
        srt()
            .sh(&format!("{outside}/open-tool ran"))
            .run()
            .ok()
            .prints("ran\n");
    }
    // The same without the fillers' directory: the socket is there.
    let mut settings = rules(&[], &[], &["."], &[]);
    settings["network"]["allowAllUnixSockets"] = json!(true);
    let socket = format!("{outside}/closed/socket");
    bed.srt()
        .flat(&settings)
        .py(&python, connect, &[&socket])
        .run()
        .ok();
    assert!(listener.accept().is_ok());
}

/// A write root in another one, closed by one of hundreds of rules.
#[test]
fn a_root_that_hundreds_of_rules_close_starts() {
    let bed = Bed::new();
    bed.file("work/outer/between/inner/file", "x");
    let mut denied: Vec<String> = (0..600).map(|number| format!("nowhere/{number}")).collect();
    denied.push("outer/between/inner".to_owned());
    let denied: Vec<&str> = denied.iter().map(String::as_str).collect();
    let settings = rules(&[], &[], &["outer", "outer/between/inner"], &denied);
    let run = |line: &str| bed.srt().flat(&settings).sh(line).run();
    run("echo y > outer/other && echo y > outer/between/other").ok();
    run("echo y > outer/between/inner/file").refused();
    run("mv outer/between outer/elsewhere").refused();
    let file = bed.work().join("outer/between/inner/file");
    assert_eq!(std::fs::read(file).unwrap(), b"x");
}
