//! Exit status and streams.

use std::os::unix::fs::PermissionsExt as _;

use sandbox_tests::{Bed, need, timeout};

#[test]
fn the_programs_exit_code_is_ours() {
    let bed = Bed::new();
    for code in [
        0, 1, 2, 3, 42, 64, 77, 100, 124, 125, 126, 127, 128, 129, 130, 137, 143, 200, 254, 255,
    ] {
        bed.srt()
            .args(["sh", "-c", &format!("exit {code}")])
            .run()
            .exits(code);
    }
}

#[test]
fn a_deadly_signal_is_128_plus_its_number() {
    let bed = Bed::new();
    // Left out: those that stop, continue or are ignored, and the two the C library keeps.
    let harmless = [17, 18, 19, 20, 21, 22, 23, 28, 32, 33];
    for signal in (1..=64).filter(|signal| !harmless.contains(signal)) {
        let line = format!("ulimit -c 0; kill -{signal} $$; sleep 5; exit 99");
        let output = bed.srt().sh(&line).run();
        assert_eq!(
            output.code(),
            Some(128 + signal),
            "signal {signal}\n{output}"
        );
    }
}

#[test]
fn a_program_that_is_there_outside_alone_is_told() {
    let bed = Bed::new();
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let program = directory.path().join("program");
    std::fs::copy("/bin/true", &program).unwrap();
    let output = bed.srt().args([program.as_os_str()]).run();
    let output = output.exits(127).says("the host has it");
    let advice = format!("srt explain read {}", program.display());
    assert!(output.errors().contains(&advice), "{output}");
    let shown = bed.srt().options(["--allow-read".into(), program.clone()]);
    shown.args([program.as_os_str()]).run().ok();
    let closed = bed
        .srt()
        .options(["--deny-read", "/", "--allow-write", "."]);
    closed
        .args(["true"])
        .run()
        .exits(127)
        .says("explain read /");
}

#[test]
fn what_cannot_be_executed_is_126_or_127_as_in_shells() {
    let bed = Bed::new();
    let plain = bed.file("work/plain", "#!/bin/sh\nexit 0\n");
    let name = "no-such-program-anywhere";
    bed.srt().args([name]).run().exits(127).says(name);
    bed.srt().args([""]).run().exits(127).says("not found");
    bed.srt()
        .args(["/no/such/program"])
        .run()
        .exits(127)
        .says("/no/such/program");
    bed.srt()
        .args([plain.as_os_str()])
        .run()
        .exits(126)
        .says("plain");
    bed.srt().args([bed.work().as_os_str()]).run().exits(126);
    bed.srt().args(["./plain"]).run().exits(126);
    let orphan = bed.script("orphan", "#!/no/such/interpreter\n");
    let output = bed.srt().args([orphan.as_os_str()]).run();
    assert!(matches!(output.code(), Some(126 | 127)), "{output}");
    bed.srt().options(["-c", name]).run().exits(127);
    // The same file with the right bits runs.
    bed.script("plain", "#!/bin/sh\nexit 0\n");
    bed.srt().args(["./plain"]).run().ok();
}

#[test]
fn stdout_is_the_programs_alone() {
    let bed = Bed::new();
    let every_byte: Vec<u8> = (0..=255).collect();
    bed.file("work/bytes", &every_byte);
    for options in [vec![], vec!["-d"], vec!["--debug"]] {
        bed.srt()
            .options(options.clone())
            .args(["cat", "bytes"])
            .run()
            .ok()
            .prints(&every_byte);
        bed.srt()
            .options(options)
            .args(["true"])
            .run()
            .ok()
            .prints("");
    }
    let quiet = bed.srt().args(["true"]).run().ok();
    assert_eq!(quiet.complaints(), "", "{quiet}");
    let debug = bed.srt().options(["-d"]).args(["true"]).run().ok();
    assert!(!debug.stderr.is_empty(), "-d says nothing");
    bed.srt()
        .sh("echo out; echo err >&2")
        .run()
        .ok()
        .prints("out\n")
        .says("err\n");
}

#[test]
fn stdin_reaches_the_program() {
    let bed = Bed::new();
    let input: Vec<u8> = (0..1_000_000_u32)
        .map(|number| number.to_le_bytes()[1] ^ 0xa5)
        .collect();
    bed.srt()
        .args(["cat"])
        .stdin(input.clone())
        .run()
        .ok()
        .prints(&input);
    bed.srt().args(["cat"]).run().ok().prints("");
    bed.srt()
        .args(["wc", "-l"])
        .stdin("a\nb\n")
        .run()
        .ok()
        .prints("2\n");
}

