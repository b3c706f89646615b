//! `/` as a write root, and no file rules at all: everything is the host's to write, but for what other
//! rules, the tables and the sandbox itself keep closed.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sandbox_tests::{Bed, Srt, host, inapplicable, is_root, need};
use serde_json::{Value, json};

use crate::rules;

/// No file rules at all, beside these.
fn disabled() -> Value {
    let mut settings = rules(&[], &[], &[], &[]);
    settings["filesystem"]["disabled"] = json!(true);
    settings
}

/// Every way to say that everything may be written.
fn ways(bed: &Bed) -> Vec<(&'static str, Srt<'_>)> {
    let outside = bed.outside().display().to_string();
    vec![
        (
            "allowWrite /",
            bed.srt().flat(&rules(&[], &[], &["/"], &[])),
        ),
        (
            "allowWrite / and a directory",
            bed.srt().flat(&rules(&[], &[], &["/", &outside], &[])),
        ),
        ("--allow-write /", bed.srt().options(["--allow-write", "/"])),
        (
            "--allow-write / and .",
            bed.srt()
                .options(["--allow-write", "/", "--allow-write", "."]),
        ),
        ("disabled", bed.srt().flat(&disabled())),
    ]
}

/// Removed at the end, also where the test fails.
struct Gone(Vec<PathBuf>);

impl Drop for Gone {
    fn drop(&mut self) {
        for path in &self.0 {
            std::fs::remove_file(path).ok();
        }
    }
}

fn is_directory(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_dir())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn everything_may_be_written_where_the_root_is_a_write_root() {
    let bed = Bed::new();
    if bed.is_in_scratch() {
        inapplicable!("the bed lies in a private directory");
    }
    let sh = need!("sh");
    let mut places: Vec<_> = ["/", "/etc", "/usr/bin", "/opt", "/boot", "/var/lib", "/srv"]
        .map(PathBuf::from)
        .to_vec();
    places.retain(|place| is_directory(place));
    places.extend([bed.work(), bed.home(), bed.outside(), bed.root()].map(Path::to_owned));
    let targets: Vec<_> = (places.iter())
        .map(|place| place.join(bed.marker()))
        .collect();
    let _gone = Gone(targets.clone());
    let line = |target: &Path| format!("echo new > '{}'", target.display());
    for (way, _) in ways(&bed) {
        for target in &targets {
            // What the host permits this user, and nothing else.
            let outside = host(&sh, ["-c", &line(target)]);
            let is_permitted = outside.succeeded();
            assert_eq!(is_permitted, target.symlink_metadata().is_ok());
            std::fs::remove_file(target).ok();
            let (_, srt) = ways(&bed).into_iter().find(|it| it.0 == way).unwrap();
            let output = srt.sh(&line(target)).run();
            assert_eq!(
                output.succeeded(),
                is_permitted,
                "{way}: {target:?}\n{output}"
            );
            assert_eq!(
                target.symlink_metadata().is_ok(),
                is_permitted,
                "{way}: {target:?}\n{output}"
            );
            if is_permitted {
                assert_eq!(std::fs::read(target).unwrap(), b"new\n", "{way}");
                std::fs::remove_file(target).unwrap();
            } else {
                assert!(output.errors().contains("ermission denied"), "{output}");
            }
        }
    }
    // The control: without the root the same lines write nothing.
    for target in &targets {
        let settings = rules(&[], &[], &["/nonexistent"], &[]);
        bed.srt().flat(&settings).sh(&line(target)).run().refused();
        assert!(target.symlink_metadata().is_err(), "{target:?}");
    }
}

