# Python's ways to a server. Arguments: which way, the host, the port.
import sys

way, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
url = "http://%s:%d/" % ("[%s]" % host if ":" in host else host, port)


def request(stream):
    stream.sendall(b"GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
    data = b""
    while part := stream.recv(4096):
        data += part
    return data


def urllib_any():
    import urllib.request
    return urllib.request.urlopen(url, timeout=8).read()


def urllib_direct():
    import urllib.request
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(url, timeout=8).read()


def http_client():
    import http.client
    connection = http.client.HTTPConnection(host, port, timeout=8)
    connection.request("GET", "/")
    return connection.getresponse().read()


def create_connection():
    import socket
    with socket.create_connection((host, port), 8) as stream:
        return request(stream)


def family_six():
    import socket
    stream = socket.socket(socket.AF_INET6)
    stream.settimeout(8)
    stream.connect(socket.getaddrinfo(host, port, socket.AF_INET6)[0][4])
    return request(stream)


def non_blocking():
    import select, socket
    stream = socket.socket()
    stream.setblocking(False)
    stream.connect_ex((socket.gethostbyname(host), port))
    select.select([], [stream], [], 8)
    if error := stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(error, "connect")
    stream.settimeout(8)
    return request(stream)


def asyncio_streams():
    import asyncio

    async def talk():
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 8)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        return await asyncio.wait_for(reader.read(), 8)
    return asyncio.run(talk())


def tls():
    import socket, ssl
    context = ssl._create_unverified_context()
    with socket.create_connection((host, port), 8) as stream:
        with context.wrap_socket(stream, server_hostname=host) as inner:
            return request(inner)


print(globals()[way]())
