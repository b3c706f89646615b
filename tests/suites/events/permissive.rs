//! `srt learn --permissive`: everything goes on in a copy, and what was used is proposed.

use std::{path::Path, time::Duration};

use sandbox_tests::{
    Bed, Listener, Output, Srt, Watch, carriers, host, inapplicable, is_root, mounts,
    names_can_be_set, need, processes_below, timeout, wait_until,
};
use serde_json::{Value, json};

use crate::settings;

fn learn<'b>(bed: &'b Bed, base: &Value, options: &[&str]) -> Srt<'b> {
    let file = bed.root().join("settings.json");
    if file.symlink_metadata().is_err() {
        bed.file("settings.json", format!("{base:#}\n"));
    }
    let srt = bed.srt().options(["--settings".as_ref(), file.as_os_str()]);
    srt.args(["learn", "--permissive"].iter().chain(options).copied())
}

/// Whether the kernel can make a copy; it says why not.
pub(crate) fn copies(bed: &Bed) -> bool {
    let output = bed.srt().args(["learn", "--permissive", "true"]).run();
    let says = |text| output.errors().contains(text);
    let is_missing = says("cannot show a copy") || says("cannot make a private place");
    if is_missing {
        sandbox_tests::count_skip("overlayfs can't be mounted in a user namespace here");
    } else {
        output.ok();
    }
    !is_missing
}

fn strict(bed: &Bed) -> Srt<'_> {
    let file = bed.root().join("settings.json");
    bed.srt().options(["--settings".as_ref(), file.as_os_str()])
}

fn added(output: &Output) -> String {
    let text = output.text();
    let lines = text.lines().filter(|line| line.starts_with('+')).skip(1);
    lines.map(|line| format!("{line}\n")).collect()
}

/// Each step needs the one before, so refusals alone would tell of the first.
const STEPS: &str = "set -e; mkdir ../outside/d; echo x > ../outside/d/1; mv ../outside/d/1 ../outside/d/2; \
    rm ../outside/keep; ln -s d/2 ../outside/link; cat ../outside/link; rm -r ../outside/old; \
    mkdir ../outside/old; test ! -e ../outside/old/file; echo y > here";

#[test]
fn what_a_permissive_run_used_lets_the_command_pass() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    bed.file("outside/keep", "as it was");
    bed.file("outside/old/file", "as it was");
    let base = settings(&["."], &[], &[]);
    bed.file("settings.json", format!("{base:#}\n"));
    strict(&bed).sh(STEPS).run().refused();
    let (tree, watch) = (bed.tree(), Watch::on(bed.root()));
    let output = learn(&bed, &base, &[]).sh(STEPS).run().ok();
    assert!(output.text().starts_with("x\n"), "{output}");
    let outside = bed.outside().display().to_string();
    assert!(
        added(&output).contains(&format!("\"{outside}\"")),
        "{output}"
    );
    assert_eq!(tree.changes(&bed.tree()), Vec::<String>::new(), "{output}");
    assert_eq!(watch.events(), Vec::<String>::new(), "{output}");
    assert!(output.errors().contains("permissive run"), "{output}");
    assert!(!output.errors().contains("refused:"), "{output}");
    learn(&bed, &base, &["--write"]).sh(STEPS).run().ok();
    let after = std::fs::read(bed.root().join("settings.json")).unwrap();
    let after: Value = serde_json::from_slice(&after).unwrap();
    assert_eq!(after["filesystem"]["allowWrite"], json!([".", outside]));
    assert!(bed.outside().join("keep").symlink_metadata().is_ok());
    strict(&bed).sh(STEPS).run().ok();
    assert!(bed.outside().join("keep").symlink_metadata().is_err());
    assert_eq!(std::fs::read(bed.outside().join("link")).unwrap(), b"x\n");
}

