//! What a repository's settings name elsewhere in a write root: `git rev-parse --git-path hooks` and included files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use sandbox_tests::{Bed, Output, need};
use serde_json::{Value, json};

use crate::{
    git::{outside, prepare},
    rules,
};

/// Every way to plant something at a path.
fn plant(path: &str) -> Vec<String> {
    let above = Path::new(path).parent().unwrap().display();
    vec![
        format!("mkdir -p {above}; echo evil > {path}"),
        format!("mkdir -p {above}; echo evil > e && mv e {path}"),
        format!("mkdir -p {above}; echo evil > e && ln e {path}"),
        format!("mkdir -p {above}; ln -s ../e {path}"),
        format!(
            "mkdir -p d && echo evil > d/pre-commit && mv -T {above} {above}.old; mv -T d {above}"
        ),
        format!("rm -rf {above} && ln -s ../d {above}"),
        format!(
            "mkdir -p d && python3 -c 'import ctypes; exit(ctypes.CDLL(None).renameat2(-100, b\"d\", -100, b\"{above}\", 2) != 0)'"
        ),
    ]
}

fn refused_all(bed: &Bed, run: &dyn Fn(&str) -> Output, path: &str) {
    refused_but_removed(bed, run, path, false);
}

/// What lies in a nested repository may go, as the repository may.
fn refused_but_removed(bed: &Bed, run: &dyn Fn(&str) -> Output, path: &str, may_go: bool) {
    let at = bed.work().join(path);
    // A dangling link reads as nothing is.
    let state = || {
        (
            fs::read(&at).ok(),
            at.symlink_metadata().map(|found| found.file_type()).ok(),
        )
    };
    let before = state();
    for line in plant(path) {
        let output = run(&format!("{line} && ! [ -d {path} ]"));
        assert!(!output.succeeded(), "{line}: {output}");
        if may_go && state() == (None, None) {
            if let Some(content) = &before.0 {
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                fs::write(&at, content).unwrap();
            }
        } else {
            assert_eq!(state(), before, "{line}: {output}");
        }
        run("rm -rf d e").ok();
    }
}

#[test]
fn hooks_elsewhere_are_closed_as_those_in_the_repository() {
    need!("git");
    need!("python3");
    for (value, directory, is_there) in [
        ("tools/hooks", "tools/hooks", true),
        ("tools/later", "tools/later", false),
        ("./a/../scripts", "scripts", true),
        ("ABSOLUTE/scripts", "scripts", true),
        ("linked", "scripts", true),
    ] {
        let bed = Bed::new();
        prepare(&bed);
        let work = bed.work().join("plain").display().to_string();
        let set = format!(
            "cd plain && mkdir -p a tools scripts && ln -s scripts linked && git config core.hooksPath '{}'",
            value.replace("ABSOLUTE", &work)
        );
        outside(&bed, &set).ok();
        if is_there {
            bed.file(
                format!("work/plain/{directory}/pre-commit"),
                "#!/bin/sh\nexit 0\n",
            );
            let hook = bed.work().join(format!("plain/{directory}/pre-commit"));
            fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // The repository's top as the write root and as the working directory.
        let run = |line: &str| {
            let top = rules(&[], &[], &["plain"], &[]);
            let srt = bed.srt().flat(&top).env("GIT_CONFIG_NOSYSTEM", "1");
            srt.sh(&format!("cd plain && {line}")).within(60.0).run()
        };
        let relative = |line: &str| run(&line.replace("plain/", ""));
        refused_all(&bed, &relative, &format!("plain/{directory}/pre-commit"));
        run("mkdir -p beside/hooks && echo fine > beside/hooks/pre-commit && echo more >> file && git add -A && git commit -q -m more && git status --porcelain").ok();
        outside(
            &bed,
            "cd plain && echo again >> file && git commit -q -a -m again",
        )
        .ok();
        let path = bed.work().join(format!("plain/{directory}/pre-commit"));
        let mut open = rules(&[], &[], &["plain"], &[]);
        let explain = |settings: &Value| {
            let srt = bed.srt().flat(settings);
            srt.args(["explain", "write", path.to_str().unwrap()])
                .run()
                .text()
        };
        assert!(
            explain(&open).starts_with("deny"),
            "{value}: {}",
            explain(&open)
        );
        open["filesystem"]["unprotect"] = json!([".git/hooks"]);
        assert!(
            explain(&open).starts_with("allow"),
            "{value}: {}",
            explain(&open)
        );
        let line = format!(
            "mkdir -p {0}; echo own > {0}/pre-commit",
            format!("plain/{directory}")
        );
        bed.srt().flat(&open).sh(&line).run().ok();
    }
}

#[test]
fn settings_that_are_included_are_closed() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    bed.file("work/plain/team/first", "[include]\n\tpath = second\n");
    bed.file("work/plain/team/second", "[alias]\n\tx = status\n");
    bed.file("work/plain/team/third", "[alias]\n\ty = status\n");
    outside(&bed, "cd plain && git config include.path ../team/first && git config 'includeIf.onbranch:main.path' ../team/third && git config --add include.path ../team/absent").ok();
    let run = |line: &str| {
        let top = rules(&[], &[], &["plain"], &[]);
        let srt = bed.srt().flat(&top).env("GIT_CONFIG_NOSYSTEM", "1");
        srt.sh(&format!("cd plain && {line}")).within(60.0).run()
    };
    for name in ["first", "second", "third", "absent"] {
        for line in [
            format!("echo evil >> team/{name}"),
            format!("echo evil > e && mv e team/{name}"),
            format!("echo evil > e && ln -f e team/{name}"),
        ] {
            run(&line).refused();
        }
    }
    run("mv team old && mkdir team").refused();
    run("echo fine > team/other && git x && echo more >> file && git commit -q -a -m more").ok();
    let first = fs::read_to_string(bed.work().join("plain/team/first")).unwrap();
    assert_eq!(first, "[include]\n\tpath = second\n");
}

