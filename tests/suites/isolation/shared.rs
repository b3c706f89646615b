//! What processes of one session share without a name in a file system, and what a server hands over.

use std::{path::Path, thread, time::Duration};

use sandbox_tests::{Bed, host, python};
use serde_json::json;

/// A segment of System V shared memory (sysvipc(7)) by its key: found, made, attached.
const SEGMENT: &str = "
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
what, key = sys.argv[1], int(sys.argv[2])
number = libc.shmget(key, 64, 0o1600 if what == 'make' else 0)
if number < 0:
    print('none', ctypes.get_errno())
elif what == 'remove':
    print('removed', libc.shmctl(number, 0, None))
else:
    at = libc.shmat(number, None, 0)
    print('attached' if at != ctypes.c_void_p(-1).value else 'closed')
    if what == 'make':
        ctypes.memmove(at, b'sentinel', 8)
    else:
        print(ctypes.string_at(at, 8))
";

#[test]
fn shared_memory_of_the_host_is_not_there() {
    let python = python!("ctypes");
    let bed = Bed::new();
    let key = (0x5352_0000 + (std::process::id() & 0xffff)).to_string();
    let outside = |what: &str| host(&python, ["-ES", "-c", SEGMENT, what, &key]).text();
    assert_eq!(outside("make"), "attached\n");
    let inside = |what: &str| bed.srt().py(&python, SEGMENT, &[what, &key]).run().ok();
    let found = inside("find");
    let made = inside("make");
    let control = outside("find");
    assert_eq!(outside("remove"), "removed 0\n");
    // ENOENT.
    assert_eq!(found.text(), "none 2\n", "{found}");
    assert_eq!(made.text(), "attached\n", "{made}");
    assert_eq!(control, "attached\nb'sentinel'\n");
}

/// A POSIX message queue (mq_overview(7)) by its name: made with a message in it, sent to, received from.
const QUEUE: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
what, name = sys.argv[1], sys.argv[2].encode()
flags = {'make': os.O_RDWR | os.O_CREAT | os.O_EXCL, 'send': os.O_RDWR, 'take': os.O_RDONLY, 'remove': 0}[what]
if what == 'remove':
    print('removed', libc.mq_unlink(name)); sys.exit()
queue = libc.mq_open(name, flags | os.O_NONBLOCK, 0o666, None)
if queue < 0:
    print('none', ctypes.get_errno())
elif what == 'take':
    text = ctypes.create_string_buffer(65536)
    size = libc.mq_receive(queue, text, 65536, None)
    print('took', text.raw[:size].decode() if size >= 0 else 'nothing')
else:
    print('sent', libc.mq_send(queue, b'sentinel', 8, 0))
";

#[test]
fn message_queues_of_the_host_are_not_there() {
    let python = python!("ctypes");
    let library = "import ctypes; ctypes.CDLL(None).mq_open";
    if !host(&python, ["-ES", "-c", library]).succeeded() {
        sandbox_tests::skip!("this C library keeps message queues elsewhere");
    }
    let bed = Bed::new();
    let name = format!("/{}", bed.marker());
    let other = format!("{name}-inside");
    let outside = |what: &str, name: &str| host(&python, ["-ES", "-c", QUEUE, what, name]).text();
    let made = outside("make", &name);
    if made != "sent 0\n" {
        sandbox_tests::inapplicable!("this kernel has no message queues: {made}");
    }
    let inside = |what: &str, name: &str| bed.srt().py(&python, QUEUE, &[what, name]).run().ok();
    let found = ["take", "send"].map(|what| inside(what, &name));
    let removed = inside("remove", &name);
    // What is made inside, if it can be, is not the host's.
    let (same, own) = (inside("make", &name), inside("make", &other));
    let seen = outside("take", &other);
    let kept = [outside("take", &name), outside("take", &name)];
    assert_eq!(outside("remove", &name), "removed 0\n");
    // ENOENT.
    for found in found {
        assert_eq!(found.text(), "none 2\n", "{found}");
    }
    assert_eq!(removed.text(), "removed -1\n", "{removed}");
    assert_eq!(seen, "none 2\n", "{own}");
    // The control: the message is there once, for the host.
    assert_eq!(kept, ["took sentinel\n", "took nothing\n"], "{same}");
}

/// Serves descriptors of a directory and of a file of the host's, one connection.
const SERVER: &str = "
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
for _ in range(int(sys.argv[3])):
    c, _ = s.accept()
    socket.send_fds(c, [b'x'], [os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY)])
    c.close()
";

/// Changes names by the directory that it got.
const CLIENT: &str = "
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
_, (directory,), _, _ = socket.recv_fds(s, 9, 1)
def attempt(name, function):
    try:
        function(); print(name, 'done')
    except OSError as error:
        print(name, 'refused')
attempt('create', lambda: os.close(os.open('new', os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=directory)))
attempt('change', lambda: os.close(os.open('file', os.O_WRONLY | os.O_TRUNC, dir_fd=directory)))
attempt('rename', lambda: os.rename('file', 'moved', src_dir_fd=directory, dst_dir_fd=directory))
attempt('remove', lambda: os.unlink('file', dir_fd=directory))
os.fchdir(directory)
attempt('relative', lambda: os.mkdir('made'))
";

#[test]
fn a_directory_that_a_listed_server_hands_over_is_not_changed() {
    let python = python!("socket");
    let bed = Bed::new();
    bed.file("outside/tree/file", "as it was");
    let (tree, socket) = (bed.outside().join("tree"), bed.outside().join("server"));
    let words = [socket.clone(), tree.clone()].map(|path| path.display().to_string());
    let [socket_text, tree_text] = words;
    let serving = {
        let (python, socket, tree) = (python.clone(), socket_text.clone(), tree_text);
        thread::spawn(move || host(&python, ["-ES", "-c", SERVER, &socket, &tree, "2"]))
    };
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    assert!(sandbox_tests::wait_until(Duration::from_secs(10), || {
        is_there(&socket)
    }));
    thread::sleep(Duration::from_millis(100));
    let before = sandbox_tests::tree_hash(&tree);
    let settings = json!({
        "network": {
            "allowedDomains": [],
            "deniedDomains": [],
            "allowUnixSockets": [socket_text],
        },
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    });
    let srt = bed.srt().flat(&settings);
    let output = srt.py(&python, CLIENT, &[&socket_text]).run().ok();
    assert_eq!(output.text().matches("refused").count(), 5, "{output}");
    assert_eq!(before.changes(&sandbox_tests::tree_hash(&tree)), [""; 0]);
    let control = host(&python, ["-ES", "-c", CLIENT, &socket_text]);
    assert!(control.text().starts_with("create done"), "{control}");
    assert_ne!(before.changes(&sandbox_tests::tree_hash(&tree)), [""; 0]);
    serving.join().expect("the server").ok();
}
