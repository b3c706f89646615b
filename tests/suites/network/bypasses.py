# Tries ways around the rules, all in one sandbox, and prints those that got through. Arguments: what, and
# an origin's port.
import socket, struct, sys

what, port = sys.argv[1], int(sys.argv[2])
NAME = b"origin.srt.test"


def received(s, limit=20):
    s.settimeout(limit)
    data = b""
    try:
        while part := s.recv(65536):
            data += part
    except OSError:
        pass
    return data


def http(request):
    s = socket.create_connection(("127.0.0.1", 3128), 20)
    try:
        s.sendall(request)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    return received(s)


def tunnel(host, field=None):
    where = host + b":%d" % port
    after = b"GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    return http(b"CONNECT " + where + b" HTTP/1.1\r\nHost: " + (field or where) + b"\r\n\r\n" + after)


def absolute(host, field=None):
    where = host + b":%d" % port
    return http(b"GET http://" + where + b"/absolute HTTP/1.1\r\nHost: " + (field or where) + b"\r\nConnection: close\r\n\r\n")


def socks(host, kind=3):
    s = socket.create_connection(("127.0.0.1", 1080), 20)
    s.sendall(b"\5\1\0")
    s.recv(2)
    address = bytes([3, len(host)]) + host if kind == 3 else bytes([kind]) + host
    try:
        s.sendall(b"\5\1\0" + address + struct.pack("!H", port) + b"GET /socks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    except OSError:
        pass
    return received(s)


def plain(host):
    """As programs do that know no proxy: whatever the C library makes of the word."""
    try:
        s = socket.create_connection((host.decode("latin-1").strip("[]"), port), 20)
        s.sendall(b"GET /plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    except (OSError, UnicodeError, ValueError):
        return b""
    return received(s)


tried, through = 0, []


def check(label, answer):
    global tried
    tried += 1
    if b"ORIGIN" in answer:
        through.append(label)


if what == "spellings":
    for word in sys.argv[3:]:
        host = word.encode("latin-1")
        for way in (tunnel, absolute, socks, plain):
            check(f"{way.__name__} {word}", way(host))
elif what == "bytes":
    # Every byte that no name has, where a check of names might stop and a resolver might go on.
    odd = [b for b in range(256) if not (chr(b).isascii() and (chr(b).isalnum() or chr(b) in ".-_"))]
    for byte in odd:
        for host in (bytes([byte]).join((b"other.srt.test", b".origin.srt.test")), NAME + bytes([byte]),
                     bytes([byte]) + NAME, NAME + bytes([byte]) + b".other.srt.test"):
            check(f"socks {host!r}", socks(host))
            # These end a word or a line, and the word before is then the whole of it.
            if byte not in b"\r\n\t :/?#[]@":
                check(f"tunnel {host!r}", tunnel(host))
                check(f"absolute {host!r}", absolute(host))
                check(f"field {host!r}", absolute(b"other.srt.test", host))
    for host in (b"", b".", b"..", b"a" * 64 + b".srt.test", b"a." * 127 + b"a", b"x" * 255):
        check(f"socks {host!r}", socks(host))
elif what == "socks4":
    for version in (4,):
        for tail in (b"other.srt.test\0", b"origin.srt.test\0", b"origin.srt.test\0.other.srt.test\0"):
            s = socket.create_connection(("127.0.0.1", 1080), 20)
            s.sendall(bytes([version, 1]) + struct.pack("!H", port) + b"\0\0\0\1" + b"me\0" + tail
                      + b"GET /socks4 HTTP/1.1\r\nHost: x\r\n\r\n")
            check(f"socks4a {tail!r}", received(s, 5))
elif what == "smuggling":
    where = NAME + b":%d" % port
    start = b"POST http://" + where + b"/first HTTP/1.1\r\nHost: " + where + b"\r\n"
    # To a host that is denied: whoever sees this as a request has not been told so by the proxy.
    inner = b"GET http://other.srt.test/smuggle HTTP/1.1\r\nHost: other.srt.test\r\n\r\n"
    chunk = b"%x\r\n" % len(inner)
    whole = b"%d" % len(inner)
    for case in (
        b"Content-Length: " + whole + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunk + inner + b"\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: " + whole + b"\r\n\r\n" + inner,
        b"Content-Length: " + whole + b", " + whole + b"1\r\n\r\n" + inner,
        b"Content-Length: +" + whole + b"\r\n\r\n" + inner,
        b"Content-Length: 0x10\r\n\r\n" + inner,
        b"Content-Length: -1\r\n\r\n" + inner,
        b"Content-Length : " + whole + b"\r\n\r\n" + inner,
        b"Content-Length:\r\n " + whole + b"\r\n\r\n" + inner,
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc" + inner,
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + inner,
        b"X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        b"X: a\rContent-Length: " + whole + b"\r\n\r\n" + inner,
        b" Content-Length: " + whole + b"\r\n\r\n" + inner,
        b"X: y\r\n\tfolded: z\r\nContent-Length: 3\r\n\r\nabc" + inner,
        b"Transfer-Encoding: chunked\r\n\r\n1;a=\r\nb\r\nx\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n" + inner,
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nx\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n" + inner,
        b"Connection: content-length\r\nContent-Length: 3\r\n\r\nabc" + inner,
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner,
        b"Host: other.srt.test\r\n\r\n",
        b"X: \0\r\n\r\n" + inner,
        # The control, which arrives.
        b"Content-Length: 3\r\n\r\nabc" + inner,
    ):
        # What the origin was asked is told outside.
        http(start + case)
        tried += 1
print(tried, through)