/// All kinds of changes, not only new files.
#[test]
fn files_are_changed_moved_and_removed_anywhere() {
    let bed = Bed::new();
    if bed.is_in_scratch() {
        inapplicable!("the bed lies in a private directory");
    }
    let line = "set -e; cd \"$O\"; mkdir d; mv file d/moved; ln d/moved hard; ln -s x link; chmod 600 hard; \
         touch -d 2001-01-01 hard; truncate -s 1 hard; mkfifo fifo; rm fifo; mv other ../home/other; rm -r gone";
    for (way, _) in ways(&bed) {
        for name in ["file", "other", "gone/deep"] {
            bed.file(Path::new("outside").join(name), "old");
        }
        let (_, srt) = ways(&bed).into_iter().find(|it| it.0 == way).unwrap();
        let path = bed.outside().to_owned();
        srt.env("O", &path).sh(line).run().ok();
        assert_eq!(std::fs::read(path.join("d/moved")).unwrap(), b"o", "{way}");
        assert!(
            path.join("file").symlink_metadata().is_err()
                && path.join("gone").symlink_metadata().is_err()
        );
        assert_eq!(std::fs::read(bed.home().join("other")).unwrap(), b"old");
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
    }
    bed.file("outside/file", "old");
    let before = bed.tree();
    let output = bed
        .srt()
        .flat(&rules(&[], &[], &["."], &[]))
        .env("O", bed.outside());
    output.sh(line).run().refused();
    let changes = before.changes(&bed.tree());
    let is_ours = |change: &&String| !change.contains("settings.json");
    assert_eq!(changes.iter().filter(is_ours).count(), 0, "{changes:#?}");
}

#[test]
fn denies_stand_in_a_root_that_is_everything() {
    let bed = Bed::new();
    if bed.is_in_scratch() {
        inapplicable!("the bed lies in a private directory");
    }
    let kept = bed.file("outside/a/kept/file", "old");
    let directory = kept.parent().unwrap();
    let secret = bed.file("outside/b/secret/file", bed.marker());
    bed.file("outside/c/x.lock", "old");
    let future = bed.outside().join("d/future");
    std::fs::create_dir(bed.outside().join("d")).unwrap();
    let deny_write = [text(directory), text(&future), "**/*.lock"];
    let deny_read = [text(secret.parent().unwrap())];
    let closed = rules(&deny_read, &[], &["/"], &deny_write);
    let open = rules(&[], &[], &["/"], &[]);
    let lines = [
        "echo new > $O/a/kept/file",
        "echo new > $O/a/kept/other",
        "rm -rf $O/a/kept",
        "mv $O/a $O/e",
        "mv $O $O-moved",
        "cd ${O%/*/*} && mv ${O%/*} moved",
        "mv $O/a/kept $O/e",
        "cat $O/b/secret/file",
        "ls $O/b/secret",
        "echo new > $O/b/secret/file",
        "mv $O/b $O/e",
        "echo new > $O/c/x.lock",
        "echo new > $O/c/y.lock",
        "rm $O/c/x.lock",
        "mkdir $O/d/future",
        "echo new > $O/d/future",
        "ln -s a $O/d/future",
        "mv $O/d $O/e && mkdir $O/d && echo new > $O/d/future",
        "echo '{}' > ${O%/*}/settings.json",
        "rm ${O%/*}/settings.json",
        "mv ${O%/*}/settings.json $O/e",
        "echo '{}' > ~/.srt-settings.json",
    ];
    bed.file("settings.json", closed.to_string());
    for line in lines {
        let before = bed.tree();
        let output = bed.srt().flat(&closed).env("O", bed.outside()).sh(line);
        let output = output.run();
        assert!(!output.text().contains(bed.marker()), "`{line}`\n{output}");
        assert!(output.code() != Some(125), "`{line}`\n{output}");
        let changes = before.changes(&bed.tree());
        // A directory that holds nothing closed yet may be moved before its name is taken again.
        if line.contains("mkdir $O/d &&") {
            assert!(future.symlink_metadata().is_err(), "`{line}`\n{output}");
            std::fs::remove_dir_all(bed.outside().join("d")).ok();
            std::fs::remove_dir_all(bed.outside().join("e")).ok();
            std::fs::create_dir(bed.outside().join("d")).unwrap();
        } else {
            assert_eq!(changes, [""; 0], "after `{line}`\n{output}");
            assert!(!output.succeeded(), "`{line}`\n{output}");
        }
    }
    // The control: the root itself opens each of them.
    let open = |line: &str| {
        let srt = bed.srt().flat(&open).env("O", bed.outside());
        srt.sh(line).run().ok()
    };
    open("cat $O/b/secret/file").prints(bed.marker());
    open("echo new > $O/a/kept/file; rm $O/c/x.lock; mkdir $O/d/future; mv $O/a $O/e");
    assert_eq!(
        std::fs::read(bed.outside().join("e/kept/file")).unwrap(),
        b"new\n"
    );
    assert!(is_directory(&future) && bed.outside().join("c/x.lock").symlink_metadata().is_err());
}

