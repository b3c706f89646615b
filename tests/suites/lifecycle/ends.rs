//! Sudden ends.

use std::time::Duration;

use sandbox_tests::{Bed, carriers, time_scale, timeout, wait_until};
use serde_json::json;

use crate::traces::{Traces, alone};

/// Numbers that look random and are the same in every run.
fn spread(count: u64) -> impl Iterator<Item = u64> {
    (0..count).scan(0x9e37_79b9_7f4a_7c15_u64, |state, _| {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(*state >> 33)
    })
}

#[test]
fn a_kill_at_any_moment_leaves_nothing() {
    let bed = Bed::new();
    bed.file("work/secret", "hidden");
    bed.file("work/dir/file", "x");
    let settings = json!({
        "network": {"allowedDomains": ["example.com"], "deniedDomains": []},
        "filesystem": {"denyRead": ["secret"], "allowWrite": ["."], "denyWrite": ["dir", "absent", ".git/hooks"]},
    });
    bed.file("settings.json", settings.to_string());
    let traces = Traces::take(&bed);
    let rounds = if time_scale() > 4.0 { 20 } else { 100 };
    let mut at_work = 0;
    for moment in spread(rounds) {
        let line = "sleep 300 & (setsid sleep 300 &) ; sleep 300";
        let mut running = bed.srt().flat(&settings).sh(line).spawn();
        // From before the namespaces exist until well after the command is up; half of them in the
        // few milliseconds in which everything is set up.
        let window = if moment % 2 == 0 { 6_000 } else { 40_000 };
        let scale = time_scale().max(1.0);
        std::thread::sleep(Duration::from_micros(moment / 2 % window).mul_f64(scale));
        running.kill();
        let output = running.finish(timeout(10.0));
        assert_eq!(output.signal(), Some(9), "{output}");
        at_work += usize::from(output.elapsed > timeout(0.01));
        let gone = wait_until(timeout(5.0), || carriers(bed.marker()).is_empty());
        assert!(
            gone,
            "killed after {:?}: {:#?}",
            output.elapsed,
            carriers(bed.marker())
        );
    }
    assert!(at_work > 0, "every one was killed before it began");
    traces.assert_none("kills at random moments");
}

#[test]
fn a_command_that_was_up_dies_with_the_tool() {
    let bed = Bed::new();
    let traces = Traces::take(&bed);
    for round in 0..5 {
        let up = bed.work().join(format!("up-{round}"));
        let line = format!(
            "trap '' HUP TERM INT; touch up-{round}; while :; do echo tick >> ticks; sleep 0.05; done"
        );
        let mut running = bed.srt().sh(&line).spawn();
        assert!(
            wait_until(timeout(20.0), || up.symlink_metadata().is_ok()),
            "did not start"
        );
        running.kill();
        running.finish(timeout(10.0));
        assert!(
            wait_until(timeout(2.0), || carriers(bed.marker()).is_empty()),
            "{:#?}",
            carriers(bed.marker())
        );
        let size = |()| std::fs::metadata(bed.work().join("ticks")).map_or(0, |found| found.len());
        let before = size(());
        std::thread::sleep(timeout(0.3));
        assert_eq!(size(()), before, "it still ticks");
        std::fs::remove_file(&up).unwrap();
        // Killed early enough, it has not ticked at all.
        std::fs::remove_file(bed.work().join("ticks")).ok();
    }
    traces.assert_none("killed commands");
}

#[test]
fn the_tool_dies_with_nobody_when_its_parent_dies() {
    // Whoever starts it may end first, as shells with `&` do: the command goes on.
    let _alone = alone();
    let bed = Bed::new();
    let launcher = ["sh", "-c", "\"$@\" > /dev/null 2>&1 & exit 0", "sh"];
    let _output = bed.srt().under(launcher).sh("sleep 0.5; touch done").run();
    assert!(
        wait_until(timeout(20.0), || bed
            .work()
            .join("done")
            .symlink_metadata()
            .is_ok()),
        "it did not finish"
    );
    assert!(
        wait_until(timeout(5.0), || carriers(bed.marker()).is_empty()),
        "{:#?}",
        carriers(bed.marker())
    );
}

#[test]
fn a_failed_set_up_leaves_nothing() {
    let bed = Bed::new();
    let traces = Traces::take(&bed);
    for _ in 0..20 {
        bed.srt().args(["/no/such/program"]).run().exits(127);
        bed.srt().args(["/etc/hostname"]).run().exits(126);
    }
    traces.assert_none("failed starts");
}

/// A shell that doubles itself nine times.
const BOMB: &str = "b() { if [ $1 -gt 0 ]; then b $(($1-1)) & b $(($1-1)) & fi; sleep 300; }; b 8";

#[test]
fn a_crowd_of_processes_ends_with_the_tool() {
    let bed = Bed::new();
    let traces = Traces::take(&bed);
    let is_a_crowd = || carriers(bed.marker()).len() > 300;
    let mut running = bed.srt().sh(BOMB).spawn();
    let grown = wait_until(timeout(30.0), is_a_crowd);
    assert!(grown, "{} processes", carriers(bed.marker()).len());
    running.kill();
    running.finish(timeout(10.0));
    let gone = wait_until(timeout(5.0), || carriers(bed.marker()).is_empty());
    assert!(gone, "{} are left", carriers(bed.marker()).len());

    // And with the command, while the tool lives: nobody of the crowd outlives its answer.
    let line = format!("({BOMB}) & while [ ! -e enough ]; do sleep 0.05; done; exit 3");
    let running = bed.srt().sh(&line).spawn();
    let grown = wait_until(timeout(30.0), is_a_crowd);
    assert!(grown, "{} processes", carriers(bed.marker()).len());
    bed.file("work/enough", "");
    let output = running.finish(timeout(10.0));
    assert_eq!(output.code(), Some(3), "{output}");
    assert!(carriers(bed.marker()).is_empty());
    std::fs::remove_file(bed.work().join("enough")).unwrap();
    traces.assert_none("crowds");
}
