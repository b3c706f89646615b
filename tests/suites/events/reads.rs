//! Refused reads: which are told, and how all of them are.

use sandbox_tests::{Bed, python};

use serde_json::json;

use crate::{events, log, logged, origin, settings};

#[test]
fn a_pattern_that_closes_reads_is_told() {
    let bed = Bed::new();
    bed.file("work/a.secret", "hidden");
    logged(&bed, &settings(&["."], &[], &["*.secret"]))
        .args(["cat", "a.secret"])
        .run()
        .refused();
    let events = events(&log(&bed));
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["operation"], "file-read");
    assert_eq!(
        events[0]["rule"].as_str().map(|it| it.contains("*.secret")),
        Some(true)
    );
}

/// A literal deny is a mount, which refuses without a word; with `strictReads`, or where somebody wants the
/// violations and does not decline, the open is judged.
#[test]
fn strict_reads_tell_of_every_refused_read() {
    let bed = Bed::new();
    let secret = bed.file("home/keys/secret", "hidden");
    let asked = settings(&["."], &[], &["~/keys"]);
    let (mut strict, mut plain) = (asked.clone(), asked.clone());
    strict["filesystem"]["strictReads"] = json!(true);
    plain["filesystem"]["strictReads"] = json!(false);
    let line = "cat ~/keys/secret; cat ~/keys/../keys/secret; ls ~/keys; cat < ~/keys/secret; cat /etc/passwd >/dev/null";
    let output = logged(&bed, &plain).sh(line).run().ok();
    assert!(output.stdout.is_empty(), "{output}");
    assert!(events(&log(&bed)).is_empty(), "{output}");
    for telling in [&strict, &asked] {
        let before = events(&log(&bed)).len();
        let output = logged(&bed, telling).sh(line).run().ok();
        assert!(output.stdout.is_empty(), "{output}");
        let told = events(&log(&bed)).split_off(before);
        assert_eq!(told.len(), 4, "{told:?}\n{output}");
        for event in &told {
            assert_eq!(event["reason"], "read_denied", "{event}");
            assert!(
                event["object"].as_str().unwrap().contains("/keys"),
                "{event}"
            );
            assert!(origin(event).contains("settings.json:1"), "{event}");
        }
    }
    let flag = bed
        .srt()
        .flat(&plain)
        .options(["--strict-reads"])
        .sh(line)
        .run()
        .ok();
    assert!(flag.errors().contains("reading is denied"), "{flag}");
    assert_eq!(std::fs::read(secret).unwrap(), b"hidden");
}

/// An editor saves by renaming a new file over the old one, which takes the mask of a closed file away.
#[test]
fn strict_reads_hold_for_a_file_that_the_host_replaces() {
    let bed = Bed::new();
    let secret = bed.file("home/secret", "old");
    let mut settings = settings(&["."], &[], &["~/secret"]);
    settings["filesystem"]["strictReads"] = json!(true);
    let mut running = bed
        .srt()
        .flat(&settings)
        .options(["--quiet"])
        .open_stdin()
        .sh("cat ~/secret; touch ready; read line; cat ~/secret; cat ~/other")
        .spawn();
    let ready = bed.work().join("ready");
    assert!(sandbox_tests::wait_until(
        sandbox_tests::timeout(10.0),
        || { ready.symlink_metadata().is_ok() }
    ));
    bed.file("home/other", "other");
    std::fs::rename(bed.file("home/new", "new"), &secret).unwrap();
    drop(running.stdin());
    let output = running.finish(sandbox_tests::timeout(10.0));
    // The positive control shows that the home is the host's, as it is now.
    assert_eq!(output.text(), "other", "{output}");
    assert_eq!(std::fs::read(secret).unwrap(), b"new");
}

/// What the kernel refuses without a word is not told because some rule has reads judged: no entry of the
/// settings would change it.
#[test]
fn what_the_kernel_refuses_of_processes_is_not_told() {
    let bed = Bed::new();
    bed.file("work/a.secret", "hidden");
    let line = "cat /proc/1/environ; cat /proc/1/maps; ls -l /proc/1/fd; cat a.secret; cat /proc/self/comm";
    let output = logged(&bed, &settings(&["."], &[], &["*.secret"]))
        .sh(line)
        .run()
        .ok();
    assert!(output.text().contains("cat"), "{output}");
    let told = events(&log(&bed));
    let objects: Vec<_> = told.iter().map(|event| &event["object"]).collect();
    assert_eq!(told.len(), 1, "{objects:?}\n{output}");
    assert!(objects[0].as_str().unwrap().ends_with("a.secret"));
}

/// Datagram sockets are refused where the kernel can't tell where they send; there is a way to have them.
#[test]
fn refused_datagram_sockets_say_what_opens_them() {
    let python = python!("socket");
    let bed = Bed::new();
    let program = "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)";
    let output = logged(&bed, &settings(&["."], &[], &[]))
        .py(&python, program, &[])
        .run();
    if output.succeeded() {
        sandbox_tests::inapplicable!("the kernel sees to datagrams");
    }
    output.says("`\"allowAllUnixSockets\": true`");
    let told = events(&log(&bed));
    let text = told[0]
        .pointer("/toAllow/text")
        .and_then(|text| text.as_str());
    assert!(text.unwrap().contains("`allowUnixSockets`"), "{told:?}");
    let mut open = settings(&["."], &[], &[]);
    open["network"]["allowAllUnixSockets"] = json!(true);
    bed.srt().flat(&open).py(&python, program, &[]).run().ok();
    let learned = bed
        .srt()
        .flat(&settings(&["."], &[], &[]))
        .args(["learn"])
        .py(&python, program, &[])
        .run();
    assert!(learned.errors().contains("`allowUnixSockets`"), "{learned}");
}
