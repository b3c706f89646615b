# Asks the name server of resolv.conf and prints what it says, a line for each question. Arguments:
# questions of the form TRANSPORT:TYPE:NAME; with the transport `edns` the answer may be 4096 bytes.
import socket, struct, sys, time

server = [l.split()[1] for l in open("/etc/resolv.conf") if l.startswith("nameserver")][0]
for number, question in enumerate(sys.argv[1:]):
    transport, kind, name = question.split(":")
    encoded = b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0"
    edns = transport == "edns"
    query = struct.pack("!HHHHHH", number, 0x100, 1, 0, 0, int(edns)) + encoded + struct.pack("!HH", int(kind), 1)
    if edns:
        query += b"\0" + struct.pack("!HHIH", 41, 4096, 0, 0)
    start = time.monotonic()
    if transport == "tcp":
        s = socket.create_connection((server, 53), 20)
        s.sendall(struct.pack("!H", len(query)) + query)
        f = s.makefile("rb")
        reply = f.read(struct.unpack("!H", f.read(2))[0])
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(20)
        s.connect((server, 53))
        s.send(query)
        reply = s.recv(65535)
    took = time.monotonic() - start
    ident, flags, _, answers, _, extra = struct.unpack("!HHHHHH", reply[:12])
    assert ident == number and flags & 0x8000
    print(question, "code=%d" % (flags & 15), "cut=%d" % (flags >> 9 & 1), "answers=%d" % answers,
          "extra=%d" % (extra - edns), "quick=%d" % (took < 4.8), reply[12 + len(encoded) + 4:].hex())
