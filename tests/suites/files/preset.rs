//! The `workspace` preset: reads are closed but for system paths, toolchains and the working
//! directory. And the home directory, which no command may change unless somebody says so.

use sandbox_tests::Bed;
use serde_json::json;

#[test]
fn the_workspace_preset_closes_what_it_does_not_name() {
    let bed = Bed::new();
    bed.file("work/source", "mine");
    bed.file("outside/private", "theirs");
    bed.file("home/.ssh/id", "key");
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {
            "preset": "workspace",
            "denyRead": [], "allowRead": [], "allowWrite": ["."], "denyWrite": [],
        },
    });
    let run = |line: &str| bed.srt().flat(&settings).sh(line).run();
    // Programs, their libraries and the working directory are there, and it can be written.
    run("cat source && sort /etc/passwd > sorted && test -s sorted && echo new > made")
        .ok()
        .prints("mine");
    let outside = bed.outside().join("private");
    run(&format!("cat {}", outside.display())).refused();
    run("cat ~/.ssh/id").refused();
    run("ls /").refused();
    run("ls -d ~/.ssh").refused();
    // A process list of its own, although the outside one was gone when it was made.
    run("test -d /proc/$$ && test -r /proc/self/status").ok();
    // The same commands read all of it with reads open.
    let open = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    });
    let line = format!("cat {} ~/.ssh/id && ls / ~/.ssh", outside.display());
    bed.srt().flat(&open).sh(&line).run().ok();
    assert_eq!(
        std::fs::read_to_string(bed.work().join("made")).expect("written"),
        "new\n"
    );
}

#[test]
fn the_home_directory_is_not_writable_by_default() {
    let bed = Bed::new();
    let home = bed.home().to_path_buf();
    bed.srt()
        .directory(&home)
        .sh("echo x > .srt-settings.json")
        .run()
        .refused();
    bed.srt()
        .directory(&home)
        .sh("mkdir -p .claude")
        .run()
        .refused();
    assert!(std::fs::symlink_metadata(home.join(".srt-settings.json")).is_err());
    assert!(std::fs::symlink_metadata(home.join(".claude")).is_err());
    // Where the working directory is another one, it is writable, but for what is protected there.
    bed.srt().sh("echo x > .srt-settings.json").run().refused();
    assert!(std::fs::symlink_metadata(bed.work().join(".srt-settings.json")).is_err());
    bed.srt()
        .sh("mkdir -p .claude && echo x > settings")
        .run()
        .ok();
    assert!(std::fs::symlink_metadata(bed.work().join("settings")).is_ok());
}
