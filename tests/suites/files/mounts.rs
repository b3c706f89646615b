//! What the sandbox's mounts show of the host: flags, what is mounted below, and sources that are exchanged.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::fs::{CWD, RenameFlags};
use sandbox_tests::{
    Bed, host, inapplicable, is_root, need, note, time_scale, timeout, tree_hash, wait_until,
};

use crate::rules;

/// Mount points that are the sandbox's own or the command's to write, and all below them.
fn is_own(point: &str, bed: &Bed) -> bool {
    let work = bed.work().display().to_string();
    ["/dev", "/proc", "/tmp", "/var/tmp", work.as_str()]
        .iter()
        .any(|own| point == *own || point.starts_with(&format!("{own}/")))
}

#[test]
fn every_mount_of_the_hosts_is_read_only() {
    let bed = Bed::new();
    let settings = rules(&[], &[], &["."], &[]);
    let srt = bed
        .srt()
        .flat(&settings)
        .args(["cat", "/proc/self/mountinfo"]);
    let output = srt.run().ok();
    let text = output.text();
    let mut seen = 0;
    for line in text.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let (point, options) = (fields[4], fields[5]);
        let has = |option: &str| options.split(',').any(|one| one == option);
        assert!(has("nosuid") || point.starts_with("/dev"), "{line}");
        if !is_own(point, &bed) {
            assert!(has("ro"), "{line}");
            seen += 1;
        }
    }
    assert!(seen > 0, "{text}");
    // The control: the write root is none of them.
    let work = bed.work().canonicalize().unwrap();
    let is_writable = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        fields[4] == work.to_str().unwrap() && fields[5].starts_with("rw")
    };
    assert!(text.lines().any(is_writable), "{text}");
}

/// A file system that is mounted below a read-only tree is read-only too, and keeps its flags.
#[test]
fn what_is_mounted_below_keeps_its_flags_and_is_read_only() {
    if !is_root() {
        inapplicable!("only root can mount a file system");
    }
    let unshare = need!("unshare");
    let bed = Bed::new();
    let place = bed.outside().join("below");
    std::fs::create_dir_all(&place).unwrap();
    let settings = rules(&[], &[], &["."], &[]);
    for (flags, kept) in [
        ("rw", "ro"),
        ("rw,noexec", "noexec"),
        ("rw,nosymfollow", "nosymfollow"),
    ] {
        // Outside the file system can be written; what the command wrote is seen afterwards.
        let line = format!(
            "mount -t tmpfs -o {flags} none \"$0\" && echo control > \"$0/control\" && {{ \"$@\"; ls \"$0\"; }}"
        );
        let launcher = [
            unshare.to_str().unwrap(),
            "-m",
            "sh",
            "-c",
            &line,
            place.to_str().unwrap(),
        ];
        let inside = format!(
            "echo x > {0}/made; chmod 600 {0}/control; grep ' {0} ' /proc/self/mountinfo | cut -d' ' -f6",
            place.display()
        );
        let srt = bed.srt().flat(&settings).sh(&inside);
        let output = srt.under(launcher).run();
        let text = output.text();
        let (options, left) = text.split_once('\n').unwrap_or_default();
        let has = |option: &str| options.split(',').any(|one| one == option);
        assert!(has("ro") && has(kept), "{flags}: {output}");
        assert_eq!(left, "control\n", "{flags}: {output}");
    }
}

/// No entry of the settings would change it, so none is proposed: it is an error as outside.
#[test]
fn what_the_host_has_read_only_is_no_refusal_of_the_policy() {
    if !is_root() {
        inapplicable!("only root can mount a file system");
    }
    let unshare = need!("unshare");
    let bed = Bed::new();
    let fixed = bed.work().join("fixed");
    std::fs::create_dir(&fixed).unwrap();
    let settings = rules(&[], &[], &["."], &[]);
    let line = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && \"$@\"";
    let launcher = [
        unshare.to_str().unwrap(),
        "-m",
        "sh",
        "-c",
        line,
        fixed.to_str().unwrap(),
    ];
    let outside = bed.outside().join("new");
    let inside = format!(
        "touch fixed/new; mkdir fixed/directory; touch {}",
        outside.display()
    );
    let output = (bed.srt().flat(&settings).sh(&inside))
        .under(launcher)
        .run();
    let errors = output.errors();
    assert_eq!(
        errors.matches("Read-only file system").count(),
        3,
        "{output}"
    );
    // The control is what the policy does refuse.
    let told: Vec<_> = errors
        .lines()
        .filter(|line| line.starts_with("srt:"))
        .collect();
    let of_policy = outside.to_str().unwrap();
    assert!(
        errors.contains(&format!("--allow-write {of_policy}")),
        "{output}"
    );
    assert!(!told.iter().any(|line| line.contains("fixed")), "{output}");
    let question = bed
        .srt()
        .flat(&settings)
        .args(["explain", "write", "fixed/new"]);
    let answer = question.under(launcher).run().ok();
    assert!(answer.text().contains("mounted read-only"), "{answer}");
    // Where it can be written, nothing of the kind is said.
    let question = bed
        .srt()
        .flat(&settings)
        .args(["explain", "write", "fixed/new"]);
    let answer = question.run().ok();
    assert!(!answer.text().contains("read-only"), "{answer}");
}

