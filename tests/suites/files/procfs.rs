//! A `/proc` that is mounted somewhere else, as for chroot(2): who opens a file in it is the supervisor, which is no
//! process of the sandbox's.

use std::{
    fs,
    process::{Command, Stdio},
};

use sandbox_tests::{Bed, inapplicable, is_root};

use crate::rules;

const READ: &str = "cat \"$0\"/environ \"$0\"/maps \"$0\"/mem";
const WRITE: &str = "echo 500 > \"$0\"/oom_score_adj; echo x >> \"$0\"/mem";

#[test]
fn another_proc_tells_and_changes_nothing() {
    if !is_root() {
        inapplicable!("only root can mount it");
    }
    let bed = Bed::new();
    let inside = bed.work().join("tree/proc");
    let outside = bed.outside().join("proc");
    let mount = |place: &std::path::Path| {
        fs::create_dir_all(place).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "proc", "proc"]).arg(place);
        assert!(mount.status().unwrap().success());
    };
    mount(&inside);
    mount(&outside);
    let mut victim = Command::new("sleep")
        .arg("60")
        .env("SECRET_OF_THE_HOST", "told")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let score = || fs::read_to_string(format!("/proc/{}/oom_score_adj", victim.id())).unwrap();
    let before = score();
    let strict = rules(&["**/.env"], &[], &["."], &[]);
    let plain = rules(&[], &[], &["."], &[]);
    let mut told = Vec::new();
    for settings in [&strict, &plain] {
        for place in [&inside, &outside] {
            let process = place.join(victim.id().to_string()).display().to_string();
            for line in [READ, WRITE] {
                let srt = bed.srt().flat(settings);
                told.push(srt.args(["sh", "-c", line, &process]).run());
            }
            // The same words again: nothing is lost if it should be written.
            let kernel = place.join("sys/kernel/core_pattern").display().to_string();
            let line = "read -r words < /proc/sys/kernel/core_pattern; echo \"$words\" > \"$0\"";
            let srt = bed.srt().flat(settings);
            told.push(srt.args(["sh", "-c", line, &kernel]).run());
        }
    }
    let after = score();
    victim.kill().unwrap();
    victim.wait().unwrap();
    for place in [&inside, &outside] {
        assert!(
            Command::new("umount")
                .arg(place)
                .status()
                .unwrap()
                .success()
        );
    }
    assert_eq!(before, after);
    for output in told {
        assert!(!output.text().contains("SECRET_OF_THE_HOST"), "{output}");
        assert!(!output.succeeded(), "{output}");
    }
    // Its own is there, and the rest of the tree.
    let line = "cat /proc/self/environ > tree/own && echo 500 > /proc/self/oom_score_adj";
    bed.srt().flat(&strict).sh(line).run().ok();
    assert!(fs::metadata(bed.work().join("tree/own")).unwrap().len() > 0);
}
