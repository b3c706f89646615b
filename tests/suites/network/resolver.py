# A name server on port 53 of a network namespace of its own, and a witness of all that passes on its
# loopback. Arguments: a file for the names that were asked for, one for the packets, and the
# command to run once everything listens.
import os, signal, socket, struct, subprocess, sys, threading

names, packets, command = sys.argv[1], sys.argv[2], sys.argv[3:]
A, CNAME, MX, TXT, SRV, NAPTR, SVCB, HTTPS, CAA = 1, 5, 15, 16, 33, 35, 64, 65, 257


def wire(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.rstrip(".").split(".") if l) + b"\0"


def record(name, kind, data):
    return wire(name) + struct.pack("!HHIH", kind, 1, 300, len(data)) + data


def text(words):
    return b"".join(bytes([len(w)]) + w for w in words)


def parameter(key, value):
    return struct.pack("!HH", key, len(value)) + value


HINTS = parameter(0, struct.pack("!HH", 1, 4)) + parameter(1, b"\x02h2") + parameter(3, b"\x20\xfb") \
    + parameter(4, bytes([203, 0, 113, 7])) + parameter(6, bytes.fromhex("20010db8000000000000000000000007"))
DATA = {
    MX: struct.pack("!H", 10) + wire("mail.ok.test"),
    TXT: text([b"v=spf1 -all"]),
    SRV: struct.pack("!HHH", 1, 2, 27017) + wire("node.ok.test"),
    NAPTR: struct.pack("!HH", 1, 1) + b"\x01s\x03SIP\x00" + wire("_sip._tcp.ok.test"),
    HTTPS: struct.pack("!H", 1) + b"\0" + HINTS,
    SVCB: struct.pack("!H", 1) + b"\0" + HINTS,
    CAA: b"\0\x05issueca.test",
}


def answer(query, stream):
    place, labels = 12, []
    while query[place]:
        labels.append(query[place + 1:place + 1 + query[place]].decode())
        place += 1 + query[place]
    kind = struct.unpack("!H", query[place + 1:place + 3])[0]
    question = query[12:place + 5]
    name = ".".join(labels).lower()
    with open(names, "a") as log:
        log.write("%s %d %s\n" % (name, kind, "tcp" if stream else "udp"))
    if name.startswith("slow."):
        return None
    flags, answers = 0x8180, []
    if name.startswith("gone.") or name.startswith("_gone."):
        flags |= 3
    elif name.startswith("big."):
        if stream:
            answers = [record(name, TXT, text([b"x" * 250] * 12))]
        else:
            flags |= 0x200
    elif name.startswith("alias."):
        answers = [record(name, CNAME, wire("far.example")), record("far.example", kind, DATA[kind]),
                   record("far.example", A, bytes([203, 0, 113, 7]))]
    elif kind in DATA:
        answers = [record(name, kind, DATA[kind])]
    extra = [record("mail.ok.test", A, bytes([203, 0, 113, 7]))]
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(answers), 0, len(extra))
    return head + question + b"".join(answers + extra)


def datagrams(server):
    while True:
        query, peer = server.recvfrom(4096)
        reply = answer(query, False)
        if reply:
            server.sendto(reply, peer)


def streams(server):
    while True:
        peer, _ = server.accept()
        size = struct.unpack("!H", peer.recv(2))[0]
        reply = answer(peer.recv(size), True)
        peer.sendall(struct.pack("!H", len(reply)) + reply)
        peer.close()


def witness(link):
    with open(packets, "ab", 0) as log:
        while True:
            log.write(link.recv(65536) + b"\n")


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 53))
tcp = socket.create_server(("0.0.0.0", 53))
link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
for serve, server in ((datagrams, udp), (streams, tcp), (witness, link)):
    threading.Thread(target=serve, args=(server,), daemon=True).start()
ended = subprocess.run(command)
sys.stdout.flush()
os._exit(ended.returncode)
