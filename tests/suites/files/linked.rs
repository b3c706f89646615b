//! Places behind symlinks, and places that are no plain file system: rules hold by where they lead, and
//! what can't be started says why.

use std::{fs, os::unix::fs::symlink, path::Path};

use sandbox_tests::{Bed, host, inapplicable, is_root, need};

use crate::rules;

fn content(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[test]
fn a_working_directory_and_a_home_behind_links() {
    let bed = Bed::new();
    let (work, root) = (bed.work(), bed.root());
    bed.file("home/secret", "hidden");
    bed.file("home/open", "open");
    // Two links each, one of them relative.
    for (to, name) in [
        (work, "one-work"),
        (bed.home(), "one-home"),
        (Path::new("one-work"), "linked-work"),
        (Path::new("one-home"), "linked-home"),
    ] {
        symlink(to, root.join(name)).unwrap();
    }
    let home = root.join("linked-home");
    let settings = rules(&["~/secret"], &[], &["."], &[]);
    let run = |line: &str| {
        let srt = bed.srt().flat(&settings).env("HOME", &home);
        let directory = root.join("linked-work");
        srt.env("PWD", &directory)
            .directory(directory)
            .sh(line)
            .run()
    };
    run("pwd && cat ~/open && echo new > made && cat made")
        .ok()
        .prints(format!("{}\nopennew\n", root.join("linked-work").display()));
    assert_eq!(content(&work.join("made")).as_deref(), Some("new\n"));
    for secret in [
        "~/secret".to_owned(),
        bed.home().join("secret").display().to_string(),
        root.join("one-home/secret").display().to_string(),
    ] {
        run(&format!("cat {secret}")).refused().prints("");
    }
    run("echo x > ../beside").refused();
    assert_eq!(content(&root.join("beside")), None);
}

#[test]
fn write_roots_behind_links() {
    let bed = Bed::new();
    let outside = bed.outside();
    fs::create_dir_all(outside.join("real/deep")).unwrap();
    for (to, name) in [
        ("real", "chain"),
        ("chain", "longer"),
        ("nowhere", "dangling"),
    ] {
        symlink(to, outside.join(name)).unwrap();
    }
    let place = |name: &str| outside.join(name).display().to_string();
    let settings = rules(&[], &[], &[&place("longer/deep"), &place("dangling")], &[]);
    let run = |line: &str| bed.srt().flat(&settings).sh(line).run();
    run(&format!(
        "echo one > {}/a && echo two > {}/b && mv {}/a {}/c",
        place("longer/deep"),
        place("real/deep"),
        place("chain/deep"),
        place("real/deep")
    ))
    .ok();
    assert_eq!(
        content(&outside.join("real/deep/c")).as_deref(),
        Some("one\n")
    );
    assert_eq!(
        content(&outside.join("real/deep/b")).as_deref(),
        Some("two\n")
    );
    run(&format!("echo x > {}", place("longer/beside"))).refused();
    // A link to nothing opens nothing, and that is said.
    let output = run(&format!("echo x > {}", place("dangling"))).refused();
    assert!(
        output.errors().contains("it is a symlink to nothing"),
        "{output}"
    );
    run(&format!("echo x > {}", place("nowhere"))).refused();
    assert_eq!(content(&outside.join("nowhere")), None);
    assert_eq!(content(&outside.join("real/beside")), None);
}

#[test]
fn links_that_lead_to_each_other_are_an_error_with_their_place() {
    let bed = Bed::new();
    symlink("two", bed.work().join("one")).unwrap();
    symlink("one", bed.work().join("two")).unwrap();
    for settings in [
        rules(&[], &[], &["one"], &[]),
        rules(&[], &[], &["."], &["one"]),
        rules(&["two/below"], &[], &["."], &[]),
    ] {
        let output = bed
            .srt()
            .flat(&settings)
            .sh("echo ran > ran")
            .run()
            .exits(125);
        let errors = output.errors();
        assert!(
            errors.contains("Too many levels of symbolic links"),
            "{output}"
        );
        assert!(errors.contains("settings.json:1:"), "{output}");
        assert_eq!(content(&bed.work().join("ran")), None);
    }
    // They are in nobody's way where no rule names them.
    bed.srt()
        .sh("! cat one 2>/dev/null && echo fine")
        .run()
        .ok()
        .prints("fine\n");
}

/// What is tried in a directory: `key` is closed for reading, `kept` for writing, and `.git/hooks` by itself.
const TRIED: &str = "echo one > made && mv made moved && mkdir -p a/b && echo two > a/b/c && rm -r a && ln moved hard \
    && git init -q . && echo done; cat key; echo x > kept; echo x > .git/hooks/pre-commit; echo x > ../beside";

fn is_judged(bed: &Bed, place: &Path, launcher: &[&str], look: &dyn Fn(&str) -> Option<String>) {
    let settings = rules(&["key"], &[], &["."], &["kept"]);
    let srt = bed.srt().flat(&settings).directory(place).sh(TRIED);
    let output = srt.under(launcher.iter().copied()).run();
    assert_eq!(output.text(), "done\n", "{output}");
    for (name, expected) in [
        ("moved", Some("one\n")),
        ("hard", Some("one\n")),
        ("key", Some("hidden")),
        ("kept", Some("old")),
        (".git/hooks/pre-commit", None),
        ("a", None),
        ("../beside", None),
    ] {
        assert_eq!(look(name).as_deref(), expected, "{name}: {output}");
    }
}

#[test]
fn a_file_system_in_user_space_is_judged_like_any_other() {
    let (bindfs, _) = (need!("bindfs"), need!("git"));
    let bed = Bed::new();
    let real = bed.outside().join("real");
    bed.file("outside/real/key", "hidden");
    bed.file("outside/real/kept", "old");
    let point = bed.outside().join("point");
    fs::create_dir(&point).unwrap();
    let words: [&std::ffi::OsStr; 3] = ["--no-allow-other".as_ref(), real.as_ref(), point.as_ref()];
    let mounted = host(&bindfs, words);
    if !mounted.succeeded() {
        inapplicable!(
            "no file system in user space can be mounted here: {}",
            mounted.errors().trim()
        );
    }
    let _mount = Mount(&point);
    is_judged(&bed, &point, &[], &|name| {
        let place = if name.starts_with("..") {
            &point
        } else {
            &real
        };
        content(&place.join(name))
    });
    // From above it is part of the tree.
    let settings = rules(&["point/key"], &[], &["."], &[]);
    let srt = bed.srt().flat(&settings).directory(bed.outside());
    let output = srt
        .sh("echo above > point/above; cat point/kept point/key")
        .run();
    assert_eq!(output.text(), "old", "{output}");
    assert_eq!(content(&real.join("above")).as_deref(), Some("above\n"));
}

/// Takes the mount away, also when the test fails.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let program = if is_root() { "umount" } else { "fusermount3" };
        let mut words = vec![if is_root() { "-l" } else { "-uz" }.into()];
        words.push(self.0.as_os_str().to_owned());
        if let Some(program) = sandbox_tests::tool(program) {
            host(&program, words);
        }
    }
}

