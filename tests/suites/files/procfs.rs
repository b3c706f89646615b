//! Trees of the kernel's that are mounted below a write root or elsewhere, as for chroot(2). Who opens a file of
//! `/proc` there is the supervisor, which is no process of the sandbox's.

use std::{fs, path::Path};

use sandbox_tests::{Bed, Output, Srt, inapplicable, is_root, need};

use crate::rules;

const READ: &str = "cat \"$0\"/environ \"$0\"/maps \"$0\"/mem";
const WRITE: &str = "echo 500 > \"$0\"/oom_score_adj; echo x >> \"$0\"/mem";
/// The same words again: nothing is lost if they are written.
const SET: &str = "read -r words < /proc/sys/kernel/core_pattern; echo \"$words\" > \"$0\"";

/// Runs it where these trees are mounted, for it alone; what the launcher's last command prints follows.
fn among(srt: Srt<'_>, unshare: &Path, mounts: &str, last: &str) -> Output {
    let line = format!("{mounts} && {{ \"$@\"; {last}; }}");
    let words = [unshare.to_str().unwrap(), "-m", "sh", "-c", &line, "sh"];
    srt.under(words).run()
}

#[test]
fn another_proc_tells_and_changes_nothing() {
    if !is_root() {
        inapplicable!("only root can mount it");
    }
    let unshare = need!("unshare");
    let bed = Bed::new();
    let places = [bed.work().join("tree/proc"), bed.outside().join("proc")];
    let mut mounts = "true".to_owned();
    for place in &places {
        fs::create_dir_all(place).unwrap();
        mounts.push_str(&format!(" && mount -t proc proc {}", place.display()));
    }
    // This test is the process outside.
    let victim = std::process::id().to_string();
    let score = || fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let before = score();
    let strict = rules(&["**/.env"], &[], &["."], &[]);
    let plain = rules(&[], &[], &["."], &[]);
    for settings in [&strict, &plain] {
        for place in &places {
            let pattern = place.join("sys/kernel/core_pattern");
            for (line, path) in [
                (READ, place.join(&victim)),
                (WRITE, place.join(&victim)),
                (SET, pattern),
            ] {
                let path = path.display().to_string();
                let srt = bed.srt().flat(settings).args(["sh", "-c", line, &path]);
                // Outside the environment can be read there.
                let last = format!("echo \"$?\"; wc -c < {}/{victim}/environ", place.display());
                let output = among(srt, &unshare, &mounts, &last);
                let text = output.text();
                let mut lines = text.lines();
                assert!(
                    lines.next().is_some_and(|status| status.parse() != Ok(0)),
                    "{output}"
                );
                let length = lines
                    .next()
                    .and_then(|length| length.trim().parse::<u64>().ok());
                assert!(length.is_some_and(|length| length > 0), "{output}");
                assert_eq!(lines.next(), None, "{output}");
                assert_eq!(score(), before, "{output}");
            }
        }
    }
    // Its own is there, and the rest of the tree.
    let line = "cat /proc/self/environ > tree/own && echo 500 > /proc/self/oom_score_adj";
    bed.srt().flat(&strict).sh(line).run().ok();
    assert!(fs::metadata(bed.work().join("tree/own")).unwrap().len() > 0);
}

/// The host's `/dev` by another mount of it, and the places themselves where the kernel's trees are mounted: the
/// directories that they lie in are of files.
#[test]
fn where_the_kernels_trees_are_mounted_nothing_is_changed() {
    if !is_root() {
        inapplicable!("only root can mount them");
    }
    let unshare = need!("unshare");
    let bed = Bed::new();
    let settings = rules(&[], &[], &["."], &[]);
    for (kind, name, node) in [
        ("devtmpfs", "dev", "null"),
        ("sysfs", "sys", "kernel"),
        ("proc", "proc", "version"),
        ("tmpfs", "files", "made"),
    ] {
        let place = bed.work().join("c").join(name);
        fs::create_dir_all(&place).unwrap();
        let mounts = format!("mount -t {kind} none {}", place.display());
        let line = format!(
            "chmod 711 c/{name} && touch c/{name} && mkdir c/{name}/made; chmod 600 c/{name}/{node}"
        );
        let last = format!(
            "stat -c %a {0} {0}/{node}; ls {0} | grep -c made",
            place.display()
        );
        let srt = bed.srt().flat(&settings).sh(&line);
        let output = among(srt, &unshare, &mounts, &last);
        let text = output.text();
        if kind == "tmpfs" {
            assert_eq!(text, "711\n600\n1\n", "{output}");
        } else {
            assert!(
                text.ends_with("\n0\n") && !text.contains("711") && !text.contains("600"),
                "{output}"
            );
            assert!(output.errors().contains("srt: refused"), "{output}");
        }
    }
}

/// The priority of a session (sched(7), autogroup) is that of everything in it outside.
#[test]
fn the_session_outside_keeps_its_priority() {
    if fs::read("/proc/self/autogroup").is_err() {
        inapplicable!("this kernel groups no sessions");
    }
    let setsid = need!("setsid");
    let bed = Bed::new();
    // Whoever is not privileged is heard ten times a second (`proc_sched_autogroup_set_nice`).
    let attempt = |value| {
        format!(
            "for i in 1 2 3 4 5; do echo {value} > /proc/self/autogroup && break; sleep 0.2; done"
        )
    };
    let control = attempt(5);
    let line = format!("\"$@\"; cat /proc/self/autogroup; {control}; cat /proc/self/autogroup");
    let launcher = [setsid.to_str().unwrap(), "-w", "sh", "-c", &line, "sh"];
    let inside = format!("{}; echo 3 > /proc/self/oom_score_adj", attempt(12));
    let srt = bed.srt().sh(&inside);
    let output = srt.under(launcher).run();
    let text = output.text();
    let nice: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once("nice "))
        .collect();
    let values: Vec<_> = nice.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, ["0", "5"], "{output}");
    assert!(output.errors().contains("/autogroup"), "{output}");
}
