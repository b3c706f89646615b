//! Lock files of repositories: whoever made one renames it to the settings, whatever lies there by then.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use sandbox_tests::{Bed, Running, need, timeout};

use crate::git::{inside, outside, prepare, settings};

/// Tries every way to get at a file, and prints those that worked. A file that is gone is made anew.
const WAYS: &str = r#"
import ctypes, os, sys
lock = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
def exchange(one, other):
    if libc.renameat2(-100, one.encode(), -100, other.encode(), 2):
        raise OSError(ctypes.get_errno(), 'renameat2')
def evil():
    with open('evil', 'w') as file: file.write('[core]\n\tfsmonitor = evil\n')
    return 'evil'
def reopen():
    file = os.open(lock, os.O_RDONLY)
    os.open('/proc/self/fd/%d' % file, os.O_WRONLY)
def through_link():
    if os.path.lexists('way'): os.unlink('way')
    os.symlink(os.path.abspath(lock), 'way'); os.open('way', os.O_WRONLY)
def through_directory():
    directory = os.open(os.path.dirname(lock), os.O_RDONLY)
    os.open(os.path.basename(lock), os.O_WRONLY, dir_fd=directory)
def link():
    if os.path.exists('second'): os.unlink('second')
    os.link(lock, 'second')
ways = {
    'write': lambda: os.open(lock, os.O_WRONLY),
    'create': lambda: os.open(lock, os.O_WRONLY | os.O_CREAT),
    'append': lambda: os.open(lock, os.O_RDWR | os.O_APPEND),
    'empty': lambda: os.open(lock, os.O_RDONLY | os.O_TRUNC),
    'truncate': lambda: os.truncate(lock, 0),
    'reopen': reopen,
    'link-to': through_link,
    'directory': through_directory,
    'mode': lambda: os.chmod(lock, 0o666),
    'descriptor': lambda: os.fchmod(os.open(lock, os.O_RDONLY), 0o666),
    'times': lambda: os.utime(lock, (1, 1)),
    'link': link,
    'away': lambda: os.rename(lock, 'moved'),
    'onto': lambda: os.rename(evil(), lock),
    'exchange': lambda: exchange(evil(), lock),
    'exchanged': lambda: exchange(lock, evil()),
    'remove': lambda: os.unlink(lock),
}
worked = []
for name, way in ways.items():
    if not os.path.exists(lock): os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    try: way(); worked.append(name)
    except OSError: pass
print(' '.join(worked))
"#;
const ALL: &str = "write create append empty truncate reopen link-to directory mode descriptor times link away onto exchange exchanged remove\n";

/// Each with the place of a repository's settings that it is the lock of.
const LOCKS: &[&str] = &[
    "plain/.git/config.lock",
    "plain/.git/config.worktree.lock",
    "plain/.gitmodules.lock",
    "linked/.git/config.lock",
    "apart.git/config.lock",
    "bare/config.lock",
    "stores/deep/store/config.lock",
    "main/.git/worktrees/worktree/config.worktree.lock",
    "super/.git/modules/sub/config.lock",
    "vendor/a/b/nested/.git/config.lock",
];

#[track_caller]
fn python(bed: &Bed, script: &str, words: &[&str]) -> Running {
    let python = need_python();
    let words = [&[python.as_str(), "-c", script], words].concat();
    bed.srt().flat(&settings()).args(words).spawn()
}

fn need_python() -> String {
    let found = sandbox_tests::tool("python3").expect("looked for by every case");
    found.to_str().unwrap().to_owned()
}

/// Inode, mode, number of names, content.
fn state(path: &Path) -> (u64, u32, u64, Vec<u8>) {
    let found = path.symlink_metadata().unwrap();
    let mode = found.permissions().mode();
    let content = std::fs::read(path).unwrap();
    (found.ino(), mode, found.nlink(), content)
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[test]
fn a_lock_that_another_holds_stays_as_it_is() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    for lock in LOCKS {
        let path = bed.work().join(lock);
        std::fs::write(&path, "[core]\n\tbare = false\n").unwrap();
        let before = state(&path);
        let output = python(&bed, WAYS, &[lock]).finish(timeout(60.0)).ok();
        assert_eq!(state(&path), before, "{lock}: {output}");
        assert_eq!(output.text(), "\n", "{lock}");
        // Of what is renamed to nothing that git obeys, everything works.
        let free = lock.replace("config.worktree.lock", "free.lock");
        let free = free.replace("config.lock", "free.lock");
        let free = free.replace(".gitmodules.lock", "free.lock");
        std::fs::write(bed.work().join(&free), "x").unwrap();
        let output = python(&bed, WAYS, &[&free]).finish(timeout(60.0)).ok();
        assert_eq!(output.text(), ALL, "{free}");
        std::fs::remove_file(path).unwrap();
    }
}