#[test]
fn what_a_preset_closes_is_read_and_proposed_but_no_secret() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    bed.file("outside/data", "wanted");
    bed.file("home/.ssh/id_test", "secret");
    bed.file("home/mine/file", "kept");
    let home = bed.home().display().to_string();
    let mut base = settings(&["."], &[], &[&format!("{home}/mine")]);
    base["presets"] = json!(["workspace"]);
    let line =
        "cat ../outside/data; cat ~/.ssh/id_test; cat ~/mine/file; echo token=$NPM_TOKEN; true";
    let run = |srt: Srt<'_>| srt.env("NPM_TOKEN", "secret").sh(line).run();
    let output = run(learn(&bed, &base, &["--write"])).ok();
    assert!(output.text().starts_with("wantedtoken=\n"), "{output}");
    let new = added(&output);
    let data = bed.outside().join("data").display().to_string();
    assert!(new.contains(&format!("\"{data}\"")), "{output}");
    for never in [".ssh", "mine\"]\n+", "mine/file"] {
        assert!(!new.contains(never), "{never}\n{output}");
    }
    assert!(output.errors().contains("it is secret"), "{output}");
    assert!(
        output.errors().contains("a rule closes it on purpose"),
        "{output}"
    );
    let output = run(strict(&bed)).ok();
    assert!(output.text().starts_with("wanted"), "{output}");
    assert!(!output.text().contains("kept"), "{output}");
}

#[test]
fn hosts_are_recorded_and_the_machines_own_network_stays_closed() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    let curl = need!("curl");
    let listener = Listener::start();
    let base = settings(&["."], &[], &[]);
    let curl = format!("'{}' -s -m 5", curl.display());
    let line = format!(
        "{curl} http://wanted.invalid:8080/; {curl} http://denied.test/; \
         {curl} http://127.0.0.1:{port}/; {curl} --noproxy '' http://localhost:{port}/; \
         {curl} http://10.1.2.3/; {curl} http://169.254.169.254/; true",
        port = listener.port()
    );
    let output = learn(&bed, &base, &[]).sh(&line).run().ok();
    let new = added(&output);
    assert!(new.contains("wanted.invalid:8080"), "{output}");
    for never in ["denied.test", "10.1.2.3", "169.254"] {
        assert!(!new.contains(&format!(", \"{never}")), "{never}\n{output}");
        assert!(!new.contains(&format!("[\"{never}")), "{never}\n{output}");
    }
    assert_eq!(listener.accepted(), 0);
    if names_can_be_set() {
        // A name that leads into the machine reaches nothing either, and one that is listed does.
        let names = [
            ("inside.example", "127.0.0.1"),
            ("private.example", "10.1.2.3"),
        ];
        let line = format!(
            "{curl} http://inside.example:{}/; {curl} http://private.example/; true",
            listener.port()
        );
        learn(&bed, &base, &[]).hosts(&names).sh(&line).run().ok();
        assert_eq!(listener.accepted(), 0);
    }
    let line = format!("{curl} --noproxy '' http://127.0.0.1:{}/", listener.port());
    let listed = [
        "--allow-domain".to_owned(),
        format!("127.0.0.1:{}", listener.port()),
    ];
    strict(&bed).options(listed).sh(&line).run().ok();
    assert_eq!(listener.accepted(), 1);
}

#[test]
fn nothing_is_left_of_a_permissive_run_that_is_killed() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    bed.file("outside/keep", "as it was");
    let base = settings(&["."], &[], &[]);
    bed.file("settings.json", format!("{base:#}\n"));
    let (tree, mounted) = (bed.tree(), mounts());
    for round in 0..5 {
        let watch = Watch::on(bed.root());
        let mut running = learn(&bed, &base, &[])
            .sh("rm ../outside/keep; while :; do echo x > ../outside/f; mv ../outside/f ../outside/g; done")
            .spawn();
        std::thread::sleep(Duration::from_millis(150 + 50 * round));
        running.kill();
        running.finish(timeout(10.0));
        let is_gone =
            || carriers(bed.marker()).is_empty() && processes_below(bed.root()).is_empty();
        assert!(wait_until(timeout(10.0), is_gone), "processes are left");
        assert_eq!(watch.events(), Vec::<String>::new());
    }
    assert_eq!(tree.changes(&bed.tree()), Vec::<String>::new());
    assert_eq!(mounts(), mounted);
}

/// What somebody closed stays closed, also around what another one opened.
#[test]
fn rules_hold_in_a_permissive_run() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    bed.file("outside/sub/closed", "secret");
    bed.file("work/locked", "as it was");
    let outside = bed.outside().display().to_string();
    let base = settings(&["."], &["locked"], &[&outside]);
    let line = format!(
        "cat {outside}/sub/closed; echo x > {outside}/sub/new; echo x > locked; mv locked l2; cat here; true"
    );
    bed.file("work/here", "control");
    let output = learn(&bed, &base, &[]);
    let sub = format!("{outside}/sub");
    let file = bed.root().join("settings.json");
    drop(output);
    let srt = bed.srt().options(["--settings".as_ref(), file.as_os_str()]);
    let srt = srt.options(["--allow-write", &sub]);
    let output = srt.args(["learn", "--permissive"]).sh(&line).run().ok();
    assert!(output.text().starts_with("control"), "{output}");
    assert!(!output.text().contains("secret"), "{output}");
    assert!(added(&output).is_empty(), "{output}");
    let kept = output.errors();
    assert!(
        kept.contains("locked`: a rule closes it on purpose"),
        "{output}"
    );
}

