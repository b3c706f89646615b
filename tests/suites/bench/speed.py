# Origin and client of the network's figures.
#   serve                        prints its port; answers GET /N with N bytes, on kept connections
#   bulk WAY HOST PORT BYTES     seconds of one download
#   open WAY HOST PORT NUMBER    seconds of the median new connection, answered once
#   keep WAY HOST PORT SECONDS   requests per second of 64 kept connections
# WAY: `direct`, `tunnel` (CONNECT), `plain` (absolute form). Proxies are those of the environment.
import base64, os, select, socket, statistics, sys, threading, time, urllib.parse

CHUNK = 1 << 20


def serve():
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    block = memoryview(bytes(CHUNK))
    waiting, connections = select.epoll(), {}
    waiting.register(listener, select.EPOLLIN)

    def send(connection, left):
        connection.setblocking(True)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
        while left > 0:
            left -= connection.send(block[: min(left, CHUNK)])

    def bulk(connection, size):
        try:
            send(connection, size)
        except OSError:
            pass
        connection.close()

    while True:
        for number, _ in waiting.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = [connection, b""]
                waiting.register(connection, select.EPOLLIN)
                continue
            connection, head = connections[number]
            try:
                part = connection.recv(65536)
            except OSError:
                part = b""
            head += part
            size = None
            if b"\r\n\r\n" in head:
                size, head = int(head.split(b" ")[1].rsplit(b"/", 1)[1]), b""
                if size <= CHUNK:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + block[:size])
                    size = None
            connections[number][1] = head
            if size is not None or not part:
                waiting.unregister(connection)
                del connections[number]
            if size is not None:
                threading.Thread(target=bulk, args=(connection, size), daemon=True).start()
            elif not part:
                connection.close()


def head(s):
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = s.recv(65536)
        assert part, answer
        answer += part
    top, rest = answer.split(b"\r\n\r\n", 1)
    assert b" 200 " in top.split(b"\r\n")[0] + b" ", answer
    return rest


def proxy():
    url = urllib.parse.urlsplit(os.environ["HTTP_PROXY"])
    login = ""
    if url.username:
        pair = urllib.parse.unquote(url.username) + ":" + urllib.parse.unquote(url.password)
        login = "Proxy-Authorization: Basic " + base64.b64encode(pair.encode()).decode() + "\r\n"
    return ("127.0.0.1", url.port), login


def connect(way, host, port):
    """A connection, and what stands before the path in requests, and fields for the proxy."""
    if way == "direct":
        s = socket.create_connection((host, port))
    else:
        where, login = proxy()
        s = socket.create_connection(where)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if way == "plain":
        return s, f"http://{host}:{port}", login
    if way == "tunnel":
        s.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{login}\r\n".encode())
        assert not head(s)
    return s, "", ""


def request(before, fields, host, port, size):
    return f"GET {before}/{size} HTTP/1.1\r\nHost: {host}:{port}\r\n{fields}\r\n".encode()


def bulk(way, host, port, size):
    s, before, fields = connect(way, host, port)
    start = time.perf_counter()
    s.sendall(request(before, fields, host, port, size))
    left, block = size - len(head(s)), bytearray(CHUNK)
    while left > 0:
        length = s.recv_into(block)
        assert length, left
        left -= length
    print(time.perf_counter() - start)


def once(way, host, port, number):
    taken = []
    for _ in range(number):
        start = time.perf_counter()
        s, before, fields = connect(way, host, port)
        s.sendall(request(before, fields, host, port, 1))
        left = 1 - len(head(s))
        assert left == 0 or s.recv(1)
        taken.append(time.perf_counter() - start)
        s.close()
    print(statistics.median(taken))


def keep(way, host, port, seconds):
    waiting, clients, answered = select.epoll(), {}, 0
    for _ in range(64):
        s, before, fields = connect(way, host, port)
        wanted = request(before, fields, host, port, 64)
        clients[s.fileno()] = s
        waiting.register(s, select.EPOLLIN)
    start = time.perf_counter()
    for s in clients.values():
        s.sendall(wanted)
    while time.perf_counter() - start < seconds:
        for number, _ in waiting.poll():
            s = clients[number]
            answer = s.recv(65536)
            while not answer.endswith(b"\0" * 64):
                part = s.recv(65536)
                assert part, answer
                answer += part
            answered += 1
            s.sendall(wanted)
    print(answered / (time.perf_counter() - start))


if sys.argv[1] == "serve":
    serve()
kind, way, host, port, number = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
{"bulk": bulk, "open": once, "keep": keep}[kind](way, host, port, number)
