//! File systems that programs serve (fuse(4)), which answer otherwise than the kernel's own.

use std::os::unix::fs::{MetadataExt as _, symlink};

use sandbox_tests::{Bed, inapplicable, is_root, need, python};

use crate::rules;

/// Serves one: see its first lines.
const UNCOUNTED: &str = include_str!("uncounted.py");

/// Without a count of its names a file looks like a removed one, which no rule is about.
#[test]
fn files_whose_names_are_not_counted_are_judged_by_them() {
    if !is_root() {
        inapplicable!("only root mounts here");
    }
    let python = python!("ctypes", "threading");
    let bed = Bed::new();
    std::fs::create_dir_all(bed.root().join("outside/place")).unwrap();
    bed.file("outside/uncounted.py", UNCOUNTED);
    let place = bed.outside().join("place");
    let script = bed.outside().join("uncounted.py");
    let settings = rules(&[], &[], &[place.to_str().unwrap()], &[]);
    let again = "import os, sys\nkept = os.open(sys.argv[1], os.O_RDONLY)\nassert os.fstat(kept).st_nlink == 0\n\
                 file = os.open(f'/proc/self/fd/{kept}', os.O_WRONLY)\nos.write(file, b'bad')";
    let run = |name: &str| {
        let srt = bed.srt().flat(&settings).py(&python, again, &[name]);
        let launcher = [python.as_path(), &script, &place];
        srt.under(launcher.map(std::path::Path::as_os_str)).run()
    };
    let output = run("CLAUDE.md");
    assert_eq!(output.text(), "CLAUDE.md own\nfree own\n", "{output}");
    assert!(
        output.errors().contains("srt: refused: writing"),
        "{output}"
    );
    let output = run("free");
    assert_eq!(output.text(), "CLAUDE.md own\nfree bad\n", "{output}");
}

/// Whoever asks such a file system about a link itself may make it wait for itself.
#[test]
fn a_link_on_a_mirrored_tree_is_followed() {
    let bindfs = need!("bindfs");
    if !is_root() {
        inapplicable!("only root mounts here");
    }
    let bed = Bed::new();
    std::fs::create_dir_all(bed.root().join("outside/source")).unwrap();
    std::fs::create_dir_all(bed.root().join("outside/mirror")).unwrap();
    let mirror = bed.outside().join("mirror");
    symlink(mirror.join("target"), bed.outside().join("source/link")).unwrap();
    let settings = rules(&[], &[], &[mirror.to_str().unwrap()], &[]);
    let line = "d=$1; shift; \"$0\" \"${d%mirror}source\" \"$d\" && cd \"$d\" && { \"$@\"; code=$?; cd /; \
                umount -l \"$d\"; exit $code; }";
    let launcher = [
        "unshare",
        "-m",
        "sh",
        "-c",
        line,
        bindfs.to_str().unwrap(),
        mirror.to_str().unwrap(),
    ];
    let inside = "echo x >> link && cat link && echo y > .bashrc";
    let output = bed.srt().flat(&settings).sh(inside).under(launcher).run();
    assert_eq!(output.text(), "x\n", "{output}");
    assert!(
        output.errors().contains("srt: refused: writing"),
        "{output}"
    );
    let written = std::fs::read_to_string(bed.outside().join("source/target")).unwrap();
    assert_eq!(written, "x\n");
}

/// A file with a second name becomes an index as a copy, by way of a name that nobody has: what somebody was killed with
/// stays, and is in nobody's way.
#[test]
fn an_index_with_a_second_name_needs_no_certain_other() {
    need!("git");
    let bed = Bed::new();
    let inside = "git init -q repo && cd repo && echo x > file && git add file && cp .git/index other && ln other second || exit\n\
                  echo mine > other.lock && rm .git/index && mv other .git/index && git ls-files && cat other.lock && ls";
    let output = bed.srt().sh(inside).run().ok();
    assert_eq!(
        output.text(),
        "file\nmine\nfile\nother.lock\nsecond\n",
        "{output}"
    );
    let second = bed.work().join("repo/second");
    assert_eq!(std::fs::metadata(second).unwrap().nlink(), 1);
}

/// A file with a second name becomes an index as a copy, which has a name from the beginning there.
#[test]
fn an_index_on_a_full_mirrored_tree_is_not_lost() {
    need!("git");
    let bindfs = need!("bindfs");
    let unshare = need!("unshare");
    if !is_root() {
        inapplicable!("only root mounts here");
    }
    let bed = Bed::new();
    for name in ["source", "mirror"] {
        std::fs::create_dir_all(bed.outside().join(name)).unwrap();
    }
    let mirror = bed.outside().join("mirror");
    let settings = rules(&[], &[], &[mirror.to_str().unwrap()], &[]);
    let line = "d=$1; s=${d%mirror}source; shift; mount -t tmpfs -o size=2m none \"$s\" && \"$0\" \"$s\" \"$d\" && \
                cd \"$d\" && { \"$@\"; code=$?; cd /; umount -l \"$d\"; exit $code; }";
    let launcher = [
        unshare.to_str().unwrap(),
        "-m",
        "sh",
        "-c",
        line,
        bindfs.to_str().unwrap(),
        mirror.to_str().unwrap(),
    ];
    let inside = "git init -q repo && cd repo && echo x > file && git add file && cp .git/index other && ln other second || exit\n\
                  dd if=/dev/zero of=filler bs=64k 2>/dev/null\n\
                  mv other .git/index && echo moved || ls other .git/index\n\
                  rm filler && mv other .git/index && echo moved\n\
                  git ls-files && ls .git";
    let output = bed.srt().flat(&settings).sh(inside).under(launcher).run();
    let text = output.text();
    let mut lines = text.lines();
    // It fails while there is no room for the copy, and nothing is lost.
    let start: Vec<_> = lines.by_ref().take(4).collect();
    assert_eq!(start, [".git/index", "other", "moved", "file"], "{output}");
    assert!(!lines.any(|name| name.contains("lock")), "{output}");
}
