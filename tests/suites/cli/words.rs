//! Which words are the tool's and which the program's; what the program then gets.

use sandbox_tests::{Bed, host, need, show};

/// Prints each argument followed by a NUL.
const ECHO: &str = r#"printf '%s\0' "$@""#;

fn echoed(bed: &Bed, words: &[&[u8]]) -> Vec<u8> {
    let mut srt = bed.srt().args(["sh", "-c", ECHO, "sh"]);
    for word in words {
        srt = srt.bytes(*word);
    }
    srt.run().ok().stdout
}

#[test]
fn arguments_arrive_byte_for_byte() {
    let bed = Bed::new();
    let words: &[&[u8]] = &[
        b"plain",
        b"",
        b"two  spaces",
        b"line\nbreak\n",
        b"\ttab",
        b"it's",
        b"\"quoted\"",
        b"`id` $(id) ${HOME} $HOME",
        b"!history !! !$",
        b"back\\slash\\",
        b"*?[a-z]{a,b}~",
        b"; & | < > ( ) #",
        b"--option",
        b"-c",
        b"--",
        b"invalid \xff\xfe utf-8 \xc3\x28",
        "\u{fc}ml\u{e4}ut \u{1f600}".as_bytes(),
        b"\x01\x07\x1b[31m\x7f",
        b"last ",
    ];
    let expected: Vec<u8> = words
        .iter()
        .flat_map(|word| [word, b"\0".as_slice()].concat())
        .collect();
    let found = echoed(&bed, words);
    assert!(
        found == expected,
        "expected {}\nfound    {}",
        show(&expected),
        show(&found)
    );
}

#[test]
fn a_megabyte_of_arguments_arrives() {
    // One word may hold 128 KiB on Linux, all of them together more.
    let bed = Bed::new();
    let word = vec![b'x'; 100 * 1024];
    let words: Vec<&[u8]> = (0..10).map(|_| word.as_slice()).collect();
    assert_eq!(echoed(&bed, &words).len(), 10 * (word.len() + 1));
}

#[test]
fn options_behind_the_program_are_the_programs() {
    let bed = Bed::new();
    let grep = need!("grep");
    let expected = host(&grep, ["-c", "root", "/etc/passwd"]).ok();
    bed.srt()
        .args(["grep", "-c", "root", "/etc/passwd"])
        .run()
        .ok()
        .prints(&expected.stdout);
    bed.srt().args(["ls", "-d", "/"]).run().ok().prints("/\n");
    for option in [
        "--version",
        "--help",
        "-h",
        "-V",
        "-d",
        "-s",
        "--settings",
        "--trust-project",
        "--debug",
        "--",
    ] {
        let expected = format!("{option}\0");
        bed.srt()
            .args(["sh", "-c", ECHO, "sh", option])
            .run()
            .ok()
            .prints(expected);
    }
    let version = bed.srt().args(["sort", "--version"]).run().ok();
    assert!(version.text().contains("sort"), "{version}");
}

#[test]
fn two_dashes_end_the_options() {
    let bed = Bed::new();
    bed.srt()
        .options(["--"])
        .args(["echo", "-n", "x"])
        .run()
        .ok()
        .prints("x");
    bed.script("--bind", "#!/bin/sh\necho \"program $*\"\n");
    bed.script("settings", "#!/bin/sh\necho \"program $*\"\n");
    bed.script("trust", "#!/bin/sh\necho \"program $*\"\n");
    bed.script("schema", "#!/bin/sh\necho \"program $*\"\n");
    let path = format!("{}:/usr/bin:/bin", bed.work().display());
    for name in ["--bind", "settings", "trust", "schema"] {
        let srt = bed
            .srt()
            .env("PATH", &path)
            .options(["--"])
            .args([name, "--ro-bind", "/"]);
        srt.run().ok().prints("program --ro-bind /\n");
    }
}

#[test]
fn a_single_word_with_white_space_is_a_shell_line() {
    let bed = Bed::new();
    bed.srt().args(["exit 3"]).run().exits(3);
    bed.srt().args(["echo a  b"]).run().ok().prints("a b\n");
    bed.srt()
        .args(["echo one; echo two | tr t T"])
        .run()
        .ok()
        .prints("one\nTwo\n");
    // Two words are a program and its argument, whatever they hold.
    bed.srt()
        .args(["echo", "a  b; exit 3"])
        .run()
        .ok()
        .prints("a  b; exit 3\n");
    bed.srt()
        .args(["printf", "%s|", "a b", "c"])
        .run()
        .ok()
        .prints("a b|c|");
}

#[test]
fn a_program_whose_path_has_a_space_can_be_named() {
    let bed = Bed::new();
    let script = bed.script("my tool", "#!/bin/sh\necho \"ran $1\"\n");
    bed.srt()
        .args([script.as_os_str(), "x".as_ref()])
        .run()
        .ok()
        .prints("ran x\n");
}

