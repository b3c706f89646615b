//! Writes: the working directory and the write roots, nothing else.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use sandbox_tests::{Bed, host, inapplicable, is_root, need, python, skip};

use crate::rules;

#[test]
fn only_the_working_directory_is_written() {
    let bed = Bed::new();
    let name = format!("/etc/{}", bed.marker());
    let before = bed.tree();
    bed.srt().sh(&format!("echo x > {name}")).run().refused();
    assert!(
        std::fs::symlink_metadata(&name).is_err(),
        "written on the host"
    );
    for target in [
        bed.home().join("x"),
        bed.outside().join("x"),
        bed.root().join("x"),
    ] {
        let line = format!("echo x > '{}'", target.display());
        bed.srt().sh(&line).run().refused();
        assert!(
            target.symlink_metadata().is_err(),
            "written on the host: {}",
            target.display()
        );
    }
    bed.srt().sh("echo x > ~/x").run().refused();
    assert_eq!(before.changes(&bed.tree()), [""; 0]);
    bed.srt().sh("echo content > x").run().ok();
    assert_eq!(std::fs::read(bed.work().join("x")).unwrap(), b"content\n");
    // The same line does write where there is no sandbox.
    let target = bed.home().join("x");
    host(
        &need!("sh"),
        ["-c", &format!("echo x > '{}'", target.display())],
    )
    .ok();
    assert!(target.symlink_metadata().is_ok());
}

#[test]
fn what_exists_outside_is_not_changed() {
    let bed = Bed::new();
    let file = bed.file("outside/file", "old\n");
    bed.file("outside/dir/child", "old\n");
    let before = bed.tree();
    let path = bed.outside().display().to_string();
    for line in [
        "echo new > $O/file",
        "echo new >> $O/file",
        "rm $O/file",
        "rm -rf $O/dir",
        "mv $O/file $O/other",
        "mv $O/file moved",
        "chmod 777 $O/file",
        "touch -d 2001-01-01 $O/file",
        "truncate -s 0 $O/file",
        "ln -s x $O/link",
        "mkdir $O/new",
        "ln $O/file hard && echo new > hard",
        "mkfifo $O/fifo",
        "cp /etc/hostname $O/file",
        "ln -s /etc/hostname x && mv x $O/x",
        "rmdir $O",
        "exec 3<>$O/file && echo new >&3",
    ] {
        bed.srt().env("O", &path).sh(line).run().refused();
        let changes: Vec<String> = before
            .changes(&bed.tree())
            .into_iter()
            .filter(|change| change.contains(&path))
            .collect();
        assert!(changes.is_empty(), "after `{line}`: {changes:#?}");
    }
    assert_eq!(std::fs::read(file).unwrap(), b"old\n");
    bed.srt()
        .flat(&rules(&[], &[], &[&path], &[]))
        .env("O", &path)
        .sh("echo new > $O/file && rm -r $O/dir")
        .run()
        .ok();
    assert_eq!(
        before
            .changes(&bed.tree())
            .iter()
            .filter(|change| change.contains(&path))
            .count(),
        3
    );
}

#[test]
fn flat_settings_open_only_what_they_name() {
    let bed = Bed::new();
    let path = bed.outside().display().to_string();
    let settings = rules(&[], &[], &[&path], &[]);
    bed.srt()
        .flat(&settings)
        .sh("echo x > here")
        .run()
        .refused();
    assert!(bed.work().join("here").symlink_metadata().is_err());
    bed.srt()
        .flat(&settings)
        .env("O", &path)
        .sh("echo x > $O/there")
        .run()
        .ok();
    assert!(bed.outside().join("there").symlink_metadata().is_ok());
    // Relative to the working directory, and the home by its sign.
    bed.srt()
        .flat(&rules(&[], &[], &["."], &[]))
        .sh("echo x > here")
        .run()
        .ok();
    std::fs::create_dir(bed.home().join("open")).unwrap();
    bed.srt()
        .flat(&rules(&[], &[], &["~/open"], &[]))
        .sh("echo x > ~/open/x")
        .run()
        .ok();
    bed.srt()
        .flat(&rules(&[], &[], &["~/open"], &[]))
        .sh("echo x > ~/x")
        .run()
        .refused();
    assert!(bed.home().join("open/x").symlink_metadata().is_ok());
    assert!(bed.home().join("x").symlink_metadata().is_err());
}

