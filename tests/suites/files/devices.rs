//! `/dev`, scratch directories and shared memory.

use std::path::Path;

use sandbox_tests::{Bed, host, is_root, need, python, skip};

use crate::rules;

#[test]
fn dev_is_minimal_and_works() {
    let bed = Bed::new();
    let listing = bed.srt().args(["ls", "-A", "/dev"]).run().ok().text();
    let known = [
        "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm",
        "stderr", "stdin", "stdout", "tty", "urandom", "zero",
    ];
    let strangers: Vec<&str> = listing
        .lines()
        .filter(|name| !known.contains(name))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    for name in [
        "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "fd", "stdin",
        "stdout", "stderr",
    ] {
        assert!(
            listing.lines().any(|found| found == name),
            "no /dev/{name} in\n{listing}"
        );
    }
    bed.srt().sh("echo x > /dev/null && head -c 3 /dev/zero | wc -c | tr -d ' ' && head -c 5 /dev/urandom | wc -c | tr -d ' '").run().ok().prints("3\n5\n");
    bed.srt()
        .sh("echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin")
        .stdin("in\n")
        .run()
        .ok()
        .prints("out\nin\n")
        .says("err");
    bed.srt().sh("echo x > /dev/full").run().refused();
    bed.srt()
        .sh("cat /dev/fd/3 3<<E\nhere\nE")
        .run()
        .ok()
        .prints("here\n");
}

#[test]
fn dev_takes_no_new_files() {
    let bed = Bed::new();
    let name = format!("/dev/{}", bed.marker());
    bed.srt().sh(&format!("echo x > {name}")).run().refused();
    bed.srt().sh(&format!("mknod {name} c 1 3")).run().refused();
    assert!(Path::new(&name).symlink_metadata().is_err());
    bed.srt()
        .sh("rm -f /dev/null; echo x > /dev/null && test -c /dev/null")
        .run()
        .ok();
    assert!(Path::new("/dev/null").metadata().is_ok());
}

#[test]
fn a_new_pseudo_terminal_can_be_opened() {
    let python = python!("pty", "termios");
    let bed = Bed::new();
    let program = "import os; m, s = os.openpty(); os.write(s, b'x'); print(os.read(m, 1).decode(), os.isatty(s), os.ttyname(s))";
    let output = bed.srt().py(&python, program, &[]).run().ok();
    assert!(output.text().starts_with("x True /dev/pts/"), "{output}");
}

#[test]
fn scratch_directories_are_private() {
    let bed = Bed::new();
    let marker = bed.marker();
    for scratch in ["/tmp", "/var/tmp", "/dev/shm"] {
        let theirs = Path::new(scratch).join(marker);
        let control = std::fs::write(&theirs, "host\n");
        if control.is_err() {
            skip!("the host has no writable {scratch}");
        }
        let output = bed.srt().args(["ls", "-A", scratch]).run().ok();
        let line = format!(
            "cat {scratch}/{marker}; echo inside > {scratch}/{marker} && echo more > {scratch}/new-{marker} && cat {scratch}/{marker}"
        );
        let written = bed.srt().sh(&line).run().ok();
        let (kept, leaked) = (
            std::fs::read(&theirs),
            theirs
                .with_file_name(format!("new-{marker}"))
                .symlink_metadata(),
        );
        std::fs::remove_file(&theirs).unwrap();
        assert!(
            !output.text().contains(marker),
            "the host's file is seen in {scratch}\n{output}"
        );
        assert_eq!(written.text(), "inside\n", "{written}");
        assert_eq!(kept.unwrap(), b"host\n");
        assert!(leaked.is_err(), "a file came out of {scratch}");
        // Each command gets its own.
        bed.srt()
            .sh(&format!("test ! -e {scratch}/new-{marker}"))
            .run()
            .ok();
    }
    bed.srt()
        .sh("f=$(mktemp) && echo x > $f && cat $f && d=$(mktemp -d) && test -d $d")
        .run()
        .ok()
        .prints("x\n");
    bed.srt()
        .sh("test -z \"$TMPDIR\" || (test -d \"$TMPDIR\" && echo x > \"$TMPDIR/x\")")
        .run()
        .ok();
    bed.srt()
        .sh("printf '#!/bin/sh\\necho ran\\n' > /tmp/p && chmod +x /tmp/p && /tmp/p")
        .run()
        .ok()
        .prints("ran\n");
}

