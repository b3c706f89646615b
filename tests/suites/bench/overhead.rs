//! What the running command pays, against the same command outside.

use std::fs;
use std::path::Path;

use sandbox_tests::{Bed, host, host_time, inapplicable, interleave, is_root, median, need, tool};
use serde_json::{Value, json};

use crate::{alone, note, quiet_launcher, rounds, speed_matters};

/// Every default: what the supervisor protects, nothing else to enforce.
fn protected() -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
}

/// A pattern closed for reading: whoever opens a file is asked about its name.
fn opens_are_asked() -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": ["**/.env"], "allowWrite": ["."], "denyWrite": []},
    })
}

/// Times in seconds.
struct Figures {
    inside: f64,
    outside: f64,
    /// The median of the rounds' ratios: a disturbance hits both halves of a round.
    ratio: f64,
}

/// Keeps other work out, as everywhere here, and everything on one processor. Who waits for the
/// supervisor wakes it on the processor that it leaves free itself, but only where the usual policy
/// of sched(7) schedules both (seccomp_unotify(2), `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`).
fn launcher() -> Vec<String> {
    let mut words = quiet_launcher();
    if is_root()
        && let Some(taskset) = tool("taskset")
    {
        words.extend([taskset.to_str().unwrap(), "-c", "0"].map(str::to_owned));
    }
    words
}

