//! System calls that a sandboxed command has no business with.

use std::collections::BTreeMap;
use std::path::Path;

use sandbox_tests::{Bed, Terminal, host, need, note, python};

const CALLS: &str = include_str!("calls.py");
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

fn table(text: &str) -> BTreeMap<String, i32> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, errno)| Some((name.to_owned(), errno.parse().ok()?)))
        .collect()
}

fn outside(python: &Path) -> BTreeMap<String, i32> {
    table(&host(python, ["-ES", "-c", CALLS]).ok().text())
}

#[test]
fn dangerous_calls_are_refused_by_the_filter() {
    let python = python!("ctypes");
    let bed = Bed::new();
    let free = outside(&python);
    let inside = table(&bed.srt().py(&python, CALLS, &["inside"]).run().ok().text());
    assert_eq!(inside.len(), free.len() + 1);
    let open: Vec<_> = inside
        .iter()
        .filter(|(_, errno)| ![EPERM, ENOSYS].contains(errno))
        .collect();
    assert!(
        open.is_empty(),
        "reached the kernel (name, errno): {open:?}"
    );
    // Where the host refuses the same way there is nothing to compare with; at least the
    // harmless ones must differ there, or the table proves nothing.
    let blind: Vec<_> = free
        .iter()
        .filter(|(_, errno)| [EPERM, ENOSYS].contains(errno))
        .map(|(name, _)| name)
        .collect();
    if !blind.is_empty() {
        note(&format!("no positive control on this host for {blind:?}"));
    }
    for name in ["tiocsti", "tiocsti-high-bits", "tioclinux", "tiocsetd"] {
        assert!(
            ![EPERM, ENOSYS].contains(&free[name]),
            "{name} is refused on the host, too"
        );
    }
}

/// Before Linux 5.16 a filter turns mitigations on that halve the speed of interpreters, unless it says otherwise.
#[test]
fn speculation_is_as_outside() {
    let bed = Bed::new();
    let line = "grep -i specul /proc/self/status";
    let outside = host(Path::new("/bin/sh"), ["-c", line]).ok().text();
    let inside = bed.srt().sh(line).run().ok().text();
    assert!(outside.contains("Speculation_Store_Bypass"), "{outside}");
    assert_eq!(inside, outside);
}

#[test]
fn other_architectures_do_not_go_around_the_filter() {
    let bed = Bed::new();
    let gcc = need!("gcc");
    // The 32-bit entry (`int $0x80`) has other numbers: 310 is unshare there.
    bed.file(
        "work/old.c",
        "#include <stdio.h>\nint main(void) { long r; __asm__ volatile(\"int $0x80\" : \"=a\"(r) : \"a\"(310L), \"b\"(0x10000000L) : \"memory\"); printf(\"%ld\\n\", r); return r == 0 ? 42 : 0; }\n",
    );
    let source = bed.work().join("old.c");
    let program = bed.work().join("old");
    let built = host(
        &gcc,
        ["-o".as_ref(), program.as_os_str(), source.as_os_str()],
    );
    if !built.succeeded() {
        sandbox_tests::inapplicable!("no 32-bit entry on this architecture");
    }
    let control = host(&program, [""; 0]);
    let output = bed.srt().args([program.as_os_str()]).run();
    assert!(
        output.code() != Some(42),
        "a user namespace was made\n{output}"
    );
    if control.code() != Some(42) {
        note("the host has no 32-bit entry to compare with");
    }
}

#[test]
fn tools_for_namespaces_and_mounts_fail() {
    let bed = Bed::new();
    for line in [
        "unshare -U true",
        "unshare -Ur true",
        "unshare -m true",
        "unshare -n true",
        "mount -t tmpfs none .",
        "mount --bind / .",
        "mount -o remount,rw /",
        "umount -l .",
        "chroot / true",
        "nsenter -t 1 -a true",
        "mount -t proc none .",
        "mount -o remount,rw,bind /",
        "pivot_root . .",
        "swapon /dev/zero",
        "setpriv --inh-caps +all true",
    ] {
        // Some tools use our own code for a set-up that failed.
        bed.srt().sh(&format!("{line} || exit 1")).run().exits(1);
    }
    bed.srt().sh("echo x > /etc/never").run().refused();
    if let Some(unshare) = sandbox_tests::tool("unshare") {
        let control = host(&unshare, ["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]);
        if !control.succeeded() {
            note("the host refuses user namespaces, too");
        }
    }
}

#[test]
fn input_cannot_be_pushed_into_the_terminal() {
    let python = python!("fcntl", "termios");
    let bed = Bed::new();
    let program = "import fcntl, sys, termios\nfor c in 'echo pushed\\n':\n    fcntl.ioctl(0, termios.TIOCSTI, c.encode())\nprint('did it')";
    let srt = bed.srt().py(&python, program, &[]);
    let session = Terminal::of(&bed, &srt).end().play(&python).played();
    assert!(
        session.transcript.contains("PermissionError"),
        "{session:?}"
    );
    assert!(!session.transcript.contains("did it"), "{session:?}");
    let words = [python.to_str().unwrap(), "-ES", "-c", program];
    let control = Terminal::new(&bed, words).end().play(&python).played();
    if !control.transcript.contains("did it") {
        note("the host's kernel refuses this, too");
    }
}

#[test]
fn what_programs_need_of_the_kernel_works() {
    let python = python!("ctypes", "threading", "signal", "select");
    let bed = Bed::new();
    let program = r"
import os, select, signal, subprocess, sys, threading, time
t = threading.Thread(target=lambda: None); t.start(); t.join()
signal.signal(signal.SIGUSR1, lambda *a: print('signalled', flush=True)); os.kill(os.getpid(), signal.SIGUSR1)
e = select.epoll(); e.close()
os.eventfd(0); os.sched_getaffinity(0); os.getrandom(8); os.pidfd_open(os.getpid())
pid = os.fork()
if pid == 0: os.setsid(); os._exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(subprocess.run(['sh', '-c', 'exit 4']).returncode)
os.nice(1); os.setpriority(os.PRIO_PROCESS, 0, 5)
print('done')
";
    bed.srt()
        .py(&python, program, &[])
        .run()
        .ok()
        .prints("signalled\n3\n4\ndone\n");
}

/// Whoever holds a lease of a file makes everybody outside wait who opens it.
#[test]
fn nobody_outside_waits_for_a_lease() {
    let python = python!("fcntl");
    let bed = Bed::new();
    bed.file("outside/file", "content");
    let file = bed.outside().join("file");
    let lease = "import fcntl, os, sys\nfor kind in fcntl.F_WRLCK, fcntl.F_RDLCK:\n    \
                 file = os.open(sys.argv[1], os.O_RDONLY)\n    try:\n        \
                 fcntl.fcntl(file, fcntl.F_SETLEASE, kind)\n        print('held')\n    \
                 except PermissionError:\n        print('refused')\n    os.close(file)";
    let words = [file.to_str().unwrap()];
    let inside = bed.srt().py(&python, lease, &words).run().ok();
    assert_eq!(inside.text(), "refused\nrefused\n");
    let outside = host(&python, ["-ES", "-c", lease, words[0]]);
    assert_eq!(outside.text(), "held\nheld\n", "{outside}");
}
