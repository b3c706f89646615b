//! Repositories of every shape: git works in them, and what git would execute is not planted.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sandbox_tests::{Bed, Output, host, need, python};
use serde_json::Value;

use crate::rules;

/// Shapes of repositories below the directory of the first argument, each `<shape>` a work tree or,
/// for `bare`, the repository itself.
const PREPARE: &str = r#"
set -e
cd "$1"; export HOME="$1" GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
fill() { git -C "$1" config user.email a@example.com; git -C "$1" config user.name A
  echo one > "$1/file"; echo two > "$1/other"; git -C "$1" add .; git -C "$1" commit -q -m first; }
git init -q -b main plain; fill plain
git init -q -b main main; fill main; git -C main worktree add -q ../worktree -b side
git init -q -b main super; fill super
git -C super -c protocol.file.allow=always submodule --quiet add "$1/plain" sub; git -C super commit -q -m sub
git -C super/sub config user.email a@example.com; git -C super/sub config user.name A
git init -q -b main --separate-git-dir=apart.git separate; fill separate
git clone -q --bare plain bare
git init -q -b main linked; fill linked; mv linked/.git real-git; ln -s ../real-git linked/.git
git init -q -b main pointed; fill pointed; mkdir -p stores/deep; mv pointed/.git stores/deep/store
printf 'gitdir: ../stores/deep/store\n' > pointed/.git
git -C pointed config core.worktree "$1/pointed"
git init -q -b main vendor/a/b/nested; fill vendor/a/b/nested
"#;

const SHAPES: &[&str] = &[
    "plain",
    "main",
    "worktree",
    "super",
    "super/sub",
    "separate",
    "linked",
    "pointed",
    "vendor/a/b/nested",
];

pub(crate) fn settings() -> Value {
    rules(&[], &[], &["."], &[])
}

pub(crate) fn prepare(bed: &Bed) {
    bed.file(
        "home/.gitconfig",
        "[user]\n\temail = a@example.com\n\tname = A\n[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n",
    );
    let words = ["-c", PREPARE, "sh"].map(std::ffi::OsStr::new);
    host(
        Path::new("/bin/sh"),
        words.into_iter().chain([bed.work().as_os_str()]),
    )
    .ok();
}

#[track_caller]
pub(crate) fn inside(bed: &Bed, line: &str) -> Output {
    bed.srt()
        .flat(&settings())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .sh(line)
        .within(120.0)
        .run()
}

/// The same line with the same environment, but outside.
#[track_caller]
pub(crate) fn outside(bed: &Bed, line: &str) -> Output {
    let set = format!(
        "export HOME='{}' GIT_CONFIG_NOSYSTEM=1; cd '{}' && {{ {line}; }}",
        bed.home().display(),
        bed.work().display()
    );
    host(Path::new("/bin/sh"), ["-c", &set])
}

/// The directories that git itself says it uses in a place.
fn git_directories(bed: &Bed, place: &str) -> Vec<PathBuf> {
    let line =
        format!("cd {place} && git rev-parse --path-format=absolute --git-dir --git-common-dir");
    let output = outside(bed, &line).ok();
    let mut found: Vec<PathBuf> = output
        .text()
        .lines()
        .map(|line| Path::new(line).canonicalize().unwrap())
        .collect();
    found.dedup();
    assert!(!found.is_empty(), "{output}");
    found
}