/// Runs a line of a shell in the bed's working directory, inside and outside in turn.
fn compare(
    what: &str,
    bed: &Bed,
    settings: &Value,
    times: usize,
    line: &str,
    prepare: impl Fn(),
) -> Figures {
    let mut words = launcher();
    let inside_launcher = words.clone();
    words.extend(["/bin/sh".to_owned(), "-c".to_owned()]);
    words.push(format!("cd \"$0\" && {line}"));
    words.push(bed.work().to_str().unwrap().to_owned());
    let (program, arguments) = words.split_first().unwrap();
    let (inside, outside) = interleave(
        rounds(times),
        || {
            prepare();
            let srt = bed.srt().flat(settings).options(["--quiet"]).sh(line);
            srt.under(inside_launcher.clone()).time()
        },
        || {
            prepare();
            host_time(Path::new(program), arguments)
        },
    );
    let mut ratios: Vec<f64> = (inside.iter().zip(&outside))
        .map(|(inside, outside)| inside.as_secs_f64() / outside.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let middle = ratios.len() / 2;
    let figures = Figures {
        inside: median(inside).as_secs_f64(),
        outside: median(outside).as_secs_f64(),
        ratio: ratios.into_iter().nth(middle).unwrap(),
    };
    note(&format!(
        "{what}: {:.1} ms inside, {:.1} ms outside, ratio {:.3}",
        figures.inside * 1e3,
        figures.outside * 1e3,
        figures.ratio
    ));
    figures
}

/// Sizes of files in bytes, as often in the list as among the 56,000 files of a Debian's `/usr/share`, but that none is
/// larger than the last (there a tenth is, up to megabytes). In a tree of sources they are larger.
const SIZES: [usize; 8] = [350, 660, 900, 1_300, 2_000, 3_100, 6_000, 14_000];

/// Nothing but opening costs anything: a file of two lines is the worst that a search could meet.
const SMALLEST: [usize; 1] = [24];

/// 50,000 files in 500 directories.
fn many_files(bed: &Bed, sizes: &[usize]) {
    let text = "some text\nand more\n".repeat(1_000);
    for directory in 0..500 {
        for (file, size) in (0..100).zip(sizes.iter().cycle()) {
            let name = format!("work/tree/{}/{directory}/{file}.txt", directory / 50);
            bed.file(name, text.get(..*size).unwrap());
        }
    }
}

/// Several in one start, which has a measurement of its own.
const SEARCHES: &str = "for i in 1 2 3 4; do grep -rq nothing-of-this-kind tree; done; true";

#[test]
fn the_worst_search_pays_for_its_opens() {
    let _alone = alone();
    need!("grep");
    let bed = Bed::new();
    many_files(&bed, &SMALLEST);
    let what = "a search on 50,000 files of two lines";
    let figures = compare(what, &bed, &protected(), 7, SEARCHES, || {});
    assert!(figures.ratio < 1.5 || !speed_matters(), "{what}");
}

#[test]
fn readers_pay_next_to_nothing() {
    let _alone = alone();
    need!("grep");
    let git = need!("git");
    let bed = Bed::new();
    many_files(&bed, &SIZES);
    let tree = bed.work().join("tree");
    let tree = tree.to_str().unwrap();
    for arguments in [&["init", "-q"][..], &["add", "-A"]] {
        assert!(host(&git, ["-C", tree].iter().chain(arguments)).succeeded());
    }
    let status = "for i in 1 2 3 4 5 6 7 8; do git -C tree status --porcelain >/dev/null; done";
    for (what, line) in [("git status", status), ("a search", SEARCHES)] {
        let what = format!("{what} on 50,000 files");
        let figures = compare(&what, &bed, &protected(), 7, line, || {});
        assert!(figures.ratio < 1.5 || !speed_matters(), "{what}");
        let what = format!("{what}, reads denied by pattern");
        compare(&what, &bed, &opens_are_asked(), 3, line, || {});
    }
}

#[test]
fn builds_pay_next_to_nothing() {
    let _alone = alone();
    need!("cc");
    let bed = Bed::new();
    for file in 0..200 {
        let function =
            |number| format!("int f{file}_{number}(int x) {{ return x * {number} + getpid(); }}\n");
        let functions: String = (0..20).map(function).collect();
        let includes = "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n";
        bed.file(format!("work/{file}.c"), format!("{includes}{functions}"));
    }
    let line = "for f in *.c; do cc -c \"$f\" || exit 1; done";
    let figures = compare("a compile of 200 files", &bed, &protected(), 5, line, || {});
    assert!(figures.ratio < 1.3 || !speed_matters());
    let what = "a compile of 200 files, reads denied by pattern";
    compare(what, &bed, &opens_are_asked(), 1, line, || {});
}

#[test]
fn an_unpack_pays_for_each_file() {
    let _alone = alone();
    let tar = need!("tar");
    let bed = Bed::new();
    for package in 0..400 {
        for file in 0..50 {
            let name = format!("source/node_modules/{package}/lib/{file}.js");
            bed.file(name, "module.exports = 1;\n");
        }
    }
    let archive = bed.work().join("archive.tar");
    let source = bed.root().join("source");
    let words = [
        "-cf",
        archive.to_str().unwrap(),
        "-C",
        source.to_str().unwrap(),
        ".",
    ];
    assert!(host(&tar, words).succeeded());
    let out = bed.work().join("out");
    let fresh = || {
        fs::remove_dir_all(&out).ok();
        fs::create_dir(&out).unwrap();
    };
    let line = "tar -xf archive.tar -C out";
    let figures = compare(
        "an unpack of 20,000 files",
        &bed,
        &protected(),
        5,
        line,
        fresh,
    );
    let each = (figures.inside - figures.outside) / 20_000.0 * 1e6;
    note(&format!("an unpack: {each:.1} us more for each file"));
    if !speed_matters() {
        inapplicable!("no speed is asked of this build");
    }
    assert!(each < 1000.0, "{each:.1} us for each file");
}

#[test]
fn a_created_file_costs_one_question() {
    let _alone = alone();
    need!("python3");
    let bed = Bed::new();
    let program = "import os\n\
        os.mkdir('new')\n\
        for number in range(10000):\n    \
            os.close(os.open('new/%d' % number, os.O_CREAT | os.O_EXCL | os.O_WRONLY))\n";
    bed.file("work/create.py", program);
    let new = bed.work().join("new");
    let fresh = || {
        fs::remove_dir_all(&new).ok();
    };
    let figures = compare(
        "10,000 created files",
        &bed,
        &protected(),
        7,
        "python3 -ES create.py",
        fresh,
    );
    let each = (figures.inside - figures.outside) / 10_000.0 * 1e6;
    note(&format!("a created file: {each:.1} us more"));
    if !speed_matters() {
        inapplicable!("no speed is asked of this build");
    }
    assert!(each < 500.0, "{each:.1} us for each file");
}
