//! The supervisor's faults: whatever it can't read, reach or finish is refused, and nothing hangs.

use std::{collections::BTreeSet, time::Instant};

use sandbox_tests::{Bed, carriers, python, time_scale, wait_until};
use serde_json::json;

const FAULTS: &str = include_str!("faults.py");

fn bed() -> Bed {
    let bed = Bed::new();
    for name in ["locked", "kept"] {
        bed.file(format!("work/{name}"), "old");
    }
    bed
}

/// Runs one part; returns its lines after the host has looked at what is there.
fn run(part: &str) -> Vec<(String, String)> {
    let python = python_path();
    let bed = bed();
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": ["locked"]},
    });
    let run = bed.srt().flat(&settings).within(120.0);
    let output = run.py(&python, FAULTS, &[part]).run().ok();
    let names: BTreeSet<_> = std::fs::read_dir(bed.work())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected: &[&str] = match part {
        "full" => &["kept", "locked", "made-room"],
        _ => &["kept", "locked"],
    };
    let expected: BTreeSet<_> = expected.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(names, expected, "{part}: {output}");
    let content = std::fs::read(bed.work().join("locked")).unwrap();
    assert_eq!(content, b"old", "{part}: {output}");
    let lines = output.text();
    let lines = lines.lines().map(|line| line.rsplit_once(' ').unwrap());
    lines
        .map(|(what, result)| (what.to_owned(), result.to_owned()))
        .collect()
}

fn python_path() -> std::path::PathBuf {
    sandbox_tests::tool("python3").expect("every platform of the suites has Python")
}

#[test]
fn addresses_that_lead_nowhere_are_refused() {
    let _python = python!("ctypes", "mmap", "resource");
    let lines = run("pointers");
    assert!(lines.len() > 40, "{lines:?}");
    for (what, result) in &lines {
        let expected: &[&str] = match what.split(' ').next().unwrap() {
            // The text of a symlink is read as any other.
            "open" | "mkdir" | "unlink" | "rename" | "symlink" | "chmod" => &["EFAULT"],
            "bind" | "connect" if what.contains("descriptor") => &["EBADF"],
            "bind" | "connect" if what.contains("length") => &["EINVAL", "EAFNOSUPPORT"],
            "bind" | "connect" => &["EFAULT"],
            _ => &["EBADF"],
        };
        assert!(expected.contains(&result.as_str()), "{what}: {result}");
    }
}

#[test]
fn a_full_table_of_descriptors_leaves_nothing_behind() {
    let _python = python!("ctypes", "resource");
    let lines = run("full");
    let results: Vec<_> = lines.iter().map(|(_, result)| result.as_str()).collect();
    assert_eq!(results, ["EMFILE", "EMFILE", "EACCES", "ok"], "{lines:?}");
}

#[test]
fn a_caller_that_hides_its_memory_gets_nothing_by_it() {
    let _python = python!("ctypes");
    for (what, result) in run("undumpable") {
        assert!(
            ["EACCES", "EPERM"].contains(&result.as_str()),
            "{what}: {result}"
        );
    }
}

#[test]
fn callers_that_die_and_crowds_of_them_hold_nobody_up() {
    let _python = python!("ctypes");
    for part in ["killed", "crowd"] {
        for (what, result) in run(part) {
            assert_eq!(result, "ok", "{what}");
        }
    }
}

/// The supervisor is a thread of the tool's process: without it everything ends.
#[test]
fn the_tree_is_dead_a_tenth_of_a_second_after_its_supervisor() {
    let bed = bed();
    let mut slowest = 0.0_f64;
    for _ in 0..10 {
        let line = "for n in 1 2 3 4 5; do (while :; do : > ticks; done) & done; echo up; wait";
        let settings = json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": ["locked"]},
        });
        let mut running = bed.srt().flat(&settings).sh(line).spawn();
        let limit = sandbox_tests::timeout(20.0);
        let ticks = bed.work().join("ticks");
        assert!(wait_until(limit, || ticks.metadata().is_ok()));
        let start = Instant::now();
        running.kill();
        assert!(wait_until(limit, || carriers(bed.marker()).is_empty()));
        slowest = slowest.max(start.elapsed().as_secs_f64());
        std::fs::remove_file(&ticks).unwrap();
    }
    eprintln!(
        "the slowest of 10 trees was dead after {:.0} ms",
        slowest * 1e3
    );
    // Some 10 ms on a machine with nothing else to do.
    assert!(slowest < 0.3 * time_scale().max(1.0), "{slowest} s");
}

/// A thread that is stopped in the middle of giving a descriptor away takes it back (seccomp_unotify(2)): the caller must
/// not go on with another file than it opened.
#[test]
fn who_opens_while_the_supervisor_is_stopped_gets_the_file() {
    let python = python!();
    let bed = bed();
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": ["locked"]},
    });
    let program = "import os\n\
        os.mkdir('made')\n\
        for n in range(200000):\n    \
            if n % 50 == 0 and os.path.exists('enough'): break\n    \
            f = os.open('made/0.%d' % n, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)\n    \
            os.write(f, b'%d' % n)\n    \
            os.close(f)\n";
    let running = bed.srt().flat(&settings).py(&python, program, &[]).spawn();
    let limit = sandbox_tests::timeout(60.0);
    let first = bed.work().join("made/0.0");
    assert!(wait_until(limit, || first.metadata().is_ok()));
    let pid = i32::try_from(running.pid()).ok();
    let pid = pid.and_then(rustix::process::Pid::from_raw).unwrap();
    for pause in 0..1000 {
        for signal in [rustix::process::Signal::STOP, rustix::process::Signal::CONT] {
            rustix::process::kill_process(pid, signal).unwrap();
            std::thread::sleep(std::time::Duration::from_micros(200 + pause % 7 * 150));
        }
    }
    bed.file("work/enough", "");
    running.finish(limit).ok();
    let files: Vec<_> = std::fs::read_dir(bed.work().join("made"))
        .unwrap()
        .collect();
    let lost = files.iter().filter(|file| {
        let path = file.as_ref().unwrap().path();
        let number = path.extension().unwrap().as_encoded_bytes();
        std::fs::read(&path).unwrap() != number
    });
    let (lost, count) = (lost.count(), files.len());
    assert_eq!(lost, 0, "of {count}");
    // Fewer where the machine is emulated.
    assert!(count > 100, "{count}");
}