#[test]
fn what_rev_parse_resolves_is_protected() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    for shape in SHAPES.iter().chain(&["bare"]) {
        for directory in git_directories(&bed, shape) {
            let d = directory.display();
            let config = directory.join("config");
            let before = std::fs::read(&config).ok();
            let refuse = |line: &str| {
                let output = inside(&bed, line);
                let what = format!("{shape}: `{line}`\n{output}");
                assert!(output.code() != Some(125), "{what}");
                for planted in ["hooks/pre-commit", "hooks/post-checkout", "info/attributes"] {
                    let found = std::fs::read_to_string(directory.join(planted));
                    assert!(found.is_err(), "{planted} is there: {what}");
                }
                match (std::fs::read(&config), &before) {
                    (Ok(now), before) => assert_eq!(Some(&now), before.as_ref(), "{what}"),
                    // A repository inside may be removed, but not made anew.
                    (Err(_), Some(before)) => std::fs::write(&config, before).unwrap(),
                    (Err(_), None) => {}
                }
                assert!(directory.symlink_metadata().is_ok(), "gone: {what}");
                output
            };
            for line in [
                format!("mkdir -p {d}/hooks; echo evil > {d}/hooks/pre-commit"),
                format!(
                    "echo evil > e; chmod +x e; mkdir -p {d}/hooks; mv e {d}/hooks/post-checkout"
                ),
                format!("echo evil > e; mkdir -p {d}/hooks; ln e {d}/hooks/post-checkout"),
                format!("mkdir -p {d}/hooks; ln -s ../../e {d}/hooks/post-checkout"),
                format!("mkdir -p {d}/info; echo '* filter=evil' > {d}/info/attributes"),
                format!("cp {d}/hooks/pre-commit.sample {d}/hooks/pre-commit"),
                format!("mv {d}/hooks/pre-commit.sample {d}/hooks/pre-commit"),
            ] {
                refuse(&line).refused();
            }
            let absent = before.is_none();
            for part in ["config", "hooks/pre-commit", "info/attributes"] {
                let path = directory.join(part);
                let srt = bed.srt().flat(&settings());
                let output = srt.args(["explain", "write", path.to_str().unwrap()]).run();
                let is_told = output.text().starts_with("deny write");
                assert!(is_told || (absent && part == "config"), "{shape}: {output}");
            }
            if before.is_some() {
                for line in [
                    format!("echo evil >> {d}/config"),
                    format!("echo evil > e; mv -f e {d}/config"),
                    format!("rm -f {d}/config; echo evil > {d}/config"),
                    format!("cd {shape} && git config core.fsmonitor evil"),
                    format!("cd {shape} && git config alias.x '!evil'"),
                    format!("cd {shape} && git config core.hooksPath evil"),
                ] {
                    refuse(&line).refused();
                }
            }
            // Neither may stand elsewhere for a while.
            refuse(&format!(
                "mv {d} {d}2; mkdir -p {d}2/hooks; echo evil > {d}2/hooks/pre-commit; echo evil >> {d}2/config; mv {d}2 {d}"
            ));
            refuse(&format!(
                "mv {d}/hooks {d}/h2; mkdir {d}/hooks; echo evil > {d}/hooks/pre-commit; rm -r {d}/hooks; mv {d}/h2 {d}/hooks"
            ));
        }
        // A work tree is open.
        if *shape != "bare" {
            inside(&bed, &format!("cd {shape} && echo x > free && rm free")).ok();
        }
    }
}

/// Whatever becomes of the pointer: it leads to nothing that the command prepared.
#[test]
fn a_pointer_leads_to_nothing_prepared() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    inside(&bed, "echo x > plain/free").ok();
    let evil = "mkdir -p evil/hooks evil/objects evil/refs; echo evil > evil/hooks/pre-commit; printf '[core]\\n\\tfsmonitor = evil\\n' > evil/config; echo 'ref: refs/heads/main' > evil/HEAD";
    for shape in ["worktree", "super/sub", "separate", "pointed", "linked"] {
        let up = if shape.contains('/') { "../.." } else { ".." };
        for line in [
            format!("echo 'gitdir: {up}/evil' > {shape}/.git"),
            format!("echo 'gitdir: {up}/evil' > e; mv -f e {shape}/.git"),
            format!("ln -sfn {up}/evil {shape}/.git"),
            format!("rm -f {shape}/.git; ln -s {up}/evil {shape}/.git"),
            format!("rm -f {shape}/.git; mv evil {shape}/.git"),
            format!("rm -f {shape}/.git; cp -r evil {shape}/.git"),
            format!("ln -s {up}/evil e; mv -T e {shape}/.git"),
        ] {
            let output = inside(&bed, &format!("{evil}; {line}"));
            let resolve =
                format!("cd {shape} && git rev-parse --path-format=absolute --git-common-dir");
            let common = outside(&bed, &resolve);
            let common = PathBuf::from(common.text().trim());
            let hook = common.join("hooks/pre-commit").symlink_metadata();
            assert!(hook.is_err(), "`{line}` gave {shape} a hook\n{output}");
            let config = std::fs::read_to_string(common.join("config"));
            let config = config.is_ok_and(|text| text.contains("evil"));
            assert!(!config, "`{line}` gave {shape} a key\n{output}");
            std::fs::remove_dir_all(bed.work().join("evil")).ok();
        }
    }
}

