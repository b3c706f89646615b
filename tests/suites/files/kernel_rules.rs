//! What the kernel refuses a program on its own is refused where the supervisor acts for it as well.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, lchown, symlink},
    path::Path,
};

use sandbox_tests::{Bed, host, inapplicable, is_root, need, python, timeout, wait_until};

use crate::rules;

/// Somebody who is neither root nor the tests' user.
const STRANGER: u32 = 54_321;

#[test]
fn no_symlink_is_followed_on_a_mount_that_forbids_it() {
    let unshare = need!("unshare");
    let bed = Bed::new();
    let place = bed.outside().join("flagged");
    fs::create_dir(&place).unwrap();
    let text = place.to_str().unwrap();
    let settings = rules(&[], &[], &[text], &[]);
    let own = if is_root() { "-m" } else { "-Urm" };
    let unshare = unshare.to_str().unwrap();
    let mount = "mount -t tmpfs -o \"$1\" none \"$0\"";
    let control = host(
        Path::new(unshare),
        [own, "sh", "-c", mount, text, "nosymfollow"],
    );
    if !control.succeeded() {
        inapplicable!(
            "no such mount can be made here: {}",
            control.errors().trim()
        );
    }
    let line = format!(
        "{mount} && shift && cd \"$0\" && mkdir d && echo old > t && echo old > d/t && ln -s t l && \
         ln -s d ld && {{ cat l ld/t; \"$@\"; cat t d/t; ls; }}"
    );
    let inside = format!(
        "cd {text} && echo own > own; echo evil > l; echo evil > ld/t; echo evil > ld/made; mkdir ld/made2"
    );
    for (flags, is_followed) in [("nosymfollow", false), ("rw", true)] {
        let launcher = [unshare, own, "sh", "-c", &line, text, flags];
        let output = bed.srt().flat(&settings).sh(&inside).under(launcher).run();
        let expected = if is_followed {
            "old\nold\nevil\nevil\nd\nl\nld\nown\nt\n"
        } else {
            // Outside it is not followed either.
            "old\nold\nd\nl\nld\nown\nt\n"
        };
        assert_eq!(output.text(), expected, "{flags}: {output}");
        let symptom = output
            .errors()
            .contains("Too many levels of symbolic links");
        assert_eq!(symptom, !is_followed, "{output}");
    }
}

#[test]
fn a_strangers_link_in_a_shared_directory_is_followed_as_the_host_has_it() {
    if !is_root() {
        inapplicable!(
            "only root can make a link that is somebody else's, and say how the host has it"
        );
    }
    let unshare = need!("unshare");
    let bed = Bed::new();
    let shared = bed.work().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::create_dir(bed.work().join("plain")).unwrap();
    for directory in ["shared", "plain"] {
        let directory = bed.work().join(directory);
        for name in ["own", "strange"] {
            symlink(format!("../{name}"), directory.join(name)).unwrap();
        }
        lchown(directory.join("strange"), Some(STRANGER), None).unwrap();
        // Of a directory on the way the kernel asks nothing.
        symlink("../way", directory.join("way")).unwrap();
        lchown(directory.join("way"), Some(STRANGER), None).unwrap();
    }
    fs::create_dir(bed.work().join("way")).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let mut settings = rules(&[], &[], &["."], &[]);
    // As a part of `/proc` is covered.
    settings["enableWeakerNestedSandbox"] = true.into();
    // What the host says of it is shown to srt alone; the kernel goes on as it did.
    let line = "mount --bind \"$0\" /proc/sys/fs/protected_symlinks && \"$@\"";
    for (directory, digit, is_followed) in [
        ("shared", "1\n", false),
        ("shared", "0\n", true),
        ("plain", "1\n", true),
    ] {
        for name in ["own", "strange", "way/file"] {
            fs::write(bed.work().join(name), "old").unwrap();
        }
        let says = bed.file("outside/says", digit);
        let launcher = [
            unshare.to_str().unwrap(),
            "-m",
            "sh",
            "-c",
            line,
            says.to_str().unwrap(),
        ];
        let inside = format!(
            "for name in own way/file strange; do printf new | dd of={directory}/$name conv=nocreat status=none; done; chmod 600 {directory}/strange"
        );
        let output = bed.srt().flat(&settings).sh(&inside).under(launcher).run();
        let content = |name: &str| fs::read_to_string(bed.work().join(name)).unwrap();
        assert_eq!(content("own"), "new", "{output}");
        assert_eq!(content("way/file"), "new", "{output}");
        let expected = if is_followed { "new" } else { "old" };
        assert_eq!(content("strange"), expected, "{directory} {digit} {output}");
        assert_eq!(output.succeeded(), is_followed, "{output}");
        fs::remove_file(says).unwrap();
    }
}

