//! Ordinary life in a write root: what programs do to files answers as it does outside.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use sandbox_tests::{Bed, Terminal, host, need, python, timeout, wait_until};

use crate::driver::{Call, driver};
use crate::rules;

const LIFE: &str = include_str!("life.py");

/// A rule that makes every call that names something be looked at, and one that asks for nothing.
fn policies() -> [serde_json::Value; 2] {
    [
        rules(&["**/.env"], &[], &["."], &["**/*.locked", "no/such/place"]),
        rules(&[], &[], &["."], &[]),
    ]
}

#[test]
fn every_call_answers_as_it_does_outside() {
    let python = python!("ctypes", "mmap", "fcntl", "resource");
    need!("bash");
    let bed = Bed::new();
    std::fs::create_dir_all(bed.outside().join("life")).unwrap();
    std::fs::create_dir_all(bed.work().join("life")).unwrap();
    let script = bed.file("life.py", LIFE);
    let line = "cd \"$0\" && exec \"$1\" -ES \"$2\"";
    let place = bed.outside().join("life");
    let words = ["-c", line].map(OsStr::new);
    let paths = [place.as_os_str(), python.as_os_str(), script.as_os_str()];
    let control = words.into_iter().chain(paths);
    let outside = host(std::path::Path::new("/bin/sh"), control).ok().text();
    assert!(outside.lines().count() > 50, "{outside}");
    assert!(!outside.contains(" raised "), "{outside}");
    for settings in policies() {
        std::fs::remove_dir_all(bed.work().join("life")).unwrap();
        std::fs::create_dir_all(bed.work().join("life")).unwrap();
        let words = [OsStr::new("-ES"), script.as_os_str()];
        let output = bed
            .srt()
            .flat(&settings)
            .directory(bed.work().join("life"))
            .args([python.as_os_str()])
            .args(words)
            .within(300.0)
            .run()
            .ok();
        let inside = output.text();
        let differences: Vec<String> = outside
            .lines()
            .zip(inside.lines())
            .filter(|(outside, inside)| outside != inside)
            .map(|(outside, inside)| format!("outside {outside}\n  inside {inside}"))
            .collect();
        assert!(
            differences.is_empty(),
            "{}\n{}",
            differences.join("\n"),
            output.errors()
        );
        assert_eq!(outside.lines().count(), inside.lines().count(), "{output}");
    }
}

#[test]
fn locks_are_shared_with_the_host() {
    let python = python!("fcntl");
    let bed = Bed::new();
    for name in ["flock", "lockf"] {
        let path = bed.file("work/lock", "");
        let program = format!(
            "import fcntl, os, time
fd = os.open('lock', os.O_RDWR)
fcntl.{name}(fd, fcntl.LOCK_EX)
open('held', 'w').close()
while not os.path.exists('go'): time.sleep(0.01)"
        );
        for settings in policies() {
            for left in ["held", "go"] {
                std::fs::remove_file(bed.work().join(left)).ok();
            }
            let running = bed.srt().flat(&settings).py(&python, &program, &[]).spawn();
            let held = bed.work().join("held");
            assert!(
                wait_until(timeout(20.0), || held.symlink_metadata().is_ok()),
                "{name}: did not start"
            );
            let probe = format!(
                "import fcntl, os, sys; fcntl.{name}(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)"
            );
            let words = ["-c", &probe, path.to_str().unwrap()];
            assert!(
                !host(&python, words).succeeded(),
                "{name} is not seen outside"
            );
            bed.file("work/go", "");
            running.finish(timeout(20.0)).ok();
            host(&python, words).ok();
        }
    }
    // And the other way round.
    let file = File::open(bed.work().join("lock")).unwrap();
    file.lock().unwrap();
    let line = "flock -n lock true";
    need!("flock");
    bed.srt().flat(&policies()[0]).sh(line).run().exits(1);
    file.unlock().unwrap();
    bed.srt().flat(&policies()[0]).sh(line).run().ok();
}