#[test]
fn git_works_in_every_shape() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let steps = [
        "git status --porcelain",
        "echo new > new && git add -A && git commit -q -m second",
        "git switch -q -c topic-$S && echo more >> file && git commit -q -am third",
        "git branch other-$S && git branch -D other-$S",
        "echo x >> file && git stash -q && git stash pop -q && git checkout -q file",
        "git switch -q - && echo y > y && git add y && git commit -q -m fourth && git switch -q topic-$S && git rebase -q @{-1}",
        "git merge -q @{-1} && git cherry-pick --quit && git reset -q --hard && git clean -qfd",
        "git tag v1-$S && git tag -a v2-$S -m v2 && git notes add -f -m note",
        "git gc -q --prune=now && git fsck && git repack -adq && git prune && git pack-refs --all",
        "git worktree add -q --detach ../extra && git -C ../extra status --porcelain && git worktree remove ../extra && git worktree prune",
        "git rm -q other && git mv file moved && git commit -q -m fifth",
        "git diff --stat HEAD~1 && git log --oneline && git reflog && git blame moved",
        "git bisect start && git bisect reset",
        "git update-index --refresh && git sparse-checkout list || true",
        "git status --porcelain",
    ];
    for shape in SHAPES {
        for step in steps {
            if *shape == "super" && step.contains("worktree add") {
                // `.gitmodules` comes with the work tree, and is protected in it.
                continue;
            }
            let name = shape.replace('/', "-");
            let output = inside(&bed, &format!("S={name}; cd {shape} && {{ {step}; }}"));
            assert!(output.succeeded(), "{shape}: `{step}`\n{output}");
            if step.ends_with("--porcelain") {
                output.prints("");
            }
        }
        // What was made is sound.
        outside(&bed, &format!("cd {shape} && git fsck --strict")).ok();
    }
    for step in [
        "git log --oneline",
        "git branch b && git branch -D b",
        "git gc -q",
        "git fetch -q ../plain main:fetched",
        "git tag t && git update-ref refs/heads/u HEAD",
    ] {
        inside(&bed, &format!("cd bare && {step}")).ok();
    }
    inside(&bed, "git clone -q bare again && cd again && echo z > z && git add z && git commit -q -m z && git push -q origin HEAD:pushed").ok();
    outside(&bed, "git -C bare rev-parse pushed").ok();
    inside(
        &bed,
        "cd super && git submodule update -q --init && git submodule status",
    )
    .ok();
}

/// git executes what these name.
const EXECUTABLE: &[(&str, &str)] = &[
    ("core.fsmonitor", "evil"),
    ("core.hooksPath", "evil"),
    ("core.sshCommand", "evil"),
    ("core.pager", "evil"),
    ("core.editor", "evil"),
    ("alias.st", "!evil"),
    ("filter.x.clean", "evil"),
    ("filter.x.smudge", "evil"),
    ("filter.x.process", "evil"),
    ("diff.external", "evil"),
    ("diff.x.textconv", "evil"),
    ("diff.x.command", "evil"),
    ("merge.x.driver", "evil"),
    ("credential.helper", "!evil"),
    ("uploadpack.packObjectsHook", "evil"),
    ("gpg.program", "evil"),
    ("include.path", "../evil"),
    ("remote.origin.uploadpack", "evil"),
    ("submodule.x.update", "!evil"),
    ("sequence.editor", "evil"),
    ("pager.log", "evil"),
    ("core.gitProxy", "evil"),
    ("protocol.ext.allow", "always"),
    ("browser.x.cmd", "evil"),
    ("core.askPass", "evil"),
    ("remote.origin.vcs", "evil"),
    ("interactive.diffFilter", "evil"),
];

