"""Ordinary file system life in the working directory, a line for each check.

Run inside and outside: the lines have to be equal. A check that raises prints its errno.
"""
import ctypes, errno, fcntl, mmap, os, resource, select, signal, socket, stat, struct, subprocess, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def call(function, *arguments):
    """A call of the C library: its result, or the name of its error."""
    ctypes.set_errno(0)
    value = function(*arguments)
    return value if value >= 0 else errno.errorcode[ctypes.get_errno()]


def error(function, *arguments, **named):
    try:
        function(*arguments, **named)
    except OSError as failure:
        return errno.errorcode[failure.errno]
    return "done"


def put(path, text="text"):
    with open(path, "w") as file:
        file.write(text)
    return path


def get(path):
    with open(path) as file:
        return file.read()


@check
def rename_across_directories():
    os.makedirs("one/two"), os.makedirs("three")
    put("one/two/file")
    os.rename("one/two/file", "three/moved")
    os.rename("one", "three/one")
    return get("three/moved"), sorted(os.listdir("three")), os.path.exists("one")


@check
def rename_onto():
    put("a", "new"), put("b", "old"), os.mkdir("d"), os.mkdir("e"), put("e/x")
    os.rename("a", "b")
    return get("b"), error(os.rename, "b", "d"), error(os.rename, "d", "b"), error(os.rename, "d", "e"), error(os.rename, "e", "e/in")


@check
def exchange():
    put("a", "1"), os.mkdir("d"), put("d/x", "2")
    result = call(libc.renameat2, -100, b"a", -100, b"d", 2)
    return result, get("d"), get("a/x"), call(libc.renameat2, -100, b"a", -100, b"d", 1)


@check
def hard_links():
    put("a"), os.mkdir("d"), os.link("a", "d/b")
    put("d/b", "through")
    return get("a"), os.stat("a").st_nlink, os.stat("a").st_ino == os.stat("d/b").st_ino, error(os.link, "d", "e"), error(os.link, "a", "d/b")