#[test]
fn what_proc_shows_of_its_reader_is_not_the_hosts() {
    let bed = Bed::new();
    let own = [
        "/proc/sys/kernel/ostype",
        "/proc/self/net/dev",
        "/proc/self/status",
        "/proc/net/dev",
    ];
    let hosts = [
        "/proc/sys/net/core/somaxconn",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/user/max_user_namespaces",
        "/proc/sys/fs/mqueue/msg_max",
        "/proc/sysvipc/shm",
        "/proc/keys",
        "/proc/key-users",
    ];
    let hosts = hosts.into_iter().filter(|path| fs::read(path).is_ok());
    let hosts: Vec<_> = hosts.collect();
    assert!(hosts.len() > 2, "{hosts:?}");
    for pattern in [&["**/.env"][..], &[]] {
        let settings = rules(pattern, &[], &["."], &[]);
        for path in own {
            bed.srt().flat(&settings).args(["cat", path]).run().ok();
        }
        if pattern.is_empty() {
            // Opened by the command itself they show its own, if there is anything.
            let output = bed
                .srt()
                .flat(&settings)
                .args(["cat", "/proc/sysvipc/shm"])
                .run();
            assert_eq!(output.text().lines().count(), 1, "{output}");
            continue;
        }
        for path in &hosts {
            let below = path.strip_prefix("/proc/").unwrap();
            for line in [
                format!("cat {path}"),
                format!("cd /proc && cat {below}"),
                format!("cat /proc/self/root{path}"),
                format!("ln -sf {path} link; cat link"),
            ] {
                let output = bed.srt().flat(&settings).sh(&line).run();
                assert_eq!(output.text(), "", "{line}\n{output}");
                assert!(
                    output.errors().contains("Permission denied"),
                    "{line}\n{output}"
                );
            }
        }
    }
}

/// Through descriptors that are open for reading alone.
const REQUESTS: &str = r"
import errno, fcntl, os, struct, sys
GET = 0x80087601
def version(path):
    file = os.open(path, os.O_RDONLY)
    try: return struct.unpack('i', fcntl.ioctl(file, GET, bytes(8))[:4])[0]
    except OSError as error: return error.errno
def request(path, number):
    file = os.open(path, os.O_RDONLY)
    try: fcntl.ioctl(file, number, struct.pack('i', 7777) + bytes(128))
    except OSError as error: return errno.errorcode[error.errno]
    return 'done'
print(version('closed'))
for number in (0x40087602, 0x40086604, 0x40047211, 0x40806685, 0x800c6613)[:int(sys.argv[1])]:
    print('%x' % number, request('closed', number))
";

#[test]
fn what_an_inode_says_of_itself_is_not_changed_through_a_descriptor_for_reading() {
    let python = python!("fcntl");
    let bed = Bed::new();
    bed.file("work/closed", "kept");
    let settings = rules(&[], &[], &["."], &["closed"]);
    let version = || {
        let line = format!("import os\nos.chdir({:?})\n{REQUESTS}", bed.work());
        host(&python, ["-c", &line, "0"]).ok().text()
    };
    let before = version();
    let run = bed
        .srt()
        .flat(&settings)
        .py(&python, REQUESTS, &["5"])
        .run()
        .ok();
    let text = run.text();
    let (first, rest) = text.split_once('\n').unwrap();
    // Reading goes on.
    assert_eq!(first, before.trim(), "{run}");
    assert_eq!(rest.lines().count(), 5, "{run}");
    assert!(rest.lines().all(|line| line.ends_with(" EPERM")), "{run}");
    assert_eq!(version(), before, "{run}");
    // Outside some file systems do it.
    let line = format!("import os\nos.chdir({:?})\n{REQUESTS}", bed.work());
    let control = host(&python, ["-c", &line, "1"]).ok();
    let is_done = control.text().contains("40087602 done");
    assert_eq!(version() != before, is_done, "{control}");
}

const SET_ID: &str = r"
import os, stat
os.close(os.open('opened', os.O_CREAT | os.O_WRONLY, 0o6755))
os.close(os.open('kept', os.O_CREAT | os.O_WRONLY, 0o755))
os.mknod('node', stat.S_IFREG | 0o6755)
os.mknod('fifo', stat.S_IFIFO | 0o6755)
for name in ('chmod', 'fchmod', 'below'):
    open(name, 'w').close()
os.chmod('chmod', 0o6755)
with open('fchmod') as file: os.fchmod(file.fileno(), 0o6755)
os.chmod('below', 0o6755, dir_fd=os.open('.', os.O_RDONLY))
os.mkdir('directory')
os.chmod('directory', 0o2755)
open('directory/in', 'w').close()
os.chmod('directory/in', 0o2755)
";

