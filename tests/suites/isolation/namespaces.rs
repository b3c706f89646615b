//! `allowNestedUserNamespaces`: a command makes namespaces, and no rule stops holding in them.

use std::path::Path;

use sandbox_tests::{Bed, host, inapplicable, is_root, need, python};
use serde_json::{Value, json};

fn settings(nested: bool) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {
            "denyRead": ["secret", "hidden"],
            "allowWrite": ["."],
            "denyWrite": ["closed", "**/*.lock"],
        },
        "allowNestedUserNamespaces": nested,
    })
}

fn bed() -> Bed {
    let bed = Bed::new();
    bed.file("work/secret", "sentinel");
    bed.file("work/hidden/file", "sentinel");
    bed.file("work/closed/file", "before");
    bed
}

#[test]
fn namespaces_are_made_only_where_they_are_allowed() {
    let unshare = need!("unshare");
    if !host(&unshare, ["-U", "true"]).succeeded() {
        inapplicable!("this user makes no namespaces on this machine");
    }
    let bed = bed();
    for line in [
        "unshare -U true",
        "unshare -U --pid --fork true",
        "unshare -Un true",
    ] {
        bed.srt().flat(&settings(true)).sh(line).run().ok();
        bed.srt().flat(&settings(false)).sh(line).run().exits(1);
    }
}

/// In all namespaces at once, with the capabilities that come with them: mounts, roots, moves.
const ATTACK: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
NEWUSER, NEWNS, NEWPID = 0x10000000, 0x20000, 0x20000000
work = os.getcwd().encode()
os.makedirs('other', exist_ok=True)
made = libc.unshare(NEWUSER | NEWPID | (NEWNS if 'mounts' in sys.argv else 0))
print('namespaces', made)
def attempt(name, function):
    try:
        result = function()
        print(name, 'done' if result in (None, 0) else 'failed')
    except OSError as error:
        print(name, 'failed', error.errno)
def mount(source, target, kind=None, flags=0, data=None):
    return libc.mount(source, target, kind, flags, data)
def write(path, text='won'):
    with open(path, 'w') as file: file.write(text)
def read(path):
    with open(path) as file: print('READ', file.read())
uid, gid = sys.argv[1].split(':')
if 'maps' in sys.argv:
    attempt('deny-groups', lambda: write('/proc/self/setgroups', 'deny'))
    attempt('map-others', lambda: write('/proc/self/uid_map', f'0 {uid} 1\n1 1 1000'))
    attempt('map-users', lambda: write('/proc/self/uid_map', f'0 {uid} 1'))
    attempt('map-groups', lambda: write('/proc/self/gid_map', f'0 {gid} 1'))
    attempt('map-again', lambda: write('/proc/self/uid_map', f'0 {uid} 1'))
    attempt('map-of-parent', lambda: write(f'/proc/{os.getppid()}/uid_map', f'0 {uid} 1'))
    attempt('set-user', lambda: os.setuid(0))
    attempt('open-mask', lambda: os.chmod('secret', 0o777))
    attempt('list-mask', lambda: print('LISTED', os.listdir('hidden')))
attempt('bind', lambda: mount(work, work + b'/other', None, 4096))
attempt('bind-hidden', lambda: mount(work + b'/closed', work + b'/other', None, 4096))
attempt('tmpfs', lambda: mount(b'none', work + b'/other', b'tmpfs'))
attempt('overlay', lambda: mount(b'o', work + b'/other', b'overlay', 0, b'lowerdir=' + work + b':/'))
attempt('remount', lambda: mount(None, work + b'/closed', None, 4096 | 32))
attempt('umount-secret', lambda: libc.umount2(work + b'/secret', 2))
attempt('umount-hidden', lambda: libc.umount2(work + b'/hidden', 2))
attempt('umount-closed', lambda: libc.umount2(work + b'/closed', 2))
attempt('umount-proc', lambda: libc.umount2(b'/proc', 2))
attempt('pivot', lambda: libc.pivot_root(b'.', b'.') if hasattr(libc, 'pivot_root') else -1)
for path in ['secret', 'hidden/file', 'other/secret', 'other/hidden/file']:
    attempt('read ' + path, lambda path=path: read(path))
for path in ['closed/file', 'closed/new', 'other/file', 'other/new', 'a.lock', 'other/b.lock']:
    attempt('write ' + path, lambda path=path: write(path))
attempt('move', lambda: os.rename('closed', 'moved'))
if os.fork() == 0:
    attempt('chroot', lambda: libc.chroot(work))
    for path in ['/secret', '/hidden/file', '/proc/1/root/etc/shadow']:
        attempt('read ' + path, lambda path=path: read(path))
    for path in ['/closed/file', '/closed/new', '/c.lock', 'd.lock', '/etc/hostname', '../../won']:
        attempt('write ' + path, lambda path=path: write(path))
    sys.stdout.flush()
    os._exit(0)