/// What git does with a lock of its own, and what it never does.
#[test]
fn a_lock_is_made_and_given_up_by_one_sandbox() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    for lock in LOCKS {
        // What git renames to settings stays empty.
        let own = if lock.ends_with(".gitmodules.lock") {
            "write create append empty truncate reopen link-to directory mode descriptor times link away remove\n"
        } else {
            "write create append empty link-to directory mode descriptor times remove\n"
        };
        let output = python(&bed, WAYS, &[lock]).finish(timeout(60.0)).ok();
        assert_eq!(output.text(), own, "{lock}");
        assert!(!is_there(&bed.work().join(lock)), "{lock}");
        // Nothing but a new file gets the name.
        let line = format!(
            "mkdir {lock}; ln -s evil {lock}; echo x > e; ln e {lock}; mv e {lock}; mkfifo {lock}; ls -A {lock}"
        );
        inside(&bed, &line).refused();
        assert!(!is_there(&bed.work().join(lock)), "{lock}");
        // One that is left behind belongs to nobody inside.
        inside(&bed, &format!("echo left > {lock}")).ok();
        let before = state(&bed.work().join(lock));
        inside(&bed, &format!("rm -f {lock}")).refused();
        inside(&bed, &format!("echo more >> {lock}")).refused();
        assert_eq!(state(&bed.work().join(lock)), before, "{lock}");
        std::fs::remove_file(bed.work().join(lock)).unwrap();
    }
    for shape in ["plain", "worktree", "super/sub", "separate", "linked"] {
        let line = format!(
            "cd {shape} && git checkout -q -b base1 && git checkout -q -b topic --track base1 && git config branch.topic.merge"
        );
        inside(&bed, &line).ok().prints("refs/heads/base1\n");
        // A refused one leaves nothing.
        inside(&bed, &format!("cd {shape} && git config core.fsmonitor x")).refused();
        outside(
            &bed,
            &format!("cd {shape} && git config user.name Y && git checkout -q -"),
        )
        .ok();
    }
}

/// Keeps descriptors of the locks of `.git/config` and of a free file, and writes through those that have
/// become the file.
const KEEP: &str = r#"
import os
places = [('plain/.git/config.lock', 'plain/.git/config'), ('free.lock', 'free')]
open('ready', 'w').close()
won = set()
while not os.path.exists('stop'):
    for lock, target in places:
        try: held = os.open(lock, os.O_WRONLY)
        except OSError: continue
        for _ in range(2000):
            try:
                if os.stat(target).st_ino == os.fstat(held).st_ino:
                    os.pwrite(held, b'[core]\n\tfsmonitor = evil\n', 0); won.add(target); open('won', 'w').close(); break
                if os.fstat(held).st_nlink == 0: break
            except OSError: pass
        os.close(held)
print(' '.join(sorted(won)))
"#;

/// Puts another file in the place of each lock.
const EXCHANGE: &str = r#"
import ctypes, os
libc = ctypes.CDLL(None)
places = [(b'plain/.git/config.lock', 'evil0'), (b'free.lock', 'evil1')]
open('ready', 'w').close()
won = set()
while not os.path.exists('stop'):
    for lock, evil in places:
        if not os.path.exists(evil):
            with open(evil, 'w') as file: file.write('[core]\n\tfsmonitor = evil\n')
        if libc.renameat2(-100, evil.encode(), -100, lock, 2) == 0: won.add(lock.decode()); open('won', 'w').close()
print(' '.join(sorted(won)))
"#;