#[test]
fn pipes_by_name_reach_the_host() {
    need!("mkfifo");
    let bed = Bed::new();
    host(
        &need!("mkfifo"),
        [bed.work().join("in"), bed.work().join("out")],
    )
    .ok();
    for settings in policies() {
        let running = bed
            .srt()
            .flat(&settings)
            .sh("tr a-z A-Z < in > out")
            .spawn();
        std::fs::write(bed.work().join("in"), "through").unwrap();
        let text = std::fs::read_to_string(bed.work().join("out")).unwrap();
        assert_eq!(text, "THROUGH");
        running.finish(timeout(20.0)).ok();
    }
}

#[test]
fn the_terminal_is_opened_by_its_name() {
    let python = python!("pty", "termios");
    let bed = Bed::new();
    let line = "echo one > /dev/tty && echo two > /dev/stdout && echo three > /dev/fd/2 && read x < /dev/tty && echo got $x && echo > done";
    for settings in policies() {
        std::fs::remove_file(bed.work().join("done")).ok();
        let session = Terminal::of(&bed, &bed.srt().flat(&settings).sh(line))
            .expect("one")
            .expect("two")
            .expect("three")
            .send("answer\n")
            .expect("got answer")
            .end()
            .play(&python)
            .played();
        assert_eq!(session.code, Some(0), "{session:?}");
        assert!(bed.work().join("done").symlink_metadata().is_ok());
    }
}

/// Calls that change what lies at a path; the first ones only what is said of it.
const CHANGES: &[&str] = &[
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "utimensat_link",
    "setxattr",
    "lsetxattr",
    "setxattrat",
    "removexattr",
    "fchmod",
    "chmod_fd_path",
    "fchown",
    "futimens",
    "fsetxattr",
    "setflags",
    "fchmodat2_empty",
    "truncate",
    "truncate_fd_path",
    "reopen_write",
    "openat_rdonly_trunc",
    "openat_trunc",
    "openat_append",
    "openat_rdwr",
    "openat2_trunc",
    "creat",
    "map_write",
    "unlink",
    "unlinkat",
    "rmdir",
    "unlinkat_dir",
];

/// Metadata outside of the write roots stays as it is, whatever the call.
#[test]
fn outside_of_a_write_root_nothing_is_changed() {
    let bed = Bed::new();
    let driver = driver!(&bed);
    let outside = bed.root().join("elsewhere");
    let names = ["file", "directory", "directory/inner", "link"];
    bed.file("elsewhere/file", "kept");
    bed.file("elsewhere/directory/inner", "kept");
    std::os::unix::fs::symlink("file", outside.join("link")).unwrap();
    bed.file("work/source", "evil\n");
    let state = || {
        let one = |path: &std::path::Path| {
            let found = path.symlink_metadata().unwrap();
            (
                found.mode(),
                found.mtime_nsec(),
                found.ctime(),
                found.ctime_nsec(),
                found.nlink(),
            )
        };
        let mut all: Vec<_> = names.iter().map(|name| one(&outside.join(name))).collect();
        all.push(one(&outside));
        all
    };
    let before = (state(), bed.tree());
    let mut calls: Vec<Call> = Vec::new();
    for name in names {
        let path = outside.join(name);
        calls.extend(CHANGES.iter().map(|operation| Call::on(operation, &path)));
        let source = bed.work().join("source");
        for operation in ["rename", "renameat2", "rename_exchange", "rename_whiteout"] {
            calls.push(Call::two(operation, &source, &path));
            calls.push(Call::two(operation, &path, &source));
            calls.push(Call::two(operation, &path, bed.work().join("taken")));
            calls.push(Call::two(operation, &path, outside.join("other")));
        }
        for operation in ["link", "linkat", "linkat_fd"] {
            calls.push(Call::two(operation, &path, bed.work().join("linked")));
            calls.push(Call::two(operation, &path, outside.join("linked")));
            calls.push(Call::two(operation, &source, outside.join("linked")));
        }
    }
    for operation in [
        "mkdir",
        "mknod_fifo",
        "mknodat_device",
        "mknodat_file",
        "tmpfile_link",
        "tmpfile_link_empty",
        "bind",
    ] {
        calls.push(Call::on(operation, outside.join("new")));
    }
    for settings in policies() {
        let answers = driver.inside(&settings, &calls);
        for (call, answer) in calls.iter().zip(&answers) {
            assert!(answer.errno != 0, "{}", call.show());
        }
        assert_eq!(before.0, state());
        let changes: Vec<String> = before.1.changes(&bed.tree());
        let changes = changes.iter().filter(|line| line.contains("elsewhere"));
        assert_eq!(changes.count(), 0);
    }
    let open = rules(&[], &[], &[".", outside.to_str().unwrap()], &[]);
    let path = outside.join("file");
    let control: Vec<Call> = CHANGES
        .iter()
        .take(22)
        .map(|operation| Call::on(operation, &path))
        .collect();
    let answers = driver.inside(&open, &control);
    let done = answers.iter().filter(|answer| answer.errno == 0).count();
    assert!(
        done >= 16,
        "only {done} of them are permitted in a write root"
    );
    assert!(state() != before.0);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o777);
}