os.wait()
"#;

#[test]
fn what_is_denied_stays_denied_in_nested_namespaces() {
    let python = python!("ctypes");
    let unshare = need!("unshare");
    if !host(&unshare, ["-U", "true"]).succeeded() {
        inapplicable!("this user makes no namespaces on this machine");
    }
    for arguments in [&["mounts"][..], &[], &["maps"], &["mounts", "maps"]] {
        attack(&python, arguments);
    }
    // The same program where nothing is denied gets through.
    let control = Bed::new();
    control.file("work/secret", "sentinel");
    std::fs::create_dir(control.work().join("closed")).unwrap();
    let run = control.srt().flat(&json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
        "allowNestedUserNamespaces": true,
    }));
    let free = run.py(&python, ATTACK, &[&ids()]).run();
    assert!(free.text().contains("READ sentinel"), "{free}");
    assert!(
        control.work().join("moved/new").symlink_metadata().is_ok(),
        "{free}"
    );
}

fn ids() -> String {
    let user = rustix::process::geteuid().as_raw();
    format!("{user}:{}", rustix::process::getegid().as_raw())
}

fn attack(python: &Path, arguments: &[&str]) {
    let bed = bed();
    let settings = settings(true);
    let output = bed
        .srt()
        .flat(&settings)
        .py(python, ATTACK, &[&[ids().as_str()], arguments].concat())
        .run();
    let text = output.text();
    assert!(text.contains("namespaces 0"), "{output}");
    assert!(!text.contains("sentinel"), "{output}");
    for name in [
        "bind",
        "bind-hidden",
        "tmpfs",
        "overlay",
        "remount",
        "umount-secret",
        "umount-hidden",
        "umount-closed",
        "umount-proc",
    ] {
        assert!(text.contains(&format!("{name} failed")), "{name}\n{output}");
    }
    if arguments.contains(&"maps") && !is_root() {
        for (name, done) in [
            ("map-others", "failed"),
            ("map-users", "done"),
            ("map-groups", "done"),
            ("map-again", "failed"),
            ("map-of-parent", "failed"),
            ("set-user", "done"),
            ("open-mask", "failed"),
        ] {
            assert!(text.contains(&format!("{name} {done}")), "{name}\n{output}");
        }
        assert!(!text.contains("LISTED ['file']"), "{output}");
    }
    let closed = std::fs::read_to_string(bed.work().join("closed/file"));
    assert_eq!(closed.ok().as_deref(), Some("before"), "{output}");
    for made in [
        "closed/new",
        "a.lock",
        "c.lock",
        "d.lock",
        "other/b.lock",
        "moved",
    ] {
        assert!(
            bed.work().join(made).symlink_metadata().is_err(),
            "{made}\n{output}"
        );
    }
    // What is permitted still is.
    let line = "echo made > other; unshare -U true && echo in-namespace > another";
    bed.srt()
        .flat(&settings)
        .sh(&format!("rm -rf other; {line}"))
        .run()
        .ok();
    assert!(bed.work().join("another").symlink_metadata().is_ok());
}

#[test]
fn ids_can_be_mapped_in_nested_namespaces() {
    let unshare = need!("unshare");
    if is_root() || !host(&unshare, ["-Ur", "true"]).succeeded() {
        // Without CAP_SETFCAP nobody maps the root of the namespace around (user_namespaces(7)).
        inapplicable!("this user maps no ids on this machine");
    }
    let bed = bed();
    // The last is a namespace in a namespace in a namespace.
    for line in [
        "unshare -Ur id -u",
        "unshare -Urpf id -u",
        "unshare -U --map-user=0 id -u",
        "unshare -Ur unshare -Ur unshare -Ur id -u",
    ] {
        let run = bed.srt().flat(&settings(true)).sh(line).run();
        run.ok().prints("0\n");
        let output = bed.srt().flat(&settings(false)).sh(line).run().refused();
        assert!(
            output.errors().contains("allowNestedUserNamespaces"),
            "{output}"
        );
    }
    // Files stay those of who has them outside.
    let line =
        "unshare -Ur sh -c 'echo x > made; chmod 600 made; stat -c %u made'; stat -c %u made";
    let output = bed.srt().flat(&settings(true)).sh(line).run().ok();
    let user = rustix::process::geteuid().as_raw();
    assert_eq!(output.text(), format!("0\n{user}\n"), "{output}");
}
