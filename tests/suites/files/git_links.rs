//! Symlinks and FIFOs in git directories: git writes through the one, and waits for the other.

use std::{
    fs,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use sandbox_tests::{Bed, need, timeout, wait_until};
use serde_json::json;

use crate::{
    git::{inside, outside, prepare, settings},
    rules,
};

/// What git writes to, or removes things in, without a look at what it is.
const NAMES: &[&str] = &[
    "COMMIT_EDITMSG",
    "MERGE_MSG",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "packed-refs",
    "logs/HEAD",
    "logs/refs/heads/main",
    "refs/heads/other",
    "refs/remotes/new",
    "objects/ab",
    "worktrees/other",
    "rebase-merge",
    "index.lock",
];

const DIRECTORIES: &[&str] = &[
    "plain/.git",
    "main/.git/worktrees/worktree",
    "super/.git/modules/sub",
    "apart.git",
    "stores/deep/store",
    "bare",
    "vendor/a/b/nested/.git",
];

/// What is neither a file nor a directory in a tree.
fn special(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_symlink() || kind.is_fifo() {
                found.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn nothing_in_a_git_directory_leads_elsewhere() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let target = bed.file("home/.bashrc", "own\n");
    let target = target.display();
    for directory in DIRECTORIES {
        let at = bed.work().join(directory);
        assert_eq!(special(&at), [] as [PathBuf; 0], "{directory}");
        for name in NAMES {
            let above = Path::new(name).parent().unwrap().display().to_string();
            let n = format!("{directory}/{name}");
            let all = format!(
                "mkdir -p {directory}/./{above}; mv {n} aside 2>/dev/null
                 try() {{ rm -rf l d; eval \"$1\" 2>/dev/null && echo \"$1\"; }}
                 try 'ln -s {target} {n}'
                 try 'ln -s {target} l && mv -T l {n}'
                 try 'ln -s {target} l && ln -P l {n}'
                 try 'mkdir d && ln -s {target} d/HEAD && mv -T d {n}'
                 try 'mkdir -p d/e/f && ln -s {target} d/e/f/x && mv -T d {n}'
                 try 'mkfifo {n}'
                 try 'mkfifo l && mv -T l {n}'
                 try 'mkfifo l && ln l {n}'
                 rm -rf l d; ln -s {target} beside && mkdir {n}.new && echo x > {n}.new/file && mv -T {n}.new {n} && rm -r {n} && echo made
                 rm -f beside; mv aside {n} 2>/dev/null; :"
            );
            let output = inside(&bed, &all).ok();
            // A lock file of git's has a name of its own, which is a file there.
            assert_eq!(output.text(), "made\n", "{n}: {output}");
            assert_eq!(special(&at), [] as [PathBuf; 0], "{n}");
        }
    }
    outside(&bed, "cd plain && echo more >> file && GIT_EDITOR=true git commit -q -a -m evil && git gc -q && git worktree prune").ok();
    inside(&bed, "cd plain && echo yet >> file && git commit -q -a -m inside && git branch other && git gc -q && git status --porcelain && ln -s file link && git add link && git commit -q -m link").ok();
    assert_eq!(
        fs::read_to_string(bed.home().join(".bashrc")).unwrap(),
        "own\n"
    );
}

/// git tries in each new repository whether links can be made, and working trees in a bare one hold any.
#[test]
fn repositories_made_inside_have_symlinks() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    outside(
        &bed,
        "cd plain && ln -s file link && git add link && git commit -q -m link",
    )
    .ok();
    let output = inside(
        &bed,
        "git init -q new && ! git -C new config core.symlinks && git clone -q plain copy && readlink copy/link && ! git -C copy config core.symlinks",
    );
    assert_eq!(output.ok().text(), "file\n");
    let line = "git clone -q --bare plain b && cd b && git worktree add -q main && cd main && readlink link && mkdir -p node_modules/.bin node_modules/p && ln -s ../p/x node_modules/.bin/x && mkfifo pipe && mkdir d && ln -s x d/y && mv d e && git status --porcelain -uno";
    assert_eq!(inside(&bed, line).ok().text(), "file\n");
    inside(&bed, "ln -s ../main b/logs").refused();
    inside(&bed, "mkdir -p plain/.git/annex/othertmp/1 && ln -s ../file plain/.git/annex/othertmp/1/l && mv plain/.git/annex/othertmp/1/l plain/annexed").ok();
    inside(&bed, "cd plain/.git/annex/othertmp && git init -q --bare x && rm -rf x/logs && ln -s /etc x/logs").refused();
    inside(&bed, "mkdir -p b/logs && ln -s ../main b/logs/HEAD").refused();
}

/// Before git had its own kind, `HEAD` was a symlink.
#[test]
fn head_may_be_a_symlink_to_a_reference_alone() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let line = "cd plain && git branch other && ln -s refs/heads/other h && mv -T h .git/HEAD && git symbolic-ref HEAD";
    assert_eq!(inside(&bed, line).ok().text(), "refs/heads/other\n");
    for text in ["../../home/.bashrc", "refs/../../x", "/etc/passwd", "logs"] {
        inside(
            &bed,
            &format!("cd plain && rm -f h && ln -s {text} h && mv -T h .git/HEAD"),
        )
        .refused();
    }
    let seen = outside(&bed, "cd plain && git symbolic-ref HEAD").ok();
    assert_eq!(seen.text(), "refs/heads/other\n");
}

#[test]
fn a_directory_with_a_link_does_not_become_a_repository() {
    need!("git");
    let bed = Bed::new();
    for (what, line) in [
        (
            "pieces",
            "mkdir n && ln -s ../../home n/logs && mkdir n/refs && mkdir n/objects",
        ),
        (
            "deeper",
            "mkdir -p n/a/b && ln -s ../../home n/a/b/c && mkdir n/refs && mkdir n/objects",
        ),
        (
            "a pipe",
            "mkdir n && mkfifo n/other && mkdir n/refs && mkdir n/objects",
        ),
        (
            "moved",
            "mkdir -p n w && ln -s ../../home n/logs && mv n w/.git",
        ),
        (
            "exchanged",
            "mkdir -p n w/.git && ln -s ../../home n/logs && python3 -c 'import ctypes; exit(ctypes.CDLL(None).renameat2(-100, b\"n\", -100, b\"w/.git\", 2) != 0)'",
        ),
    ] {
        let output = inside(&bed, &format!("rm -rf n w; {line}"));
        assert!(!output.succeeded(), "{what}: {output}");
        for at in ["n/objects", "w/.git/logs"] {
            assert!(bed.work().join(at).symlink_metadata().is_err(), "{what}");
        }
        // `.git` comes from nowhere else anyway.
        if line.contains(".git") {
            continue;
        }
        let plain = line
            .replace("ln -s ../../home ", "echo x > ")
            .replace("mkfifo n/other", "touch n/other");
        inside(&bed, &format!("rm -rf n w; {plain}")).ok();
    }
}

/// How a directory `n` becomes a git directory by names that come one by one, by moves, by an exchange of one name, and
/// by one of the whole directory.
const BECOMES: &[&str] = &[
    "mkdir n/objects && mkdir n/refs",
    "mkdir n/objects && echo 'ref: refs/heads/main' > n/HEAD",
    "echo .. > n/commondir && echo 'ref: refs/heads/main' > n/HEAD",
    "mkdir a b && mv a n/objects && mv b n/refs",
    "mkdir n/objects n/HEAD && echo x > a && python3 -c 'import ctypes; exit(ctypes.CDLL(None).renameat2(-100, b\"a\", -100, b\"n/HEAD\", 2) != 0)'",
    "mkdir -p m/logs/deep/er m/tree/logs && mkdir m/objects m/refs && python3 -c 'import ctypes; exit(ctypes.CDLL(None).renameat2(-100, b\"n\", -100, b\"m\", 2) != 0)'",
];

/// Links are made before, where git has its own and where it has none, and tried after.
#[test]
fn a_directory_that_becomes_a_git_directory_is_one_at_once() {
    need!("python3");
    for way in BECOMES {
        for by_host in [false, true] {
            let bed = Bed::new();
            let change = if by_host {
                "touch ready; until test -e go; do sleep 0.01; done"
            } else {
                way
            };
            let line = format!(
                "mkdir -p n/logs/deep/er n/tree/logs && for at in n n/logs n/logs/deep/er n/tree/logs; do ln -s ../../home $at/l && mkfifo $at/p && rm $at/l $at/p || exit 9; done
                 {change} || exit 8
                 for at in n n/logs n/logs/deep/er n/tree/logs; do
                   ln -s ../../home $at/l 2>/dev/null && echo $at/l; mkfifo $at/p 2>/dev/null && echo $at/p
                   ln -s ../../home l; mv l $at/m 2>/dev/null && echo $at/m; rm -f l
                 done; :"
            );
            let running = bed.srt().flat(&settings()).sh(&line).spawn();
            if by_host {
                let ready = bed.work().join("ready");
                let is_ready = || ready.symlink_metadata().is_ok();
                assert!(wait_until(timeout(20.0), is_ready), "{way}");
                outside(&bed, way).ok();
                fs::write(bed.work().join("go"), "").unwrap();
            }
            let output = running.finish(timeout(60.0)).ok();
            // A working tree may lie in a bare repository.
            let made = "n/tree/logs/l\nn/tree/logs/p\nn/tree/logs/m\n";
            assert_eq!(output.text(), made, "{way} {by_host}: {output}");
            for at in ["n", "n/logs", "n/logs/deep/er"] {
                for name in ["l", "p", "m"] {
                    let path = bed.work().join(at).join(name);
                    assert!(path.symlink_metadata().is_err(), "{way}: {path:?}");
                }
            }
        }
    }
}

/// Moving `info` away and a link in its place would say which files git passes to programs.
#[test]
fn information_does_not_come_by_a_hard_linked_symlink() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let line = "mkdir -p planted && echo '* filter=evil' > planted/attributes && mv bare/info bare/before && ln -s ../planted s && ln -P s bare/info";
    inside(&bed, line).refused();
    let seen = outside(&bed, "git -C bare check-attr filter x").ok();
    assert_eq!(seen.text(), "x: filter: unspecified\n");
    inside(&bed, "mkdir bare/info && cp bare/before/exclude bare/info/").ok();
}

/// What says where the working tree is would be obeyed after something else has come there.
#[test]
fn a_working_tree_is_not_named_where_something_else_may_come() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let made = "git init -q new && cd new && mkdir ../tree && echo 'gitdir: ../new/.git' > ../tree/.git && echo one > f && git add f && git commit -q -m one && git checkout -q -b feature && echo two > .planted && git add .planted && git commit -q -m two && git checkout -q main && ! git config core.worktree ../../tree";
    inside(&bed, made).ok();
    inside(&bed, "rm -rf tree && ln -s ../home tree").ok();
    outside(&bed, "cd new && git checkout -q feature").ok();
    assert!(bed.home().join(".planted").symlink_metadata().is_err());
    assert!(bed.work().join("new/.planted").symlink_metadata().is_ok());
}

