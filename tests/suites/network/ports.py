# Connects to each `address/port`, says `abc`, ends its half, and prints what comes back.
import socket, sys

for word in sys.argv[1:]:
    address, port = word.split('/')
    try:
        with socket.create_connection((address, int(port)), timeout=10) as stream:
            stream.sendall(b'abc')
            stream.shutdown(socket.SHUT_WR)
            heard = b''
            while part := stream.recv(100):
                heard += part
        print(word, heard.decode())
    except ConnectionError as error:
        print(word, type(error).__name__)