/// Changes a free file as git changes its settings, until that has been taken over.
const FREE: &str = r#"
import os, time
until = time.monotonic() + 60
while not os.path.exists('won') and time.monotonic() < until:
    held = os.open('free.lock', os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(held, b'own\n'); time.sleep(0.002)
    os.close(held); os.rename('free.lock', 'free'); time.sleep(0.001)
"#;

#[test]
fn the_hosts_git_writes_settings_that_stay_its_own() {
    need!("git");
    need!("python3");
    for (script, free) in [(KEEP, "free\n"), (EXCHANGE, "free.lock\n")] {
        let bed = Bed::new();
        prepare(&bed);
        outside(&bed, "git -C plain checkout -q -b base").ok();
        let attacker = python(&bed, script, &[]);
        let ready = bed.work().join("ready");
        assert!(sandbox_tests::wait_until(timeout(20.0), || is_there(
            &ready
        )));
        for round in 0..12 {
            let line = format!(
                "git -C plain config user.name x{round}; git -C plain checkout -q -b t{round} --track base"
            );
            outside(&bed, &line).ok();
        }
        std::fs::write(bed.work().join("free"), "").unwrap();
        let line = format!("{} -c \"$FREE\"", need_python());
        outside(
            &bed,
            &format!("FREE='{}'; {line}", FREE.replace('\'', "\"")),
        );
        bed.file("work/stop", "");
        let output = attacker.finish(timeout(30.0)).ok();
        let config = std::fs::read_to_string(bed.work().join("plain/.git/config")).unwrap();
        assert!(!config.contains("evil"), "{config}\n{output}");
        assert!(config.contains("x11"), "{config}");
        assert!(config.contains("[branch \"t11\"]"), "{config}");
        assert_eq!(output.text(), free);
    }
}

/// Some make the file first and open it to write then (JGit).
#[test]
fn a_lock_can_be_opened_again_by_who_made_it() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    let script = r#"
import os
lock, target = 'plain/.git/config.lock', 'plain/.git/config'
os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
content = open(target).read()
with open(lock, 'w') as again: again.write('too much of it' * 100)
with open(lock, 'w') as again: again.write(content)
with open(lock, 'a') as again: again.write('[branch "x"]\n\tremote = .\n\tmerge = refs/heads/x\n')
# The file of that name stays empty.
kept = os.open(lock, os.O_RDONLY)
for way in lambda: os.open(f'/proc/self/fd/{kept}', os.O_WRONLY), lambda: os.truncate(lock, 9), lambda: os.link(lock, 'l'):
    try: way(); print('done')
    except OSError: pass
print(os.fstat(kept).st_size, os.stat(lock).st_size)
os.rename(lock, target)
os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
with open(lock, 'w') as again: again.write(content + '[core]\n\tfsmonitor = evil\n')
try: os.rename(lock, target); print('renamed')
except OSError: print('refused')
os.unlink(lock)
"#;
    let output = python(&bed, script, &[]).finish(timeout(30.0)).ok();
    assert_eq!(output.text(), "0 0\nrefused\n", "{output}");
    let config = std::fs::read_to_string(bed.work().join("plain/.git/config")).unwrap();
    assert!(
        config.contains("[branch \"x\"]") && !config.contains("too much"),
        "{config}"
    );
    assert!(!config.contains("evil"), "{config}");
    assert!(!is_there(&bed.work().join("plain/.git/config.lock")));
}

/// Replaces the settings by what they are, over and over.
const REPLACE: &str = r#"
import os, time
content = open('plain/.git/config', 'rb').read()
replaced = 0
while not os.path.exists('ready'): pass
number, until = 0, time.monotonic() + 60
while number < 800 or (not os.path.exists('won') and time.monotonic() < until):
    number += 1
    for lock, target in [('plain/.git/config.lock', 'plain/.git/config'), ('free.lock', 'free')]:
        try:
            held = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            os.write(held, content); os.close(held)
            os.rename(lock, target); replaced += 1
        except OSError as error: pass
open('stop', 'w').close()
print(replaced)
"#;

#[test]
fn one_sandbox_does_not_open_the_settings_that_another_installs() {
    need!("git");
    need!("python3");
    let bed = Bed::new();
    prepare(&bed);
    bed.file("work/free", "");
    let before = state(&bed.work().join("plain/.git/config"));
    let both = [python(&bed, KEEP, &[]), python(&bed, REPLACE, &[])];
    let [attacker, other] = both.map(|running| running.finish(timeout(120.0)).ok());
    let replaced: usize = other.text().trim().parse().unwrap();
    assert!(replaced > 1000, "{other}");
    let after = state(&bed.work().join("plain/.git/config"));
    assert_eq!((after.1, after.2, after.3), (before.1, before.2, before.3));
    assert_eq!(attacker.text(), "free\n");
}

/// `hooks` in `hooks`, many times: whoever asks about a name in them has the turn meanwhile.
const NEST: &str = r#"
import os, time
depth = 1500
base = os.open('.', os.O_RDONLY)
steps = [base]
for _ in range(depth):
    os.mkdir('x', dir_fd=steps[-1])
    steps.append(os.open('x', os.O_RDONLY, dir_fd=steps[-1]))
