//! A `/proc` that is mounted somewhere else, as for chroot(2): who opens a file in it is the supervisor, which is no
//! process of the sandbox's.

use std::{fs, path::Path};

use sandbox_tests::{Bed, host, inapplicable, is_root};

use crate::rules;

const READ: &str = "cat \"$0\"/environ \"$0\"/maps \"$0\"/mem";
const WRITE: &str = "echo 500 > \"$0\"/oom_score_adj; echo x >> \"$0\"/mem";
/// The same words again: nothing is lost if they are written.
const SET: &str = "read -r words < /proc/sys/kernel/core_pattern; echo \"$words\" > \"$0\"";

#[test]
fn another_proc_tells_and_changes_nothing() {
    if !is_root() {
        inapplicable!("only root can mount it");
    }
    let bed = Bed::new();
    let places = [bed.work().join("tree/proc"), bed.outside().join("proc")];
    for place in &places {
        fs::create_dir_all(place).unwrap();
        let words = ["-t", "proc", "proc"].map(std::ffi::OsStr::new);
        host(
            Path::new("mount"),
            words.into_iter().chain([place.as_os_str()]),
        )
        .ok();
    }
    // This test is the process outside.
    let victim = std::process::id().to_string();
    // Outside its environment can be read there.
    for place in &places {
        let environment = fs::read(place.join(&victim).join("environ")).unwrap();
        assert!(!environment.is_empty(), "{}", place.display());
    }
    let score = || fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let before = score();
    let strict = rules(&["**/.env"], &[], &["."], &[]);
    let plain = rules(&[], &[], &["."], &[]);
    let mut told = Vec::new();
    for settings in [&strict, &plain] {
        for place in &places {
            let pattern = place.join("sys/kernel/core_pattern");
            for (line, path) in [
                (READ, place.join(&victim)),
                (WRITE, place.join(&victim)),
                (SET, pattern),
            ] {
                let path = path.display().to_string();
                let srt = bed.srt().flat(settings);
                told.push(srt.args(["sh", "-c", line, &path]).run());
            }
        }
    }
    let after = score();
    for place in &places {
        host(Path::new("umount"), [place]).ok();
    }
    assert_eq!(before, after);
    for output in told {
        assert_eq!(output.text(), "", "{output}");
        assert!(!output.succeeded(), "{output}");
    }
    // Its own is there, and the rest of the tree.
    let line = "cat /proc/self/environ > tree/own && echo 500 > /proc/self/oom_score_adj";
    bed.srt().flat(&strict).sh(line).run().ok();
    assert!(fs::metadata(bed.work().join("tree/own")).unwrap().len() > 0);
}
