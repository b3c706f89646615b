//! Many tunnels: what an idle one costs, and what is left of those that have ended.
//!
//! `SRT_TEST_CONNECTIONS` says how many are opened and closed one after the other; a million are 24
//! hours' worth of a busy command.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use sandbox_tests::{
    Background, Bed, Running, connections, is_root, python, skip, time_scale, timeout, tool,
    wait_until,
};
use serde_json::{Value, json};

use crate::{alone, note, speed_matters};

const ECHO: &str = include_str!("echo.py");
const MANY: &str = include_str!("many.py");
/// Tunnels that are asked for.
const TUNNELS: u64 = 10_000;
/// Bytes of ours that an idle one may cost.
const PER_TUNNEL: u64 = 12 * 1024;

/// The limit on descriptors of this process: the third word is the soft one, the fourth the hard one.
fn own_limit(word: usize) -> String {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let mut lines = limits.lines();
    let line = lines.find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(word))
        .unwrap()
        .to_owned()
}

/// Words that raise the limit on descriptors as far as this user may, and execute the rest; and the limit.
fn roomy() -> (Vec<String>, u64) {
    let hard = own_limit(4).parse().unwrap_or(u64::MAX);
    let wanted = 2 * TUNNELS + 4096;
    match tool("prlimit").filter(|_| is_root() && hard < wanted) {
        Some(prlimit) => {
            let option = format!("--nofile=1024:{wanted}");
            let works = sandbox_tests::host(&prlimit, [option.as_str(), "true"]).succeeded();
            let words = vec![prlimit.to_str().unwrap().to_owned(), option];
            if works {
                (words, wanted)
            } else {
                (Vec::new(), hard)
            }
        }
        None => (Vec::new(), hard),
    }
}

struct Bench {
    bed: Bed,
    running: Running,
    _origin: Background,
}

impl Bench {
    fn start(python: &Path, launcher: &[String], kind: &str, number: u64) -> Self {
        let bed = Bed::new();
        let mut origin = Background::start(launcher, python, ["-ES", "-c", ECHO]);
        let mut port = String::new();
        BufReader::new(origin.stdout())
            .read_line(&mut port)
            .unwrap();
        let port = port.trim().to_owned();
        let settings: Value = json!({
            "network": {"allowedDomains": [format!("127.0.0.1:{port}")], "deniedDomains": []},
            "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
        });
        let work = bed.work().to_str().unwrap().to_owned();
        let number = number.to_string();
        let words = [kind, &number, "127.0.0.1", &port, &work];
        let srt = bed.srt().flat(&settings).under(launcher.iter().cloned());
        let running = srt.py(python, MANY, &words).spawn();
        Self {
            bed,
            running,
            _origin: origin,
        }
    }

    #[track_caller]
    fn reaches(&self, name: &str, limit: Duration) {
        let path = self.bed.work().join(name);
        assert!(
            wait_until(limit, || path.symlink_metadata().is_ok()),
            "not {name}"
        );
    }

    fn go_on(&self, name: &str) {
        self.bed.file(Path::new("work").join(name), "");
    }

    /// Resident kilobytes and descriptors of the tool.
    fn size(&self) -> (u64, usize) {
        // What has been closed inside is closed here a moment later.
        std::thread::sleep(timeout(0.5));
        let pid = self.running.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = line
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .unwrap();
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .count();
        (resident.trim().parse().unwrap(), descriptors)
    }
}

#[test]
fn ten_thousand_idle_tunnels_are_small_and_in_nobodys_way() {
    let _alone = alone();
    let python = python!("resource");
    let (launcher, limit) = roomy();
    // What waits in the sandbox has room beside them.
    let room = limit.saturating_sub(400 + 1280) / 2;
    let tunnels = TUNNELS.min(room);
    if tunnels < 1000 {
        skip!("the limit on descriptors is {limit}");
    }
    let bench = Bench::start(&python, &launcher, "idle", tunnels);
    bench.reaches("first", timeout(30.0));
    let (before, _) = bench.size();
    bench.go_on("more");
    bench.reaches("all", timeout(240.0));
    let (after, descriptors) = bench.size();
    bench.go_on("measured");
    let output = bench.running.finish(timeout(120.0)).ok();
    let each = after.saturating_sub(before) * 1024 / tunnels;
    note(&format!(
        "{tunnels} idle tunnels: {each} bytes each, {descriptors} descriptors; new connections: {}",
        output.text().lines().last().unwrap_or_default()
    ));
    assert!(u64::try_from(descriptors).unwrap() >= 2 * tunnels);
    assert!(each <= PER_TUNNEL, "{each} bytes");
    // The command has the limit that it would have without the tool.
    let soft = if launcher.is_empty() {
        own_limit(3)
    } else {
        "1024".to_owned()
    };
    assert!(
        output.text().starts_with(&format!("inherited {soft}\n")),
        "{output}"
    );
    let median = output
        .text()
        .split("median ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    assert!(median.unwrap() < 5.0 || !speed_matters(), "{output}");
}

#[test]
fn connections_that_have_ended_leave_nothing() {
    let _alone = alone();
    let python = python!("resource");
    let number = connections();
    let bench = Bench::start(&python, &[], "flat", number);
    let patience = timeout(60.0) + Duration::from_millis(number * 10).mul_f64(time_scale());
    bench.reaches("first", patience);
    let (resident, descriptors) = bench.size();
    bench.go_on("more");
    bench.reaches("all", patience);
    let (resident_after, descriptors_after) = bench.size();
    bench.go_on("measured");
    let output = bench.running.finish(timeout(30.0)).ok();
    note(&format!(
        "{}: {resident} kB and {descriptors} descriptors after a fifth, {resident_after} kB and {descriptors_after} at the end",
        output.text().lines().last().unwrap_or_default()
    ));
    assert!(
        descriptors_after <= descriptors + 2,
        "{descriptors} to {descriptors_after}"
    );
    assert!(
        resident_after <= resident + 1024,
        "{resident} kB to {resident_after} kB"
    );
}