#[test]
fn repositories_of_every_shape_and_the_users_settings_name_hooks() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    // Around the write root, a linked worktree, a submodule, apart, by a link, by a pointer, bare.
    for (shape, root, hooks, at) in [
        ("plain", "plain/sub", "sub/hooks", "plain/sub/hooks"),
        ("worktree", "worktree", "own", "worktree/own"),
        ("super/sub", "super/sub", "own", "super/sub/own"),
        ("separate", "separate", "own", "separate/own"),
        ("linked", "linked", "own", "linked/own"),
        ("bare", "bare", "own", "bare/own"),
    ] {
        outside(
            &bed,
            &format!("mkdir -p {root} && cd {shape} && git config core.hooksPath {hooks}"),
        )
        .ok();
        let policy = rules(&[], &[], &[root], &[]);
        let run = |line: &str| bed.srt().flat(&policy).sh(line).within(60.0).run();
        let output = run(&format!("mkdir -p {at}; echo evil > {at}/pre-commit"));
        assert!(!output.succeeded(), "{shape}: {output}");
        assert!(
            bed.work()
                .join(at)
                .join("pre-commit")
                .symlink_metadata()
                .is_err(),
            "{shape}"
        );
        run(&format!(
            "mkdir -p {root}/else && echo fine > {root}/else/pre-commit"
        ))
        .ok();
    }
    let rest = fs::read_to_string(bed.home().join(".gitconfig")).unwrap();
    for (value, at) in [("shared", "shared"), ("~/hooks", "../home/hooks")] {
        fs::write(
            bed.home().join(".gitconfig"),
            format!("{rest}[core]\n\thooksPath = {value}\n"),
        )
        .unwrap();
        fs::create_dir_all(bed.work().join(".git/refs")).unwrap();
        let policy = rules(&[], &[], &[".", "~"], &[]);
        let run = |line: &str| bed.srt().flat(&policy).sh(line).within(60.0).run();
        run(&format!("mkdir -p {at}; echo evil > {at}/pre-commit")).refused();
        run("echo fine > beside").ok();
    }
    // What turns hooks off names nothing that could be closed.
    outside(
        &bed,
        "cd vendor/a/b/nested && git config core.hooksPath /dev/null",
    )
    .ok();
    let policy = rules(&[], &[], &["vendor/a/b/nested"], &[]);
    let line = "cd vendor/a/b/nested && echo x > /dev/null && git commit -q --allow-empty -m x";
    let srt = bed.srt().flat(&policy).env("GIT_CONFIG_NOSYSTEM", "1");
    srt.sh(line).within(60.0).run().ok();
}

