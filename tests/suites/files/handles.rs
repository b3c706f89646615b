//! Handles that outlive names: what a pattern or `strictReads` closes is not opened through a descriptor
//! that was taken before, a path that is too long to tell, or a filter of the command's own.

use std::{fs, thread, time::Duration};

use sandbox_tests::{Bed, host, python};
use serde_json::{Value, json};

fn settings(denied: &str, strict: bool) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [denied], "allowWrite": ["."], "denyWrite": [], "strictReads": strict},
    })
}

const DEEP: &str = r"
import os
name = 'd' * 200
cur = os.open('.', os.O_RDONLY | os.O_DIRECTORY)
for i in range(25):
    os.mkdir(name, dir_fd=cur)
    cur = os.open(name, os.O_PATH | os.O_DIRECTORY, dir_fd=cur)
os.rename('sub', 'sub', dst_dir_fd=cur)
below = os.open('sub', os.O_PATH, dir_fd=cur)
for name in ('a.secret', 'plain'):
    handle = os.open(name, os.O_PATH, dir_fd=below)
    for way in (lambda: os.open(name, os.O_RDONLY, dir_fd=below),
                lambda: os.open('/proc/self/fd/%d' % handle, os.O_RDONLY)):
        try: print(name, os.read(way(), 50).decode())
        except OSError as error: print(name, 'refused')
os.rename('sub', 'sub', src_dir_fd=cur)
";

#[test]
fn a_path_that_is_too_long_to_tell_opens_nothing() {
    let python = python!("os");
    let bed = Bed::new();
    bed.file("work/sub/a.secret", "sentinel");
    bed.file("work/sub/plain", "plain");
    let run = |program: &str| {
        let run = bed.srt().flat(&settings("**/*.secret", false));
        run.py(&python, program, &[]).run().ok()
    };
    let output = run(DEEP);
    let text = output.text();
    assert!(!text.contains("sentinel"), "{output}");
    assert!(text.contains("plain plain\n"), "{output}");
    let work = bed.work().to_str().unwrap();
    let outside = format!(
        "import os\nos.chdir({work:?})\nimport shutil\nshutil.rmtree('{}')\n{DEEP}",
        "d".repeat(200)
    );
    let control = host(&python, ["-c", &outside]).ok();
    assert_eq!(control.text().matches("sentinel").count(), 2, "{control}");
}

const HOLD: &str = r"
import os, time
handle = os.open('a.secret', os.O_PATH)
open('ready', 'w').close()
while not os.path.exists('go'): time.sleep(0.01)
for way in ('a.secret', '/proc/self/fd/%d' % handle, '/dev/fd/%d' % handle):
    try: print(open(way).read())
    except OSError as error: print('refused')
memory = os.memfd_create('own')
os.write(memory, b'own')
print(open('/proc/self/fd/%d' % memory).read())
";

/// Every editor's save: a new file takes the old one's name.
#[test]
fn a_handle_to_a_replaced_file_opens_nothing() {
    let python = python!("os");
    for (denied, strict) in [("**/*.secret", false), ("a.secret", true)] {
        for keeps_old in [false, true] {
            let bed = Bed::new();
            let secret = bed.file("work/a.secret", "sentinel");
            let new = bed.file("outside/new", "sentinel 2");
            let run = bed.srt().flat(&settings(denied, strict)).within(30.0);
            let mut running = run.py(&python, HOLD, &[]).spawn();
            while bed.work().join("ready").metadata().is_err() {
                assert!(
                    !running.ended(),
                    "{}",
                    running.finish(Duration::from_secs(1))
                );
                thread::sleep(Duration::from_millis(10));
            }
            if keeps_old {
                fs::hard_link(&secret, bed.outside().join("backup")).unwrap();
            }
            fs::rename(&new, &secret).unwrap();
            bed.file("work/go", "");
            let output = running.finish(Duration::from_secs(30)).ok();
            output.prints("refused\nrefused\nrefused\nown\n");
        }
    }
}

const LISTENER: &str = r"
import ctypes, errno, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
# BPF_RET | BPF_K: allow everything.
code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
program = Program(1, ctypes.cast(code, ctypes.c_void_p))
for flags in (8, 8 | 1 << 32, 8 | 2):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(317), ctypes.c_long(1), ctypes.c_long(flags), ctypes.byref(program))
    print('listener', errno.errorcode.get(ctypes.get_errno(), result))
print('filter', libc.syscall(ctypes.c_long(317), ctypes.c_long(1), ctypes.c_long(0), ctypes.byref(program)))
";

/// Of two listeners the newer one's is asked, and it may have calls continued: the command gets none,
/// also when the supervisor is gone. Filters without one are as everywhere.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_command_has_no_listener_of_its_own() {
    let python = python!("ctypes");
    let bed = Bed::new();
    let run = bed.srt().flat(&settings("**/*.secret", false));
    let output = run.py(&python, LISTENER, &[]).run().ok();
    output.prints("listener ENOSYS\nlistener ENOSYS\nlistener ENOSYS\nfilter 0\n");
    let control = host(&python, ["-c", LISTENER]).ok();
    assert!(!control.text().contains("listener ENOSYS"), "{control}");
}