#[test]
fn protected_names_are_closed_everywhere_but_without_file_rules() {
    let bed = Bed::new();
    if bed.is_in_scratch() {
        inapplicable!("the bed lies in a private directory");
    }
    let names = [
        "home/.bashrc",
        "home/.ssh/authorized_keys",
        "outside/deep/in/.git/hooks/pre-commit",
        "outside/new/.vscode/tasks.json",
        "work/.git/config",
    ];
    for name in names {
        let path = bed.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let line = format!("echo new > '{}'", path.display());
        for root in [
            rules(&[], &[], &["/"], &[]),
            rules(&[], &[], &["/", "."], &[]),
        ] {
            bed.srt().flat(&root).sh(&line).run().refused();
            assert!(path.symlink_metadata().is_err(), "{name}");
        }
        bed.srt().flat(&disabled()).sh(&line).run().ok();
        assert_eq!(std::fs::read(&path).unwrap(), b"new\n", "{name}");
        // Whether it lies in a repository that may be removed is asked of all directories above.
        if !name.contains(".git/") {
            let line = format!("rm '{}'", path.display());
            let everything = rules(&[], &[], &["/"], &[]);
            bed.srt().flat(&everything).sh(&line).run().refused();
            assert!(path.symlink_metadata().is_ok(), "{name}");
        }
    }
}

/// `~/.bashrc` is often a symlink into a directory of its owner's.
#[test]
fn what_protected_names_of_the_home_lead_to_is_closed_too() {
    let bed = Bed::new();
    if bed.is_in_scratch() {
        inapplicable!("the bed lies in a private directory");
    }
    let file = bed.file("outside/dotfiles/bashrc", "old");
    let other = bed.file("outside/dotfiles/other", "old");
    std::os::unix::fs::symlink(&file, bed.home().join(".bashrc")).unwrap();
    for root in ["/", text(bed.root())] {
        let settings = rules(&[], &[], &[root], &[]);
        for line in [
            "> ~/.bashrc",
            "> $O/bashrc",
            "> $O/new && mv $O/new $O/bashrc",
        ] {
            let srt = bed.srt().flat(&settings).env("O", file.parent().unwrap());
            srt.sh(&format!("echo new {line}")).run().refused();
            assert_eq!(std::fs::read(&file).unwrap(), b"old", "{root}: {line}");
        }
        let line = format!("echo new > '{}'", other.display());
        bed.srt().flat(&settings).sh(&line).run().ok();
        assert_eq!(std::fs::read(&other).unwrap(), b"new\n");
    }
    bed.srt()
        .flat(&disabled())
        .sh("echo new > ~/.bashrc")
        .run()
        .ok();
    assert_eq!(std::fs::read(&file).unwrap(), b"new\n");
}

