//! Children of the command: they end with it, and nobody stays a zombie.

use sandbox_tests::{Bed, carriers, need, python, timeout, wait_until};

use crate::traces::{Traces, alone};

#[test]
fn background_children_end_with_the_command() {
    let bed = Bed::new();
    let traces = Traces::take(&bed);
    for line in [
        "sleep 300 & exit 3",
        "(sleep 300 &) ; exit 3",
        "setsid sleep 300 & sleep 0.1; exit 3",
        "nohup sleep 300 > /dev/null 2>&1 & exit 3",
        "(trap '' TERM HUP INT; while :; do sleep 1; done) & exit 3",
        "sh -c '(setsid sh -c \"sleep 300; true\" &) ; kill -9 $$'; exit 3",
    ] {
        let output = bed.srt().sh(line).run().exits(3);
        assert!(
            output.elapsed < timeout(5.0),
            "`{line}` waited for its children\n{output}"
        );
        assert!(
            wait_until(timeout(3.0), || carriers(bed.marker()).is_empty()),
            "after `{line}`: {:#?}",
            carriers(bed.marker())
        );
    }
    traces.assert_none("background children");
}

#[test]
fn a_daemon_is_ended_too() {
    let python = python!("signal");
    let _alone = alone();
    let bed = Bed::new();
    let program = r"
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for s in range(1, 65):
            try: signal.signal(s, signal.SIG_IGN)
            except (OSError, ValueError): pass
        os.chdir('/'); os.close(0); os.close(1); os.close(2)
        time.sleep(300)
    os._exit(0)
os.wait(); sys.exit(8)
";
    bed.srt().py(&python, program, &[]).run().exits(8);
    assert!(
        wait_until(timeout(3.0), || carriers(bed.marker()).is_empty()),
        "{:#?}",
        carriers(bed.marker())
    );
}

#[test]
fn orphans_are_reaped_while_the_command_runs() {
    need!("grep");
    let _alone = alone();
    let bed = Bed::new();
    // Each inner shell leaves a child that ends later, without a parent to wait for it.
    let line = "i=0; while [ $i -lt 50 ]; do sh -c '(sleep 0.05 &)'; i=$((i+1)); done; sleep 1; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l | tr -d ' '";
    bed.srt().sh(line).within(60.0).run().ok().prints("0\n");
}

#[test]
fn the_end_comes_at_once() {
    let _alone = alone();
    let bed = Bed::new();
    for _ in 0..5 {
        let output = bed.srt().args(["true"]).run().ok();
        assert!(output.elapsed < timeout(2.0), "{output}");
    }
    let output = bed.srt().sh("sleep 300 & sleep 300 & exit 0").run().ok();
    assert!(output.elapsed < timeout(2.0), "{output}");
}

#[test]
fn a_stopped_child_is_not_the_end() {
    let _alone = alone();
    let bed = Bed::new();
    bed.srt()
        .sh("sleep 0.3 & p=$!; kill -STOP $p; sleep 0.2; kill -CONT $p; wait $p; exit 6")
        .run()
        .exits(6);
}
