//! Start-up beside bwrap in one run, what it does not grow with, what the running command pays, and the
//! memory of the tool meanwhile.
//!
//! Figures are only asserted of an optimised build on a quiet machine; they are printed always.

#![expect(
    clippy::unwrap_used,
    reason = "a broken bed ends the test, in helpers as well"
)]

mod flat;
mod overhead;
mod speed;
mod tunnels;

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sandbox_tests::{
    Bed, Subject, bwrap, host, host_time, inapplicable, interleave, is_debug_build, is_root,
    median, need, skip, subject, time_scale, timeout, tool, wait_until,
};
use serde_json::json;

/// Past libtest's capture, so that a figure can be copied from any run.
fn note(line: &str) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

/// One measurement at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What keeps the machine's other work out of a measurement. It disturbs a start that uses both
/// processors more than one that uses one; root can have everything measured under the
/// first-in-first-out policy of sched(7).
fn quiet_launcher() -> Vec<String> {
    let chrt = if is_root() { tool("chrt") } else { None };
    chrt.map_or_else(Vec::new, |chrt| {
        let words = [chrt.to_str().unwrap(), "-f", "10"];
        words.map(str::to_owned).into()
    })
}

/// Whether speed is asked of the binary. A figure is printed all the same.
fn speed_matters() -> bool {
    !is_debug_build() && subject() == Subject::Ours
}

/// How many rounds there is time for.
fn rounds(usual: usize) -> usize {
    if time_scale() > 4.0 { 3 } else { usual }
}

/// A policy with everything in it: names, denied files and directories, write roots and denies.
fn full() -> serde_json::Value {
    json!({
        "network": {"allowedDomains": ["example.com", "*.example.org:443"], "deniedDomains": ["bad.example.com"]},
        "filesystem": {
            "denyRead": ["secret", "vault"], "allowRead": ["vault/open"], "allowWrite": ["."], "denyWrite": ["locked", ".git/hooks"],
        },
    })
}

fn bed() -> Bed {
    let bed = Bed::new();
    for name in [
        "secret",
        "vault/inner",
        "vault/open/file",
        "locked/file",
        ".git/hooks/pre-commit",
    ] {
        bed.file(format!("work/{name}"), "x");
    }
    bed
}

#[test]
fn start_up_costs_no_more_than_bwraps_smallest() {
    let _alone = alone();
    let Some(bwrap) = bwrap() else {
        skip!("no bwrap to compare with; name one in SRT_BWRAP")
    };
    let bed = bed();
    let settings = full();
    let smallest = [
        "--unshare-all",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "true",
    ];
    if !host(&bwrap, smallest).succeeded() {
        skip!("bwrap does not work here");
    }
    bed.srt().flat(&settings).args(["true"]).run().ok();
    let rounds = if time_scale() > 4.0 { 20 } else { 150 };
    let quiet = if is_root() { tool("chrt") } else { None };
    let launcher = quiet_launcher();
    let batch = || {
        let (ours, theirs) = interleave(
            rounds,
            || {
                let srt = bed.srt().flat(&settings).args(["true"]);
                srt.under(launcher.clone()).time()
            },
            || match &quiet {
                Some(chrt) => {
                    let words = ["-f", "10", bwrap.to_str().unwrap()];
                    host_time(chrt, words.into_iter().chain(smallest))
                }
                None => host_time(&bwrap, smallest),
            },
        );
        let (ours, theirs) = (median(ours), median(theirs));
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        note(&format!(
            "start-up: srt {ours:?}, bwrap {theirs:?}, ratio {ratio:.2} (medians of {rounds})"
        ));
        ratio
    };
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        best = best.min(batch());
        if best <= 1.0 {
            break;
        }
    }
    note(&format!("start-up: at best {best:.2} of bwrap's"));
    if quiet.is_none() {
        inapplicable!("only root can keep the machine's other work out of the measurement");
    }
    if is_debug_build() || subject() == Subject::Upstream {
        inapplicable!("no speed is asked of this build");
    }
    // Some 0.9 where nothing else runs. More of ours runs in parallel than of bwrap's, so a batch on a machine
    // whose processors are shared with others tells more.
    assert!(best <= 1.0, "{best:.2} of bwrap's time at best");
}

#[test]
fn the_tool_stays_small() {
    let _alone = alone();
    need!("sleep");
    let bed = bed();
    let up = bed.work().join("up");
    let mut running = bed.srt().flat(&full()).sh("touch up; sleep 60").spawn();
    assert!(
        wait_until(timeout(20.0), || up.symlink_metadata().is_ok()),
        "did not start"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    running.kill();
    running.finish(timeout(10.0));
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"));
    let peak: u64 = peak.unwrap().trim().parse().unwrap();
    note(&format!(
        "peak memory of the tool: {:.1} MB",
        f64::from(u32::try_from(peak).unwrap()) / 1024.0
    ));
    if is_debug_build() || subject() == Subject::Upstream {
        inapplicable!("no size is asked of this build");
    }
    assert!(peak <= 12 * 1024, "{peak} kB");
}