/// As in any directory that is gone: no rule is about it.
#[test]
fn a_write_root_that_the_host_removes_is_gone_for_the_command() {
    let bed = Bed::new();
    let (root, outside) = (bed.outside().join("root"), bed.outside().join("new"));
    std::fs::create_dir(&root).unwrap();
    let settings = rules(&[], &[], &[root.to_str().unwrap()], &[]);
    let inside = format!(
        "cd {}; echo ready > ready; read line; touch new; mkdir directory; touch {}",
        root.display(),
        outside.display()
    );
    let mut running = bed.srt().flat(&settings).sh(&inside).open_stdin().spawn();
    // What is written is the last that the command does there before the root is gone.
    let ready = root.join("ready");
    assert!(wait_until(timeout(10.0), || {
        std::fs::read(&ready).is_ok_and(|bytes| bytes == b"ready\n")
    }));
    std::fs::remove_dir_all(&root).unwrap();
    drop(running.stdin());
    let output = running.finish(timeout(10.0));
    let errors = output.errors();
    assert_eq!(errors.matches("No such file").count(), 2, "{output}");
    // The control is what the policy does refuse.
    let of_policy = outside.to_str().unwrap();
    assert!(
        errors.contains(&format!("--allow-write {of_policy}")),
        "{output}"
    );
    assert!(!errors.contains("(deleted)"), "{output}");
}

/// A write root that is a directory now and a link to a closed place then: nothing is ever written there.
#[test]
fn a_source_that_is_exchanged_during_the_start_shows_nothing_else() {
    let bed = Bed::new();
    bed.file("outside/closed/kept", "kept");
    bed.file("outside/root/here", "here");
    let (root, link) = (bed.outside().join("root"), bed.outside().join("link"));
    std::os::unix::fs::symlink("closed", &link).unwrap();
    let closed = bed.outside().join("closed");
    let before = tree_hash(&closed);
    let settings = rules(
        &[],
        &[],
        &[root.to_str().unwrap()],
        &[closed.to_str().unwrap()],
    );
    let ended = AtomicBool::new(false);
    let (mut written, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each burst ends with the root in its place for a start's time, or there would be starts in the midst
            // of exchanges only.
            let start = Duration::from_millis(5).mul_f64(time_scale().max(1.0));
            for burst in 0_u32.. {
                for _ in 0..=burst % 8 * 128 {
                    for _ in 0..2 {
                        rustix::fs::renameat_with(CWD, &root, CWD, &link, RenameFlags::EXCHANGE)
                            .unwrap();
                    }
                }
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(start * (burst % 3));
            }
        });
        let rounds = if time_scale() > 4.0 { 30 } else { 300 };
        let enough = |tried, written, refused| tried >= rounds && written > 0 && refused > 0;
        let mut tried = 0;
        while tried < 10 * rounds && !enough(tried, written, refused) {
            tried += 1;
            let line = format!("echo x > {}/made", root.display());
            let output = bed.srt().flat(&settings).sh(&line).run();
            if output.succeeded() {
                written += 1;
            } else {
                refused += 1;
            }
        }
        ended.store(true, Ordering::Relaxed);
    });
    let changes = before.changes(&tree_hash(&closed));
    assert!(changes.is_empty(), "{changes:#?}");
    assert!(
        written > 0 && refused > 0,
        "{written} written, {refused} refused"
    );
}

/// A working directory in the midst of what is closed is no way to what lies around it.
#[test]
fn the_way_up_from_the_working_directory_is_closed() {
    let bed = Bed::new();
    bed.file("work/closed/secret", bed.marker());
    bed.file("work/closed/beside/secret", bed.marker());
    bed.file("work/closed/open/file", "open");
    let settings = rules(&["closed"], &["closed/open"], &["."], &[]);
    let line =
        "cat file; cat ../secret; cat ../beside/secret; cat ../../closed/secret; ls .. ../beside";
    let from = bed.work().join("closed/open");
    let sh = format!("cd {} && {line}", from.display());
    // The control: outside all of it is read.
    let shell = std::path::Path::new("/bin/sh");
    let outside = host(shell, ["-c", &sh]);
    assert_eq!(outside.text().matches(bed.marker()).count(), 3, "{outside}");
    let inside = bed.srt().flat(&settings).sh(&sh).run();
    assert!(inside.text().starts_with("open"), "{inside}");
    assert!(!inside.text().contains(bed.marker()), "{inside}");
    assert!(!inside.text().contains("beside\n"), "{inside}");
}

/// `RENAME_WHITEOUT` of renameat2(2) leaves a device node: in no place that can't be written.
#[test]
fn a_whiteout_is_made_nowhere_outside() {
    let python = need!("python3");
    let bed = Bed::new();
    bed.file("outside/a", "a");
    bed.file("work/a", "a");
    let program = "\
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for directory in sys.argv[1:]:
    a, b = (os.path.join(directory, name).encode() for name in 'ab')
    answer = libc.renameat2(-100, a, -100, b, 4)
    print(os.path.basename(directory), answer == 0)";
    let before = tree_hash(bed.outside());
    let (outside, work) = (bed.outside(), bed.work());
    let words = [outside.to_str().unwrap(), work.to_str().unwrap()];
    let settings = rules(&[], &[], &["."], &[]);
    let output = bed.srt().flat(&settings).py(&python, program, &words).run();
    assert!(output.text().starts_with("outside False"), "{output}");
    let changes = before.changes(&tree_hash(bed.outside()));
    assert!(changes.is_empty(), "{changes:#?}");
    // The control: in the write root, and outside for the host, the same call leaves one.
    let whiteouts = |directory: &std::path::Path| {
        use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
        let left = directory.join("a").symlink_metadata().unwrap();
        left.file_type().is_char_device()
            && left.rdev() == 0
            && directory.join("b").symlink_metadata().is_ok()
    };
    if output.text().ends_with("work True\n") {
        assert!(whiteouts(work), "{output}");
    } else {
        note("this file system makes no whiteouts");
    }
    let control = host(&python, ["-c", program, outside.to_str().unwrap()]).ok();
    if control.text() == "outside True\n" {
        assert!(whiteouts(outside), "{control}");
        assert!(output.text().ends_with("work True\n"), "{output}");
    }
}