#[test]
fn a_link_does_not_lead_out() {
    let bed = Bed::new();
    let target = bed.file("outside/target", "old\n");
    symlink(bed.outside(), bed.work().join("host-link")).unwrap();
    symlink(bed.outside().join("new"), bed.work().join("host-dangling")).unwrap();
    let before = bed.tree();
    let path = bed.outside().display().to_string();
    for line in [
        "ln -s $O link && echo new > link/target",
        "ln -s $O link; echo new > link/new",
        "ln -s $O/target file && echo new > file",
        "ln -s $O/new dangling && echo new > dangling",
        "echo new > host-link/target",
        "echo new > host-dangling",
        "ln -s ../outside up; echo new > up/new",
        "echo new > ../outside/new",
        "echo new > /proc/self/cwd/../outside/new",
        "echo new > /proc/self/root$O/new",
        "mkdir d; ln -s / d/root; echo new > d/root$O/new",
        "cp --remove-destination /etc/hostname host-link/target",
        "cd host-link && echo new > new",
    ] {
        bed.srt().env("O", &path).sh(line).run().refused();
        let changes: Vec<String> = before
            .changes(&bed.tree())
            .into_iter()
            .filter(|change| change.contains(&path))
            .collect();
        assert!(changes.is_empty(), "after `{line}`: {changes:#?}");
    }
    assert_eq!(std::fs::read(target).unwrap(), b"old\n");
    bed.srt()
        .sh("echo in > real && ln -s real inner && echo new > inner && cat real")
        .run()
        .ok()
        .prints("new\n");
}

#[test]
fn hard_links_and_special_files() {
    let bed = Bed::new();
    bed.srt().sh("ln /etc/passwd hard").run().refused();
    assert!(bed.work().join("hard").symlink_metadata().is_err());
    for node in ["node c 1 3", "node b 8 0"] {
        bed.srt().sh(&format!("mknod {node}")).run().refused();
        assert!(
            bed.work().join("node").symlink_metadata().is_err(),
            "{node}"
        );
    }
    bed.srt()
        .sh("mkfifo pipe && (echo through > pipe & cat pipe)")
        .run()
        .ok()
        .prints("through\n");
    bed.srt()
        .sh("echo x > a && ln a b && echo y > b && cat a")
        .run()
        .ok()
        .prints("y\n");
    if is_root() {
        host(
            &need!("mknod"),
            [
                bed.work().join("control").as_os_str(),
                "c".as_ref(),
                "1".as_ref(),
                "3".as_ref(),
            ],
        )
        .ok();
    }
}

#[test]
fn what_is_made_belongs_to_the_caller() {
    let bed = Bed::new();
    bed.srt()
        .sh("umask 022; echo x > file; mkdir dir; chmod 751 dir; ln -s file link")
        .run()
        .ok();
    let own = bed.work().metadata().unwrap();
    for name in ["file", "dir", "link"] {
        let found = bed.work().join(name).symlink_metadata().unwrap();
        assert_eq!((found.uid(), found.gid()), (own.uid(), own.gid()), "{name}");
    }
    assert_eq!(
        bed.work().join("file").metadata().unwrap().mode() & 0o7777,
        0o644
    );
    assert_eq!(
        bed.work().join("dir").metadata().unwrap().mode() & 0o7777,
        0o751
    );
}

#[test]
fn mode_bits_decide_for_root_too() {
    if !is_root() {
        inapplicable!("only root could be above the mode bits");
    }
    let bed = Bed::new();
    let file = bed.file("work/theirs", "theirs\n");
    std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    bed.srt().sh("cat theirs").run().refused().prints("");
    bed.srt().sh("echo new > theirs").run().refused();
    bed.srt().sh("chown 0:0 theirs").run().refused();
    host(&need!("cat"), [&file]).ok().prints("theirs\n");
    std::os::unix::fs::chown(&file, Some(0), Some(0)).unwrap();
    bed.srt().sh("cat theirs").run().ok().prints("theirs\n");
}

#[test]
fn deep_trees_and_odd_names() {
    let bed = Bed::new();
    let line = "mkdir -p 'a b/c\nd/é' && echo x > 'a b/c\nd/é/-f' && mv 'a b' \"it's\" && cat \"it's/c\nd/é/-f\" && rm -r \"it's\"";
    bed.srt().sh(line).run().ok().prints("x\n");
    let odd = bed.root().join("od d\nwork*[x]?{}$'\\");
    std::fs::create_dir(&odd).unwrap();
    bed.srt()
        .directory(&odd)
        .sh("echo x > f && cat f")
        .run()
        .ok()
        .prints("x\n");
    assert!(odd.join("f").symlink_metadata().is_ok());
}

#[test]
fn file_calls_of_real_programs_work() {
    let python = python!("mmap", "fcntl", "tempfile");
    let bed = Bed::new();
    let program = r"
import fcntl, mmap, os, tempfile
with open('m', 'w+b') as f:
    f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[0:3] = b'abc'; m.flush()
    fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_UN)