/// `allowWrite` shares scratch with the host, but for shared memory, of which it says so.
#[test]
fn listed_scratch_is_shared_and_listed_shared_memory_is_not() {
    let bed = Bed::new();
    let marker = bed.marker();
    for (scratch, is_shared) in [("/tmp", true), ("/var/tmp", true), ("/dev/shm", false)] {
        let theirs = Path::new(scratch).join(marker);
        let run = bed
            .srt()
            .args(["--allow-write", scratch])
            .args(["touch", theirs.to_str().unwrap()])
            .run()
            .ok();
        let came_out = std::fs::remove_file(&theirs).is_ok();
        assert_eq!(came_out, is_shared, "{scratch}: {run}");
        let says = run.errors().contains("is not shared with the host");
        assert_eq!(says, !is_shared, "{scratch}: {run}");
    }
}

/// Settings that are made for macOS list the standard streams.
#[test]
fn standard_streams_as_write_roots_are_nothing_to_tell_of() {
    let bed = Bed::new();
    let line = "echo out > /dev/stdout && echo err > /dev/stderr";
    for roots in [
        &["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/proc/self/fd/2"][..],
        &["/dev/null", "/dev/tty", "/dev/stdout"],
    ] {
        let settings = rules(&[], &[], roots, &[]);
        let output = bed.srt().flat(&settings).sh(line).run().ok();
        assert_eq!(
            (output.text(), output.complaints()),
            ("out\n".into(), "err\n".into())
        );
    }
    // To a file, which a write root of that name opens.
    let settings = rules(&[], &[], &[".", "/dev", "/dev/stdout"], &[]);
    let into = ["sh", "-c", "exec \"$@\" > out", "sh"];
    let output = bed
        .srt()
        .flat(&settings)
        .sh("echo out > /dev/stdout")
        .under(into)
        .run();
    assert_eq!(
        std::fs::read_to_string(bed.work().join("out")).ok(),
        Some("out\n".into()),
        "{output}"
    );
    // What only the host has is told.
    let settings = rules(&[], &[], &["/proc/sys"], &[]);
    let output = bed.srt().flat(&settings).sh("echo out").run().ok();
    let errors = output.errors();
    assert!(errors.contains("`/proc/sys` opens nothing"), "{output}");
    assert!(!errors.contains("filesystem.devices"), "{output}");
}

#[test]
fn a_working_directory_in_scratch_is_the_hosts() {
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let (work, other) = (
        directory.path().join("work"),
        directory.path().join("other"),
    );
    std::fs::create_dir(&work).unwrap();
    std::fs::write(&other, "host\n").unwrap();
    let bed = Bed::new();
    bed.srt()
        .directory(&work)
        .sh("echo x > f && cat f")
        .run()
        .ok()
        .prints("x\n");
    assert_eq!(std::fs::read(work.join("f")).unwrap(), b"x\n");
    bed.srt()
        .directory(&work)
        .sh("cat ../other")
        .run()
        .refused()
        .prints("");
    bed.srt()
        .directory(&work)
        .sh("echo x > ../new; true")
        .run()
        .ok();
    assert!(
        directory.path().join("new").symlink_metadata().is_err(),
        "written beside the working directory"
    );
    host(&need!("cat"), [&other]).ok().prints("host\n");
}