/// What others closed to the caller, a deny need not close: with every place in a write root, it would be
/// an error that such a place can't be looked at.
#[test]
fn denies_of_places_that_are_out_of_reach_are_no_errors() {
    if is_root() {
        inapplicable!("nothing is out of root's reach");
    }
    let bed = Bed::new();
    let closed = Path::new("/root/closed/file");
    if !std::fs::symlink_metadata(closed).is_err_and(|it| it.kind() == ErrorKind::PermissionDenied)
    {
        inapplicable!("/root is open to everybody");
    }
    let settings = rules(&[text(closed)], &[], &["/"], &[text(closed)]);
    bed.srt().flat(&settings).sh("echo x > written").run().ok();
    let line = format!("cat '{0}' || echo x > '{0}'", closed.display());
    bed.srt().flat(&settings).sh(&line).run().refused();
    // A directory of the caller's own could be opened by the command.
    let own = bed.outside().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::set_permissions(&own, Permissions::from_mode(0o000)).unwrap();
    let settings = rules(&[text(&own.join("file"))], &[], &["/"], &[]);
    let output = bed.srt().flat(&settings).args(["true"]).run();
    std::fs::set_permissions(&own, Permissions::from_mode(0o700)).unwrap();
    output.exits(125);
}

/// The sandbox's own `/proc`, `/dev`, private directories and what decides about later runs.
#[test]
fn the_sandboxs_own_trees_stay_its_own() {
    let bed = Bed::new();
    let marker = bed.marker();
    let host_tmp = Path::new("/tmp").join(marker);
    let host_memory = Path::new("/dev/shm").join(marker);
    let _gone = Gone(vec![host_tmp.clone(), host_memory.clone()]);
    let writes = |settings: &Value, line: &str| bed.srt().flat(settings).sh(line).run();
    let everything = rules(&[], &[], &["/"], &[]);
    for settings in [&everything, &disabled()] {
        writes(settings, &format!("echo x > /dev/shm/{marker}")).ok();
        assert!(host_memory.symlink_metadata().is_err());
        for line in [
            format!("echo x > /dev/{marker}"),
            "rm /dev/null".to_owned(),
            "mv /dev /dev2".to_owned(),
            "rmdir /proc".to_owned(),
            ": >> /proc/sys/kernel/core_pattern".to_owned(),
            ": >> /proc/sys/kernel/hostname".to_owned(),
            ": >> /proc/sysrq-trigger".to_owned(),
            format!("echo '{{}}' > '{}/settings.json'", bed.root().display()),
            "echo '{}' > ~/.srt-settings.json".to_owned(),
            "mkdir -p ~/.local/share/srt/trust".to_owned(),
            "mkdir -p ~/.local/share/srt && echo > ~/.local/share/srt/trust".to_owned(),
            "rm -rf ~/.local; mkdir -p new/trust ~/.local/share && mv -T new ~/.local/share/srt".to_owned(),
            "mkdir -p new/share/srt/trust && rm -r ~/.local && mv new ~/.local".to_owned(),
            "mkdir -p new && rm -r ~/.local; ln -s \"$PWD/new\" ~/.local && mkdir -p new/share/srt/trust".to_owned(),
        ] {
            writes(settings, &line).refused();
        }
        let own =
            [".srt-settings.json", ".local/share/srt/trust"].map(|name| bed.home().join(name));
        assert!(own.iter().all(|path| path.symlink_metadata().is_err()));
        assert!(Path::new("/dev/null").symlink_metadata().is_ok());
    }
    let line = format!("echo x > /tmp/{marker}");
    writes(&everything, &line).ok();
    assert!(
        host_tmp.symlink_metadata().is_err(),
        "the private directory is the host's"
    );
    // Without file rules there is no private directory either.
    writes(&disabled(), &line).ok();
    assert!(host_tmp.symlink_metadata().is_ok());
    if is_root() {
        host(&need!("sh"), ["-c", ": >> /proc/sys/kernel/core_pattern"]).ok();
    }
}

