"""Datagram Unix sockets: sends in the ways that there are, and prints what came of it."""
import array, ctypes, errno, os, signal, socket, struct, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
what, path = sys.argv[1], sys.argv[2]
UNIX, DGRAM, STREAM = socket.AF_UNIX, socket.SOCK_DGRAM, socket.SOCK_STREAM


class Address(ctypes.Structure):
    _fields_ = [("family", ctypes.c_ushort), ("path", ctypes.c_char * 108)]


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Header(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint), ("parts", ctypes.c_void_p),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p),
                ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int)]


class Result(ctypes.Structure):
    _fields_ = [("header", Header), ("length", ctypes.c_uint)]


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def header(to, data):
    address = Address(UNIX, to.encode())
    part = Part(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
    made = Header(ctypes.addressof(address), 2 + len(to) + 1, ctypes.addressof(part), 1, None, 0, 0)
    made.kept = (address, part, data)
    return made


def ways():
    text = b"by " + what.encode()
    if what == "pair":
        s, kept = socket.socketpair(UNIX, DGRAM)
    else:
        s = socket.socket(UNIX, DGRAM)
    if what == "connect":
        s.connect(path)
        s.send(text)
    elif what in ("sendto", "pair"):
        s.sendto(text, path)
    elif what == "sendmsg":
        check(libc.sendmsg(s.fileno(), ctypes.byref(header(path, text)), 0))
    elif what == "sendmsg-parts":
        s.sendmsg([text[:2], b"", text[2:]], [], 0, path)
    elif what == "sendmmsg":
        results = (Result * 1)()
        message = header(path, text)
        results[0].header = message
        assert check(libc.sendmmsg(s.fileno(), results, 1, 0)) == 1
        assert results[0].length == len(text)
    elif what == "again":
        # Connected to one of its own, it sends to another one by name.
        own = socket.socket(UNIX, DGRAM)
        own.bind("own-%d" % time.time_ns())
        s.connect(own.getsockname())
        s.sendto(text, path)


def bed_of_own():
    server = socket.socket(UNIX, DGRAM)
    name = "own-%d" % os.getpid()
    server.bind(name)
    return server, name


def changes():
    """Errors of the ways to ask for a new address of `lo`."""
    attribute = struct.pack("=HH", 8, 2) + b"\x0a\x09\x08\x07"
    body = struct.pack("=BBBBI", 2, 32, 0, 0, socket.if_nametoindex("lo")) + attribute
    request = struct.pack("=IHHII", 16 + len(body), 20, 1 | 4 | 0x400 | 0x200, 1, 0) + body
    kernel = struct.pack("=HHII", socket.AF_NETLINK, 0, 0, 0)
    errors = set()
    for way in ["sendto", "sendmsg", "sendmmsg", "send", "connect"]:
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        s.bind((0, 0))
        if way == "sendto":
            s.sendto(request, (0, 0))
        elif way == "sendmsg":
            s.sendmsg([request], [], 0, (0, 0))
        elif way == "sendmmsg":
            name, part = ctypes.create_string_buffer(kernel, 12), Part(ctypes.cast(ctypes.c_char_p(request), ctypes.c_void_p), len(request))
            results = (Result * 1)()
            results[0].header = Header(ctypes.addressof(name), 12, ctypes.addressof(part), 1, None, 0, 0)
            assert check(libc.sendmmsg(s.fileno(), results, 1, 0)) == 1
        else:
            if way == "connect":
                s.connect((0, 0))
            s.send(request)
        answer = s.recv(4096)
        assert struct.unpack_from("=H", answer, 4) == (2,), answer
        errors.add(struct.unpack_from("=i", answer, 16)[0])
    return errors


def others():
    if what == "own-datagrams":
        server, name = bed_of_own()
        client = socket.socket(UNIX, DGRAM)
        client.sendto(b"one", name)
        client.sendmsg([b"two"], [], 0, name)
        client.connect(name)
        client.send(b"three")
        assert [server.recv(9) for _ in range(3)] == [b"one", b"two", b"three"]
        os.unlink(name)
    elif what == "stream":
        a, b = socket.socketpair(UNIX, STREAM)
        sent = os.urandom(3_000_000)
        got = bytearray()
        reader = threading.Thread(target=lambda: [got.extend(b.recv(65536)) for _ in iter(lambda: len(got) < len(sent), False)])
        reader.start()
        rest = sent
        while rest:
            rest = rest[a.sendmsg([rest[:700_000], rest[700_000:900_000]]):]
        reader.join()
        assert got == sent
        try:
            a.sendto(b"x", path)
            assert False
        except OSError as error:
            assert error.errno == errno.EISCONN, error
    elif what == "descriptors":
        a, b = socket.socketpair(UNIX, STREAM)
        r, w = os.pipe()
        socket.send_fds(a, [b"x"], [w, w])
        _, files, _, _ = socket.recv_fds(b, 9, 4)
        assert len(files) == 2
        os.write(files[1], b"through")
        assert os.read(r, 9) == b"through"
        try:
            socket.send_fds(a, [b"x"], [987])
            assert False
        except OSError as error:
            assert error.errno == errno.EBADF
    elif what == "udp":
        server = socket.socket(socket.AF_INET, DGRAM)
        server.bind(("127.0.0.1", 0))
        client = socket.socket(socket.AF_INET, DGRAM)
        client.sendto(b"one", server.getsockname())
        client.sendmsg([b"t", b"wo"], [], 0, server.getsockname())
        client.connect(server.getsockname())
        client.sendmsg([b"three"])
        assert [server.recv(9) for _ in range(3)] == [b"one", b"two", b"three"]
    elif what == "control":
        # What needs a capability outside needs one inside.
        server = socket.socket(socket.AF_INET, DGRAM)
        server.bind(("127.0.0.1", 0))
        client = socket.socket(socket.AF_INET, DGRAM)
        client.sendmsg([b"x"], [(socket.IPPROTO_IP, socket.IP_TTL, b"\x07\0\0\0")], 0, server.getsockname())
        assert server.recv(9) == b"x"
        if os.geteuid() or "srt" in os.environ.get("SRT_TEST_MARK", ""):
            try:
                client.sendmsg([b"x"], [(socket.SOL_SOCKET, 36, b"\x07\0\0\0")], 0, server.getsockname())
                assert False
            except PermissionError:
                pass
        if "SRT_TEST_MARK" in os.environ:
            # Without a copy it would be the supervisor's memory that is sent.
            listener = socket.create_server(("127.0.0.1", 0))
            stream = socket.create_connection(listener.getsockname())
            stream.setsockopt(socket.SOL_SOCKET, 60, 1)
            try:
                stream.sendmsg([b"x" * 65536], [], 0x4000000)
                assert False
            except OSError as error:
                assert error.errno == errno.ENOBUFS, error
    elif what == "full":
        a, b = socket.socketpair(UNIX, STREAM)
        a.setblocking(False)
        try:
            while True:
                a.sendmsg([b"x" * 65536])
        except BlockingIOError:
            pass
        a.setblocking(True)
        threading.Timer(0.2, lambda: b.recv(1 << 24)).start()
        assert a.sendmsg([b"x" * 10]) == 10
    elif what == "broken-pipe":
        a, b = socket.socketpair(UNIX, STREAM)
        b.close()
        seen = []
        signal.signal(signal.SIGPIPE, lambda *_: seen.append(1))
        for flags, signals in [(socket.MSG_NOSIGNAL, 0), (0, 1)]:
            try:
                a.sendmsg([b"x"], [], flags)
                assert False
            except BrokenPipeError:
                pass
            time.sleep(0.05)
            assert len(seen) == signals, seen
    elif what == "too-long":
        server, name = bed_of_own()
        client = socket.socket(UNIX, DGRAM)
        try:
            client.sendto(b"x" * (1 << 24), name)
            assert False
        except OSError as error:
            assert error.errno == errno.EMSGSIZE, error
        os.unlink(name)
    elif what == "bad-memory":
        s = socket.socket(UNIX, DGRAM)
        for message in (ctypes.c_void_p(8), ctypes.c_void_p((1 << 64) - 8)):
            assert libc.sendmsg(s.fileno(), message, 0) == -1
            assert ctypes.get_errno() == errno.EFAULT, ctypes.get_errno()
        assert libc.sendmsg(999, ctypes.byref(header(path, b"x")), 0) == -1
        assert ctypes.get_errno() == errno.EBADF
    elif what == "netlink":
        names = [name for _, name in socket.if_nameindex()]
        assert "lo" in names, names
        assert os.geteuid() == 0 and "srt" not in os.environ.get("SRT_TEST_MARK", "") or changes() == {-1}, changes()
    elif what == "abstract":
        s = socket.socket(UNIX, DGRAM)
        s.bind("\0own-%d" % os.getpid())
        socket.socket(UNIX, DGRAM).sendto(b"x", "\0own-%d" % os.getpid())
        assert s.recv(9) == b"x"
    print("as it should")


def race():
    forbidden, seconds = sys.argv[3].encode(), float(sys.argv[4])
    good = path.encode()
    end = time.time() + seconds
    s = socket.socket(UNIX, DGRAM)
    message = header(path, b"x")
    address = message.kept[0]
    assert len(good) == len(forbidden)
    stream, _kept = socket.socketpair(UNIX, STREAM)
    number = os.dup(s.fileno())
    running = [True]

    def flip():
        first = ctypes.addressof(address) + 2
        while running[0]:
            if what == "race-address":
                ctypes.memmove(first, forbidden, len(forbidden))
                ctypes.memmove(first, good, len(good))
            else:
                # A stream, for which no address counts, becomes a datagram socket.
                os.dup2(stream.fileno(), number)
                os.dup2(s.fileno(), number)

    if what == "race-descriptor":
        ctypes.memmove(ctypes.addressof(address) + 2, forbidden, len(forbidden))
    threading.Thread(target=flip, daemon=True).start()
    done = 0
    while time.time() < end:
        if libc.sendmsg(number if what == "race-descriptor" else s.fileno(), ctypes.byref(message), socket.MSG_DONTWAIT) >= 0:
            done += 1
        elif what == "race-descriptor":
            # The permitted one goes through in between.
            try:
                s.sendto(b"x", socket.MSG_DONTWAIT, path)
            except OSError:
                pass
            done += 1
        time.sleep(0)
    running[0] = False
    print(done)
    sys.stdout.flush()
    os._exit(0)


if what.startswith("race"):
    race()
elif what in ("connect", "sendto", "sendmsg", "sendmmsg", "sendmsg-parts", "pair", "again"):
    try:
        ways()
        print("sent")
    except OSError as error:
        print("refused", error.errno)
else:
    others()
