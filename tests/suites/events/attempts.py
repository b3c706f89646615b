# Arguments: how many attempts of each kind. Prints {"kind", "object", "failed", "pid"} for each; `failed`
# is the time at which the call had come back.
import ctypes, json, os, socket, sys, time

libc = ctypes.CDLL(None, use_errno=True)
count = int(sys.argv[1])
work = os.getcwd()


def call(function, *arguments):
    if function(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def lookup(name):
    try:
        socket.getaddrinfo(name, 80, socket.AF_INET)
    except socket.gaierror as error:
        raise OSError(error.errno, "lookup")


def connect(target):
    # Through the HTTP proxy, so that the answer says that it was refused.
    client = socket.create_connection(("127.0.0.1", 3128))
    client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    answer = client.recv(4096)
    client.close()
    if b" 403 " in answer:
        raise OSError(13, "refused")


KINDS = [
    ("create", lambda n: f"{work}/locked/new-{n}", lambda p, n: os.close(os.open(p, os.O_CREAT | os.O_WRONLY))),
    ("overwrite", lambda n: f"{work}/locked/old", lambda p, n: os.close(os.open(p, os.O_WRONLY))),
    ("mkdir", lambda n: f"{work}/locked/dir-{n}", lambda p, n: os.mkdir(p)),
    ("unlink", lambda n: f"{work}/locked/old", lambda p, n: os.unlink(p)),
    ("rename", lambda n: f"{work}/.bashrc", lambda p, n: os.rename(f"{work}/free", p)),
    ("symlink", lambda n: f"{work}/locked/link-{n}", lambda p, n: os.symlink("x", p)),
    ("link", lambda n: f"{work}/locked/hard-{n}", lambda p, n: os.link(f"{work}/free", p)),
    ("chmod", lambda n: f"{work}/locked/old", lambda p, n: os.chmod(p, 0o600)),
    ("truncate", lambda n: f"{work}/locked/old", lambda p, n: os.truncate(p, 0)),
    ("utime", lambda n: f"{work}/locked/old", lambda p, n: os.utime(p)),
    ("outside", lambda n: f"{os.path.dirname(work)}/outside/new-{n}", lambda p, n: os.close(os.open(p, os.O_CREAT | os.O_WRONLY))),
    ("read", lambda n: f"{work}/a-{n}.secret", lambda p, n: os.close(os.open(p, os.O_RDONLY))),
    ("lookup", lambda n: f"name-{n}.test", lambda p, n: lookup(p)),
    ("connect", lambda n: f"192.0.2.{n % 250}:{1000 + n}", lambda p, n: connect(p)),
    ("socket", lambda n: "socket(AF_VSOCK, SOCK_STREAM, 0)", lambda p, n: socket.socket(40, socket.SOCK_STREAM, 0)),
    ("raw", lambda n: "socket(AF_INET, SOCK_RAW, 1)", lambda p, n: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    ("namespace", lambda n: "unshare(CLONE_NEWUSER)", lambda p, n: call(libc.unshare, 0x10000000)),
    ("mount", lambda n: "mount", lambda p, n: call(libc.mount, b"x", b"/", None, 0, None)),
    ("ptrace", lambda n: "ptrace", lambda p, n: call(libc.ptrace, 0, 0, 0, 0)),
    ("keyring", lambda n: "add_key", lambda p, n: call(libc.syscall, 248 if os.uname().machine == "x86_64" else 217, b"user", b"x", b"y", 1, -2)),
]

for number in range(count):
    for kind, name, attempt in KINDS:
        target = name(number)
        try:
            attempt(target, number)
            failed = None
        except OSError as error:
            failed = time.time()
        print(json.dumps({"kind": kind, "object": target, "failed": failed, "pid": os.getpid()}), flush=True)