/// What is planted in a hook's place, and every tree that could come to be there.
#[test]
fn repositories_further_down_name_hooks_and_settings_too() {
    need!("git");
    need!("python3");
    for (shape, hooks, at) in [
        ("plain", "tools/hooks", "plain/tools/hooks"),
        ("vendor/a/b/nested", "own", "vendor/a/b/nested/own"),
        ("worktree", "own", "worktree/own"),
        ("super/sub", "own", "super/sub/own"),
        ("separate", "own", "separate/own"),
        ("bare", "own", "bare/own"),
    ] {
        let bed = Bed::new();
        prepare(&bed);
        let set = format!("cd {shape} && git config core.hooksPath {hooks}");
        outside(&bed, &set).ok();
        let run = |line: &str| {
            let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
            srt.sh(line).within(60.0).run()
        };
        run(&format!(
            "mkdir -p {shape}/beside && echo fine > {shape}/beside/pre-commit"
        ))
        .ok();
        let path = format!("{at}/pre-commit");
        refused_but_removed(&bed, &run, &path, true);
        // In a hook's place there is what the host has put there.
        bed.file(format!("work/{path}"), "#!/bin/sh\nexit 0\n");
        refused_but_removed(&bed, &run, &path, true);
        run(&format!("chmod +x {path}")).refused();
        // With the repository it may go, and comes to be nothing else then.
        run(&format!("rm {path}")).ok();
        run(&format!("echo evil > {path}")).refused();
        run(&format!("mkdir {path}")).refused();
        let at = bed.work().join(&path);
        let explained = bed.srt().flat(&rules(&[], &[], &["."], &[]));
        let explained = explained.args(["explain", "write", at.to_str().unwrap()]);
        let text = explained.run().text();
        assert!(text.starts_with("deny"), "{shape}: {text}");
        assert!(text.contains("`core.hooksPath` of"), "{shape}: {text}");
        assert!(text.contains("unprotect"), "{shape}: {text}");
    }
}

#[test]
fn what_a_moved_repository_names_moves_with_it() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    outside(&bed, "cd plain && git config core.hooksPath hooks && git config include.path ../shared && mkdir -p deep hooks && echo x > deep/file && echo x > shared").ok();
    bed.file("work/empty/hooks/keep", "");
    let run = |line: &str| {
        let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
        srt.sh(line).within(60.0).run()
    };
    let is_there = |path: &str| {
        let hook = bed.work().join(path).join("hooks/pre-commit");
        hook.symlink_metadata().is_ok()
    };
    // `empty` was looked at when no repository was there, and `plain` when one was.
    let line = "echo fine > empty/hooks/pre-commit && rm empty/hooks/pre-commit && ! echo evil > plain/hooks/pre-commit && \
                rm -r empty && mv plain empty && ! echo evil > empty/hooks/pre-commit && ! echo evil >> empty/shared && \
                mkdir -p plain/hooks && echo fine > plain/hooks/pre-commit";
    run(line).ok();
    assert!(is_there("plain") && !is_there("empty"));
    // The same by an exchange, and a directory around it.
    let exchange = |one: &str, other: &str| {
        format!(
            "python3 -c 'import ctypes; exit(ctypes.CDLL(None).renameat2(-100, b\"{one}\", -100, b\"{other}\", 2) != 0)'"
        )
    };
    let line = format!(
        "! echo evil > empty/hooks/pre-commit && echo fine > plain/hooks/pre-commit && {} && ! echo evil > plain/hooks/pre-commit && \
         echo fine > empty/hooks/pre-commit && mkdir -p around/x && mv plain around/x/ && ! echo evil > around/x/plain/hooks/pre-commit && \
         mv around other && ! echo evil > other/x/plain/hooks/pre-commit && echo fine > other/x/plain/deep/file",
        exchange("empty", "plain")
    );
    run(&line).ok();
    assert!(is_there("empty") && !is_there("other/x/plain"));
    // A directory in which hooks lie stays where it is.
    outside(
        &bed,
        "cd other/x/plain && git config core.hooksPath deep/hooks",
    )
    .ok();
    run("mv other/x/plain/deep other/x/plain/old").refused();
    run("mv other/x/plain/file other/x/plain/old").ok();
}