#[test]
fn a_new_repository_works_and_is_protected_at_once() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let ways = [
        ("git init -q fresh", "fresh", "fresh/.git"),
        (
            "git init -q deep/a/b/fresh",
            "deep/a/b/fresh",
            "deep/a/b/fresh/.git",
        ),
        ("git init -q --bare fresh.git", "fresh.git", "fresh.git"),
        ("git init -q --separate-git-dir=store away", "away", "store"),
        ("git clone -q plain copy", "copy", "copy/.git"),
        ("git clone -q --bare plain copy.git", "copy.git", "copy.git"),
        (
            "git clone -q --no-local plain copied",
            "copied",
            "copied/.git",
        ),
        (
            "git clone -q --mirror plain mirror.git",
            "mirror.git",
            "mirror.git",
        ),
    ];
    for (make, place, directory) in ways {
        let output = inside(&bed, make);
        assert!(output.succeeded(), "`{make}`\n{output}");
        outside(&bed, &format!("git -C {place} rev-parse --git-dir")).ok();
        let directory = bed.work().join(directory);
        let config = std::fs::read(directory.join("config")).unwrap();
        if !place.ends_with(".git") {
            let line = format!(
                "cd {place} && echo x > made && git add -A && git commit -q -m made && git status --porcelain"
            );
            inside(&bed, &line).ok().prints("");
        }
        for line in [
            "mkdir -p $D/hooks; echo evil > $D/hooks/pre-commit",
            "mkdir -p $D/hooks; echo evil > e; mv e $D/hooks/pre-commit",
            "cp $D/hooks/pre-commit.sample $D/hooks/pre-commit",
            "mkdir -p $D/info; echo '* filter=x' > $D/info/attributes",
            "printf '[core]\\n\\tfsmonitor = evil\\n' >> $D/config",
            "printf '[core]\\n\\tfsmonitor = evil\\n' > e; mv -f e $D/config",
            "mv $D $D.x; printf '[core]\\n\\tfsmonitor = evil\\n' >> $D.x/config; mkdir -p $D.x/hooks; echo evil > $D.x/hooks/pre-commit; mv $D.x $D",
        ] {
            let srt = bed.srt().flat(&settings()).env("D", directory.as_os_str());
            let output = srt.sh(line).run();
            let what = format!("`{make}`, `{line}`\n{output}");
            for planted in ["hooks/pre-commit", "info/attributes"] {
                let found = directory.join(planted).symlink_metadata();
                assert!(found.is_err(), "{planted} was planted: {what}");
            }
            let now = std::fs::read(directory.join("config")).unwrap();
            assert_eq!(now, config, "{what}");
        }
    }
    for (key, value) in EXECUTABLE {
        let line = format!("cd fresh && git config {key} '{value}'");
        inside(&bed, &line);
        let found = outside(&bed, &format!("git -C fresh config --local {key}"));
        assert!(!found.text().contains(value), "{key}: {found}");
    }
}

/// git tries what modes mean on the settings of a repository that is there, and writes them as they were.
#[test]
fn a_repository_can_be_initialised_again() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    for shape in ["plain", "main", "vendor/a/b/nested"] {
        let config = bed.work().join(shape).join(".git/config");
        let state = || {
            let mode = std::fs::metadata(&config).unwrap().permissions().mode();
            (mode, std::fs::read(&config).unwrap())
        };
        let before = state();
        inside(&bed, &format!("git init {shape}")).ok();
        inside(&bed, &format!("cd {shape} && git init -q -b other")).ok();
        assert_eq!(state(), before, "{shape}");
        // Nothing else of the mode is the command's.
        for mode in ["777", "600", "4744"] {
            inside(&bed, &format!("chmod {mode} {shape}/.git/config")).refused();
        }
        assert_eq!(state(), before, "{shape}");
    }
}

