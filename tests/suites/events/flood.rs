//! A command that does nothing but be refused costs the host neither time nor memory.

use std::time::{Duration, Instant};

use sandbox_tests::{Bed, Origin, need, python, say};
use serde_json::Value;

use crate::{events, log, logged, settings, summary};

/// Refused calls in four processes, until the time is over; prints how many there were.
const FLOOD: &str = "
import os, sys, time, ctypes
libc = ctypes.CDLL(None)
end = time.time() + float(sys.argv[1])
kids = []
for kid in range(4):
    r, w = os.pipe()
    if os.fork() == 0:
        count = 0
        while time.time() < end:
            for n in range(50):
                libc.unshare(0x10000000)
                libc.open(b'../outside/x%d' % (count % 100000), 65)
                count += 2
        os.write(w, b'%d' % count)
        os._exit(0)
    os.close(w)
    kids.append(r)
print(sum(int(os.read(r, 100)) for r in kids))
";

#[test]
fn a_flood_of_refusals_is_counted_and_bounded() {
    let python = python!("ctypes");
    let bed = Bed::new();
    let running = logged(&bed, &settings(&["."], &[], &[]))
        .py(&python, FLOOD, &["3"])
        .within(60.0)
        .spawn();
    let pid = running.pid();
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:").map(str::to_owned));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
    };
    std::thread::sleep(Duration::from_millis(1200));
    let early = resident().unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    let late = resident().unwrap();
    let output = running.finish(sandbox_tests::timeout(60.0)).ok();
    let refused: u64 = output.text().trim().parse().unwrap();
    let told = events(&log(&bed));
    assert_eq!(all(&told), refused, "lines with their repeats are all");
    let told = told.len();
    say(&format!(
        "{refused} refusals in 3 s, {told} told; {early} KiB, then {late} KiB"
    ));
    assert!(refused > 10_000, "{output}");
    // 2,000 in a second, in four seconds at most.
    assert!(told <= 10_000, "{told}");
    assert!(told >= 100, "{told}");
    assert!(late < early + 8 * 1024, "{early} KiB grew to {late} KiB");
}

/// How many refusals the lines stand for.
fn all(events: &[Value]) -> u64 {
    let counts = events.iter().map(|it| it["repeats"].as_u64().unwrap() + 1);
    counts.sum()
}

/// Refused calls, all of one kind or each of its own.
const SOON_OVER: &str = "
import os, sys
for n in range(5000):
    try: os.mkdir('../outside/d%d' % (n if sys.argv[1] == 'distinct' else 0))
    except OSError: continue
    sys.exit(3)
";

/// A command that is over before its second is leaves nothing counted and untold.
#[test]
fn what_was_counted_is_told_at_the_end() {
    let python = python!();
    for (kind, others) in [("equal", 0), ("distinct", 4995)] {
        let bed = Bed::new();
        let output = logged(&bed, &settings(&["."], &[], &[]))
            .py(&python, SOON_OVER, &[kind])
            .within(60.0)
            .run()
            .ok();
        let told = events(&log(&bed));
        say(&format!("{kind}: {} lines", told.len()));
        assert_eq!(all(&told), 5000, "{kind}: {output}");
        let last = told.last().unwrap();
        assert!(last["repeats"].as_u64().unwrap() > 100, "{last}");
        if kind == "distinct" {
            assert!(told.len() <= 4001, "{}", told.len());
            assert_eq!(last["reason"], "too_many", "{last}");
            assert!(
                last["object"].is_null() && last["operation"].is_null(),
                "{last}"
            );
        } else {
            assert!(told.len() <= 64 * 3 + 1, "{}", told.len());
            assert_eq!(last["object"], told[0]["object"], "{last}");
        }
        let lines = summary(&output);
        let more = format!("srt: refused: {others} others");
        assert_eq!(lines.contains(&more), others > 0, "{output}");
    }
}

/// Whoever learns from a record hears that it lacks something.
#[test]
fn a_record_with_gaps_says_so() {
    let python = python!();
    for (kind, has_gaps) in [("equal", false), ("distinct", true)] {
        let bed = Bed::new();
        let file = bed.file("settings.json", settings(&["."], &[], &[]).to_string());
        let output = bed
            .srt()
            .options(["--settings".as_ref(), file.as_os_str()])
            .args(["learn"])
            .py(&python, SOON_OVER, &[kind])
            .within(60.0)
            .run()
            .ok();
        let errors = output.errors();
        assert_eq!(
            errors.contains("the record is incomplete: "),
            has_gaps,
            "{output}"
        );
    }
}

/// The proxy of a sandbox whose command is being refused all the time answers as fast as ever.
#[test]
fn the_host_side_goes_on_serving() {
    let python = python!("ctypes", "urllib.request");
    let curl = need!("curl");
    let bed = Bed::new();
    let origin = Origin::start();
    let mut settings = settings(&["."], &[], &[]);
    let target = format!("127.0.0.1:{}", origin.port());
    settings["network"]["allowedDomains"] = serde_json::json!([target]);
    let fetch = format!(
        "i=0; while [ $i -lt 20 ]; do '{}' -s -o /dev/null http://{target}/ || exit 3; i=$((i+1)); done",
        curl.display()
    );
    let time = |line: &str| {
        let start = Instant::now();
        bed.srt()
            .flat(&settings)
            .options(["--quiet"])
            .sh(line)
            .within(60.0)
            .run()
            .ok();
        start.elapsed()
    };
    let calm = time(&fetch);
    let noise = format!(
        "'{}' -ESc \"$FLOOD\" 60 & sleep 1; {fetch}; kill $!",
        python.display()
    );
    let start = Instant::now();
    bed.srt()
        .flat(&settings)
        .options(["--quiet"])
        .env("FLOOD", FLOOD)
        .sh(&noise)
        .within(60.0)
        .run()
        .ok();
    let busy = start.elapsed().saturating_sub(Duration::from_secs(1));
    say(&format!(
        "20 fetches: {calm:?} alone, {busy:?} beside a flood of refusals"
    ));
    // Five busy processes share the processors; a host that stood still would take much longer.
    assert!(
        busy < calm * 20 + Duration::from_secs(10),
        "{calm:?}, {busy:?}"
    );
    assert_eq!(origin.accepted(), 40);
}
