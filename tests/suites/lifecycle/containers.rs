//! Starts from inside of pid namespaces, as containers and CI runners make them.

use sandbox_tests::{Bed, host, is_root, need, skip};
use serde_json::json;

fn launcher(more: &[&str]) -> Vec<String> {
    let mut words = vec!["unshare", "--pid", "--fork"];
    if !is_root() {
        words.extend(["--user", "--map-root-user"]);
    }
    words.extend(more);
    words.into_iter().map(str::to_owned).collect()
}

/// Its session's leader has no number there.
#[test]
fn the_first_process_of_a_pid_namespace_can_start_one() {
    let bed = Bed::new();
    let launcher = launcher(&["--mount-proc"]);
    let probe = launcher.iter().skip(1).map(String::as_str);
    if !host(&need!("unshare"), probe.chain(["true"])).succeeded() {
        skip!("no pid namespace with a /proc of its own");
    }
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": ["locked"]},
    });
    bed.file("work/locked", "old");
    let output = bed
        .srt()
        .under(launcher)
        .flat(&settings)
        .sh("echo new > made; echo new > locked; mkdir d && mv made d/moved; cat d/moved")
        .run();
    assert_eq!(output.text(), "new\n", "{output}");
    assert_eq!(
        std::fs::read_to_string(bed.work().join("d/moved")).unwrap(),
        "new\n"
    );
    assert_eq!(
        std::fs::read_to_string(bed.work().join("locked")).unwrap(),
        "old"
    );
}

/// There the numbers of processes mean others.
#[test]
fn a_proc_of_another_pid_namespace_is_refused() {
    let bed = Bed::new();
    let plain = launcher(&[]);
    let probe = plain.iter().skip(1).map(String::as_str);
    if !host(&need!("unshare"), probe.chain(["true"])).succeeded() {
        skip!("no pid namespace");
    }
    let output = bed.srt().under(plain).sh("true").run();
    output.exits(125).says("--mount-proc");
    let output = bed
        .srt()
        .under(launcher(&["--mount-proc"]))
        .sh("echo ran")
        .run();
    assert_eq!(output.text(), "ran\n", "{output}");
}