/// Nobody looks into a directory that nobody may enter; it is looked at again when that has changed.
#[test]
fn a_repository_that_was_locked_is_looked_at_when_it_is_open() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    outside(&bed, "cd plain && git config core.hooksPath hooks").ok();
    let run = |line: &str| {
        let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
        srt.sh(line).within(60.0).run()
    };
    let line = "chmod 000 plain; mv plain worktree/plain/; mv plain bare/objects/x; mv plain moved && mv moved plain; ls plain; \
                chmod 755 plain && mkdir plain/hooks && echo evil > plain/hooks/pre-commit";
    run(line).refused();
    let hook = bed.work().join("plain/hooks/pre-commit");
    assert!(hook.symlink_metadata().is_err());
    run("echo fine > plain/beside").ok();
}

/// A repository, what its settings name, and what a command tries.
fn ways_back() -> Vec<(&'static str, &'static str, String)> {
    let evil = |at: &str| format!("mkdir -p {at}; echo evil > {at}/pre-commit");
    vec![
        (
            "plain",
            "gh",
            format!("touch plain/.git/HEAD; {}", evil("plain/gh")),
        ),
        (
            "plain",
            "gh",
            format!("git -C plain checkout -q -b y; {}", evil("plain/gh")),
        ),
        (
            "plain",
            "gh",
            format!(
                "chmod 000 plain; touch plain/x; chmod 755 plain; {}",
                evil("plain/gh")
            ),
        ),
        (
            "plain",
            "gh",
            format!(
                "chmod 000 plain/.git; touch plain/x; chmod 755 plain/.git; {}",
                evil("plain/gh")
            ),
        ),
        (
            "plain",
            "gh",
            format!(
                "mkdir x; mv plain/.git x/.git; {}; mv x/.git plain/.git",
                evil("plain/gh")
            ),
        ),
        (
            "worktree",
            "gh",
            format!(
                "touch worktree/x; mv plain plain2; {}; mv plain2 plain",
                evil("worktree/gh")
            ),
        ),
        (
            "super/sub",
            "gh",
            format!(
                "touch super/sub/x; mv super/sub/.git super/g; {}; mv super/g super/sub/.git",
                evil("super/sub/gh")
            ),
        ),
        (
            "vendor/a/b/nested",
            "WORK/vendor/a/b/nested/gh",
            format!(
                "mv vendor v2; {}; mv v2 v3; mv v3 vendor",
                evil("v2/a/b/nested/gh")
            ),
        ),
        (
            "plain",
            "../shared/hooks",
            format!(
                "touch plain/x; mkdir objects; mv plain p2; mv p2 plain; {}",
                evil("shared/hooks")
            ),
        ),
    ]
}

/// What names a hook is taken away and put back, or can't be read for a moment: in between nothing is planted.
#[test]
fn who_puts_a_repository_back_finds_no_other_hooks() {
    need!("git");
    for (shape, hooks, line) in ways_back() {
        let bed = Bed::new();
        prepare(&bed);
        let value = hooks.replace("WORK", bed.work().to_str().unwrap());
        outside(
            &bed,
            &format!("cd {shape} && git config core.hooksPath {value}"),
        )
        .ok();
        let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
        let output = srt.sh(&line).within(60.0).run();
        let place = bed.work().join(shape).join(&value).join("pre-commit");
        assert!(place.symlink_metadata().is_err(), "{line}: {output}");
        let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
        srt.sh("mkdir beside && echo fine > beside/pre-commit")
            .run()
            .ok();
    }
}

