# The host of the matrix: a namespace (this process's own) with one link into another namespace, where
# a name server and the origins answer for every address there is. What leaves the host passes the
# link and is written down there, and what arrives is written down again by who accepted it.
#
# Arguments: `host`, a directory for the logs `packets`, `asked` and `accepted`, then the origins as
# `port=protocol`. `ready` and the process id are printed when everything answers.
import os, select, socket, ssl, struct, subprocess, sys, threading, time

ROLE, LOGS, ORIGINS = sys.argv[1], sys.argv[2], sys.argv[3:]
DENIED_PORT = 1000  # How far a port that no rule allows is from the allowed one.
V4, V6 = "203.0.113.", "2001:db8:66::"
MACS = ["02:00:00:00:66:01", "02:00:00:00:66:02"]


def log(name, line):
    # One write a line: the threads of both processes share the files.
    os.write(LOG[name], (line + "\n").encode())


def ip(*words):
    return subprocess.run(["ip", *words], check=False).returncode == 0


# --- the link ---------------------------------------------------------------------------------

def addresses(device, own, other, mac):
    for prefix, family, all_bits in ((V4, "-4", "/32"), (V6, "-6", "/128")):
        options = ["nodad"] if prefix == V6 else []
        # Hosts, not networks: a network's route would win against the one that makes all local.
        if ip("addr", "add", prefix + own + all_bits, "dev", device, *options):
            ip("link", "set", device, "up")
            ip(family, "route", "add", prefix + other + all_bits, "dev", device)
            ip("neigh", "replace", prefix + other, "lladdr", mac, "dev", device, "nud", "permanent")


def no_autoconfiguration(device):
    for name in ("router_solicitations", "dad_transmits", "addr_gen_mode"):
        try:
            with open("/proc/sys/net/ipv6/conf/%s/%s" % (device, name), "w") as value:
                value.write("1" if name == "addr_gen_mode" else "0")
        except OSError:
            pass


# --- the witness ------------------------------------------------------------------------------

def describe(protocol, packet):
    if protocol == 0x800:
        start, kind = (packet[0] & 15) * 4, packet[9]
        source, target = (socket.inet_ntop(socket.AF_INET, packet[at:at + 4]) for at in (12, 16))
    elif protocol == 0x86DD:
        start, kind = 40, packet[6]
        source, target = (socket.inet_ntop(socket.AF_INET6, packet[at:at + 16]) for at in (8, 24))
        # Reports to routers about groups, and neighbours: the kernel's own.
        if kind in (0, 58):
            return None
    else:
        return "protocol %#x" % protocol
    ports = struct.unpack("!HH", packet[start:start + 4]) if kind in (6, 17) else (0, 0)
    name = ""
    if kind == 17 and ports[1] == 53:
        name = " " + question(packet[start + 8:])[0]
    return "%d %s %d %s %d%s" % (kind, source, ports[0], target, ports[1], name)


def witness():
    link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    LISTENING.release()
    while True:
        packet, (device, protocol, kind, _, _) = link.recvfrom(65536)
        # What loopback delivers is seen a second time.
        if device == "lo" and kind != 4:
            continue
        line = describe(protocol, packet)
        if line:
            log("packets", device + " " + line)
        lost = struct.unpack("II", link.getsockopt(263, 6, 8))[1]
        if lost:
            log("packets", "lost %d" % lost)


# --- the name server --------------------------------------------------------------------------

def question(query):
    place, labels = 12, []
    while query[place]:
        labels.append(query[place + 1:place + 1 + query[place]].decode("latin-1"))
        place += 1 + query[place]
    kind = struct.unpack("!H", query[place + 1:place + 3])[0]
    return ".".join(labels).lower(), kind, query[12:place + 5]


def answer(query):
    name, kind, asked = question(query)
    log("asked", "%s %d" % (name, kind))
    # Whatever is asked for exists: a name that should not have been asked for would work.
    last = "10" if name.startswith("allowed.") else "66"
    data = {1: (socket.AF_INET, V4), 28: (socket.AF_INET6, V6)}.get(kind)
    records = b""
    if data:
        address = socket.inet_pton(data[0], data[1] + last)
        records = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(address)) + address
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if data else 0, 0, 0) + asked + records


def name_server(server):
    while True:
        query, peer = server.recvfrom(4096)
        try:
            server.sendto(answer(query), peer)
        except (IndexError, struct.error):
            log("asked", "malformed 0")


# --- the origins ------------------------------------------------------------------------------

def packet_line(text):
    return b"%04x" % (len(text) + 4) + text


def advertisement(token):
    refs = packet_line(b"1" * 40 + b" refs/heads/" + token + b"\0agent=origin\n")
    return refs + b"0000"