@check
def atomic_replace():
    put("a", "old")
    held = open("a")
    fd = os.open(".tmp", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    os.write(fd, b"new"), os.fsync(fd), os.close(fd)
    os.replace(".tmp", "a")
    directory = os.open(".", os.O_RDONLY)
    os.fsync(directory)
    return get("a"), held.read(), oct(os.stat("a").st_mode)


@check
def removing():
    os.makedirs("d/e/f"), put("d/e/f/g"), os.symlink("nowhere", "d/l"), os.mkfifo("d/p")
    first = error(os.rmdir, "d"), error(os.unlink, "d")
    subprocess.check_call(["rm", "-rf", "d"])
    return first, os.path.lexists("d"), error(os.unlink, "d"), error(os.rmdir, "d")


@check
def unlinked_but_open():
    put("a", "kept")
    fd = os.open("a", os.O_RDWR)
    os.unlink("a")
    os.write(fd, b"more")
    path = "/proc/self/fd/%d" % fd
    again = os.open(path, os.O_RDONLY)
    text = os.read(again, 9)
    with open(path, "w") as file:
        file.write("re")
    return text, os.path.exists("a"), os.pread(fd, 9, 0), os.fstat(fd).st_nlink


@check
def locks():
    put("a")
    one, two = os.open("a", os.O_RDWR), os.open("a", os.O_RDWR)
    fcntl.flock(one, fcntl.LOCK_EX)
    first = error(fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(one, fcntl.LOCK_UN)
    second = error(fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(one, fcntl.LOCK_EX)
    child = os.fork()
    if child == 0:
        other = os.open("a", os.O_RDWR)
        os._exit(0 if error(fcntl.lockf, other, fcntl.LOCK_EX | fcntl.LOCK_NB) in ("EAGAIN", "EACCES") else 1)
    kind = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    ofd = error(fcntl.fcntl, two, 37, kind)
    return first, second, os.waitpid(child, 0)[1], ofd


@check
def maps():
    with open("m", "w+b") as file:
        file.truncate(8192)
        shared = mmap.mmap(file.fileno(), 8192)
        shared[4096:4100] = b"here"
        shared.flush()
        private = mmap.mmap(file.fileno(), 8192, flags=mmap.MAP_PRIVATE)
        private[0:4] = b"lost"
    data = open("m", "rb").read()
    return data[4096:4100], data[:4], len(data)


@check
def watching():
    fd = libc.inotify_init1(os.O_NONBLOCK)
    watch = call(libc.inotify_add_watch, fd, b".", 0xfff)
    put("w"), os.mkdir("v"), os.rename("w", "x"), os.chmod("x", 0o600), os.unlink("x")
    events, data = [], os.read(fd, 65536)
    while data:
        _, mask, _, size = struct.unpack_from("iIII", data)
        events.append((hex(mask), data[16:16 + size].rstrip(b"\0")))
        data = data[16 + size:]
    # Whether a writer is seen to close before the next call is a matter of timing.
    return watch > 0, [event for event in events if int(event[0], 16) & 0x3c6]


@check
def sparse():
    with open("s", "w+b") as file:
        file.truncate(1 << 24), file.seek(1 << 23), file.write(b"x"), file.flush(), os.fsync(file.fileno())
        hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
        data = os.lseek(file.fileno(), 0, os.SEEK_DATA)
        return hole, data, os.fstat(file.fileno()).st_blocks < 64, error(os.lseek, file.fileno(), 1 << 25, os.SEEK_DATA)


@check
def allocating():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(fd, 0, 65536)
    punched = call(libc.fallocate, fd, 3, ctypes.c_long(4096), ctypes.c_long(4096))
    other = os.open("g", os.O_RDWR | os.O_CREAT)
    return os.fstat(fd).st_size, punched, os.copy_file_range(fd, other, 100), os.sendfile(other, fd, 0, 10)


@check
def fifo_reader_first():
    os.mkfifo("p")
    got = []
    reader = threading.Thread(target=lambda: got.append(get("p")))
    reader.start()
    time.sleep(0.1)
    waiting = reader.is_alive()
    with open("p", "w") as file:
        file.write("through")
    reader.join(10)
    return waiting, got


@check
def fifo_writer_first():
    os.mkfifo("p")
    nobody = error(os.open, "p", os.O_WRONLY | os.O_NONBLOCK)
    writer = threading.Thread(target=lambda: put("p", "through"))
    writer.start()
    time.sleep(0.1)
    waiting = writer.is_alive()
    # Others go on while one waits.
    put("beside"), os.mkdir("beside.d"), os.rename("beside", "beside.d/x")
    text = get("p")
    writer.join(10)
    return nobody, waiting, text


@check
def fifo_by_processes():
    os.mkfifo("p")
    os.mkfifo("q")
    writer = subprocess.Popen(["sh", "-c", "echo one > p; read answer < q; echo $answer"], stdout=subprocess.PIPE)
    text = subprocess.run(["sh", "-c", "cat p; echo two > q"], stdout=subprocess.PIPE).stdout
    return text, writer.communicate()[0], writer.wait()


@check
def fifo_interrupted():
    os.mkfifo("p")

    def stop(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        os.open("p", os.O_WRONLY)
        return "opened"
    except TimeoutError:
        return "interrupted"


@check
def fifo_killed():
    os.mkfifo("p")
    child = subprocess.Popen(["sh", "-c", "echo > p"])
    time.sleep(0.1)
    child.kill()
    return child.wait(), error(os.open, "p", os.O_WRONLY | os.O_NONBLOCK)


@check
def fifo_both_ways():
    os.mkfifo("p")
    fd = os.open("p", os.O_RDWR)
    os.write(fd, b"x")
    return os.read(fd, 1)


@check
def modes():
    put("a"), os.mkdir("d")
    os.chmod("a", 0o4751), os.chmod("d", 0o1777)
    os.symlink("a", "l")
    os.chmod("l", 0o640)
    fd = os.open("a", os.O_RDONLY)
    os.fchmod(fd, 0o604)
    return oct(os.stat("a").st_mode), oct(os.stat("d").st_mode), error(os.chmod, "none", 0o600)


@check
def mode_zero():
    put("a"), os.chmod("a", 0)
    return oct(os.stat("a").st_mode), error(os.unlink, "a")


@check
def times():
    put("a"), os.symlink("a", "l")
    os.utime("a", (1, 2)), os.utime("l", (3, 4), follow_symlinks=False)
    os.utime("a", ns=(5, 6000000007))
    fd = os.open("a", os.O_RDONLY)
    os.utime(fd, (8, 9))
    before = os.stat("a").st_mtime
    os.utime("a")
    return before, os.lstat("l").st_mtime, os.stat("a").st_mtime > 1e9, error(os.utime, "none")


@check
def owners():
    put("a")
    os.chown("a", os.getuid(), os.getgid()), os.chown("a", -1, -1), os.symlink("a", "l"), os.lchown("l", -1, -1)
    return os.stat("a").st_uid == os.getuid(), error(os.chown, "none", -1, -1)


@check
def attributes():
    put("a"), os.symlink("a", "l")
    first = error(os.setxattr, "a", "user.one", b"1")
    if first != "done":
        return first
    os.setxattr("l", "user.two", b"2"), os.setxattr(os.open("a", os.O_RDWR), "user.three", b"3")
    os.removexattr("a", "user.one")
    return sorted(os.listxattr("a")), os.getxattr("a", "user.two"), error(os.setxattr, "a", "user.two", b"", os.XATTR_CREATE), error(os.removexattr, "a", "user.none")


@check
def unnamed():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, b"unnamed")
    os.link("/proc/self/fd/%d" % fd, "named", src_dir_fd=fd, follow_symlinks=True)
    exclusive = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_EXCL)
    return get("named"), oct(os.stat("named").st_mode), error(os.open, "named", os.O_TMPFILE | os.O_RDWR), error(os.open, ".", os.O_TMPFILE), call(libc.linkat, -100, b"/proc/self/fd/%d" % exclusive, -100, b"no", 0x400)


@check
def exclusive():
    wins = []

    def one(number):
        for turn in range(50):
            try:
                os.close(os.open("x%d" % turn, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                wins.append((number, turn))
            except FileExistsError:
                pass
    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    os.symlink("nowhere", "l")
    return len(wins), error(os.open, "l", os.O_CREAT | os.O_EXCL | os.O_WRONLY), error(os.open, ".", os.O_CREAT | os.O_EXCL), error(os.mkdir, "x1"), error(os.symlink, "a", "x1"), error(os.mkfifo, "x1")


@check
def masks():
    modes = []
    for mask in (0o022, 0o077, 0, 0o777, 0o027):
        os.umask(mask)
        name = "m%o" % mask
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o666)), os.mkdir(name + "d", 0o777), os.mkfifo(name + "p", 0o666)
        os.mknod(name + "n", 0o666 | stat.S_IFREG)
        modes.append([oct(os.stat(name + kind).st_mode) for kind in ("", "d", "p", "n")])
        os.rmdir(name + "d")
    os.umask(0o022)
    return modes, subprocess.run(["sh", "-c", "umask 077; : > s; stat -c %a s"], stdout=subprocess.PIPE).stdout


@check
def masks_of_threads():
    """A thread that has its own."""
    modes = []

    def own(mask):
        call(libc.unshare, 0x200)
        libc.umask(mask)
        time.sleep(0.05)
        name = "t%o" % mask
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o666))
        modes.append(oct(os.stat(name).st_mode))
    threads = [threading.Thread(target=own, args=(mask,)) for mask in (0o077, 0o002, 0)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    return sorted(modes)


@check
def inherited_group_and_sticky():
    os.mkdir("d"), os.chmod("d", 0o2775), put("d/f"), os.mkdir("d/e")
    return oct(os.stat("d/e").st_mode), os.stat("d/f").st_gid == os.stat("d").st_gid


@check
def appending():
    put("a", "one")
    fd = os.open("a", os.O_WRONLY | os.O_APPEND)
    put("a", "longer")
    os.lseek(fd, 0, 0), os.write(fd, b"+")
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    return get("a"), bool(flags & os.O_APPEND), flags & os.O_ACCMODE


@check
def flags_of_descriptors():
    put("a")
    found = []
    for flag in (0, os.O_CLOEXEC):
        fd = libc.open(b"a", os.O_RDWR | flag)
        made = libc.open(b"b%d" % flag, os.O_RDWR | os.O_CREAT | flag, 0o600)
        found.append((fcntl.fcntl(fd, fcntl.F_GETFD), fcntl.fcntl(made, fcntl.F_GETFD), made == fd + 1))
    kept = libc.open(b"a", os.O_RDWR | os.O_CREAT)
    closed = libc.open(b"a", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    line = "test -e /proc/self/fd/%d; echo $?" 
    inherited = [subprocess.run(["sh", "-c", line % fd], stdout=subprocess.PIPE, close_fds=False).stdout for fd in (kept, closed)]
    flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_DSYNC | os.O_NOATIME
    return found, inherited, fcntl.fcntl(libc.open(b"z", flags, 0o600), fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_DSYNC | os.O_NOATIME | os.O_CREAT)


@check
def lowest_descriptor():
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
    os.close(fds[1]), os.close(fds[3])
    return libc.open(b"a", os.O_CREAT | os.O_WRONLY, 0o600) == fds[1], libc.open(b"a", os.O_WRONLY) == fds[3]


@check
def links():
    os.mkdir("d"), os.symlink("d/new", "dangling"), os.symlink("loop", "loop"), os.symlink("two", "one"), os.symlink("one", "two")
    put("d/f"), os.symlink("f", "d/l"), os.symlink("d", "dl")
    put("dangling", "through")
    return (
        get("d/new"), os.readlink("dangling"), error(open, "loop", "w"), error(open, "one/x", "w"), error(open, "loop"),
        error(os.open, "d/l", os.O_WRONLY | os.O_NOFOLLOW), error(os.open, "dl/new2", os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW),
        error(os.open, "dangling2", os.O_CREAT | os.O_WRONLY), error(os.truncate, "loop", 0), error(os.mkdir, "loop"), error(os.unlink, "loop"),
        error(os.rename, "d/l", "dl/l2"), os.readlink("d/l2"), error(os.open, "dl", os.O_DIRECTORY | os.O_NOFOLLOW),
    )


@check
def link_chains():
    put("end", "here")
    for number in range(45):
        os.symlink("end" if number == 0 else "c%d" % (number - 1), "c%d" % number)
    return [error(open, "c%d" % number, "a") for number in (0, 38, 39, 40, 41, 44)]


@check
def absolute_and_upwards():
    here = os.getcwd()
    os.makedirs("d/e"), os.symlink(here + "/d", "d/e/abs"), os.symlink("../..", "d/e/up"), os.symlink("../../../" + os.path.basename(here) + "/d", "d/e/around")
    put("d/e/abs/one", "1"), put("d/e/up/two", "2"), put("d/e/around/three", "3"), put("d/./e/../e/.././four", "4"), put(here + "//d///five", "5")
    return sorted(os.listdir("d")), get("two"), error(open, "none/../x", "w"), error(open, "d/four/../x", "w")


@check
def slashes_and_dots():
    put("f"), os.mkdir("d"), os.symlink("d", "l"), os.symlink("new", "n")
    return (
        error(os.mkdir, "e/"), os.path.isdir("e"), error(open, "f/", "w"), error(open, "g/", "w"), error(os.unlink, "f/"), error(os.rmdir, "e/"),
        error(os.mkdir, "."), error(os.mkdir, ".."), error(os.rmdir, "."), error(os.rmdir, "d/.."), error(os.rmdir, ".."), error(os.unlink, "."),
        error(os.rename, ".", "x"), error(os.rename, "d", "d/."), error(os.rename, "f", "x/"), error(os.rename, "d/", "x/"), error(os.symlink, "a", "s/"),
        error(os.mkdir, "n"), error(os.mkdir, "n/"), error(os.rmdir, "l"), error(os.rmdir, "l/"), error(os.unlink, "l"), error(os.link, "f", "h/"), error(os.mkdir, "/"),
        error(os.open, "d", os.O_WRONLY), error(os.open, "x", os.O_CREAT | os.O_DIRECTORY | os.O_WRONLY), error(os.mkfifo, "q/"), error(open, "", "w"), error(os.rmdir, "/"), error(os.rename, "f", ".."),
        error(os.truncate, "x", 0), error(os.truncate, "f", -1),
    )


@check
def long_names():
    deep = "/".join(["d" * 200] * 8)
    os.makedirs(deep)
    put(deep + "/f"), os.rename(deep + "/f", deep + "/g")
    where = os.getcwd()
    for _ in range(30):
        os.mkdir("x" * 200), os.chdir("x" * 200)
    put("deepest"), os.rename("deepest", "moved"), os.unlink("moved")
    os.chdir(where)
    return error(open, "n" * 255, "w"), error(open, "n" * 256, "w"), error(os.mkdir, "n" * 256), error(open, "d/" * 2048 + "f", "w"), error(os.mkdir, "./" * 2045 + "okay"), error(os.rename, "okay", "n" * 256)


@check
def odd_names():
    for name in (b"\xff\xfe", b"a\nb", b" ", b"-", b"\xc3\xa9", b"e\xcc\x81", b"*", b"[x]"):
        with open(name, "w") as file:
            file.write("x")
        os.rename(name, name + b"'"), os.link(name + b"'", name), os.unlink(name + b"'"), os.chmod(name, 0o600)
    return sorted(os.listdir(b"."))


@check
def bad_pointers():
    bad = ctypes.c_void_p(8)
    end = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(end))
    # A name that ends with the page.
    end[4091:4096] = b"edge\0"
    edge = ctypes.c_char_p(address + 4091)
    return (
        call(libc.open, bad, os.O_CREAT | os.O_WRONLY, 0o600), call(libc.mkdir, bad, 0o700), call(libc.rename, bad, b"x"), call(libc.unlink, bad),
        call(libc.open, None, os.O_WRONLY), call(libc.symlink, bad, b"x"), call(libc.truncate, bad, ctypes.c_long(0)), call(libc.chmod, None, 0o600),
        call(libc.mkdir, edge, 0o700), os.path.isdir("edge"), call(libc.open, b"", os.O_CREAT | os.O_WRONLY, 0o600), call(libc.mkdir, b"", 0o700), call(libc.rename, b"", b"x"),
        call(libc.utimensat, -100, b"edge", bad, 0), call(libc.setxattr, b"edge", bad, b"x", 1, 0),
    )


@check
def relative_to_descriptors():
    os.makedirs("d/e"), put("f")
    directory, file = os.open("d", os.O_RDONLY), os.open("f", os.O_RDONLY)
    place = os.open("d", os.O_PATH)
    os.mkdir("one", dir_fd=directory), os.close(os.open("two", os.O_CREAT | os.O_WRONLY, dir_fd=place)), os.rename("two", "e/three", src_dir_fd=place, dst_dir_fd=directory)
    os.rename("d", "moved")
    os.mkdir("four", dir_fd=directory), os.symlink("x", "five", dir_fd=place)
    return (
        sorted(os.listdir("moved")), os.listdir("moved/e"), error(os.mkdir, "x", dir_fd=file), error(os.mkdir, "x", dir_fd=999),
        error(os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=999), error(os.open, os.getcwd() + "/absolute", os.O_CREAT | os.O_WRONLY, dir_fd=999), error(os.mkdir, "../up", dir_fd=place), os.path.isdir("up"),
    )


@check
def deleted_directory():
    os.makedirs("d/e")
    held = os.open("d/e", os.O_RDONLY)
    os.chdir("d/e")
    os.rmdir("../e")
    results = error(open, "x", "w"), error(os.mkdir, "x"), error(os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=held), error(os.symlink, "a", "b"), error(os.mkdir, "../back"), error(os.rename, "../back", "../again")
    os.chdir(HERE)
    return results


@check
def threads_with_their_own_directory():
    os.mkdir("d"), os.mkdir("e")
    done = []

    def own(directory):
        result = call(libc.unshare, 0x200)
        libc.chdir(directory.encode())
        time.sleep(0.02)
        for name in (b"one", b"two"):
            fd = libc.open(name, os.O_CREAT | os.O_WRONLY, 0o600)
            libc.close(fd)
            libc.mkdir(name + b"d", 0o700)
            libc.rename(name, name + b"r")
        done.append(result)
    threads = [threading.Thread(target=own, args=(directory,)) for directory in ("d", "e")]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    put("here")
    return done, sorted(os.listdir("d")), sorted(os.listdir("e")), sorted(os.listdir("."))


@check
def directories_of_threads_by_proc():
    os.mkdir("d")
    put("/proc/self/cwd/d/one"), put("/proc/thread-self/cwd/d/two"), put("/proc/%d/cwd/d/three" % os.getpid())
    put("/proc/self/root" + os.getcwd() + "/d/four")
    fd = os.open("d", os.O_RDONLY)
    put("/proc/self/fd/%d/five" % fd), put("/dev/fd/%d/six" % fd)
    return sorted(os.listdir("d"))


@check
def reopened_descriptors():
    put("a", "text")
    fd = os.open("a", os.O_RDWR)
    path = "/proc/self/fd/%d" % fd
    with open(path, "a") as file:
        file.write("+")
    with open("/dev/fd/%d" % fd) as file:
        text = file.read()
    only = os.open("a", os.O_PATH)
    with open("/proc/self/fd/%d" % only, "w") as file:
        file.write("new")
    os.truncate(path, 2), os.chmod("/proc/self/fd/%d" % only, 0o600)
    return text, get("a"), oct(os.stat("a").st_mode), error(open, "/proc/self/fd/999", "w"), error(os.unlink, path), error(os.mkdir, path)


@check
def streams():
    script = "echo one > /dev/stdout; echo two > /proc/self/fd/1; echo three >> /dev/fd/1; echo four | tee /dev/stderr /dev/null; : > /dev/null"
    run = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with open("log", "w") as log:
        subprocess.run(["sh", "-c", "echo to-file > /dev/stdout; echo more >> /dev/stdout"], stdout=log)
    return run.returncode, run.stdout, run.stderr, get("log")


@check
def here_documents():
    run = lambda shell, line: subprocess.run([shell, "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout
    return run("sh", "cat <<E\ntext\nE"), run("bash", "cat <<<word; cat <(echo process); echo x > >(cat); wait $!"), run("sh", "mktemp -d > /dev/null && echo made")


@check
def own_process_entries():
    comm = error(put, "/proc/self/comm", "renamed")
    name = get("/proc/self/comm")
    return comm, name, error(put, "/proc/self/oom_score_adj", "500"), get("/proc/self/oom_score_adj"), error(put, "/proc/thread-self/comm", "again"), get("/proc/self/comm"), error(put, "/proc/self/coredump_filter", "0x33"), error(put, "/proc/self/timerslack_ns", "60000"), error(put, "/proc/self/clear_refs", "1"), error(put, "/proc/self/none")


@check
def full_descriptor_table():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as failure:
        full = errno.errorcode[failure.errno]
    made = call(libc.open, b"full", os.O_CREAT | os.O_WRONLY, 0o600), os.path.lexists("full")
    name = call(libc.mkdir, b"directory", 0o700), call(libc.rename, b"directory", b"other"), call(libc.unlink, b"none")
    [os.close(fd) for fd in held]
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    return full, made, name, call(libc.open, b"after", os.O_CREAT | os.O_WRONLY, 0o600) > 0


@check
def size_limit():
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        first = error(os.truncate, put("a", "x"), 100)
        fd = os.open("b", os.O_CREAT | os.O_WRONLY, 0o600)
        put("result", repr((first, os.write(fd, b"0123456789abc"), error(os.ftruncate, fd, 100))[:2])[:8])
        os._exit(0)
    os.waitpid(child, 0)
    return get("result"), os.stat("a").st_size, os.stat("b").st_size


@check
def sockets():
    a, b = socket.socketpair()
    a.send(b"x")
    return b.recv(1)


@check
def executing():
    put("s", "#!/bin/sh\necho ran $1\n"), os.chmod("s", 0o755)
    busy = subprocess.run(["sh", "-c", "cp /bin/sleep z; ./z 9 & until readlink /proc/$!/exe | grep -q /z$; do sleep 0.01; done; echo x > z; echo $?; kill $!; wait"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    fd = os.open("s", os.O_RDONLY)
    return subprocess.run(["./s", "x"], stdout=subprocess.PIPE).stdout, busy, subprocess.run(["/proc/self/fd/%d" % fd, "y"], pass_fds=[fd], stdout=subprocess.PIPE).stdout


@check
def many_at_once():
    def one(number):
        os.mkdir("t%d" % number)
        for turn in range(40):
            path = "t%d/f%d" % (number, turn)
            put(path, path), os.rename(path, path + "r"), os.chmod(path + "r", 0o600)
            if turn % 2:
                os.unlink(path + "r")
    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    return [len(os.listdir("t%d" % number)) for number in range(6)]


@check
def many_processes():
    line = "i=0; while [ $i -lt 30 ]; do mkdir -p p$0; echo $i > p$0/$i; mv p$0/$i p$0/x; rm p$0/x; i=$((i+1)); done; ls p$0 | wc -l"
    runs = [subprocess.Popen(["sh", "-c", line, str(number)], stdout=subprocess.PIPE) for number in range(4)]
    return [run.communicate()[0] for run in runs]


@check
def signals_do_not_break_calls():
    ticks = []
    signal.signal(signal.SIGALRM, lambda *_: ticks.append(1))
    # Calls are restarted, as for most programs. One that is not finds EINTR before a call was looked at.
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for turn in range(400):
            name = "s%d" % turn
            # Each is done once, or the second try would find what the first one made.
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)), os.rename(name, "r" + name), os.mkdir(name)
            os.link("r" + name, name + "/l"), os.unlink("r" + name), os.symlink("x", "r" + name)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return len(os.listdir(".")), len(ticks) > 5


@check
def not_dumpable():
    """A process that nobody may look into makes files all the same."""
    libc.prctl(4, 0, 0, 0, 0)
    results = error(put, "a"), error(os.mkdir, "d"), error(os.rename, "a", "d/a")
    libc.prctl(4, 1, 0, 0, 0)
    return results


@check
def programs():
    put("in", "".join("line %d\n" % number for number in range(1000)))
    script = """set -e
cp -a in copy; sed -i 's/line 7$/changed/' copy; sort -o sorted copy; tar cf a.tar in copy sorted; mkdir out; tar xf a.tar -C out
dd if=in of=part bs=10 count=3 status=none; split -l 300 in piece.; cat piece.* > joined; cmp joined in; install -m 640 in installed; ln -sfn in link; ln -f in hard
touch -r in stamped; mv -n in out/in || true; truncate -s 5 part; mktemp -p . tmp.XXXXXX > /dev/null; find . -name 'piece.*' -delete; gzip -k copy; gunzip -t copy.gz
rm -rf out; ls | grep -v tmp | wc -l; stat -c '%a %h' installed hard"""
    run = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return run.returncode, run.stdout, run.stderr


@check
def calls_about_a_mere_place():
    put("f"), os.mkdir("d"), os.symlink("f", "l")
    file, place = os.open("f", os.O_RDONLY), os.open("f", os.O_PATH)
    directory, link = os.open("d", os.O_PATH), os.open("l", os.O_PATH | os.O_NOFOLLOW)
    cwd, empty, me = -100, 0x1000, os.getuid()
    owner = lambda start, path, flags: call(libc.fchownat, start, path, me, -1, flags)
    return [
        # What takes a descriptor wants one that is open for more than its place.
        [call(libc.fchmod, number, 0o640) for number in (file, place, directory, 999, -1)],
        [call(libc.fchown, number, me, -1) for number in (file, place, directory, 999, -1, cwd)],
        [call(libc.futimens, number, None) for number in (file, place, directory, 999)],
        [call(libc.fsetxattr, number, b"user.a", b"v", 1, 0) for number in (file, place, 999)],
        [call(libc.fremovexattr, number, b"user.a") for number in (place, file, file)],
        # What takes a path and AT_EMPTY_PATH does not.
        [owner(start, b"", empty) for start in (file, place, directory, link, cwd, 999)],
        [owner(start, b"", 0) for start in (file, place, cwd)],
        [owner(start, None, empty) for start in (file, cwd)],
        [owner(start, None, 0) for start in (file, cwd)],
        [owner(cwd, b"f", flags) for flags in (0, 0x100, empty, 0x8000)],
        [owner(start, b"f", 0) for start in (999, file, directory)],
    ]


@check
def arguments_that_make_no_sense():
    put("f"), os.mkdir("d"), os.symlink("f", "l")
    cwd, long = -100, b"x" * 256
    return [
        [call(libc.unlinkat, cwd, path, flags) for path, flags in (
            (b"d", 0), (b"f", 0x200), (b"f", 1), (b"", 0), (b".", 0x200), (b"..", 0x200), (b"d/.", 0x200), (b"f/", 0), (b"d/..", 0x200))],
        [call(libc.renameat2, cwd, old, cwd, new, flags) for old, new, flags in (
            (b"f", b"d", 0), (b"d", b"f", 0), (b"d", b"d/x", 0), (b"no", b"x", 0), (b"f", b"l", 1), (b"f", b"no", 2),
            (b"f", b"no", 3), (b".", b"x", 0), (b"f", b"..", 0), (b"f", b"f", 0), (b"f/", b"x", 0), (b"f", b"x/", 0))],
        [call(libc.mkdirat, cwd, path, 0o755) for path in (b"d", b"l", b"", b".", b"f/x", long, b"x/" * 2100, b"l/x", b"d/")],
        [call(libc.linkat, cwd, old, cwd, new, flags) for old, new, flags in (
            (b"d", b"h", 0), (b"f", b"l", 0), (b"f", b"h", 0x8000), (b"", b"h", 0), (b"f", b"d/", 0), (b"no", b"h", 0))],
        [call(libc.symlinkat, text, cwd, b"s%d" % number) for number, text in enumerate((b"", b"q" * 4096, b"q" * 4095))],
        [call(libc.mknodat, cwd, b"n%d" % number, mode, 0) for number, mode in enumerate((0o170644, 0o40755, 0o120644, 0o644, 0o10644))],
        [call(libc.truncate, path, ctypes.c_long(length)) for path, length in ((b"d", 0), (b"f", -1), (b"no", 0), (b"l", 3))],
        [call(libc.setxattr, b"f", name, b"v" * size, size, flags) for name, size, flags in (
            (b"nons", 1, 0), (b"", 1, 0), (b"user." + long, 1, 0), (b"user.b", 70000, 0), (b"user.c", 1, 8), (b"user.d", 1, 2), (b"user.", 1, 0))],
        [error(os.open, path, flags) for path, flags in (
            ("d", os.O_CREAT), ("x", os.O_CREAT | os.O_DIRECTORY), ("l", os.O_CREAT | os.O_EXCL), ("d", os.O_WRONLY), ("f/", os.O_WRONLY),
            ("new/", os.O_CREAT | os.O_WRONLY), ("l", os.O_WRONLY | os.O_NOFOLLOW), ("", os.O_CREAT), ("f", 3), (".", os.O_TMPFILE),
            ("f", os.O_TMPFILE | os.O_WRONLY), ("f", os.O_PATH | os.O_CREAT | os.O_WRONLY), ("f/x", os.O_CREAT), ("d/.", os.O_RDWR))],
        sorted(os.listdir(".")),
    ]


HERE = None
wanted = sys.argv[1:]
base = os.getcwd()
os.umask(0o022)
for function in CHECKS:
    name = function.__name__
    if wanted and name not in wanted:
        continue
    # Each in a directory and a process of its own.
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.mkdir("c-" + name), os.chdir("c-" + name)
        HERE = os.getcwd()
        try:
            print(name, function())
        except Exception as failure:
            print(name, "raised", type(failure).__name__, failure, "line", failure.__traceback__.tb_next.tb_lineno)
        sys.stdout.flush()
        os._exit(0)
    limit = threading.Timer(20, lambda: os.killpg(child, signal.SIGKILL))
    limit.start()
    status = os.waitpid(child, 0)[1]
    limit.cancel()
    if status:
        print(name, "died", status)