#[test]
fn a_nested_repository_with_its_hooks_is_removed_and_made_again() {
    need!("git");
    for hooks in ["hooks", "zz/hooks"] {
        let bed = Bed::new();
        prepare(&bed);
        outside(&bed, &format!("cd plain && mkdir -p {hooks} && touch {hooks}/pre-commit && git config core.hooksPath {hooks} && cp -r . ../kept")).ok();
        let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
        let line = format!(
            "rm -rf plain && git clone -q kept plain && mkdir -p plain/{hooks} && echo fine > plain/{hooks}/pre-commit"
        );
        srt.sh(&line).within(60.0).run().ok();
    }
}

#[test]
fn the_users_own_hooks_are_those_of_repositories_that_come() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let settings = bed.home().join(".gitconfig");
    let rest = fs::read_to_string(&settings).unwrap();
    fs::write(
        &settings,
        format!("{rest}[core]\n\thooksPath = shared-hooks\n"),
    )
    .unwrap();
    let run = |line: &str| {
        let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
        srt.sh(line).within(60.0).run()
    };
    run("mkdir new && echo fine > new/file && git init -q new && mkdir -p new/shared-hooks && echo evil > new/shared-hooks/pre-commit").refused();
    let hook = bed.work().join("new/shared-hooks/pre-commit");
    assert!(hook.symlink_metadata().is_err());
    run("mkdir -p no/shared-hooks && echo fine > no/shared-hooks/pre-commit").ok();
}

#[test]
fn what_hooks_of_repositories_further_down_lead_to_is_closed() {
    need!("git");
    need!("python3");
    for (shape, directory, at) in [
        ("vendor/a/b/nested", ".git", "vendor/a/b/nested/scripts"),
        ("plain", ".git", "plain/scripts"),
        ("bare", ".", "bare/scripts"),
    ] {
        let bed = Bed::new();
        prepare(&bed);
        let up = if directory == "." { ".." } else { "../.." };
        bed.file(format!("work/{at}/check"), "#!/bin/sh\nexit 0\n");
        bed.file(format!("work/{shape}/stuff/file"), "x");
        let line = format!(
            "cd {shape} && mkdir -p {directory}/hooks && ln -s {up}/scripts/check {directory}/hooks/pre-commit"
        );
        outside(&bed, &line).ok();
        let run = |line: &str| {
            let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
            srt.sh(line).within(60.0).run()
        };
        let path = format!("{at}/check");
        run(&format!("echo fine > {at}/beside && rm {at}/beside")).ok();
        refused_but_removed(&bed, &run, &path, true);
        // With all around it the link leads there as before; what it leads to alone does not move.
        run(&format!("mv {at} {at}.old")).refused();
        run(&format!("mv {shape}/stuff {shape}/stuff2 && mv {shape} moved && ! echo evil > moved/scripts/check && mv moved {shape}")).ok();
        // By a whole path it would lead to a place where there is nothing then.
        let work = bed.work().display().to_string();
        let line = format!("ln -sf {work}/{path} {shape}/{directory}/hooks/pre-commit");
        outside(&bed, &line).ok();
        run(&format!("mv {shape} moved")).refused();
        run(&format!("echo fine > {at}/beside")).ok();
    }
}

#[test]
fn other_files_that_settings_name_are_closed() {
    need!("git");
    need!("python3");
    for (key, value, path) in [
        ("core.fsmonitor", "./tools/watch", "plain/tools/watch"),
        (
            "core.attributesFile",
            "team/attributes",
            "plain/team/attributes",
        ),
        (
            "init.templateDir",
            "team/template",
            "plain/team/template/config",
        ),
        ("core.worktree", "../../other", "other/hooks/pre-commit"),
    ] {
        let bed = Bed::new();
        prepare(&bed);
        fs::create_dir(bed.work().join("other")).unwrap();
        let more = match key {
            "core.worktree" => "&& git config core.hooksPath hooks",
            _ => "",
        };
        outside(
            &bed,
            &format!("cd plain {more} && git config {key} {value}"),
        )
        .ok();
        let run = |line: &str| {
            let srt = bed.srt().flat(&rules(&[], &[], &["."], &[]));
            srt.sh(line).within(60.0).run()
        };
        // Whoever has a tree elsewhere names it from the repository, which is looked at when it is changed.
        run("echo fine > plain/beside && mkdir -p beside && echo fine > beside/pre-commit").ok();
        let planted =
            format!("echo fine > plain/beside; mkdir -p $(dirname {path}); echo evil > {path}");
        run(&planted).refused();
        assert!(bed.work().join(path).symlink_metadata().is_err(), "{key}");
    }
}

