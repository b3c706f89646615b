# The client of many tunnels. Arguments: `idle` or `flat`, how many, the origin's address and port, a
# directory for files that say how far it is and that tell it to go on.
import os, resource, socket, statistics, struct, sys, time

kind, number, host, port, place = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
print("inherited", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def connect():
    s = socket.create_connection(("127.0.0.1", 3128))
    s.sendall(b"CONNECT %s:%d HTTP/1.1\r\nHost: %s:%d\r\n\r\n" % (host.encode(), port, host.encode(), port))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += s.recv(1)
    assert b" 200 " in answer, answer
    return s


def socks():
    s = socket.create_connection(("127.0.0.1", 1080))
    s.sendall(b"\5\1\0" + b"\5\1\0\1" + socket.inet_aton(host) + struct.pack("!H", port))
    answer = b""
    while len(answer) < 12:
        answer += s.recv(12 - len(answer))
    assert answer[3] == 0, answer
    return s


def say(s):
    s.sendall(b"x")
    assert s.recv(1) == b"x"
    return s


def reached(name):
    open(os.path.join(place, name), "w").close()


def wait(name):
    while not os.path.exists(os.path.join(place, name)):
        time.sleep(0.02)


if kind == "idle":
    first = [say(connect()) for _ in range(50)]
    reached("first")
    wait("more")
    tunnels = [say((connect, socks)[n % 2]()) for n in range(number)]
    reached("all")
    wait("measured")
    times = []
    for _ in range(300):
        start = time.perf_counter()
        s = say(connect())
        times.append(time.perf_counter() - start)
        s.close()
    say(tunnels[0]), say(tunnels[-1])
    print("median %.3f ms, worst %.3f ms" % (statistics.median(times) * 1000, max(times) * 1000))
else:
    start = time.perf_counter()
    for n in range(number):
        say((connect, socks)[n % 2]()).close()
        if n == number // 5:
            reached("first")
            wait("more")
    took = time.perf_counter() - start
    reached("all")
    wait("measured")
    print("%d connections, %.0f/s" % (number, number / took))