/// truncate(2) is for regular files, and opens nothing else: a reader of a FIFO goes on waiting.
#[test]
fn what_is_no_file_is_not_truncated() {
    let python = python!("errno", "threading", "time", "socket");
    let bed = Bed::new();
    let program = "import errno, os, socket, threading, time\n\
        os.mkfifo('fifo'); os.mkdir('directory'); open('file', 'w').write('text')\n\
        socket.socket(socket.AF_UNIX).bind('socket')\n\
        reader = threading.Thread(target=lambda: open('fifo').read()); reader.start(); time.sleep(0.3)\n\
        def said(name, length):\n    \
            try: os.truncate(name, length)\n    \
            except OSError as error: return errno.errorcode[error.errno]\n    \
            return 'done'\n\
        print([said(name, 0) for name in ('fifo', 'socket', 'directory', 'absent', 'file')])\n\
        print([said(name, -1) for name in ('fifo', 'directory', 'absent', 'file')])\n\
        time.sleep(0.2); print(reader.is_alive()); open('fifo', 'w').close(); reader.join()";
    let settings = rules(&[], &[], &["."], &[]);
    let inside = bed
        .srt()
        .flat(&settings)
        .py(&python, program, &[])
        .run()
        .ok();
    let answers = "['EINVAL', 'EINVAL', 'EISDIR', 'ENOENT', 'done']\n['EINVAL', 'EINVAL', 'EINVAL', 'EINVAL']\nTrue\n";
    assert_eq!(inside.text(), answers);
    let other = bed.root().join("other");
    std::fs::create_dir(&other).unwrap();
    let words = ["-c", "cd \"$0\" && \"$1\" -ES -c \"$2\""].map(OsStr::new);
    let rest = [other.as_os_str(), python.as_os_str(), program.as_ref()];
    let outside = host(
        std::path::Path::new("/bin/sh"),
        words.into_iter().chain(rest),
    );
    assert_eq!(outside.text(), answers, "{outside}");
}

/// mv(1) and installers copy where rename(2) says that it is another file system, and nowhere else.
#[test]
fn directories_move_between_private_ones_and_a_write_root() {
    need!("mv");
    let bed = Bed::new();
    for (line, there, gone) in [
        (
            "rm -r d; mkdir -p /tmp/d/e && echo one > /tmp/d/e/f && mv /tmp/d d && cat d/e/f",
            "d/e/f",
            "a",
        ),
        ("mv d /dev/shm/d && cat /dev/shm/d/e/f && mkdir k", "k", "d"),
        (
            "mkdir -p a/b && mv a /var/tmp/ && ls -d /var/tmp/a/b && mkdir k",
            "k",
            "a",
        ),
        ("mkdir a && mv a /tmp/ && mkdir k", "k", "a"),
    ] {
        for settings in policies() {
            let all = format!("rm -rf d k a; mkdir -p d/e; echo one > d/e/f; {line}");
            let output = bed.srt().flat(&settings).sh(&all).run().ok();
            assert_eq!(output.complaints(), "", "{output}");
            let is_there = |name| bed.work().join(name).symlink_metadata().is_ok();
            assert!(is_there(there) && !is_there(gone), "{output}");
        }
    }
}