/// Files of the kernel that ask for no capability: with some of them root could have the host run a program.
#[test]
fn the_kernels_own_trees_are_not_opened_by_a_root_that_is_everything() {
    if !is_root() {
        inapplicable!("the files belong to root");
    }
    let bed = Bed::new();
    let sh = need!("sh");
    let find = "find /sys -maxdepth 4 -xdev -type f -perm -200 2>/dev/null | head -n 400";
    let found = host(&sh, ["-c", find]).text();
    let opens = |file: &&str| host(&sh, ["-c", &format!(": >> {file}")]).succeeded();
    let Some(file) = found.lines().find(opens) else {
        inapplicable!("/sys has no file that root may write");
    };
    let line = format!(": >> {file}");
    let everything = rules(&[], &[], &["/"], &[]);
    for settings in [&everything, &disabled()] {
        for line in [line.as_str(), "mv /sys /sys2", "mkdir /sys/fs/cgroup/x"] {
            let output = bed.srt().flat(settings).sh(line).run().refused();
            assert!(
                Path::new("/sys/fs/cgroup/x").symlink_metadata().is_err(),
                "{output}"
            );
        }
        let tells = bed.srt().flat(settings).sh(&line).run().errors();
        assert!(tells.contains("the kernel's own"), "{tells}");
    }
    // Who names the tree has it.
    let named = rules(&[], &[], &["/", "/sys"], &[]);
    bed.srt().flat(&named).sh(&line).run().ok();
}

/// What is mounted below is as the host has it, and another proc is nobody's to write.
#[test]
fn mounts_below_a_root_that_is_everything_are_as_the_host_has_them() {
    if !is_root() {
        inapplicable!("only root can mount a file system");
    }
    let unshare = need!("unshare");
    let bed = Bed::new();
    let place = |name: &str| bed.outside().join(name);
    for name in ["open", "closed", "proc"] {
        std::fs::create_dir_all(place(name)).unwrap();
    }
    let outside = bed.outside();
    let line = "cd \"$0\" && mount -t tmpfs none open && mount -t tmpfs -o ro none closed && \
        mount -t proc none proc && : >> proc/sys/kernel/core_pattern && echo mounted && \
        { \"$@\"; ls open closed; }";
    let launcher = |srt: Srt<'_>| {
        let words = [text(&unshare), "-m", "sh", "-c", line, text(outside)];
        srt.env("O", outside).under(words).run()
    };
    let inside = "cd \"$O\"; echo x > open/made; echo x > closed/made; : >> proc/sys/kernel/core_pattern && echo escaped";
    for settings in [rules(&[], &[], &["/"], &[]), disabled()] {
        let output = launcher(bed.srt().flat(&settings).sh(inside));
        assert_eq!(
            output.text(),
            "mounted\nclosed:\n\nopen:\nmade\n",
            "{output}"
        );
    }
    let output = launcher(bed.srt().flat(&rules(&[], &[], &["/opt"], &[])).sh(inside));
    assert_eq!(output.text(), "mounted\nclosed:\n\nopen:\n", "{output}");
    // Nor by a root that names the mount point: who opens a file in it is the supervisor.
    let proc = place("proc");
    let named = rules(&[], &[], &["/", text(&proc)], &[]);
    let output = launcher(bed.srt().flat(&named).sh(inside));
    assert_eq!(
        output.text(),
        "mounted\nclosed:\n\nopen:\nmade\n",
        "{output}"
    );
}

/// The host's `/proc` in place of one of our own is not opened with the rest.
#[test]
fn an_inherited_proc_stays_read_only() {
    let bed = Bed::new();
    let line = ": >> /proc/sys/kernel/hostname";
    if is_root() {
        host(&need!("sh"), ["-c", line]).ok();
    }
    let target = bed.work().join("written");
    for mut settings in [rules(&[], &[], &["/"], &[]), disabled()] {
        settings["enableWeakerNestedSandbox"] = json!(true);
        bed.srt().flat(&settings).sh(line).run().refused();
        let other = ": >> /proc/sys/kernel/core_pattern || : >> /proc/1/oom_score_adj";
        bed.srt().flat(&settings).sh(other).run().refused();
        bed.srt().flat(&settings).sh("echo x > written").run().ok();
        assert!(target.symlink_metadata().is_ok());
        std::fs::remove_file(&target).unwrap();
    }
}

