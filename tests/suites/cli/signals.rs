//! Signals sent to the tool reach the program, and nothing outlives the tool.

use std::os::unix::process::ExitStatusExt as _;

use sandbox_tests::{Bed, carriers, signal, timeout, wait_until};

fn wait_for(bed: &Bed, name: &str) {
    let path = bed.work().join(name);
    assert!(
        wait_until(timeout(20.0), || path.symlink_metadata().is_ok()),
        "the program did not start"
    );
}

#[test]
fn signals_are_forwarded_once() {
    let bed = Bed::new();
    for name in ["TERM", "INT", "HUP", "USR1", "USR2", "QUIT"] {
        let line = format!(
            "trap 'echo got' {name}; touch ready-{name}; i=0; while [ $i -lt 12 ]; do sleep 0.05; i=$((i+1)); done; exit 7"
        );
        let running = bed.srt().sh(&line).spawn();
        wait_for(&bed, &format!("ready-{name}"));
        signal(running.pid(), name);
        let output = running.finish(timeout(20.0)).exits(7);
        assert_eq!(output.text(), "got\n", "SIG{name}\n{output}");
    }
}

#[test]
fn a_signal_that_kills_the_program_is_its_status() {
    let bed = Bed::new();
    for (name, number) in [
        ("TERM", 15),
        ("HUP", 1),
        ("USR1", 10),
        ("INT", 2),
        ("QUIT", 3),
    ] {
        let running = bed
            .srt()
            .sh(&format!("touch up-{name}; exec sleep 60"))
            .spawn();
        wait_for(&bed, &format!("up-{name}"));
        signal(running.pid(), name);
        let output = running.finish(timeout(10.0));
        // Shells make the same number of both; but only of the second kind do they learn that the
        // user wants no more.
        if matches!(name, "INT" | "QUIT") {
            assert_eq!(output.signal(), Some(number), "SIG{name}\n{output}");
            assert!(!output.status.core_dumped(), "SIG{name}\n{output}");
        } else {
            assert_eq!(output.code(), Some(128 + number), "SIG{name}\n{output}");
        }
    }
}

#[test]
fn a_program_may_ignore_what_it_is_sent() {
    let bed = Bed::new();
    let running = bed
        .srt()
        .sh("trap '' TERM; touch up; sleep 1; exit 9")
        .spawn();
    wait_for(&bed, "up");
    signal(running.pid(), "TERM");
    running.finish(timeout(20.0)).exits(9);
}

#[test]
fn stop_and_continue_do_no_harm() {
    let bed = Bed::new();
    let running = bed.srt().sh("touch up; sleep 0.5; exit 4").spawn();
    wait_for(&bed, "up");
    signal(running.pid(), "STOP");
    std::thread::sleep(timeout(0.2));
    signal(running.pid(), "CONT");
    running.finish(timeout(20.0)).exits(4);
}

#[test]
fn the_tree_ends_with_the_tool_however_it_ends() {
    let bed = Bed::new();
    for name in ["KILL", "TERM", "HUP", "INT", "QUIT", "ABRT", "SYS"] {
        let line = format!(
            "(sleep 300 & setsid sleep 300 & ) ; touch up-{name}; sleep 300 & exec sleep 300"
        );
        let running = bed.srt().sh(&line).spawn();
        wait_for(&bed, &format!("up-{name}"));
        assert!(!carriers(bed.marker()).is_empty(), "the marker is not seen");
        signal(running.pid(), name);
        let output = running.finish(timeout(10.0));
        assert!(!output.succeeded(), "SIG{name}\n{output}");
        let gone = wait_until(timeout(5.0), || carriers(bed.marker()).is_empty());
        assert!(gone, "after SIG{name}: {:#?}", carriers(bed.marker()));
    }
}
