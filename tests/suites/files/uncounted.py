# A file system of /dev/fuse whose files have no names by their count (st_nlink 0), as some have: `python uncounted.py
# DIRECTORY COMMAND...` mounts it there in a mount namespace of its own, runs the command, and prints what is in each
# file at its end. The structures are those of linux/fuse.h, protocol 7.31.
import ctypes, os, stat, struct, sys, threading

NAMES = ["CLAUDE.md", "free"]
files = {number: bytearray(b"own") for number in (2, 3)}
place, command = sys.argv[1], sys.argv[2:]
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


checked(libc.unshare(0x20000))
checked(libc.mount(None, b"/", None, 0x4000 | 0x40000, None))
device = os.open("/dev/fuse", os.O_RDWR)
options = b"fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other" % (device, os.getuid(), os.getgid())
checked(libc.mount(b"uncounted", place.encode(), b"fuse", 0, options))


def attributes(node):
    mode = stat.S_IFDIR | 0o755 if node == 1 else stat.S_IFREG | 0o644
    links = 2 if node == 1 else 0
    return struct.pack("<6Q3I7I", node, len(files.get(node, b"")), 0, 0, 0, 0, 0, 0, 0, mode, links, os.getuid(), os.getgid(), 0, 4096, 0)


def answer(opcode, node, body):
    """The body of a reply; an error as a number."""
    if opcode == 26:  # INIT
        return struct.pack("<4I2H2I2HI28x", 7, 31, 0, 0, 0, 0, 65536, 1, 0, 0, 0)
    if opcode == 1:  # LOOKUP
        name = body.rstrip(b"\0").decode()
        if name not in NAMES:
            return -2
        number = NAMES.index(name) + 2
        return struct.pack("<4Q2I", number, 0, 0, 0, 0, 0) + attributes(number)
    if opcode == 4:  # SETATTR: the size
        if struct.unpack_from("<I", body)[0] & 8:
            del files[node][struct.unpack_from("<Q", body, 16)[0]:]
        return struct.pack("<QII", 0, 0, 0) + attributes(node)
    if opcode == 3:  # GETATTR
        return struct.pack("<QII", 0, 0, 0) + attributes(node)
    if opcode in (14, 27):  # OPEN, OPENDIR
        return struct.pack("<QII", 0, 1, 0)
    if opcode == 15:  # READ
        _, offset, size = struct.unpack_from("<QQI", body)
        return bytes(files[node][offset:offset + size])
    if opcode == 16:  # WRITE
        _, offset, size = struct.unpack_from("<QQI", body)
        files[node][offset:offset + size] = body[40:40 + size]
        return struct.pack("<II", size, 0)
    if opcode == 17:  # STATFS
        return struct.pack("<5Q4I24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0)
    if opcode in (18, 25, 28, 29):  # RELEASE, FLUSH, READDIR (of nothing), RELEASEDIR
        return b""
    return -38


def serve():
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError:
            return
        opcode, unique, node = struct.unpack_from("<4xIQQ", request)
        if opcode in (2, 42):  # FORGET: no reply
            continue
        reply = answer(opcode, node, request[40:])
        error, reply = (reply, b"") if isinstance(reply, int) else (0, reply)
        os.write(device, struct.pack("<IiQ", 16 + len(reply), error, unique) + reply)


threading.Thread(target=serve, daemon=True).start()
child = os.fork()
if child == 0:
    os.chdir(place)
    os.execv(command[0], command)
os.waitpid(child, 0)
for name, content in zip(NAMES, files.values()):
    print(name, bytes(content).decode().strip())
