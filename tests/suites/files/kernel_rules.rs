//! What the kernel refuses a program on its own is refused where the supervisor acts for it as well.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, lchown, symlink},
    path::Path,
};

use sandbox_tests::{Bed, host, inapplicable, is_root, need, python};

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
