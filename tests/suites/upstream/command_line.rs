//! The command line.

use sandbox_tests::Bed;

use crate::{Case, line, usual, usually};

pub(crate) const CASES: &[Case] = &[
    ("cli: simple line", || {
        let bed = Bed::new();
        line(&bed, &usual(), "echo hello")
            .run()
            .ok()
            .prints("hello\n");
    }),
    ("cli: line is not escaped", || {
        let bed = Bed::new();
        line(&bed, &usual(), "echo \"hello world\" 'and more'")
            .run()
            .ok()
            .prints("hello world and more\n");
    }),
    ("cli: JSON argument", || {
        let bed = Bed::new();
        let text = r#"{"key": "value", "n": 1}"#;
        line(&bed, &usual(), &format!("echo '{text}'"))
            .run()
            .ok()
            .prints(format!("{text}\n"));
    }),
    ("cli: nested JSON", || {
        let bed = Bed::new();
        let text = r#"{"outer": {"inner": [{"a": "b c"}, null, true]}, "s": "$HOME `x`"}"#;
        line(&bed, &usual(), &format!("echo '{text}'"))
            .run()
            .ok()
            .prints(format!("{text}\n"));
    }),
    ("cli: expansion in a line", || {
        let bed = Bed::new();
        line(&bed, &usual(), "echo $HOME")
            .run()
            .ok()
            .prints(format!("{}\n", bed.home().display()));
    }),
    ("cli: pipe in a line", || {
        let bed = Bed::new();
        let output = line(&bed, &usual(), "echo 'hello world' | wc -w")
            .run()
            .ok();
        assert_eq!(output.text().trim(), "2");
    }),
    ("cli: command substitution in a line", || {
        let bed = Bed::new();
        let output = line(&bed, &usual(), "echo $(expr 1 + 2)").run().ok();
        assert!(output.text().contains('3'));
    }),
    ("cli: simple program", || {
        let bed = Bed::new();
        usually(&bed)
            .args(["echo", "hello"])
            .run()
            .ok()
            .prints("hello\n");
    }),
    ("cli: several words", || {
        let bed = Bed::new();
        usually(&bed)
            .args(["echo", "hello", "world"])
            .run()
            .ok()
            .prints("hello world\n");
    }),
    ("cli: words with flags", || {
        let bed = Bed::new();
        usually(&bed)
            .args(["echo", "-n", "no newline"])
            .run()
            .ok()
            .prints("no newline");
    }),
    ("cli: no command", || {
        let bed = Bed::new();
        usually(&bed).run().exits(1).says("No command specified");
    }),
    ("cli: options only", || {
        let bed = Bed::new();
        usually(&bed)
            .options(["-d"])
            .run()
            .exits(1)
            .says("No command specified");
    }),
    ("cli: no command is said", || {
        let bed = Bed::new();
        for options in [vec![], vec!["-d"]] {
            let output = usually(&bed)
                .options(options)
                .run()
                .says("No command specified");
            assert!(!output.succeeded());
        }
    }),
    ("cli: debug strings of a program", || {
        let bed = Bed::new();
        usually(&bed)
            .env("SRT_DEBUG", "true")
            .args(["echo", "x"])
            .run()
            .ok()
            .says("[SandboxDebug]")
            .says("Original command");
    }),
    ("cli: debug strings of a line", || {
        let bed = Bed::new();
        line(&bed, &usual(), "echo x")
            .env("SRT_DEBUG", "true")
            .run()
            .ok()
            .says("Command string mode");
    }),
    ("cli: no debug output unless asked", || {
        let bed = Bed::new();
        let output = usually(&bed).args(["echo", "x"]).run().ok();
        assert!(!output.errors().contains("[SandboxDebug]"));
    }),
    ("cli: double dash ends the options", || {
        let bed = Bed::new();
        let output = usually(&bed)
            .options(["--"])
            .args(["grep", "-c", "", "/etc/passwd"])
            .run()
            .ok();
        assert!(output.text().trim().parse::<u32>().is_ok(), "{output}");
    }),
];
