# A name server whose answers change each time and live for 0 seconds, a server at the address that is
# listed, and one at the loopback. Arguments: a file for what happens, the command to run beside them.
import os, socket, struct, subprocess, sys, threading

told, command = sys.argv[1], sys.argv[2:]
lock, turn = threading.Lock(), 0


def tell(what):
    with lock, open(told, "a") as file:
        file.write(what + "\n")


def names(s):
    global turn
    while True:
        query, peer = s.recvfrom(4096)
        end = query.index(b"\0", 12) + 5
        kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
        answers = b""
        if kind == 1:
            tell("asked A")
            turn += 1
            address = "192.0.2.10" if turn % 2 else "127.0.0.1"
            answers = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
        head = query[:2] + b"\x81\x80" + struct.pack("!HHHH", 1, 1 if answers else 0, 0, 0)
        s.sendto(head + query[12:end] + answers, peer)


def serve(s, what):
    while True:
        client, _ = s.accept()
        tell(what)
        client.recv(65536)
        text = (what + "!").encode()
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        client.close()


open(told, "w").close()
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(("127.0.0.1", 53))
threading.Thread(target=names, args=(dns,), daemon=True).start()
for address, what in (("192.0.2.10", "listed"), ("127.0.0.1", "loopback")):
    listener = socket.create_server((address, 8001), backlog=64)
    threading.Thread(target=serve, args=(listener, what), daemon=True).start()
status = subprocess.call(command)
sys.stdout.flush()
os._exit(status if status >= 0 else 128 - status)