#[test]
fn no_set_id_bit_is_left_outside() {
    let python = python!("os");
    let bed = Bed::new();
    let settings = rules(&[], &[], &["."], &[]);
    let made = bed.srt().flat(&settings).py(&python, SET_ID, &[]).run();
    let made = made.ok();
    let control = bed.outside().join("control");
    fs::create_dir(&control).unwrap();
    let line = format!("import os\nos.chdir({control:?})\n{SET_ID}");
    host(&python, ["-c", &line]).ok();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    for name in [
        "opened",
        "node",
        "fifo",
        "chmod",
        "fchmod",
        "below",
        "directory/in",
    ] {
        assert_eq!(mode(&bed.work().join(name)), 0o755, "{name}: {made}");
        assert!(mode(&control.join(name)) & 0o6000 != 0, "{name}");
    }
    assert_eq!(mode(&bed.work().join("kept")), 0o755);
    assert_eq!(mode(&bed.work().join("directory")), 0o2755);
}

const FORMER: &str = r"
import os
# With a directory the symlink of /proc is followed.
here = os.open('.', os.O_RDONLY)
def link(file, name):
    os.link('/proc/self/fd/%d' % file, name, src_dir_fd=here)
def attempt(what, call):
    try: call()
    except OSError as error: print(what, os.strerror(error.errno))
    else: print(what, 'done')
def changes(file, name):
    attempt('fchmod', lambda: os.fchmod(file, 0o640))
    attempt('futimens', lambda: os.utime(file, (1, 1)))
    attempt('fchown', lambda: os.fchown(file, os.getuid(), -1))
    def write():
        again = os.open('/proc/self/fd/%d' % file, os.O_WRONLY)
        os.write(again, b'new')
    attempt('reopen', write)
    attempt('link', lambda: link(file, name))
file = os.open('first', os.O_RDONLY)
os.link('first', 'second')
os.unlink('first')
changes(file, 'third')
temporary = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
link(temporary, 'fourth')
changes(temporary, 'fifth')
";

#[test]
fn an_open_file_whose_name_is_gone_is_still_changed() {
    let python = python!("os");
    let bed = Bed::new();
    let other = bed.outside().join("control");
    fs::create_dir(&other).unwrap();
    for directory in ["work", "outside/control"] {
        bed.file(format!("{directory}/first"), "old");
    }
    let settings = rules(&[], &[], &["."], &[]);
    let run = bed.srt().flat(&settings).py(&python, FORMER, &[]).run();
    let line = format!("import os\nos.chdir({other:?})\n{FORMER}");
    let control = host(&python, ["-c", &line]).ok();
    assert_eq!(run.text(), control.text(), "{run}");
    assert_eq!(run.text().matches(" done").count(), 10, "{run}");
    for name in ["second", "third", "fourth", "fifth"] {
        let path = bed.work().join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new", "{name}");
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{name}");
    }
}

const HELD: &str = r"
import os, time
# With a directory the symlink of /proc is followed.
here = os.open('.', os.O_RDONLY)
files = [os.open(name, os.O_RDONLY) for name in ('closed', 'one.key', 'sub/file', 'open')]
open('ready', 'w').close()
while not os.path.exists('go'): time.sleep(0.01)
for file in files:
    path = '/proc/self/fd/%d' % file
    for call in (lambda: os.fchmod(file, 0o666), lambda: os.utime(file, (1, 1)),
                 lambda: os.link(path, 'gained', src_dir_fd=here),
                 lambda: os.write(os.open(path, os.O_WRONLY), b'evil')):
        try: call()
        except OSError: pass
";

/// The host takes names away and leaves others: what was closed under the name that the command opened stays so.
#[test]
fn a_closed_file_does_not_open_when_the_host_takes_its_name_away() {
    let python = python!("os");
    let bed = Bed::new();
    let names = ["closed", "one.key", "sub/file", "open"];
    for name in names {
        let path = bed.file(format!("work/{name}"), "old");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let settings = rules(&[], &[], &["."], &["closed", "**/*.key", "sub"]);
    let mut run = bed.srt().flat(&settings).py(&python, HELD, &[]).spawn();
    let ready = bed.work().join("ready");
    assert!(wait_until(timeout(20.0), || fs::symlink_metadata(&ready)
        .is_ok()
        || run.ended()));
    for (number, name) in names.into_iter().enumerate() {
        let path = bed.work().join(name);
        fs::hard_link(&path, bed.outside().join(number.to_string())).unwrap();
        fs::remove_file(path).unwrap();
    }
    // Somebody else's file of the same name is not what the command holds.
    bed.file("work/open", "other");
    bed.file("work/go", "");
    let output = run.finish(timeout(20.0));
    for (number, name) in names.into_iter().enumerate() {
        let path = bed.outside().join(number.to_string());
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        let found = (fs::read_to_string(path).unwrap(), mode);
        // The control is a file of the command's.
        let expected = if name == "open" {
            ("evil", 0o666)
        } else {
            ("old", 0o644)
        };
        assert_eq!((found.0.as_str(), found.1), expected, "{name} {output}");
    }
    let other = fs::read_to_string(bed.work().join("open")).unwrap();
    assert_eq!(other, "other", "{output}");
    assert_eq!(
        fs::read_to_string(bed.work().join("gained")).unwrap(),
        "evil"
    );
}