#[test]
fn the_c_option_takes_a_line() {
    let bed = Bed::new();
    bed.srt().options(["-c", "exit 7"]).run().exits(7);
    bed.srt()
        .options(["-c", r#"echo '{"a": ["b", {"c": "d e"}], "q": "it\"s"}'"#])
        .run()
        .ok()
        .prints("{\"a\": [\"b\", {\"c\": \"d e\"}], \"q\": \"it\\\"s\"}\n");
    bed.srt()
        .options(["-c", "echo \"$HOME\""])
        .run()
        .ok()
        .prints(format!("{}\n", bed.home().display()));
    bed.srt()
        .options(["-c", "echo one two | wc -w | tr -d ' '"])
        .run()
        .ok()
        .prints("2\n");
    bed.srt()
        .options(["-c", "echo $((1+2)) `echo x`"])
        .run()
        .ok()
        .prints("3 x\n");
    bed.srt()
        .options(["-c", "echo first\necho second"])
        .run()
        .ok()
        .prints("first\nsecond\n");
    bed.srt()
        .options(["-c", "if ! false; then echo '!'; fi"])
        .run()
        .ok()
        .prints("!\n");
}

#[test]
fn wrong_usage_exits_2_and_runs_nothing() {
    let bed = Bed::new();
    let touch = ["touch", "ran"];
    for options in [
        vec!["--no-such-option"],
        vec!["--settings"],
        vec!["-Z"],
        vec!["-c"],
    ] {
        let takes_value = options == ["--settings"] || options == ["-c"];
        let srt = bed.srt().options(options.clone());
        let output = if takes_value {
            srt.run()
        } else {
            srt.args(touch).run()
        };
        assert_eq!(output.code(), Some(2), "{options:?}\n{output}");
        assert!(output.stdout.is_empty(), "{output}");
        assert!(!output.stderr.is_empty(), "{output}");
    }
    bed.srt().run().exits(2).says("No command specified");
    bed.srt()
        .options(["-d"])
        .run()
        .exits(2)
        .says("No command specified");
    assert!(bed.work().join("ran").symlink_metadata().is_err());
    bed.srt().args(touch).run().ok();
    assert!(bed.work().join("ran").symlink_metadata().is_ok());
}

#[test]
fn version_and_help_are_answered() {
    let bed = Bed::new();
    for option in ["--version", "-V"] {
        let output = bed.srt().options([option]).run().ok();
        assert!(output.text().starts_with("srt "), "{output}");
        assert_eq!(output.text().lines().count(), 1, "{output}");
    }
    for option in ["--help", "-h"] {
        let output = bed.srt().options([option]).run().ok();
        for word in ["--settings", "--debug", "--trust-project", "-c"] {
            assert!(output.text().contains(word), "no {word}\n{output}");
        }
    }
}

#[test]
fn the_program_finds_what_it_would_find_outside() {
    let bed = Bed::new();
    let sub = bed.work().join("sub dir");
    std::fs::create_dir(&sub).unwrap();
    bed.srt()
        .directory(&sub)
        .args(["pwd", "-P"])
        .run()
        .ok()
        .prints(format!("{}\n", sub.display()));
    bed.srt()
        .env("MINE", "a b\nc")
        .args(["sh", "-c", "printf %s \"$MINE\""])
        .run()
        .ok()
        .prints("a b\nc");
    bed.srt()
        .sh("umask")
        .under(["sh", "-c", "umask 027; exec \"$@\"", "sh"])
        .run()
        .ok()
        .prints("0027\n");
    bed.srt()
        .sh("ulimit -n")
        .under(["sh", "-c", "ulimit -n 321; exec \"$@\"", "sh"])
        .run()
        .ok()
        .prints("321\n");
    let inside = bed.srt().args(["id", "-u"]).run().ok();
    assert_eq!(inside.text(), host(&need!("id"), ["-u"]).text());
    let runtime = bed.srt().sh("echo $SANDBOX_RUNTIME").run().ok();
    assert_eq!(runtime.text(), "1\n");
}

#[test]
fn no_variable_changes_what_is_allowed() {
    let bed = Bed::new();
    let target = bed.outside().join("x");
    let line = format!("echo x > '{}'", target.display());
    let variables = [
        "SRT_DEBUG",
        "SRT_SETTINGS",
        "SRT_TRUST_PROJECT",
        "SRT_ALLOW_NESTED_USERNS",
        "SRT_DISABLE",
        "SRT_NO_SANDBOX",
        "SANDBOX_RUNTIME",
        "CLAUDE_CODE_TMPDIR",
        "CLAUDE_TMPDIR",
        "USER_TYPE",
        "DEBUG",
        "RUST_LOG",
        "SRT_LOG",
    ];
    for value in ["1", "/", "ant", "trace"] {
        let mut srt = bed.srt().sh(&line);
        for name in variables {
            srt = srt.env(name, value);
        }
        srt.run().refused();
    }
    assert!(target.symlink_metadata().is_err(), "written from inside");
    host(&need!("sh"), ["-c", &line]).ok();
    assert!(target.symlink_metadata().is_ok());
}

/// A misspelt option of `learn` is not the program.
#[test]
fn options_of_learn_that_are_none_are_wrong_usage() {
    let bed = Bed::new();
    for words in [
        &["learn", "--nope", "touch", "ran"][..],
        &["learn", "-s", "x", "touch", "ran"],
    ] {
        bed.srt().args(words).run().exits(2).says(words[1]);
        assert!(bed.work().join("ran").symlink_metadata().is_err());
    }
    // What follows the program is its own.
    let line = ["learn", "sh", "-c", "exit 3", "--nope"];
    bed.srt().args(line).run().exits(3);
    bed.srt().args(["learn", "--", "true"]).run().ok();
}

/// Neither is about a place.
#[test]
fn doctor_and_schema_work_in_a_removed_directory() {
    let bed = Bed::new();
    let shell = need!("sh");
    let gone = bed.root().join("gone");
    let line = format!(
        "mkdir '{0}' && cd '{0}' && rmdir '{0}' && exec \"$0\" \"$@\"",
        gone.display()
    );
    let run = |word: &str| {
        let srt = bed.srt();
        let srt = srt.under([shell.as_os_str(), "-c".as_ref(), line.as_ref()]);
        srt.args([word]).run()
    };
    assert!(run("schema").ok().text().starts_with('{'));
    let output = run("doctor");
    assert!(output.text().starts_with("kernel: "), "{output}");
    run("true").exits(125).says("working directory");
}
