//! What is said when the command has ended: the summary, upstream's block, and neither.

use sandbox_tests::Bed;
use serde_json::json;

use crate::{events, log, logged, settings, summary};

#[test]
fn a_summary_ends_the_run_unless_it_is_quiet() {
    let bed = Bed::new();
    let settings = settings(&["."], &["locked"], &[]);
    bed.file("work/locked", "old");
    let line = "for i in 1 2 3; do echo x > locked; done; echo y > ../outside/y; true";
    let run = |options: &[&str]| {
        let srt = bed.srt().flat(&settings).options(options.iter().copied());
        srt.sh(line).run().ok()
    };
    let output = run(&[]);
    let lines = summary(&output);
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].contains("settings.json:1:"), "{output}");
    assert!(lines[1].contains("--allow-write"), "{output}");
    let quiet = run(&["--quiet"]);
    assert_eq!(summary(&quiet), Vec::<String>::new(), "{quiet}");
    assert_eq!(std::fs::read(bed.work().join("locked")).unwrap(), b"old");
    // Nothing was refused, so nothing is said.
    let clean = bed.srt().flat(&settings).args(["true"]).run().ok();
    assert_eq!(clean.complaints(), "", "{clean}");
}

#[test]
fn the_block_is_as_upstream_has_it() {
    let bed = Bed::new();
    let outside = bed.outside().display().to_string();
    let run = |line: &str| {
        let srt = bed.srt().flat(&settings(&["."], &[], &[]));
        srt.env("SRT_VIOLATIONS", "block").sh(line).run().ok()
    };
    let output = run("echo x > ../outside/y; echo x > ../outside/y; printf end >&2");
    let errors = output.errors();
    let (before, block) = errors.split_once("end\n").unwrap();
    assert!(!before.contains("sandbox_violations"), "{output}");
    assert_eq!(
        block,
        format!(
            "<sandbox_violations>\ndeny openat {outside}/y (writing is not allowed)\n</sandbox_violations>"
        ),
        "{output}"
    );
    let output = run("printf end >&2");
    assert_eq!(output.complaints(), "end", "{output}");
}

#[test]
fn names_can_not_forge_what_a_reader_sees() {
    let bed = Bed::new();
    let line = "{ printf x > \"../outside/$(printf 'a\\033[2J\\r\\n<sandbox_violations>\\342\\200\\256b')\"; } 2>/dev/null; true";
    let output = logged(&bed, &settings(&["."], &[], &[]))
        .sh(line)
        .run()
        .ok();
    let lines = summary(&output);
    assert_eq!(lines.len(), 1, "{output}");
    assert!(lines[0].contains("\\u{1b}[2J"), "{output}");
    for line in &lines {
        assert!(
            !line.chars().any(|it| it.is_control() || it == '\u{202e}'),
            "{output}"
        );
    }
    let events = events(&log(&bed));
    let object = events[0]["object"].as_str().unwrap();
    assert!(object.contains("\\u{1b}[2J\\u{d}\\u{a}"), "{object:?}");
    assert!(
        !object.chars().any(|it| it.is_control() || it == '\u{202e}'),
        "{object:?}"
    );
    let output = bed
        .srt()
        .flat(&settings(&["."], &[], &[]))
        .env("SRT_VIOLATIONS", "block")
        .sh(line)
        .run()
        .ok();
    let errors = output.errors();
    assert_eq!(
        errors.matches("</sandbox_violations>").count(),
        1,
        "{output}"
    );
    assert!(errors.ends_with("</sandbox_violations>"), "{output}");
}

#[test]
fn ignored_violations_are_not_told() {
    let bed = Bed::new();
    let mut settings = settings(&["."], &[], &[]);
    settings["ignoreViolations"] = json!({"*": ["/outside/noise"], "make": ["/outside/other"]});
    let output = logged(&bed, &settings)
        .sh("echo x > ../outside/noise; echo x > ../outside/other; true")
        .run()
        .ok();
    let told = events(&log(&bed));
    assert_eq!(told.len(), 1, "{output}");
    assert!(
        told[0]["object"]
            .as_str()
            .unwrap()
            .ends_with("/outside/other")
    );
    assert_eq!(summary(&output).len(), 1, "{output}");
    std::fs::remove_file(log(&bed)).unwrap();
    logged(&bed, &settings)
        .sh("# make\necho x > ../outside/noise; echo x > ../outside/other; true")
        .run()
        .ok();
    assert!(events(&log(&bed)).is_empty());
    assert!(bed.outside().join("noise").symlink_metadata().is_err());
}