#[test]
fn the_end_is_the_programs_not_the_inputs() {
    let bed = Bed::new();
    let mut running = bed
        .srt()
        .args(["sh", "-c", "read line; echo $line"])
        .open_stdin()
        .spawn();
    let mut pipe = running.stdin().unwrap();
    std::io::Write::write_all(&mut pipe, b"answer\n").unwrap();
    // The pipe is still open here.
    running.finish(timeout(20.0)).ok().prints("answer\n");
    drop(pipe);
}

#[test]
fn a_closed_stream_stays_closed_or_empty() {
    let bed = Bed::new();
    for close in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let line = format!("exec \"$@\" {close}");
        let output = bed
            .srt()
            .args(["sh", "-c", "exit 5"])
            .under(["sh", "-c", &line, "sh"])
            .run();
        assert_eq!(output.code(), Some(5), "{close}\n{output}");
    }
}

#[test]
fn a_reader_that_leaves_ends_the_writer() {
    let bed = Bed::new();
    let bash = need!("bash");
    let line = "\"$@\" | head -n 1; echo \"${PIPESTATUS[0]}\"";
    let output = bed
        .srt()
        .args(["yes"])
        .under([
            bash.as_os_str(),
            "-c".as_ref(),
            line.as_ref(),
            "sh".as_ref(),
        ])
        .run();
    output.ok().prints("y\n141\n");
}

#[test]
fn signal_dispositions_are_handed_on() {
    let bed = Bed::new();
    let line = "grep -E 'Sig(Ign|Blk)' /proc/self/status";
    // The signals with names; the C library plays with those above.
    let named = |text: &str| -> Vec<u64> {
        let words = text
            .split_whitespace()
            .filter_map(|word| u64::from_str_radix(word, 16).ok());
        words.map(|mask| mask & 0x7fff_ffff).collect()
    };
    let shell = need!("sh");
    for before in [":", "trap '' HUP", "trap '' INT QUIT"] {
        let launcher = format!("{before}; exec \"$@\"");
        let outside = sandbox_tests::host(&shell, ["-c", &launcher, "sh", "sh", "-c", line]).ok();
        let inside = bed
            .srt()
            .sh(line)
            .under(["sh", "-c", &launcher, "sh"])
            .run()
            .ok();
        assert_eq!(
            named(&inside.text()),
            named(&outside.text()),
            "after {before}\n{inside}"
        );
        assert_eq!(named(&inside.text()).len(), 2, "{inside}");
    }
}

/// Whatever the limit on descriptors, it works, or says that they are too few.
#[test]
fn too_few_descriptors_are_told() {
    let bed = Bed::new();
    let run = |limit: u32| {
        let line = format!("ulimit -n {limit}; exec \"$@\"");
        let srt = bed.srt().args(["true"]);
        srt.under(["sh", "-c", &line, "sh"]).run()
    };
    // The dynamic linker needs one.
    for limit in 4..48 {
        let output = run(limit);
        assert!(
            output.succeeded() || output.code() == Some(125),
            "{limit} descriptors\n{output}"
        );
        if !output.succeeded() {
            assert!(
                output.errors().contains("Too many open files"),
                "{limit} descriptors\n{output}"
            );
        }
    }
    run(64).ok();
}

/// The limit on the size of files, which memory files count against, is told instead of a death by SIGXFSZ; the command
/// gets one that there is room under.
#[test]
fn a_limit_on_file_sizes_is_told() {
    let bed = Bed::new();
    let run = |limit: u32| {
        let line = format!("ulimit -f {limit}; exec \"$@\"");
        let srt = bed.srt().args(["sh", "-c", "ulimit -f"]);
        srt.under(["sh", "-c", &line, "sh"]).run()
    };
    let output = run(0).exits(125);
    assert!(
        output.errors().contains("`ulimit -f` has the limit"),
        "{output}"
    );
    run(100).ok().prints("100\n");
}

/// Programs that change users may leave `HOME` as it was.
#[test]
fn the_home_of_another_user_is_named_as_the_cause() {
    let bed = Bed::new();
    let home = bed.root().join("other/home");
    std::fs::create_dir_all(home.join(".claude")).unwrap();
    let srt = || bed.srt().args(["true"]).env("HOME", &home);
    srt().run().ok();
    let settings = bed.file("other/home/.srt-settings.json", "{}");
    let closed = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(&settings, closed).unwrap();
    if std::fs::read(&settings).is_ok() {
        sandbox_tests::inapplicable!("root reads what it likes");
    }
    let said = format!("`HOME` is `{}`", home.canonicalize().unwrap().display());
    srt().run().exits(125).says(&said);
    let link = bed.root().join("linked");
    std::os::unix::fs::symlink(&home, &link).unwrap();
    let output = bed.srt().args(["true"]).env("HOME", &link).run();
    output.exits(125).says("`HOME` is `");
}