for step in reversed(steps[:-1]): os.rename('x', 'hooks', src_dir_fd=step, dst_dir_fd=step)
start = time.monotonic()
for at in (0, 1, 30, depth // 2, depth):
    try: os.close(os.open('f', os.O_CREAT | os.O_WRONLY, dir_fd=steps[at])); print('made', at)
    except OSError as error: print('err', at)
print(time.monotonic() - start)
"#;

#[test]
fn directories_in_directories_hold_nobody_up() {
    need!("python3");
    let bed = Bed::new();
    let python = need_python();
    let line = format!(
        "ulimit -n 4000; exec {python} -c '{}'",
        NEST.replace('\'', "\"")
    );
    let output = bed
        .srt()
        .flat(&settings())
        .sh(&line)
        .within(120.0)
        .run()
        .ok();
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    let (took, made) = lines.split_last().unwrap();
    assert_eq!(
        made,
        ["made 0", "made 1", "made 30", "err 750", "err 1500"],
        "{output}"
    );
    let took: f64 = took.parse().unwrap();
    assert!(took < 2.0 * sandbox_tests::time_scale(), "{took} s");
}

/// git still sends where a file in these directories says.
#[test]
fn the_old_places_of_where_to_send_are_closed() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    outside(&bed, "git clone -q --bare plain attacker.git; git clone -q --bare plain right.git; cd plain && git remote add origin ../right.git").ok();
    let places = [
        "plain/.git",
        "real-git",
        "apart.git",
        "bare",
        "stores/deep/store",
        "super/.git/modules/sub",
        "vendor/a/b/nested/.git",
    ];
    for place in places {
        for (old, content) in [
            ("branches", "attacker.git#main"),
            ("remotes", "URL: attacker.git\\nPush: main"),
        ] {
            for line in [
                format!("mkdir -p {place}/{old}; printf '{content}\\n' > {place}/{old}/evil"),
                format!(
                    "mkdir d; printf '{content}\\n' > d/evil; rmdir {place}/{old}; mv -T d {place}/{old}"
                ),
                format!("mkdir -p d; printf '{content}\\n' > d/evil; ln d/evil {place}/{old}/evil"),
                format!(
                    "mkdir -p d; printf '{content}\\n' > d/evil; rm -r {place}/{old}; ln -s $PWD/d {place}/{old}"
                ),
            ] {
                inside(&bed, &line).refused();
                let planted = bed.work().join(place).join(old).join("evil");
                assert!(!is_there(&planted), "`{line}`");
            }
            inside(
                &bed,
                &format!("rm -rf d; mkdir -p d/{old}; echo x > d/{old}/free; rm -r d"),
            )
            .ok();
        }
    }
    // git obeys them: what is closed is worth it.
    std::fs::create_dir_all(bed.work().join("plain/.git/branches")).unwrap();
    let evil = format!("{}/attacker.git#main\n", bed.work().display());
    std::fs::write(bed.work().join("plain/.git/branches/evil"), evil).unwrap();
    outside(&bed, "cd plain && git fetch -q evil").ok();
    // New repositories come with an empty one, and what is prepared in it makes none.
    inside(&bed, "git init -q fresh && git init -q --bare fresh.git && git clone -q plain copy && rm -rf copy").ok();
    for place in ["fresh/.git", "fresh.git"] {
        inside(
            &bed,
            &format!("mkdir -p {place}/branches; echo evil > {place}/branches/evil"),
        )
        .refused();
        let planted = bed.work().join(place).join("branches/evil");
        assert!(!is_there(&planted), "{place}");
    }
    inside(
        &bed,
        "mkdir -p made/refs made/branches && echo evil > made/branches/evil",
    )
    .ok();
    inside(&bed, "mkdir made/objects").refused();
    inside(&bed, "rm made/branches/evil && mkdir made/objects").ok();
    inside(&bed, "cd super/sub && git update-ref refs/remotes/origin/other HEAD && git branch branches/x && git branch -D branches/x").ok();
}

/// A directory comes with what lies in it: another repository takes the place of the one whose lock the host
/// has, and brings a lock of its own along.
#[test]
fn a_lock_brought_along_by_a_directory_holds_nothing() {
    need!("git");
    let bed = Bed::new();
    prepare(&bed);
    let line = "git clone -q plain evil && printf '[core]\\n\\tfsmonitor = evil\\n' > evil/.git/config.lock; ls evil/.git/config.lock";
    inside(&bed, line).ok().prints("evil/.git/config.lock\n");
    // Between the host's two steps, in a sandbox of its own.
    std::fs::write(bed.work().join("plain/.git/config.lock"), "[core]\n").unwrap();
    inside(&bed, "mv plain away && mv evil plain").ok();
    let config = bed.work().join("plain/.git/config");
    std::fs::rename(bed.work().join("plain/.git/config.lock"), &config).unwrap();
    assert_eq!(std::fs::read_to_string(config).unwrap(), "");
    // What a file of another name holds comes along.
    let line = "mkdir one two && echo x > two/settings.lock && mv one gone && mv two one && cat one/settings.lock";
    inside(&bed, line).ok().prints("x\n");
    // A directory that has such a file already does not become a repository.
    inside(
        &bed,
        "mkdir -p odd/refs && echo evil > odd/config.lock && mkdir odd/objects",
    )
    .refused();
    inside(&bed, "rm odd/config.lock && mkdir odd/objects").ok();
}