#[test]
fn python_multiprocessing_and_shared_memory_work() {
    let python = python!("multiprocessing", "concurrent.futures");
    let bed = Bed::new();
    bed.file(
        "work/pool.py",
        r"
import concurrent.futures, multiprocessing, os
from multiprocessing import shared_memory
def square(n):
    return n * n
if __name__ == '__main__':
    lock = multiprocessing.Lock(); queue = multiprocessing.Queue()
    with lock, concurrent.futures.ProcessPoolExecutor(2) as pool:
        print(sum(pool.map(square, range(10))))
    memory = shared_memory.SharedMemory(create=True, size=64)
    memory.buf[0] = 7; print(memory.buf[0]); memory.close(); memory.unlink()
    queue.put('queued'); print(queue.get())
",
    );
    let before = segments();
    let output = bed
        .srt()
        .args([python.as_os_str(), "-ES".as_ref(), "pool.py".as_ref()])
        .within(60.0)
        .run()
        .ok();
    output.prints("285\n7\nqueued\n");
    assert_eq!(segments(), before);
}

#[test]
fn kernel_settings_are_not_written() {
    let bed = Bed::new();
    // Each line would write back the value that is there, so nothing is lost if one gets through.
    for path in [
        "/proc/sys/kernel/panic",
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/swappiness",
        "/proc/sys/kernel/hostname",
    ] {
        let line = format!("v=$(cat {path}) && echo \"$v\" > {path}");
        bed.srt().sh(&line).run().refused();
        if is_root() {
            host(&need!("sh"), ["-c", &line]).ok();
        }
    }
    // `h` only prints a help line to the kernel's log.
    bed.srt().sh("echo h > /proc/sysrq-trigger").run().refused();
    bed.srt().sh("for f in /sys/kernel/mm/transparent_hugepage/enabled /sys/power/state; do test -w $f && exit 3; done; exit 1").run().exits(1);
}

/// Shared memory segments that Python left in the host's directory.
fn segments() -> Vec<std::ffi::OsString> {
    let entries = Path::new("/dev/shm")
        .read_dir()
        .into_iter()
        .flatten()
        .flatten();
    entries
        .map(|entry| entry.file_name())
        .filter(|name| name.as_encoded_bytes().starts_with(b"psm_"))
        .collect()
}

#[test]
fn the_hosts_device_nodes_cannot_be_changed() {
    let bed = Bed::new();
    let mode = || {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata("/dev/full").unwrap().mode()
    };
    let before = mode();
    // The mode that it has already: a success would change nothing on the host.
    let line = format!("chmod {:o} /dev/full", before & 0o7777);
    let refused = bed.srt().sh(&line).run().refused();
    assert!(refused.errors().contains("ead-only"), "{refused}");
    assert_eq!(mode(), before);
    bed.srt()
        .sh("echo x > /dev/null && head -c 2 /dev/zero | wc -c")
        .run()
        .ok();
    bed.srt().sh("touch mine && chmod 600 mine").run().ok();
}

/// A standard stream is the host's descriptor, by a mount that is not the sandbox's.
#[test]
fn the_hosts_device_nodes_cannot_be_changed_by_a_descriptor() {
    let python = python!("os");
    let bed = Bed::new();
    let null = || {
        use std::os::unix::fs::MetadataExt as _;
        let found = std::fs::metadata("/dev/null").unwrap();
        (found.mode(), found.mtime(), found.uid(), found.ctime_nsec())
    };
    let before = null();
    let run = |line: &str| {
        let line = format!("import os; s = os.stat(0); {line}");
        let words = [python.to_str().unwrap(), "-c", &line];
        bed.srt().args(words).run()
    };
    // What it has already, again.
    for line in [
        "os.fchmod(0, s.st_mode & 0o7777)",
        "os.utime(0, ns=(s.st_atime_ns, s.st_mtime_ns))",
        "os.fchown(0, s.st_uid, s.st_gid)",
        "os.chmod('/proc/self/fd/0', s.st_mode & 0o7777)",
    ] {
        run(line).refused();
        assert_eq!(null(), before, "{line}");
    }
    let own = "f = os.open('mine', os.O_CREAT); os.fchmod(f, 0o600); os.utime(f, (1, 1)); t, p = os.openpty(); os.fchmod(p, 0o600)";
    run(own).ok();
}
