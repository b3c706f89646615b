import array, ctypes, errno, os, socket, sys, threading, time

def name_of(error):
    return errno.errorcode.get(error.errno, str(error.errno))

def address(text):
    return '\0' + text[1:] if text.startswith('@') else text

def client(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.connect(address(path))
    return s

def server(path, kind=socket.SOCK_STREAM, backlog=8):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(address(path))
    s.listen(backlog)
    return s

def talk(listener, path, kind=socket.SOCK_STREAM):
    c = client(path, kind)
    a, _ = listener.accept()
    c.sendall(b'ping')
    assert a.recv(9) == b'ping'
    a.sendall(b'pong')
    assert c.recv(9) == b'pong'
    return c, a

def private(directory):
    path = os.path.join(directory, 'own.sock')
    for name in ('SOCK_STREAM', 'SOCK_SEQPACKET'):
        kind = getattr(socket, name)
        listener = server(path, kind)
        talk(listener, path, kind)
        os.unlink(path)
        print(name, 'ok')
    listener = server(path)
    os.rename(path, path + '2')
    talk(listener, path + '2')
    print('renamed ok')
    os.chmod(path + '2', 0o600)
    talk(listener, path + '2')
    print('mode ok')
    os.symlink('own.sock2', path + '3')
    talk(listener, path + '3')
    os.unlink(path + '3')
    print('link ok')
    # A full queue makes a blocking client wait, and tells another to try again.
    full = server(path, backlog=0)
    first = client(path)
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(client(path)))
    thread.start()
    time.sleep(0.3)
    assert not waiting
    full.accept()
    thread.join(10)
    assert waiting
    print('fullqueue ok')
    eager = socket.socket(socket.AF_UNIX)
    eager.setblocking(False)
    try:
        eager.connect(path)
        assert False
    except BlockingIOError:
        pass
    os.unlink(path)
    print('nonblocking ok')
    many = server(path, backlog=64)
    threads = [threading.Thread(target=client, args=(path,)) for _ in range(32)]
    for thread in threads:
        thread.start()
    for _ in threads:
        many.accept()
    for thread in threads:
        thread.join()
    print('threads ok')
    c, a = talk(many, path)
    r, w = os.pipe()
    socket.send_fds(c, [b'x'], [w])
    _, fds, _, _ = socket.recv_fds(a, 1, 1)
    os.write(fds[0], b'through')
    assert os.read(r, 9) == b'through'
    print('passed ok')
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        x, y = socket.socketpair(socket.AF_UNIX, kind)
        x.sendall(b'z')
        assert y.recv(1) == b'z'
    print('pair ok')
    for name in ('own.sock', 'own.sock2'):
        os.unlink(os.path.join(directory, name))
    import multiprocessing.connection as connection
    with connection.Listener(os.path.join(directory, 'mp.sock')) as listener:
        pid = os.fork()
        if pid == 0:
            connection.Client(listener.address).send('object')
            os._exit(0)
        assert listener.accept().recv() == 'object'
        os.waitpid(pid, 0)
    print('multiprocessing ok')

def attempt(path):
    try:
        return client(path).recv(10).decode().strip()
    except PermissionError:
        # EPERM of the supervisor, EACCES of Landlock.
        return 'refused'
    except OSError as error:
        return name_of(error)

def reach(path):
    print('path', attempt(path))
    directory, name = os.path.split(path)
    here = os.getcwd()
    os.chdir(directory)
    print('relative', attempt(name))
    os.chdir(here)
    base = here if os.access(here, os.W_OK) else '/tmp'
    link = os.path.join(base, 'way')
    os.symlink(path, link)
    print('symlink', attempt(link))
    os.unlink(link)
    os.symlink(directory, link)
    print('directory', attempt(os.path.join(link, name)))
    os.unlink(link)
    handle = os.open(path, os.O_PATH)
    print('descriptor', attempt('/proc/self/fd/%d' % handle))
    try:
        os.link(path, link)
        print('hardlink', attempt(link))
        os.unlink(link)
    except OSError as error:
        print('hardlink', name_of(error))

