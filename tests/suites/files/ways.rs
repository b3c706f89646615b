//! Ways around the name of a closed place: `/proc`, another working directory, executing instead of opening,
//! looking instead of reading.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use sandbox_tests::{Bed, host, need, python, tree_hash};
use serde_json::{Value, json};

use crate::rules;

/// Reads a file of the working directory by every name that `/proc` and descriptors give it.
const WAYS: &str = r"
import os, subprocess, sys, threading
name = sys.argv[1]
path = os.path.join(os.getcwd(), name)
up = os.path.join(os.path.basename(os.getcwd()), name)
root, here = os.open('/', os.O_RDONLY | os.O_DIRECTORY), os.open('.', os.O_RDONLY | os.O_DIRECTORY)
handle = os.open('.', os.O_PATH)
child = subprocess.Popen(['sleep', '30'])
ways = {
    'root': '/proc/self/root' + path,
    'thread': '/proc/thread-self/root' + path,
    'task': '/proc/self/task/%d/cwd/%s' % (threading.get_native_id(), name),
    'cwd': '/proc/self/cwd/' + name,
    'up': '/proc/self/cwd/../' + up,
    'twice': '/proc/self/root/proc/self/root/proc/self/cwd/' + name,
    'child-root': '/proc/%d/root%s' % (child.pid, path),
    'child-cwd': '/proc/%d/cwd/%s' % (child.pid, name),
    'child-task': '/proc/%d/task/%d/root%s' % (child.pid, child.pid, path),
    'fd': '/proc/self/fd/%d/%s' % (here, name),
    'fd-up': '/dev/fd/%d/../%s' % (here, up),
    'fd-root': '/dev/fd/%d%s' % (root, path),
    'handle': '/proc/self/fd/%d/%s' % (handle, name),
}
def attempt(what, opened):
    try: text = os.read(opened(), 99).decode()
    except OSError as error: text = 'refused'
    print(what, text or 'empty')
for what, way in ways.items():
    attempt(what, lambda: os.open(way, os.O_RDONLY))
attempt('openat', lambda: os.open(name, os.O_RDONLY, dir_fd=here))
attempt('openat-root', lambda: os.open(path[1:], os.O_RDONLY, dir_fd=root))
def reopened():
    file = os.open(name, os.O_PATH)
    return os.open('/proc/self/fd/%d' % file, os.O_RDONLY)
attempt('reopened', reopened)
def below():
    os.chdir(os.path.dirname(path))
    return os.open(os.path.basename(path), os.O_RDONLY)
attempt('below', below)
child.kill(); child.wait()
";

fn strictly(mut settings: Value, strict: bool) -> Value {
    settings["filesystem"]["strictReads"] = json!(strict);
    settings
}

#[test]
fn no_way_through_proc_reaches_a_closed_file() {
    let python = python!("subprocess", "threading");
    let bed = Bed::new();
    for name in ["secret", "vault/secret"] {
        bed.file(format!("work/{name}"), bed.marker());
        let read = |denied: &[&str], strict: bool| {
            let settings = strictly(rules(denied, &[], &["."], &[]), strict);
            let output = bed.srt().flat(&settings).py(&python, WAYS, &[name]).run();
            output.ok()
        };
        // The control: every way leads there where nothing is closed.
        let open = read(&[], false);
        let ways = open.text().lines().count();
        assert!(ways > 15, "{open}");
        assert_eq!(open.text().matches(bed.marker()).count(), ways, "{open}");
        let absolute = bed.work().join(name).display().to_string();
        for denied in ["**/secret", name, &absolute, "vault"] {
            if denied == "vault" && !name.starts_with("vault/") {
                continue;
            }
            for strict in [false, true] {
                let closed = read(&[denied], strict);
                assert!(!closed.text().contains(bed.marker()), "{denied}\n{closed}");
                assert_eq!(closed.text().lines().count(), ways, "{denied}\n{closed}");
            }
        }
    }
}