#[test]
fn an_overlay_is_judged_like_any_other() {
    let (unshare, _) = (need!("unshare"), need!("git"));
    let bed = Bed::new();
    bed.file("outside/lower/key", "hidden");
    bed.file("outside/lower/kept", "old");
    for name in ["upper", "scratch", "merged"] {
        fs::create_dir(bed.outside().join(name)).unwrap();
    }
    let base = bed.outside().display().to_string();
    let mount =
        "cd $0 && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=scratch merged";
    let own = if is_root() { "-m" } else { "-Urm" };
    let unshare = unshare.to_str().unwrap();
    let control = host(Path::new(unshare), [own, "sh", "-c", mount, &base]);
    if !control.succeeded() {
        inapplicable!(
            "no overlay can be mounted here: {}",
            control.errors().trim()
        );
    }
    let line = format!("{mount} && cd merged && \"$@\"");
    let launcher = [unshare, own, "sh", "-c", &line, &base];
    let (upper, lower) = (bed.outside().join("upper"), bed.outside().join("lower"));
    is_judged(&bed, &bed.outside().join("merged"), &launcher, &|name| {
        content(&upper.join(name)).or_else(|| content(&lower.join(name)))
    });
    assert_eq!(
        fs::read_dir(&lower).unwrap().count(),
        2,
        "the lower directory changed"
    );
}

/// What a rule names by way of a symlink in a write root is named by a later run's rules too.
#[test]
fn links_on_the_way_to_what_is_closed_stay() {
    let bed = Bed::new();
    let root = bed.root();
    for file in ["ws/c/key", "ws/d/key", "ws/e/key"] {
        bed.file(file, "SECRET");
    }
    fs::create_dir(root.join("x")).unwrap();
    for (to, name) in [
        ("../ws/b", "x/a"),
        ("c", "ws/b"),
        ("d", "ws/f"),
        ("../ws/g", "x/g"),
        ("e/key", "ws/g"),
        ("../ws/h/gone", "x/h"),
        ("e", "ws/h"),
    ] {
        symlink(to, root.join(name)).unwrap();
    }
    let place = |name: &str| root.join(name).display().to_string();
    let ws = place("ws");
    for (closed, link, file) in [
        ("x/a/key", "ws/b", Some("ws/c/key")),
        ("x/a/k*", "ws/b", Some("ws/c/key")),
        ("ws/f/k*", "ws/f", Some("ws/d/key")),
        ("ws/f/**/key", "ws/f", Some("ws/d/key")),
        ("x/g", "ws/g", Some("ws/e/key")),
        ("x/h", "ws/h", None),
    ] {
        let settings = rules(&[&place(closed)], &[], &[".", &ws], &[]);
        let run = |line: &str| {
            let line = format!("cd '{}'; {line}", root.display());
            bed.srt().flat(&settings).sh(&line).run()
        };
        let target = fs::read_link(root.join(link)).unwrap();
        for line in [
            format!("rm {link} && mkdir {link}"),
            format!("mv {link} ws/away"),
            format!("ln -sfn nowhere {link}"),
            "mkdir ws/new; mv -T ws/new ".to_owned() + link,
        ] {
            let output = run(&line);
            let led = fs::read_link(root.join(link)).ok();
            assert_eq!(led.as_ref(), Some(&target), "{closed}: {line}\n{output}");
            let _refused = output.refused();
            if let Some(file) = file {
                run(&format!("cat {file}")).refused().prints("");
            }
        }
        // The control: other links, and what this one leads to.
        run("rmdir ws/new; ln -s x ws/other && rm ws/other && echo x > ws/b/file && rm ws/c/file")
            .ok();
    }
}
