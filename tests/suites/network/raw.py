import os, socket, sys, urllib.parse


def proxy(kind):
    schemes = {"http": ("http",), "socks": ("socks5", "socks5h")}[kind]
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy"):
            url = urllib.parse.urlsplit(value)
            if url.scheme in schemes and url.port:
                return url.hostname, url.port
    return "127.0.0.1", {"http": 3128, "socks": 1080}[kind]


kind, quiet = sys.argv[1], float(sys.argv[2])
s = socket.create_connection(proxy(kind), 10)
# Parts are sent apart, so that the answer to one is there before the next.
for part in sys.stdin.buffer.read().split(b"<<wait>>"):
    s.sendall(part)
    # The first of an answer takes longer on a busy machine than the rest.
    s.settimeout(4 * quiet)
    try:
        while data := s.recv(65536):
            sys.stdout.buffer.write(data)
            s.settimeout(quiet)
    except TimeoutError:
        pass
sys.stdout.buffer.flush()
