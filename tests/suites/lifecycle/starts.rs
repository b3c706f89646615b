//! Many starts, in a row and at once.

use sandbox_tests::{Bed, need, time_scale, timeout};
use serde_json::json;

use crate::traces::Traces;

/// Fewer where the machine is emulated.
fn scaled(count: usize) -> usize {
    if time_scale() > 4.0 {
        count / 20
    } else {
        count
    }
}

#[test]
fn a_thousand_starts_in_a_row_leave_nothing() {
    let bed = Bed::new();
    let traces = Traces::take(&bed);
    for number in 0..scaled(1000) {
        let output = bed
            .srt()
            .args(["sh", "-c", "echo $0", &number.to_string()])
            .run();
        assert!(
            output.succeeded() && output.text() == format!("{number}\n"),
            "start {number}\n{output}"
        );
    }
    traces.assert_none("a thousand starts");
}

#[test]
fn fifty_at_once_all_succeed_each_with_its_own_policy() {
    let bed = Bed::new();
    let beds: Vec<Bed> = (0..scaled(50).max(5)).map(|_| Bed::new()).collect();
    for (number, own) in beds.iter().enumerate() {
        own.file("work/mine", number.to_string());
        for other in 0..3 {
            own.file(format!("work/{other}"), "old");
        }
    }
    let traces = Traces::take(&bed);
    std::thread::scope(|scope| {
        for (number, own) in beds.iter().enumerate() {
            scope.spawn(move || {
                let locked = (number % 3).to_string();
                let settings = json!({
                    "network": {"allowedDomains": ["example.com"], "deniedDomains": []},
                    "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": [locked]},
                });
                let line =
                    "for f in 0 1 2; do { echo new > $f; } 2>/dev/null; done; cat mine; sleep 0.2";
                let output = own.srt().flat(&settings).sh(line).within(120.0).run();
                assert_eq!(output.text(), number.to_string(), "{output}");
                for name in 0..3 {
                    let expected = if name == number % 3 { "old" } else { "new\n" };
                    let found = std::fs::read_to_string(own.work().join(name.to_string())).unwrap();
                    assert_eq!(found, expected, "{number}: {name}\n{output}");
                }
            });
        }
    });
    traces.assert_none("fifty at once");
    for own in &beds {
        assert!(sandbox_tests::carriers(own.marker()).is_empty());
    }
}

#[test]
fn many_children_and_much_output_do_no_harm() {
    let bed = Bed::new();
    let traces = Traces::take(&bed);
    let output = bed
        .srt()
        .sh("i=0; while [ $i -lt 300 ]; do true & i=$((i+1)); done; wait; seq 200000 | tail -1")
        .within(120.0)
        .run();
    output.ok().prints("200000\n");
    let big = bed
        .srt()
        .args(["head", "-c", "50000000", "/dev/zero"])
        .within(60.0)
        .run()
        .ok();
    assert_eq!(big.stdout.len(), 50_000_000);
    assert!(big.elapsed < timeout(30.0));
    traces.assert_none("many children");
}

/// Children of a process that ignores SIGCHLD vanish without a word (wait(2)), and `execve` keeps it so: pid 1 must be
/// told of the command's end all the same, and the command finds what its caller had.
#[test]
fn a_caller_that_ignores_the_end_of_children_is_told_of_it() {
    let python = need!("python3");
    let bed = Bed::new();
    for (action, ignored) in [("SIG_IGN", true), ("SIG_DFL", false)] {
        let program = format!(
            "import os, signal, sys\nsignal.signal(signal.SIGCHLD, signal.{action})\nos.execvp(sys.argv[1], sys.argv[1:])"
        );
        let launcher = [python.to_str().unwrap(), "-ES", "-c", &program];
        let output = bed.srt().sh("exit 7").under(launcher).spawn();
        let output = output.finish(timeout(20.0));
        assert_eq!(output.code(), Some(7), "{action}: {output}");
        // A shell would have its own action.
        let status = bed.srt().args(["cat", "/proc/self/status"]).under(launcher);
        let status = status.run().ok().text();
        let mut fields = status
            .lines()
            .filter_map(|line| line.strip_prefix("SigIgn:"));
        let mask = u64::from_str_radix(fields.next().unwrap().trim(), 16).unwrap();
        // SIGCHLD is 17 here.
        assert_eq!(mask >> 16 & 1 == 1, ignored, "{action}: {mask:x}");
    }
}
