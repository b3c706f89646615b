//! The file that refusals are written to: nobody inside changes it, and nothing is lost without a word.

use std::{
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode};
use sandbox_tests::{Bed, Output, python, say};

use crate::{events, log, logged, settings};

/// Whatever changes a file or puts another one in its place. Prints the attempts that went well.
const ATTACKS: &str = "
import os, sys, ctypes
path = sys.argv[1]
def attempt(name, function):
    try:
        function()
        print(name)
    except OSError:
        pass
def write(flags):
    fd = os.open(path, flags)
    os.write(fd, b'{\"forged\": 1}\\n')
    os.close(fd)
def by_link():
    os.link(path, 'link')
    open('link', 'a').write('{\"forged\": 2}')
def renamed_directory():
    os.rename(os.path.dirname(path) or '.', '../work/away')
    os.mkdir(os.path.dirname(path))
    open(path, 'w').write('{\"forged\": 3}')
def replaced():
    open('other', 'w').write('{\"forged\": 4}')
    os.rename('other', path)
def exchanged():
    open('other2', 'w').write('{\"forged\": 5}')
    if ctypes.CDLL(None, use_errno=True).renameat2(-100, b'other2', -100, path.encode(), 2):
        raise OSError(ctypes.get_errno(), '')
def by_descriptor():
    fd = os.open(path, os.O_RDONLY)
    open('/proc/self/fd/%d' % fd, 'a').write('{\"forged\": 6}')
attempt('append', lambda: write(os.O_WRONLY | os.O_APPEND))
attempt('overwrite', lambda: write(os.O_RDWR))
attempt('truncate', lambda: os.truncate(path, 0))
attempt('chmod', lambda: os.chmod(path, 0o777))
attempt('link', by_link)
attempt('descriptor', by_descriptor)
attempt('rename', lambda: os.rename(path, 'renamed'))
attempt('replace', replaced)
attempt('exchange', exchanged)
attempt('unlink', lambda: os.unlink(path))
attempt('directory', renamed_directory)
attempt('control', lambda: open('control', 'w').write('x'))
";

/// One that lies where the command may write is closed to it.
#[test]
fn the_command_cannot_change_its_own_record() {
    let python = python!("ctypes");
    for (name, exists) in [("log.jsonl", false), ("logs/log.jsonl", true)] {
        let bed = Bed::new();
        let file = bed.work().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        if exists {
            bed.file(Path::new("work").join(name), "{\"before\": 1}\n");
        }
        let output = bed
            .srt()
            .flat(&settings(&["."], &[], &[]))
            .options(["--violations", name])
            .py(&python, ATTACKS, &[name])
            .run()
            .ok();
        assert_eq!(output.text(), "control\n", "{output}");
        let told = events(&file);
        assert!(told.iter().all(|it| it["forged"].is_null()), "{told:?}");
        assert_eq!(told[0]["before"].is_u64(), exists, "{told:?}");
        let closed = told.iter().filter(|it| {
            let origin = it["origin"].as_str();
            origin.is_some_and(|text| text.contains("refusals are written to it"))
        });
        assert!(closed.count() >= 7, "{told:?}");
        assert_eq!(std::fs::metadata(&file).unwrap().nlink(), 1);
        // A further run adds to it.
        let srt = bed.srt().flat(&settings(&["."], &[], &[]));
        srt.options(["--violations", name])
            .sh("echo x > ../outside/x; true")
            .run()
            .ok();
        assert_eq!(events(&file).len(), told.len() + 1);
    }
}

/// Another name for it, left by an earlier run, would be a way to it.
#[test]
fn a_record_with_two_names_is_refused() {
    let bed = Bed::new();
    let file = bed.file("work/log", "");
    std::fs::hard_link(&file, bed.work().join("other")).unwrap();
    let run = || {
        let srt = bed.srt().flat(&settings(&["."], &[], &[]));
        srt.options(["--violations", "log"])
            .args(["touch", "ran"])
            .run()
    };
    let output = run().exits(125);
    assert!(output.errors().contains("other names"), "{output}");
    assert!(bed.work().join("ran").symlink_metadata().is_err());
    std::fs::remove_file(bed.work().join("other")).unwrap();
    run().ok();
    assert!(bed.work().join("ran").symlink_metadata().is_ok());
}

#[test]
fn a_fifo_without_a_reader_is_an_error() {
    let bed = Bed::new();
    let (fifo, mode) = (log(&bed), Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
    let run = || -> Output {
        let srt = logged(&bed, &settings(&["."], &[], &[]));
        srt.sh("touch ran; echo x > ../outside/x; true")
            .within(30.0)
            .run()
    };
    let start = Instant::now();
    let output = run().exits(125);
    say(&format!("gave up after {:?}", start.elapsed()));
    assert!(output.errors().contains("nobody reads it"), "{output}");
    assert!(bed.work().join("ran").symlink_metadata().is_err());
    // One that comes a little late is waited for.
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        std::fs::read_to_string(fifo).unwrap()
    });
    run().ok();
    let text = reader.join().unwrap();
    assert!(text.contains("/outside/x"), "{text}");
}

#[test]
fn lines_that_could_not_be_written_are_mentioned_once() {
    let bed = Bed::new();
    let run = |log: &str, line: &str| {
        let srt = bed.srt().flat(&settings(&["."], &[], &[]));
        let srt = srt.options(["--quiet", "--violations", log]);
        srt.sh(line).run().ok()
    };
    let line = "for i in 1 2 3; do echo x > ../outside/x; done 2>/dev/null; true";
    let output = run("/dev/full", line);
    assert_eq!(output.errors().lines().count(), 1, "{output}");
    assert!(output.errors().contains("3 lines"), "{output}");
    assert!(output.errors().contains("No space left"), "{output}");
    // Nothing was lost of nothing, nor where all was written.
    assert_eq!(run("/dev/full", "true").complaints(), "");
    assert_eq!(run("/dev/null", line).complaints(), "");
    assert_eq!(run("here", line).complaints(), "");
}

/// Refused by the kernel, told all the same.
#[test]
fn a_device_that_is_not_made_is_told() {
    let python = python!();
    let bed = Bed::new();
    let program = "
import os, stat
os.mknod('pipe', stat.S_IFIFO | 0o600)
try: os.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))
except OSError: print('refused')
";
    let srt = logged(&bed, &settings(&["."], &[], &[]));
    let output = srt.py(&python, program, &[]).run().ok();
    assert_eq!(output.text(), "refused\n");
    let told = events(&log(&bed));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["object"].as_str().unwrap().ends_with("/disk"));
    assert_eq!(told[0]["reason"], "write_denied");
    assert!(bed.work().join("disk").symlink_metadata().is_err());
    assert!(bed.work().join("pipe").symlink_metadata().is_ok());
}