def http(peer, token):
    request = b""
    while b"\r\n\r\n" not in request:
        part = peer.recv(65536)
        if not part:
            return
        request += part
    target = request.split()[1]
    kind, body = b"text/plain", token + b"\n"
    if b"service=git-upload-pack" in target:
        kind = b"application/x-git-upload-pack-advertisement"
        body = packet_line(b"# service=git-upload-pack\n") + b"0000" + advertisement(token)
    elif b"/-/ping" in target:
        kind, body = b"application/json", b'{"origin":"' + token + b'"}'
    elif b"/simple/" in target:
        kind, body = b"text/html", b"<!DOCTYPE html><html><body><a href='/" + token.lower() \
            + b"-1.0.tar.gz'>" + token.lower() + b"-1.0.tar.gz</a></body></html>"
    peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: " + kind
                 + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def exactly(peer, size):
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def http2(peer, token):
    def frame(kind, flags, stream, payload):
        peer.sendall(struct.pack("!I", len(payload))[1:] + bytes([kind, flags])
                     + struct.pack("!I", stream) + payload)

    exactly(peer, 24)
    frame(4, 0, 0, b"")
    while True:
        head = exactly(peer, 9)
        exactly(peer, int.from_bytes(head[:3], "big"))
        stream = int.from_bytes(head[5:], "big")
        if head[3] == 4 and not head[4] & 1:
            frame(4, 1, 0, b"")
        elif head[3] == 1:
            frame(1, 4, stream, b"\x88")
            frame(0, 1, stream, token + b"\n")


def greet(peer, token):
    peer.sendall(token + b"\r\n")
    peer.shutdown(socket.SHUT_WR)
    peer.recv(4096)


def ssh(peer, token):
    peer.sendall(b"SSH-2.0-" + token + b"\r\n")
    peer.recv(4096)


def postgres(peer, token):
    exactly(peer, int.from_bytes(exactly(peer, 4), "big") - 4)
    fields = b"SFATAL\0VFATAL\0C28000\0M" + token + b"\0\0"
    peer.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)


def rsync(peer, token):
    peer.sendall(b"@RSYNCD: 30.0\n")
    stream = peer.makefile("rb")
    stream.readline()
    stream.readline()
    peer.sendall(token + b"\n@RSYNCD: EXIT\n")


def git(peer, token):
    exactly(peer, int(exactly(peer, 4), 16) - 4)
    peer.sendall(advertisement(token))
    peer.recv(4096)


def tls(peer, token):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(LOGS, "certificate"), os.path.join(LOGS, "key"))
    with context.wrap_socket(peer, server_side=True) as inner:
        http(inner, token)


PROTOCOLS = {"http": http, "http2": http2, "greet": greet, "ssh": ssh, "postgres": postgres,
             "rsync": rsync, "git": git, "tls": tls}


def converse(peer, port, protocol):
    # The address that the client meant: every one is this machine's.
    address = peer.getsockname()[0].removeprefix("::ffff:")
    log("accepted", "%s %d" % (address, port))
    try:
        peer.settimeout(30)
        PROTOCOLS[protocol](peer, b"ORIGIN-%d" % port)
        peer.close()
    except (OSError, EOFError, ValueError, IndexError):
        # A client that leaves in the middle: it was counted.
        pass


def origins():
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    listeners = {}
    for word in ORIGINS:
        port, protocol = word.split("=")
        for port in (int(port), int(port) + DENIED_PORT):
            listener = socket.socket(family)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::" if family == socket.AF_INET6 else "", port))
            listener.listen(64)
            listeners[listener] = (port, protocol)
    return listeners


def until_the_host_ends():
    # The host's process is killed at the end of the test: its end of the pipe closes.
    sys.stdin.read()
    os._exit(0)


def outside():
    """The namespace beyond the link: every address is its own."""
    ip("link", "set", "lo", "up")
    print("born", flush=True)
    sys.stdin.readline()
    no_autoconfiguration("wan1")
    addresses("wan1", "1", "2", MACS[0])
    ip("route", "add", "local", "0.0.0.0/0", "dev", "lo")
    # One by one: the way back to the host must not be local too.
    for last in ("10", "66", "77"):
        ip("-6", "route", "add", "local", V6 + last, "dev", "lo")
    listeners = origins()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # Its answers come from the address that was asked.
    server.bind((V4 + "53", 53))
    threading.Thread(target=name_server, args=(server,), daemon=True).start()
    threading.Thread(target=until_the_host_ends, daemon=True).start()
    print("up", flush=True)
    while True:
        for listener in select.select(list(listeners), [], [])[0]:
            peer, _ = listener.accept()
            threading.Thread(target=converse, args=(peer, *listeners[listener]), daemon=True).start()


def host():
    beyond = subprocess.Popen(["unshare", "-n", sys.executable, "-ES", __file__, "outside", LOGS, *ORIGINS],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    beyond.stdout.readline()
    ip("link", "set", "lo", "up")
    ip("link", "add", "wan0", "address", MACS[0], "type", "veth",
       "peer", "name", "wan1", "address", MACS[1], "netns", str(beyond.pid))
    no_autoconfiguration("wan0")
    threading.Thread(target=witness, daemon=True).start()
    LISTENING.acquire()
    beyond.stdin.write("go\n")
    beyond.stdin.flush()
    addresses("wan0", "2", "1", MACS[1])
    for prefix, family in ((V4, "-4"), (V6, "-6")):
        ip(family, "route", "add", "default", "via", prefix + "1", "dev", "wan0", "src", prefix + "2")
    if beyond.stdout.readline() != "up\n":
        sys.exit("the other side of the link did not come up")
    for _ in range(100):
        if b"LOWER_UP" in subprocess.run(["ip", "link", "show", "wan0"], capture_output=True).stdout:
            break
        time.sleep(0.02)
    print("ready", os.getpid(), flush=True)
    beyond.wait()


LOG = {name: os.open(os.path.join(LOGS, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
       for name in ("packets", "asked", "accepted")}
LISTENING = threading.Semaphore(0)
{"host": host, "outside": outside}[ROLE]()