/// libgit2 (cargo, and others) makes the settings of a new repository empty before it writes their lock file.
#[test]
fn settings_of_a_new_repository_can_be_made_empty_first() {
    need!("git");
    let python = python!();
    let bed = Bed::new();
    let program = "import os, sys\n\
        os.makedirs('new/.git'); os.chdir('new/.git')\n\
        kept = os.open('config', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)\n\
        evil = b'[core]\\n\\tfsmonitor = evil\\n'\n\
        os.write(kept, evil); os.ftruncate(kept, 9)\n\
        again = os.open(f'/proc/self/fd/{kept}', os.O_WRONLY); os.write(again, evil)\n\
        open('config', 'wb').write(evil)\n\
        print(os.path.getsize('config'))\n\
        open('config.lock', 'w').write('[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n')\n\
        os.rename('config.lock', 'config')\n\
        print(os.path.getsize('config') > 0)\n\
        for name in ('objects', 'refs', 'refs/heads'): os.mkdir(name)\n\
        open('HEAD.lock', 'w').write('ref: refs/heads/main\\n'); os.rename('HEAD.lock', 'HEAD')";
    let srt = bed.srt().flat(&settings()).py(&python, program, &[]);
    let output = srt.run().ok();
    assert_eq!(output.text(), "0\nTrue\n", "{output}");
    outside(
        &bed,
        "git -C new status --porcelain && git -C new config --list --local",
    )
    .ok();
    let config = std::fs::read_to_string(bed.work().join("new/.git/config")).unwrap();
    assert!(
        !config.contains("evil") && config.contains("bare"),
        "{config}"
    );
}

#[test]
fn keys_that_execute_do_not_come_with_the_first_configuration() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    bed.file("work/template/hooks/post-checkout", "#!/bin/sh\nevil\n");
    bed.file("work/template/config", "[core]\n\tfsmonitor = evil\n");
    bed.file("work/template/info/attributes", "* filter=x\n");
    for (number, line) in [
        "git init -q --template=$PWD/template $N",
        "git -c init.templateDir=$PWD/template init -q $N",
        "git clone -q --template=$PWD/template plain $N",
        "git clone -q -c core.fsmonitor=evil -c core.hooksPath=evil -c core.sshCommand=evil plain $N",
        "GIT_TEMPLATE_DIR=$PWD/template git init -q $N",
        "mkdir -p $N/.git && cp template/config $N/.git/config && git init -q $N",
        "mkdir -p $N/.git/hooks && cp template/hooks/* $N/.git/hooks/; git init -q $N",
        "git init -q $N; cd $N; git config core.fsmonitor evil",
        "git init -q $N; cd $N; rm -rf .git; mkdir .git; cp ../template/config .git/config; git init -q",
        "git init -q $N; mv $N/.git $N/g; cp template/config $N/g/config; mv $N/g $N/.git",
        "mkdir $N; cp -r template $N/g; git init -q x$N; cp -r x$N/.git/objects x$N/.git/refs x$N/.git/HEAD $N/g/; mv $N/g $N/.git",
        "git init -q $N; cd $N; printf '[include]\\n\\tpath = ../../evil\\n' > .git/config.lock; mv .git/config.lock .git/config",
    ]
    .iter()
    .enumerate()
    {
        let output = inside(&bed, &format!("N=n{number}; {line}"));
        assert!(output.code() != Some(125), "{output}");
        for file in ["hooks/post-checkout", "info/attributes"] {
            let path = bed.work().join(format!("n{number}/.git/{file}"));
            assert!(
                path.symlink_metadata().is_err(),
                "`{line}` made {file}\n{output}"
            );
        }
        let path = bed.work().join(format!("n{number}/.git/config"));
        let config = std::fs::read_to_string(path).unwrap_or_else(|_| String::new());
        assert!(!config.contains("evil"), "`{line}`: {config}\n{output}");
    }
    // Outside all of it works: the lines are right.
    outside(&bed, "git init -q --template=$PWD/template control && test -e control/.git/hooks/post-checkout && git clone -q -c core.fsmonitor=evil plain control2 && git -C control2 config core.fsmonitor").ok();
}