assert open('m', 'rb').read(3) == b'abc'
fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
os.write(fd, b'tmp')
os.link('/proc/self/fd/%d' % fd, 'linked', src_dir_fd=os.open('.', os.O_PATH), follow_symlinks=True)
assert open('linked').read() == 'tmp'
os.mkdir('d1'); os.mkdir('d2'); open('d1/f', 'w').close(); os.rename('d1/f', 'd2/g')
os.replace('d2/g', 'm'); os.utime('m', (1, 2)); os.chmod('m', 0o640)
os.posix_fallocate(os.open('big', os.O_RDWR | os.O_CREAT), 0, 1 << 20)
os.copy_file_range(os.open('linked', os.O_RDONLY), os.open('copy', os.O_WRONLY | os.O_CREAT), 3)
assert open('copy').read() == 'tmp'
with tempfile.TemporaryDirectory() as t, open(t + '/x', 'w') as f: f.write('x')
os.memfd_create('m')
print('done')
";
    // The temporary file can only be linked where the file system has such files.
    let control = host(
        &python,
        [
            "-c",
            &format!(
                "import os; os.chdir({:?})\n{program}",
                bed.outside().display().to_string()
            ),
        ],
    );
    if !control.succeeded() {
        skip!(
            "the host's own file system refuses one of the calls: {}",
            control.errors()
        );
    }
    bed.srt()
        .py(&python, program, &[])
        .run()
        .ok()
        .prints("done\n");
}

/// Nobody else has a file open for writing once its writer has closed it, or execve(2) says `ETXTBSY`.
#[test]
fn a_copied_program_can_be_executed_at_once() {
    let bed = Bed::new();
    let program = need!("true");
    let line = format!(
        "n=0; i=0; while [ $i -lt 200 ]; do cp '{}' p$i && ./p$i || n=$((n+1)); rm -f p$i; i=$((i+1)); done; echo $n",
        program.display()
    );
    let settings = rules(&[], &[], &["."], &[]);
    let output = bed.srt().flat(&settings).sh(&line).within(60.0).run();
    output.ok().prints("0\n");
}

/// Each root is a mount, and each mount is a descriptor while it is made.
#[test]
fn there_may_be_more_write_roots_than_descriptors() {
    let bed = Bed::new();
    let roots: Vec<_> = (0..1500)
        .map(|number| {
            bed.file(format!("outside/roots/{number}/file"), "old");
            bed.outside().join(format!("roots/{number}"))
        })
        .collect();
    let roots: Vec<_> = roots.iter().map(|root| root.to_str().unwrap()).collect();
    let settings = rules(&[], &[], &roots, &[]);
    let around = bed.outside().join("roots");
    let line = format!(
        "cd '{}' && echo new > 0/file && echo new > 1499/file && ulimit -Sn; touch beside",
        around.display()
    );
    let limited = ["sh", "-c", "ulimit -Sn 512; exec \"$@\"", "sh"];
    let output = bed.srt().flat(&settings).sh(&line).under(limited).run();
    assert_eq!(output.text(), "512\n", "{output}");
    output.refused();
    for number in [0, 1499] {
        let content = std::fs::read_to_string(around.join(format!("{number}/file")));
        assert_eq!(content.unwrap(), "new\n");
    }
    assert!(around.join("beside").symlink_metadata().is_err());
}

/// The notice names what is in the way, not a symlink that nobody has made.
#[test]
fn a_write_root_below_a_file_is_told_as_what_it_is() {
    let bed = Bed::new();
    if bed.is_in_scratch() {
        inapplicable!("the bed lies in a private directory");
    }
    let file = bed.file("outside/a", "old");
    let inside = file.join("q");
    let settings = rules(&[], &[], &[inside.to_str().unwrap()], &[]);
    let line = format!(
        "mkdir -p '{}' || echo new > '{}'",
        inside.display(),
        file.display()
    );
    let output = bed.srt().flat(&settings).sh(&line).run().refused();
    let expected = format!("`{}` is no directory", file.display());
    assert!(output.errors().contains(&expected), "{output}");
    assert!(!output.errors().contains("symlink"), "{output}");
    assert_eq!(std::fs::read(&file).unwrap(), b"old");
    // The control: below a directory it can be made, and there is nothing to tell.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let line = format!("mkdir '{}'", inside.display());
    let output = bed.srt().flat(&settings).sh(&line).run().ok();
    assert!(!output.errors().contains("notice"), "{output}");
    assert!(inside.symlink_metadata().unwrap().is_dir());
}

