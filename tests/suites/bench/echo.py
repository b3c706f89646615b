# An origin for many connections: sends back what it gets. Prints its port.
import resource, selectors, socket

limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
server = socket.create_server(("127.0.0.1", 0), backlog=4096)
server.setblocking(False)
ready = selectors.DefaultSelector()
ready.register(server, selectors.EVENT_READ)
print(server.getsockname()[1], flush=True)
while True:
    for key, _ in ready.select():
        if key.fileobj is server:
            peer, _ = server.accept()
            peer.setblocking(False)
            ready.register(peer, selectors.EVENT_READ)
            continue
        try:
            data = key.fileobj.recv(4096)
            if data:
                key.fileobj.send(data)
                continue
        except OSError:
            pass
        ready.unregister(key.fileobj)
        key.fileobj.close()
