# Serves TCP: what a client says comes back reversed once it has said everything. Arguments: after how
# many seconds to listen, then `address/port` each. `ready` is printed when all listen.
import socket, sys, threading, time


def answer(stream):
    with stream:
        said = bytearray()
        while part := stream.recv(1 << 16):
            said += part
        said.reverse()
        stream.sendall(said)


def serve(listener):
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=answer, args=(stream,), daemon=True).start()


time.sleep(float(sys.argv[1]))
for word in sys.argv[2:]:
    address, port = word.split('/')
    listener = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if ':' in address:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address, int(port)))
    listener.listen(128)
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
print('ready', flush=True)
sys.stdin.read()