/// Set-user-id programs and devices of the host stay without effect.
#[test]
fn no_mount_of_the_hosts_gives_rights() {
    let bed = Bed::new();
    for (way, srt) in ways(&bed) {
        let text = srt.args(["cat", "/proc/self/mountinfo"]).run().ok().text();
        let mut writable = 0;
        for line in text.lines() {
            let fields: Vec<_> = line.split(' ').collect();
            let has = |option: &str| fields[5].split(',').any(|one| one == option);
            if fields[4].starts_with("/dev") {
                continue;
            }
            assert!(has("nosuid") && has("nodev"), "{way}: {line}");
            writable += usize::from(has("rw") && fields[4] == "/");
        }
        assert_eq!(writable, 1, "{way}\n{text}");
    }
}

/// `srt explain` says what happens.
#[test]
fn explain_tells_the_same() {
    let bed = Bed::new();
    if bed.is_in_scratch() {
        inapplicable!("the bed lies in a private directory");
    }
    for settings in [rules(&[], &[], &["/"], &[]), disabled()] {
        for (path, is_open) in [
            (bed.outside().join("new"), true),
            (bed.work().join("new"), true),
            (PathBuf::from("/sys/kernel/new"), false),
            (bed.root().join("settings.json"), false),
            (PathBuf::from("/proc/sys/kernel/core_pattern"), false),
        ] {
            let options = ["--settings", text(&bed.root().join("settings.json"))].map(String::from);
            bed.file("settings.json", settings.to_string());
            let words = ["explain", "write", text(&path)];
            let output = bed.srt().options(options).args(words).run();
            assert_eq!(output.succeeded(), is_open, "{path:?}\n{output}");
            let line = format!(": >> '{}'", path.display());
            let output = bed.srt().flat(&settings).sh(&line).run();
            assert_eq!(output.succeeded(), is_open, "{path:?}\n{output}");
            assert!(!is_open || std::fs::remove_file(&path).is_ok());
        }
    }
}

/// The directory that a private one is mounted on is the host's: it does not go with the mount.
#[test]
fn the_places_of_private_directories_stay() {
    let bed = Bed::new();
    for place in ["/var/tmp", "/tmp"] {
        let marker = format!("{place}/{}", bed.marker());
        let line = format!(
            "rmdir {place}; mv {place} {place}-2; mkdir -p {place}; echo x > {marker}; cat {marker}"
        );
        let srt = bed.srt().flat(&rules(&[], &[], &["/"], &[]));
        let output = srt.sh(&line).run();
        assert_eq!(output.text(), "x\n", "{output}");
        assert!(Path::new(&marker).symlink_metadata().is_err(), "{output}");
        assert!(Path::new(place).symlink_metadata().is_ok(), "{output}");
    }
}

/// What is made there can be used and is lost, so the user is told.
#[test]
fn a_missing_root_in_a_private_directory_is_said_to_be_lost() {
    let bed = Bed::new();
    for scratch in ["/tmp", "/var/tmp"] {
        let directory = format!("{scratch}/{}", bed.marker());
        let root = format!("{directory}/x");
        let line = format!("mkdir -p {root} && echo x > {root}/file && cat {root}/file");
        let output = bed.srt().options(["--allow-write", &root]).sh(&line).run();
        let output = output.ok().prints("x\n");
        let said = output.errors();
        assert!(said.contains(&root) && said.contains("private"), "{output}");
        assert!(!said.contains("can't be created"), "{output}");
        assert!(std::fs::symlink_metadata(&directory).is_err(), "{scratch}");
    }
    // The control: elsewhere it is created on the host, and nothing is said.
    let root = bed.outside().join("new/x");
    let line = format!("mkdir -p {0} && echo x > {0}/file", root.display());
    let output = bed
        .srt()
        .options(["--allow-write".as_ref(), root.as_os_str()]);
    let output = output.sh(&line).run().ok();
    assert!(!output.errors().contains("notice"), "{output}");
    assert_eq!(std::fs::read(root.join("file")).unwrap(), b"x\n");
}