/// Where a command goes, and where somebody starts it from, is no rule.
#[test]
fn another_working_directory_widens_nothing() {
    let bed = Bed::new();
    let home = bed.home().display().to_string();
    bed.file("outside/kept", "kept");
    let before = (tree_hash(bed.outside()), tree_hash(bed.home()));
    let (outside, work) = (bed.outside().display(), bed.work().display());
    let lines = [
        "cd /".to_owned(),
        "cd ~".to_owned(),
        format!("cd {outside}"),
        "cd ..".to_owned(),
        format!("cd /proc/self/cwd/../outside; PWD={outside}; export PWD"),
    ];
    let attack = format!(
        "echo x > {outside}/made; echo x > made; echo x > {outside}/kept; mkdir d; echo x > ~/made; echo x > {work}/control"
    );
    let named = rules(&[], &[], &[bed.work().to_str().unwrap()], &[]);
    let relative = rules(&[], &[], &["."], &[]);
    let unchanged = |what: &str| {
        assert_eq!(
            before.0.changes(&tree_hash(bed.outside())),
            [""; 0],
            "{what}"
        );
        assert_eq!(before.1.changes(&tree_hash(bed.home())), [""; 0], "{what}");
        // The control: the same line writes where it may.
        let control = bed.work().join("control");
        std::fs::remove_file(control).unwrap_or_else(|error| panic!("{what}: {error}"));
    };
    for line in &lines {
        for settings in [&named, &relative] {
            let line = format!("{line}; {attack}");
            let output = bed.srt().flat(settings).sh(&line).run();
            unchanged(&format!("{line}\n{output}"));
        }
    }
    // A root that the user named stays the root, wherever the command is started.
    for directory in ["/", home.as_str(), bed.outside().to_str().unwrap()] {
        let srt = bed.srt().flat(&named).directory(directory);
        let output = srt.env("PWD", &home).sh(&attack).run();
        unchanged(&format!("from {directory}\n{output}"));
    }
    // Nor does the working directory open the home or the whole system by itself.
    for directory in ["/", home.as_str()] {
        let output = bed.srt().directory(directory).sh(&attack).run();
        assert_eq!(
            before.0.changes(&tree_hash(bed.outside())),
            [""; 0],
            "{output}"
        );
        assert_eq!(
            before.1.changes(&tree_hash(bed.home())),
            [""; 0],
            "{output}"
        );
    }
}

/// Executes a program by every call there is; it makes a file if it runs.
const EXECUTE: &str = r"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
number = 322 if os.uname().machine == 'x86_64' else 281
def execveat(directory, path, flags, made):
    argv = (ctypes.c_char_p * 3)(b'touch', made.encode(), None)
    env = (ctypes.c_char_p * 1)(None)
    libc.syscall(ctypes.c_long(number), ctypes.c_long(directory), path, argv, env, ctypes.c_long(flags))
    raise OSError(ctypes.get_errno(), '')
name = sys.argv[1]
def handle(): return os.open(name, os.O_PATH)
def copy():
    memory = os.memfd_create('copy')
    os.write(memory, open(name, 'rb').read())
    return memory