/// What the kernel finds wrong before it asks for permissions is said first here too: programs fall back
/// on `EXDEV`, and read `EISDIR`.
#[test]
fn mistakes_are_told_as_the_kernel_tells_them() {
    const TRY: &str = r#"
import os, sys, errno
def said(call, *words, **more):
    try:
        call(*words, **more)
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
outside = sys.argv[1]
W = os.O_WRONLY
held = os.open(sys.argv[2], os.O_RDONLY)
link = f"/proc/self/fd/{held}"
for name in ["..", ".", "/", outside, outside + "/", outside + "/..", "/etc"]:
    for flags in [os.O_CREAT | W, os.O_CREAT | os.O_RDWR, os.O_CREAT, W, os.O_TRUNC, os.O_CREAT | os.O_EXCL | W]:
        print(name, flags, said(os.open, name, flags))
print("magic", said(os.link, link, "made", follow_symlinks=False))
print("magic elsewhere", said(os.link, link, "/dev/shm/made", follow_symlinks=False))
print("other device", said(os.link, sys.argv[2], "/dev/shm/made"))
print("taken", said(os.link, link, "there", follow_symlinks=False))
print("own", said(os.link, "there", "second"), os.path.exists("second"))
os.unlink("second")
"#;
    let python = python!();
    let bed = Bed::new();
    if bed.is_in_scratch() {
        inapplicable!("the bed lies in a private directory");
    }
    let held = bed.file("work/held", "old");
    bed.file("work/there", "old");
    let words = [bed.outside().to_str().unwrap(), held.to_str().unwrap()];
    let before = bed.tree();
    let inside = bed.srt().py(&python, TRY, &words).run().ok();
    assert!(!inside.errors().contains("refused"), "{inside}");
    assert_eq!(before.changes(&bed.tree()), [""; 0]);
    let program = format!(
        "import os, sys; os.chdir({:?}); exec(sys.argv.pop(1))",
        bed.work()
    );
    let words = [&["-ESc", &program, TRY][..], &words[..]].concat();
    let outside = host(&python, words).ok();
    assert_eq!(inside.text(), outside.text());
    assert!(inside.text().contains("magic EXDEV"), "{inside}");
    // The control: what is no mistake is refused for what it is.
    let line = format!("ln held '{}/made'", bed.outside().display());
    let output = bed.srt().sh(&line).run().refused();
    assert!(output.errors().contains("refused"), "{output}");
}

/// Names that can't be looked at are no missing ones: `rm -f` would pass over them. And what a link of `/proc` leads to is
/// opened as by its name.
const ERRORS: &str = r#"
import ctypes, errno, os, stat
libc = ctypes.CDLL(None, use_errno=True)
def tell(what, result):
    print(what, 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()])
os.mkdir('locked'); open('locked/file', 'w').close(); open('file', 'w').close(); os.mkdir('dir')
os.chmod('locked', 0o600)
for name in [b'locked/file', b'x' * 256, b'file/below', b'missing']:
    tell('unlink %d %s' % (len(name), name[:20]), libc.unlink(name))
    tell('rmdir', libc.rmdir(name))
    tell('rename', libc.rename(name, b'other'))
f = os.open('file', os.O_RDONLY)
tell('unlinkat', libc.unlinkat(f, b'below', 0))
d = os.open('dir', os.O_RDONLY)
link = b'/proc/self/fd/%d' % d
os.umask(0o022)
made = libc.open(link, os.O_TMPFILE | os.O_RDWR, 0o664)
tell('no name', min(made, 0))
tell('named', libc.linkat(-100, b'/proc/self/fd/%d' % made, -100, b'made', 0x400))
print(oct(stat.S_IMODE(os.stat('made').st_mode)))
tell('both', libc.open(b'dir', os.O_TMPFILE | os.O_CREAT | os.O_RDWR, 0o644))
tell('creates', libc.open(link, os.O_CREAT | os.O_RDONLY, 0o644))
os.chmod('locked', 0o700)
"#;

#[test]
fn errors_are_those_of_outside() {
    let python = python!("ctypes");
    let bed = Bed::new();
    let inside = bed.srt().py(&python, ERRORS, &[]).run().ok().text();
    let there = bed.outside();
    let line = "cd \"$0\" && exec \"$1\" -ES -c \"$2\"";
    let words = [
        "-c",
        line,
        there.to_str().unwrap(),
        python.to_str().unwrap(),
        ERRORS,
    ];
    let outside = host(&need!("sh"), words).ok().text();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (inside, mut outside) = (lines(&inside), lines(&outside));
    // Outside root passes over the mode bits; inside nobody does.
    let locked = [
        "unlink 11 b'locked/file' EACCES",
        "rmdir EACCES",
        "rename EACCES",
    ];
    if is_root() {
        outside.splice(..3, locked.map(str::to_owned));
    }
    assert_eq!(inside, outside);
    assert_eq!(inside[..3], locked);
    assert!(bed.work().join("locked/file").symlink_metadata().is_ok());
}