def later(path):
    listener = server(path)
    talk(listener, path)
    print('own')
    listener.close()
    os.unlink(path)
    open('ready', 'w').close()
    while not os.path.exists('go'):
        time.sleep(0.01)
    print(attempt(path))

def datagram(way, path):
    try:
        if way == 'pair' or way == 'rawpair':
            kind = socket.SOCK_DGRAM if way == 'pair' else socket.SOCK_RAW
            a, b = socket.socketpair(socket.AF_UNIX, kind)
            a.sendto(b'x', path)
        else:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            if way == 'sendto':
                s.sendto(b'x', path)
            elif way == 'sendmsg':
                s.sendmsg([b'x'], [], 0, path)
            else:
                s.connect(path)
                s.send(b'x')
        print('sent')
    except OSError as error:
        print(name_of(error))

def race(mode, good, bad, seconds):
    libc = ctypes.CDLL(None, use_errno=True)
    end = time.monotonic() + float(seconds)
    length = 110
    def sockaddr(path):
        return (b'\x01\x00' + path.encode()).ljust(length, b'\0')
    good_address, bad_address = sockaddr(good), sockaddr(bad)
    buffer = ctypes.create_string_buffer(good_address, length)
    done = False
    tries = 0
    if mode == 'path':
        os.symlink(good, 'way')
        buffer = ctypes.create_string_buffer(sockaddr('way'), length)
    def flip():
        swap = 0
        while not done:
            if mode == 'address':
                ctypes.memmove(buffer, bad_address, length)
                ctypes.memmove(buffer, good_address, length)
            elif mode == 'path':
                swap += 1
                os.symlink(bad if swap % 2 else good, 'next')
                os.rename('next', 'way')
            else:
                os.dup2(other.fileno(), number)
                os.dup2(mine.fileno(), number)
    # The other descriptor: one of the network, of which connect(2) takes anything.
    other = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    mine = socket.socket(socket.AF_UNIX)
    number = os.dup(mine.fileno())
    if mode == 'descriptor':
        buffer = ctypes.create_string_buffer(bad_address, length)
    thread = threading.Thread(target=flip)
    thread.start()
    if mode == 'descriptor':
        reaching = ctypes.create_string_buffer(good_address, length)
        while time.monotonic() < end:
            tries += 1
            libc.connect(number, buffer, length)
            s = socket.socket(socket.AF_UNIX)
            libc.connect(s.fileno(), reaching, length)
            s.close()
    else:
        while time.monotonic() < end:
            s = socket.socket(socket.AF_UNIX)
            tries += 1
            libc.connect(s.fileno(), buffer, length)
            s.close()
    done = True
    thread.join()
    print(tries, 'tries')

def moved():
    def tried(what):
        try:
            what()
            print('done', attempt('d/listed'))
        except OSError as error:
            print(name_of(error))
    os.rename('d/listed', 'd/old')
    tried(lambda: os.link('secret', 'd/listed'))
    tried(lambda: os.rename('secret', 'd/listed'))
    os.rename('d', 'gone')
    tried(lambda: os.rename('e', 'd'))
    os.mkdir('d2')
    listener = server('own')
    os.makedirs('d', exist_ok=True)
    os.rename('own', 'd/listed')
    talk(listener, 'd/listed')
    print('own ok')

what, *rest = sys.argv[1:]
if what == 'private':
    private(*rest)
elif what == 'reach':
    reach(*rest)
elif what == 'later':
    later(*rest)
elif what == 'moved':
    moved()
elif what == 'connect':
    print(attempt(*rest))
elif what == 'abstract':
    listener = server('@own')
    talk(listener, '@own')
    print('ok')
elif what == 'datagram':
    datagram(*rest)
elif what == 'race':
    race(*rest)