/// A name that is a directory in the copy and a symlink on the host would open what it leads to.
#[test]
fn names_that_are_symlinks_on_the_host_are_not_proposed() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    bed.file("home/.ssh/authorized_keys", "as it was");
    bed.file("home/.local/bin/tool", "as it was");
    bed.file("home/plain/file", "as it was");
    bed.file("home/new/0", "as it was");
    bed.file("home/reading/file", "wanted");
    for (target, name) in [
        (".ssh", "keys"),
        (".local/bin", "tools"),
        ("nowhere", "dangling"),
        ("../.ssh", "plain/deep"),
    ] {
        std::os::unix::fs::symlink(target, bed.home().join(name)).unwrap();
    }
    let base = settings(&["."], &[], &[]);
    let line = "cd ~; for d in keys tools dangling plain/deep; do rm $d; mkdir $d; \
        for i in 1 2 3 authorized_keys; do echo planted > $d/$i; done; done; \
        for i in 1 2 3 4; do echo x > new/$i; done; true";
    let output = learn(&bed, &base, &["--write"]).sh(line).run().ok();
    let new = added(&output);
    for never in ["/keys", "/tools", "/dangling", "/plain/deep"] {
        assert!(!new.contains(never), "{never}\n{output}");
    }
    assert!(new.contains("/new\""), "{output}");
    let reason = "a symlink on this machine leads elsewhere";
    assert!(output.errors().contains(reason), "{output}");
    // What is left of the names is gone with the copy.
    let line = "cd ~; for d in keys tools dangling plain/deep; do \
        for i in 1 2 3 authorized_keys; do echo planted > $d/$i; done; done; \
        for i in 1 2 3 4; do echo x > new/$i; done; true";
    strict(&bed).sh(line).run().ok();
    let kept = |name: &str| std::fs::read(bed.home().join(name)).unwrap();
    assert_eq!(kept(".ssh/authorized_keys"), b"as it was", "{output}");
    for never in [".ssh/1", ".local/bin/1", "nowhere", "plain/deep/1"] {
        assert!(
            bed.home().join(never).symlink_metadata().is_err(),
            "{never}"
        );
    }
    assert_eq!(kept("new/4"), b"x\n");
}

/// A file that is read where the host has a symlink is another one there.
#[test]
fn reads_of_names_that_are_symlinks_on_the_host_are_not_proposed() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    bed.file("home/private/file", "secret");
    bed.file("home/reading/file", "wanted");
    std::os::unix::fs::symlink("private", bed.home().join("link")).unwrap();
    let mut base = settings(&["."], &[], &[]);
    base["presets"] = json!(["workspace"]);
    let line = "cd ~; rm link; mkdir link; echo x > link/file; cat link/file reading/file; true";
    let output = learn(&bed, &base, &["--write"]).sh(line).run().ok();
    assert!(output.text().starts_with("x\nwanted"), "{output}");
    let new = added(&output);
    assert!(!new.contains("/link"), "{output}");
    assert!(new.contains("/reading/file\""), "{output}");
    let output = strict(&bed)
        .sh("cd ~; cat reading/file link/file; true")
        .run()
        .ok();
    assert_eq!(output.text(), "wanted", "{output}");
}

/// The permissive run closes secrets by itself, and says so, also behind a symlink of another name.
#[test]
fn secrets_are_refused_aloud_where_no_rule_closes_them() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    bed.file("home/.aws/credentials", "secret");
    bed.file("outside/netrc", "secret");
    std::os::unix::fs::symlink("../outside/netrc", bed.home().join(".netrc")).unwrap();
    bed.file("outside/data", "wanted");
    let base = settings(&["."], &[], &[]);
    let line = "cat ~/.aws/credentials; cat ~/.netrc; cat ../outside/data";
    let output = learn(&bed, &base, &[]).sh(line).run().ok();
    assert_eq!(output.text(), "wanted", "{output}");
    for part in [".aws/credentials`: it is secret", "/netrc`: it is secret"] {
        assert!(output.errors().contains(part), "{part}\n{output}");
    }
}

