# Calls with arguments, and from callers, that the supervisor can't make sense of. Prints a line each:
# what was tried, and the error's name or `ok`.
import ctypes, errno, mmap, os, resource, signal, socket, sys, threading

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
AT_FDCWD, CREATE = -100, os.O_CREAT | os.O_WRONLY

def name():
    number = ctypes.get_errno()
    return errno.errorcode.get(number, str(number))

def call(what, function, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, function)(*arguments)
    print(what, 'ok' if result >= 0 else name(), flush=True)
    if result > 2 and function in ('open', 'openat'):
        os.close(result)
    return result

def pointer(value):
    return ctypes.c_void_p(value)

def bad_pointers():
    page = libc.mmap(None, 8192, 3, 0x22, -1, 0)
    libc.munmap(pointer(page + 4096), 4096)
    text = b'x' * 16
    ctypes.memmove(page + 4096 - len(text), text, len(text))
    for kind, place in (('null', 0), ('one', 1), ('high', 2**64 - 8), ('end', page + 4096 - len(text))):
        path = pointer(place)
        call('open ' + kind, 'openat', AT_FDCWD, path, CREATE, 0o644)
        call('mkdir ' + kind, 'mkdirat', AT_FDCWD, path, 0o755)
        call('unlink ' + kind, 'unlinkat', AT_FDCWD, path, 0)
        call('rename ' + kind, 'renameat', AT_FDCWD, b'kept', AT_FDCWD, path)
        call('symlink ' + kind, 'symlinkat', path, AT_FDCWD, b'made-link')
        call('chmod ' + kind, 'fchmodat', AT_FDCWD, path, 0o600, 0)
        s = socket.socket(socket.AF_UNIX)
        call('connect ' + kind, 'connect', s.fileno(), path, 110)
        call('bind ' + kind, 'bind', s.fileno(), path, 110)
    s = socket.socket(socket.AF_UNIX)
    address = b'\x01\x00made-socket\0'
    # Length 2 is a Unix socket without a name, for which the kernel makes one up.
    for length in (0, 1, 129, -1, 2**31 - 1):
        call('bind length %d' % length, 'bind', s.fileno(), address, length)
        call('connect length %d' % length, 'connect', s.fileno(), address, length)
    for descriptor in (-1, 999, 2**31 - 1):
        call('descriptor %d' % descriptor, 'openat', descriptor, b'made', CREATE, 0o644)
        call('bind descriptor %d' % descriptor, 'bind', descriptor, address, 14)
        call('connect descriptor %d' % descriptor, 'connect', descriptor, address, 14)

def full_table():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    held = []
    try:
        while True:
            held.append(os.open('/', os.O_RDONLY))
    except OSError:
        pass
    call('full create', 'openat', AT_FDCWD, b'made-full', CREATE, 0o644)
    call('full existing', 'openat', AT_FDCWD, b'kept', os.O_WRONLY)
    call('full denied', 'openat', AT_FDCWD, b'locked', os.O_WRONLY)
    os.close(held.pop())
    call('room create', 'openat', AT_FDCWD, b'made-room', CREATE, 0o644)

def undumpable():
    libc.prctl(4, 0, 0, 0, 0)
    call('undumpable denied', 'openat', AT_FDCWD, b'locked', os.O_WRONLY)
    call('undumpable protected', 'openat', AT_FDCWD, b'.bashrc', CREATE, 0o644)

def killed():
    for number in range(200):
        pid = os.fork()
        if pid == 0:
            while True:
                for path in (b'locked', b'.bashrc'):
                    libc.openat(AT_FDCWD, path, CREATE, 0o644)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for _ in range(number % 7):
            os.sched_yield()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    print('killed ok', flush=True)

def crowd():
    # More callers at a time than the supervisor has anything of.
    def one():
        for _ in range(20):
            libc.openat(AT_FDCWD, b'locked', os.O_WRONLY)
            libc.openat(AT_FDCWD, b'.bashrc', CREATE, 0o644)
    threads = [threading.Thread(target=one) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    print('crowd', 'ok' if not any(thread.is_alive() for thread in threads) else 'hung', flush=True)

{'pointers': bad_pointers, 'full': full_table, 'undumpable': undumpable, 'killed': killed, 'crowd': crowd}[sys.argv[1]]()