ways = {
    'execve': lambda made: os.execv(os.path.abspath(name), ['touch', made]),
    'execveat': lambda made: execveat(-100, name.encode(), 0, made),
    'directory': lambda made: execveat(os.open('.', os.O_PATH), name.encode(), 0, made),
    'empty': lambda made: execveat(handle(), b'', 0x1000, made),
    'proc': lambda made: os.execv('/proc/self/fd/%d' % handle(), ['touch', made]),
    'root': lambda made: os.execv('/proc/self/root' + os.path.abspath(name), ['touch', made]),
    'memory': lambda made: execveat(copy(), b'', 0x1000, made),
}
for what, way in ways.items():
    pid = os.fork()
    if pid == 0:
        try: way(what + '-' + sys.argv[2])
        except OSError as error: os._exit(1)
    print(what, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn what_is_closed_is_executed_by_no_call() {
    let python = python!("ctypes");
    let touch = need!("touch");
    let bed = Bed::new();
    let program = bed.work().join("program");
    std::fs::copy(touch.canonicalize().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let made = |tag: &str| {
        let entries = std::fs::read_dir(bed.work()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(tag)).count()
    };
    let run = |denied: &[&str], strict: bool, tag: &str| {
        let settings = strictly(rules(denied, &[], &["."], &[]), strict);
        let words = ["program", tag];
        bed.srt()
            .flat(&settings)
            .py(&python, EXECUTE, &words)
            .run()
            .ok()
    };
    for strict in [false, true] {
        let output = run(&["program"], strict, &format!("closed{strict}"));
        assert_eq!(made(&format!("closed{strict}")), 0, "{output}");
        // The control: each call executes it where nothing is closed.
        let output = run(&[], strict, &format!("open{strict}"));
        assert_eq!(made(&format!("open{strict}")), 7, "{output}");
    }
}

/// A program that is in no file system is held by the same rules.
const FROM_MEMORY: &str = r"
import os, sys
memory = os.memfd_create('shell')
with open(os.path.realpath('/bin/sh'), 'rb') as file:
    os.write(memory, file.read())
os.execve(memory, ['sh', '-c', sys.argv[1]], dict(os.environ))
";

#[test]
fn a_program_in_memory_is_confined() {
    let python = python!("os");
    let bed = Bed::new();
    bed.file("work/secret", bed.marker());
    bed.file("work/k.pem", bed.marker());
    let line = format!(
        "cd {0}; cat secret k.pem; echo x > {1}/made; echo x > .bashrc; echo x > here",
        bed.work().display(),
        bed.outside().display()
    );
    let settings = rules(&["secret", "**/*.pem"], &[], &["."], &[]);
    let output = bed
        .srt()
        .flat(&settings)
        .py(&python, FROM_MEMORY, &[&line])
        .run();
    let (made, planted) = (bed.outside().join("made"), bed.work().join(".bashrc"));
    assert!(!output.text().contains(bed.marker()), "{output}");
    assert!(made.symlink_metadata().is_err(), "{output}");
    assert!(planted.symlink_metadata().is_err(), "{output}");
    assert!(
        bed.work().join("here").symlink_metadata().is_ok(),
        "{output}"
    );
    // The control: outside the same program does all of it.
    let control = host(&python, ["-c", FROM_MEMORY, &line]).ok();
    assert_eq!(control.text().matches(bed.marker()).count(), 2, "{control}");
    assert!(
        made.symlink_metadata().is_ok() && planted.symlink_metadata().is_ok(),
        "{control}"
    );
}

/// Looks at paths without opening them, by every call, and prints what it saw.
const LOOK: &str = r"
import os, sys
def attempt(function):
    try: return function()
    except OSError as error: return error.errno
for path in sys.argv[1:]:
    seen = [
        attempt(lambda: len(os.stat(path))), attempt(lambda: len(os.lstat(path))),
        attempt(lambda: os.access(path, os.F_OK)), attempt(lambda: os.readlink(path)),
        attempt(lambda: len(os.listdir(path))), attempt(lambda: len(os.listxattr(path))),
        attempt(lambda: os.open(path, os.O_PATH) > 0), attempt(lambda: os.open(path, os.O_RDONLY) > 0),
        attempt(lambda: os.statvfs(path).f_bsize), attempt(lambda: os.chdir(path)),
    ]
    print(seen)
";

/// In a closed directory what is there and what is not answer alike.
#[test]
fn a_closed_directory_does_not_tell_which_names_it_has() {
    let python = python!("os");
    let bed = Bed::new();
    bed.file("work/vault/file", "content");
    bed.file("work/vault/deep/file", "content");
    std::os::unix::fs::symlink("file", bed.work().join("vault/link")).unwrap();
    let paths = [
        "vault/missing",
        "vault/file",
        "vault/deep",
        "vault/deep/file",
        "vault/link",
        "vault/deep/missing",
    ];
    for strict in [false, true] {
        let look = |denied: &[&str]| {
            let settings = strictly(rules(denied, &[], &["."], &[]), strict);
            let output = bed
                .srt()
                .flat(&settings)
                .py(&python, LOOK, &paths)
                .run()
                .ok();
            let lines = output.text();
            lines.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let closed = look(&["vault"]);
        assert_eq!(closed.len(), paths.len());
        assert!(closed.iter().all(|line| *line == closed[0]), "{closed:#?}");
        // The control: they differ where nothing is closed.
        let open = look(&[]);
        assert!(open[1] != open[0] && open[2] != open[1], "{open:#?}");
    }
    // Of a closed file neither size nor time is told.
    let secret = bed.file("work/secret", "x".repeat(12_345));
    let found = secret.metadata().unwrap();
    let own = format!("{} {}\n", found.size(), found.mtime());
    let stat = |denied: &[&str]| {
        let settings = rules(denied, &[], &["."], &[]);
        let words = ["stat", "-c", "%s %Y", "secret"];
        bed.srt().flat(&settings).args(words).run().text()
    };
    assert_eq!(stat(&[]), own);
    let masked = stat(&["secret"]);
    assert!(!masked.contains("12345"), "{masked}");
}