#[test]
fn a_git_directory_is_not_put_together_around_what_was_prepared() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let parts = [
        "mkdir -p $D/hooks; echo evil > $D/hooks/post-checkout; chmod +x $D/hooks/post-checkout",
        "printf '[core]\\n\\tbare = true\\n\\tfsmonitor = evil\\n' > $D/config",
        "mkdir -p $D/objects $D/refs/heads",
        "echo 'ref: refs/heads/main' > $D/HEAD",
    ];
    let orders: [&[usize]; 6] = [
        &[0, 1, 2, 3],
        &[0, 1, 3, 2],
        &[2, 3, 0, 1],
        &[3, 2, 1, 0],
        &[1, 2, 0, 3],
        &[0, 2, 1, 3],
    ];
    for (number, order) in orders.iter().enumerate() {
        for (name, extra) in [
            ("bare", ""),
            ("late", "; mv $D/objects $D/o; mv $D/o $D/objects"),
            ("moved", "; mv $D $D-moved"),
            (
                "split",
                "; mkdir $D-moved; mv $D/HEAD $D-moved/; printf '%s\\n' $D > $D-moved/commondir",
            ),
        ] {
            let place = bed.work().join(format!("{name}{number}"));
            let lines: Vec<&str> = order.iter().map(|part| parts[*part]).collect();
            let line = lines.join("; ") + extra;
            let srt = bed.srt().flat(&settings()).env("D", place.as_os_str());
            let output = srt.sh(&line).run();
            assert!(output.code() != Some(125), "{output}");
            for directory in [
                place.clone(),
                PathBuf::from(format!("{}-moved", place.display())),
            ] {
                let resolved = outside(
                    &bed,
                    &format!(
                        "git --git-dir='{}' rev-parse --git-dir",
                        directory.display()
                    ),
                );
                let common = outside(
                    &bed,
                    &format!(
                        "git --git-dir='{}' rev-parse --path-format=absolute --git-common-dir",
                        directory.display()
                    ),
                );
                let common = PathBuf::from(common.text().trim());
                let hook = common
                    .join("hooks/post-checkout")
                    .symlink_metadata()
                    .is_ok();
                let config = std::fs::read_to_string(common.join("config"));
                let config = config.is_ok_and(|text| text.contains("evil"));
                assert!(
                    !resolved.succeeded() || !(hook || config),
                    "a repository with a planted hook ({hook}) or key ({config}): `{line}`\n{output}"
                );
            }
        }
    }
    // Files of such names in an ordinary directory are nobody's business.
    inside(&bed, "mkdir -p app/hooks app/objects && echo x > app/hooks/use.ts && echo x > app/config && echo y > app/config").ok();
    // And the same parts make a repository where nobody is in the way.
    let line = format!(
        "D=control; {}; git --git-dir=control rev-parse --git-dir",
        parts.join("; ")
    );
    outside(&bed, &line).ok();
}

#[test]
fn status_is_the_same_inside_and_outside() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    inside(
        &bed,
        "cd plain && echo u > untracked && echo x >> file && mkdir -p d/e && echo x > d/e/f",
    )
    .ok();
    for shape in SHAPES {
        let line = format!("cd {shape} && git status --porcelain --ignored -uall");
        let output = inside(&bed, &line).ok();
        assert_eq!(output.text(), outside(&bed, &line).ok().text(), "{shape}");
    }
    // With every kind of rule, also about what is not there.
    let settings = rules(
        &["**/.env", "plain/hidden", "absent/dir"],
        &[],
        &[".", "plain/not/there", "../outside/none"],
        &["**/*.lck", "plain/locked", ".git/hooks", "none/at/all"],
    );
    let line = "cd plain && git status --porcelain -uall && git add -A && git status --porcelain && git commit -q -m all && git status --porcelain --ignored";
    let expected = outside(&bed, "cd plain && git status --porcelain -uall")
        .ok()
        .text();
    let output = bed.srt().flat(&settings).sh(line).within(60.0).run().ok();
    assert!(output.text().starts_with(&expected), "{expected}\n{output}");
    assert_eq!(output.text().matches("untracked").count(), 2, "{output}");
    outside(&bed, "cd plain && git status --porcelain")
        .ok()
        .prints("");
}