/// What it says no to is neither a user's no, nor a thing that the settings can't open.
#[test]
fn an_address_of_the_own_network_is_refused_with_the_reason() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    let curl = need!("curl");
    let base = settings(&["."], &[], &[]);
    let line = format!(
        "'{0}' -s -m 5 http://10.9.8.7:80/; '{0}' -s -m 5 http://wanted.invalid:80/; true",
        curl.display()
    );
    let output = learn(&bed, &base, &[]).sh(&line).run().ok();
    let said = output.errors();
    for part in [
        "not even a permissive run reaches the machine's own network: `10.9.8.7:80`",
        "not proposed: `10.9.8.7:80`: it was refused when it was asked for",
    ] {
        assert!(said.contains(part), "{part}\n{output}");
    }
    assert!(!said.contains("user denied"), "{output}");
    assert!(added(&output).contains("wanted.invalid"), "{output}");
}

/// There is no copy of a server: only listed ones are reached.
#[test]
fn sockets_of_the_host_are_refused_and_proposed() {
    use sandbox_tests::UnixWitness;
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    let python = need!("python3");
    let path = |name: &str| bed.outside().join(name);
    let (listed, other) = (
        UnixWitness::at(&path("listed")),
        UnixWitness::at(&path("other")),
    );
    let mut base = settings(&["."], &[], &[]);
    base["network"]["allowUnixSockets"] = json!([path("listed")]);
    let program = "import socket, sys
for path in sys.argv[1:]:
    s = socket.socket(socket.AF_UNIX)
    try: s.connect(path); print('connected')
    except OSError as error: print(error.errno)";
    let [first, second] = ["listed", "other"].map(|name| path(name).display().to_string());
    let srt = learn(&bed, &base, &[]);
    let output = srt.py(&python, program, &[&first, &second]).run().ok();
    assert!(output.text().starts_with("connected\n1\n"), "{output}");
    assert!(added(&output).contains(&second), "{output}");
    assert_eq!((listed.accepted(), other.accepted()), (1, 0), "{output}");
}

/// Programs that live on their own files: links, locks, sockets, a repository.
#[test]
fn programs_work_in_the_copy() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    let git = need!("git");
    let python = need!("python3");
    bed.file("outside/file", "as it was");
    let line = format!(
        "set -e; cd ../outside; '{git}' init -q .; '{git}' add file; \
         '{git}' -c user.name=a -c user.email=a@b commit -q -m x; '{git}' status --porcelain; \
         '{python}' -c \"
import fcntl, mmap, os, socket
s = socket.socket(socket.AF_UNIX); s.bind('sock'); s.listen(1)
c = socket.socket(socket.AF_UNIX); c.connect('sock')
f = open('file', 'r+b'); fcntl.flock(f, fcntl.LOCK_EX); m = mmap.mmap(f.fileno(), 0); m[0:2] = b'AS'; m.flush()
print(open('file').read())
os.link('file', 'hard'); os.chmod('file', 0o600); os.utime('file', (1, 1)); os.truncate('file', 2)
print(os.stat('hard').st_size, os.stat('hard').st_mtime_ns >= 0)
\"",
        git = git.display(),
        python = python.display()
    );
    let before = bed.tree();
    let base = settings(&["."], &[], &[]);
    bed.file("settings.json", format!("{base:#}\n"));
    let settled = bed.tree();
    assert_ne!(before.changes(&settled), Vec::<String>::new());
    let output = learn(&bed, &base, &[]).sh(&line).run().ok();
    assert!(output.text().starts_with("AS it was\n2 True\n"), "{output}");
    assert_eq!(settled.changes(&bed.tree()), Vec::<String>::new());
}

