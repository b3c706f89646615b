//! A command that does nothing but be refused costs the host neither time nor memory.

use std::time::{Duration, Instant};

use sandbox_tests::{Bed, Origin, need, python, say};

use crate::{events, log, logged, settings};

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
    let told = events(&log(&bed)).len();
    say(&format!(
        "{refused} refusals in 3 s, {told} told; {early} KiB, then {late} KiB"
    ));
    assert!(refused > 10_000, "{output}");
    // 2,000 in a second, in four seconds at most.
    assert!(told <= 10_000, "{told}");
    assert!(told >= 100, "{told}");
    assert!(late < early + 8 * 1024, "{early} KiB grew to {late} KiB");
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