/// Links and loops where git directories are looked for lock nobody out.
#[test]
fn odd_git_entries_do_not_stop_the_start() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let odd = [
        "mkdir odd1 && ln -s . odd1/.git",
        "mkdir odd2 && ln -s .git odd2/.git",
        "mkdir odd3 && ln -s ../../.. odd3/.git",
        "mkdir odd4 && printf 'gitdir: .git\\n' > odd4/.git",
        "mkdir odd5 && printf 'gitdir: ../odd5\\n' > odd5/.git",
        "mkdir odd6 && mkdir odd6/.git && ln -s ../.. odd6/.git/hooks",
        "mkdir odd7 && printf 'gitdir: /nonexistent\\n' > odd7/.git",
        "mkdir odd8 && printf 'gitdir: ../plain/.git%1000s\\n' '' > odd8/.git",
        "mkdir odd9 && : > odd9/.git",
        "mkdir odd10 && head -c 2000000 /dev/zero > odd10/.git",
        "mkdir odd11 && mkfifo odd11/.git",
        "mkdir -p odd12/.git && ln -s HEAD odd12/.git/HEAD",
        "ln -s nowhere .git",
    ];
    for line in odd {
        outside(&bed, line).ok();
        for place in [bed.work().to_owned(), bed.work().join("plain")] {
            let srt = bed.srt().flat(&settings()).directory(&place);
            srt.sh("echo x > free && rm free").run().ok();
        }
    }
    for (number, place) in (1..=12).map(|number| (number, format!("odd{number}"))) {
        let line = format!("cd {place} && mkdir -p sub && echo x > sub/f && rm -r sub");
        let output = inside(&bed, &line);
        assert!(output.succeeded(), "odd{number}\n{output}");
    }
}

#[test]
fn a_nested_repository_can_be_removed() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    inside(&bed, "rm -rf vendor").ok();
    assert!(bed.work().join("vendor").symlink_metadata().is_err());
    inside(&bed, "git clone -q plain copy && rm -rf copy").ok();
    assert!(bed.work().join("copy").symlink_metadata().is_err());
}

#[test]
fn a_nested_project_can_be_removed_with_all_it_has() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    outside(&bed, "cp -r plain whole && cd whole && mkdir -p .github/workflows .vscode .husky && touch .github/workflows/ci.yml .vscode/settings.json .husky/pre-commit .npmrc .envrc AGENTS.md .gitmodules && git add -A && git commit -q -m all").ok();
    inside(&bed, "rm -rf whole").ok();
    assert!(bed.work().join("whole").symlink_metadata().is_err());
}

/// The excuse is for what a repository has: nobody removes other protected files by carrying them into one.
#[test]
fn what_is_carried_into_a_nested_repository_does_not_go_with_it() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let names = [
        "proj/.claude/settings.json",
        "proj/.npmrc",
        "team/.github/workflows/ci.yml",
        "deep/er/.envrc",
    ];
    for name in names {
        bed.file(format!("work/{name}"), "old");
    }
    for line in [
        "mv proj team deep vendor/a/b/nested; cd vendor/a/b/nested; rm -f proj/.claude/settings.json proj/.npmrc \
         team/.github/workflows/ci.yml deep/er/.envrc; mv proj team deep ../../../..",
        // As a part of something new, after `.git` is gone, and in exchange.
        "mkdir new; mv proj team deep new; mv new vendor/a/b/nested; cd vendor/a/b/nested; rm -rf .git; rm -rf new; \
         mv new/* ../../../..; mv proj team deep ../../../..; true",
        "mkdir -p plain/w/x plain/w/y plain/w/z; cd plain; swap() { python3 -c 'import ctypes, sys; \
         print(ctypes.CDLL(None).renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), 2))' \"$@\"; }; \
         swap ../proj w/x; swap ../team w/y; swap ../deep w/z; rm -rf w; swap ../proj w/x; swap ../team w/y; \
         swap ../deep w/z; true",
    ] {
        inside(&bed, line);
        for name in names {
            let content = std::fs::read(bed.work().join(name));
            assert_eq!(
                content.ok().as_deref(),
                Some(&b"old"[..]),
                "{name} after {line}"
            );
        }
    }
    // What is moved about in a repository still goes with it, and so does a repository in another one.
    outside(
        &bed,
        "mkdir -p plain/dir && touch plain/dir/.npmrc && cp -r plain other && cp -r plain third",
    )
    .ok();
    inside(
        &bed,
        "cd plain && mkdir -p sub && mv dir sub && cd .. && mv other plain/sub && rm -rf plain",
    )
    .ok();
    assert!(bed.work().join("plain").symlink_metadata().is_err());
    // A move that fails carries nothing.
    outside(&bed, "cp -r third fourth").ok();
    let line = "python3 -c 'import os; os.rename(\"third/dir\", \"fourth/dir\")'; rm -rf third";
    let output = inside(&bed, line);
    assert!(output.errors().contains("not empty"), "{output}");
    assert!(bed.work().join("third").symlink_metadata().is_err());
}