/// An overlay on an overlay on an overlay is one too many for the kernel.
#[test]
fn where_there_can_be_no_copy_nothing_runs() {
    let bed = Bed::new();
    let unshare = need!("unshare");
    let base = settings(&["."], &[], &[]);
    bed.file("settings.json", format!("{base:#}\n"));
    let own = if is_root() { "-m" } else { "-Urm" };
    let layer = "mount -t tmpfs none ../outside && cd ../outside && mkdir u1 w1 u2 w2 o1 o2 && \
        mount -t overlay o -o userxattr,lowerdir=../work,upperdir=u1,workdir=w1 o1 && \
        mount -t overlay o -o userxattr,lowerdir=o1,upperdir=u2,workdir=w2 o2";
    let probe = host(
        &unshare,
        [
            own,
            "sh",
            "-c",
            &format!("cd '{}' && {layer}", bed.work().display()),
        ],
    );
    if !probe.succeeded() {
        sandbox_tests::count_skip("no overlay on an overlay can be mounted here");
        return;
    }
    let enter = format!("{layer} && cd o2 && exec \"$0\" \"$@\"");
    let under = [
        unshare.as_os_str(),
        own.as_ref(),
        "sh".as_ref(),
        "-c".as_ref(),
        enter.as_ref(),
    ];
    let output = learn(&bed, &base, &[])
        .under(under)
        .sh("echo ran; touch ran")
        .run()
        .exits(125);
    assert!(output.errors().contains("show a copy"), "{output}");
    assert!(
        output.errors().contains("overlay on an overlay"),
        "{output}"
    );
    assert!(!output.text().contains("ran"), "{output}");
}

/// A place is not left out because there are many.
#[test]
fn where_there_would_be_too_many_copies_nothing_runs() {
    let bed = Bed::new();
    let unshare = need!("unshare");
    if !copies(&bed) {
        return;
    }
    let own = if is_root() { "-m" } else { "-Urm" };
    for number in 0..140 {
        bed.file(format!("outside/{number}/file"), "");
    }
    let base = settings(&["."], &[], &[]);
    bed.file("settings.json", format!("{base:#}\n"));
    let run = |prepare: &str| {
        let enter = format!("{prepare} && exec \"$0\" \"$@\"");
        let under = [
            unshare.as_os_str(),
            own.as_ref(),
            "sh".as_ref(),
            "-c".as_ref(),
            enter.as_ref(),
        ];
        let srt = learn(&bed, &base, &[]).under(under);
        srt.sh("echo ran; touch ran").run()
    };
    let output = run("true").ok();
    assert!(output.text().contains("ran"), "{output}");
    let output = run("mount -t tmpfs none ../outside/0").exits(125);
    assert!(
        output.errors().contains("besides 128 other directories"),
        "{output}"
    );
    assert!(!output.text().contains("ran"), "{output}");
}

/// Without a sandbox there is no copy: the command would change the host.
#[test]
fn a_permissive_run_without_a_sandbox_is_none() {
    let bed = Bed::new();
    bed.file("outside/keep", "as it was");
    for sandbox in [
        json!({"enabled": false}),
        json!({"excludedCommands": ["rm"], "allowUnsandboxedCommands": true}),
    ] {
        let settings = json!({"sandbox": sandbox});
        let file = bed.file("claude.json", settings.to_string());
        let srt = || bed.srt().options(["--settings".as_ref(), file.as_os_str()]);
        let output = srt()
            .args(["learn", "--permissive", "rm", "../outside/keep"])
            .run()
            .exits(125);
        assert!(
            output
                .errors()
                .contains("`learn --permissive` needs a sandbox"),
            "{output}"
        );
        assert!(bed.outside().join("keep").symlink_metadata().is_ok());
    }
    // Without it the settings run the command outside.
    let file = bed.root().join("claude.json");
    let srt = bed.srt().options(["--settings".as_ref(), file.as_os_str()]);
    srt.args(["rm", "../outside/keep"]).run().ok();
    assert!(bed.outside().join("keep").symlink_metadata().is_err());
}

/// What is secret is so in every home, whatever `$HOME` says.
#[test]
fn a_home_elsewhere_hides_the_secrets_of_the_own_one() {
    let bed = Bed::new();
    if !copies(&bed) {
        return;
    }
    let id = host(&need!("id"), ["-u"]).text();
    let line = format!("getent passwd {} | cut -d: -f6", id.trim());
    let home = host(&need!("sh"), ["-c", &line]).text();
    let place = Path::new(home.trim()).join(".aws");
    let is_new = place.symlink_metadata().is_err();
    if is_new && std::fs::create_dir(&place).is_err() {
        inapplicable!("the home of this user can't be written");
    }
    let file = place.join(format!("srt-test-{}", bed.marker()));
    std::fs::write(&file, "hidden").unwrap();
    let line = format!("cat {}", file.display());
    let base = settings(&["."], &[], &[]);
    let output = learn(&bed, &base, &[]).sh(&line).run();
    std::fs::remove_file(&file).unwrap();
    if is_new {
        std::fs::remove_dir(&place).unwrap();
    }
    assert!(!output.text().contains("hidden"), "{output}");
}