/// README's advice for linked worktrees and for directories in a repository.
#[test]
fn a_common_directory_as_a_root_is_guarded_as_any_other() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    let main = bed.work().join("main/.git");
    let settings = rules(&[], &[], &["worktree", main.to_str().unwrap()], &[]);
    let run = |line: &str| {
        let srt = bed.srt().flat(&settings).env("GIT_CONFIG_NOSYSTEM", "1");
        srt.sh(&format!("cd worktree && {line}")).within(60.0).run()
    };
    let settings_before = fs::read(main.join("config")).unwrap();
    run("echo more >> file && git commit -q -a -m more && git branch some && git stash list").ok();
    for line in [
        "D=../main/.git; mkdir -p $D/evil/objects $D/evil/refs && printf '[core]\\n\\tfsmonitor = evil\\n' > $D/evil/config && echo ../../evil > $D/worktrees/worktree/commondir",
        "echo ../../evil > ../main/.git/worktrees/worktree/commondir",
        "rm -f ../main/.git/worktrees/worktree/commondir; echo ../../evil > ../main/.git/worktrees/worktree/commondir",
        "echo evil > ../main/.git/config",
        "mkdir -p ../main/.git/hooks; echo evil > ../main/.git/hooks/pre-commit",
        "ln -s /etc ../main/.git/logs/evil",
        "git config core.fsmonitor evil",
    ] {
        let output = run(line);
        assert!(!output.succeeded(), "{line}: {output}");
    }
    assert_eq!(fs::read(main.join("config")).unwrap(), settings_before);
    // The host's git has its lock.
    let lock = main.join("config.lock");
    fs::write(&lock, "").unwrap();
    run("python3 -c 'import os; os.open(\"../main/.git/config.lock\", os.O_WRONLY)'").refused();
    fs::remove_file(lock).unwrap();
    let commondir = fs::read_to_string(main.join("worktrees/worktree/commondir"));
    assert!(commondir.is_err() || commondir.unwrap() == "../..\n");
}