/// What values begin with, and words of a command.
#[test]
fn every_spelling_of_a_value_names_its_place() {
    need!("git");
    need!("python3");
    let user = sandbox_tests::host(Path::new("/usr/bin/id"), ["-un"])
        .ok()
        .text();
    let user = user.trim_end();
    let home = sandbox_tests::host(Path::new("/bin/sh"), ["-c", &format!("eval echo ~{user}")]);
    let home = home.ok().text();
    let home = Path::new(home.trim_end());
    for (key, value, file) in [
        (
            "core.hooksPath",
            ":(optional)own/hooks",
            "own/hooks/pre-commit",
        ),
        ("include.path", ":(optional)../own/settings", "own/settings"),
        ("core.fsmonitor", "own/watch --quiet", "own/watch"),
        ("core.fsmonitor", "sh own/watch.sh", "own/watch.sh"),
        ("core.fsmonitor", "sh watch.sh", "watch.sh"),
        ("core.fsmonitor", "\"own/watch\" -v", "own/watch"),
    ] {
        let bed = Bed::new();
        prepare(&bed);
        outside(
            &bed,
            &format!("cd plain && mkdir own && git config {key} '{value}'"),
        )
        .ok();
        let top = rules(&[], &[], &["plain"], &[]);
        let run = |line: &str| bed.srt().flat(&top).sh(line).within(60.0).run();
        let output = run(&format!(
            "cd plain && mkdir -p own/hooks; echo evil > {file}"
        ));
        let planted = bed.work().join("plain").join(file);
        assert!(
            fs::symlink_metadata(&planted).is_err(),
            "{key} {value}: {output}"
        );
        assert!(output.errors().contains(key), "{key} {value}: {output}");
        run("cd plain && echo fine > own/beside && echo fine > beside").ok();
    }
    // Of a user by name, where a command could write there.
    let bed = Bed::new();
    prepare(&bed);
    outside(
        &bed,
        &format!("cd plain && git config core.hooksPath '~{user}/srt-case-hooks'"),
    )
    .ok();
    let absent = home.join("srt-case-hooks/pre-commit");
    let policy = rules(&[], &[], &["plain", home.to_str().unwrap()], &[]);
    let output = bed
        .srt()
        .flat(&policy)
        .args(["explain", "write", absent.to_str().unwrap()])
        .run();
    assert!(output.text().starts_with("deny"), "{output}");
}

/// git reads the user's settings in `XDG_CONFIG_HOME`, and so do those who call it outside.
#[test]
fn settings_of_the_user_are_closed_where_the_environment_says_they_are() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    bed.file("work/conf/git/config", "");
    let hooks = bed.work().join("shared").display().to_string();
    let path = bed.work().join("conf/git/config");
    fs::write(&path, format!("[core]\n\thooksPath = {hooks}\n")).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    let policy = rules(&[], &[], &["."], &[]);
    let conf = bed.work().join("conf");
    let run = |line: &str| {
        let srt = bed.srt().flat(&policy).env("XDG_CONFIG_HOME", &conf);
        srt.sh(line).within(60.0).run()
    };
    for line in [
        "echo evil >> conf/git/config",
        "echo evil > e && mv e conf/git/config",
        "echo '* filter=x' > conf/git/attributes",
        "mv conf/git old",
        "mv conf old",
        "mkdir -p shared && echo evil > shared/pre-commit",
    ] {
        let output = run(line);
        assert!(!output.succeeded(), "{line}: {output}");
        assert_eq!(
            fs::read_to_string(&path).ok().as_ref(),
            Some(&before),
            "{line}"
        );
        run("rm -rf e").ok();
    }
    assert!(fs::symlink_metadata(bed.work().join("shared/pre-commit")).is_err());
    run("echo fine > conf/other && git -C plain status").ok();
    // Without the variable it is a directory like any other.
    bed.srt()
        .flat(&policy)
        .sh("echo own >> conf/git/attributes")
        .run()
        .ok();
}