/// A row or a pattern goes on with any name at a `*`: a link there would show what nobody has looked at.
#[test]
fn no_link_stands_for_any_name_of_a_closed_place() {
    let bed = Bed::new();
    bed.file("work/mine/startup/00.py", "");
    for (row, planted) in [
        (".ipython/profile_default", "startup/00.py"),
        (".sbt/1.0", "plugins/x.sbt"),
        ("deep/er/.ipython/profile_default", "ipython_config.py"),
        ("a/any", "secret"),
        ("b/x/y", "secret"),
    ] {
        let mut closed = settings();
        closed["filesystem"]["denyWrite"] = json!(["a/*/secret", "b/**/secret"]);
        let run = |line: &str| bed.srt().flat(&closed).sh(line).run();
        let above = Path::new(row).parent().unwrap().display();
        let work = bed.work().display().to_string();
        for line in [
            format!("ln -s {work}/mine {row}"),
            format!("ln -s {work}/mine l && mv -T l {row}"),
            format!("ln -s {work}/mine l && ln -P l {row}"),
            format!("ln -s {work}/later {row} && mv mine later"),
        ] {
            run(&format!("mkdir -p {above}; rm -f l; {line}")).refused();
            let seen = bed.work().join(row);
            assert!(seen.symlink_metadata().is_err(), "{line}");
            run("[ -d mine ] || mv later mine").ok();
        }
        // Beside it, and from one closed place to another, there is nothing to show.
        run(&format!(
            "rm -f l; ln -s {work}/mine l && echo x > l/{planted}-not || :"
        ))
        .ok();
        assert!(bed.work().join("l").symlink_metadata().is_ok());
    }
    let mut closed = settings();
    closed["filesystem"]["denyWrite"] = json!(["b/**/secret"]);
    let srt = bed.srt().flat(&closed);
    srt.sh("mkdir -p b/c && ln -s c b/d && ln -s /usr/bin b/bin && ln -s ../b mine/b")
        .run()
        .ok();
}
