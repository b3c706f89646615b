# Tries system calls that reach the kernel's rarely walked parts and prints `name errno` for each
# (0 for success). Pointers are bad on purpose: where nothing filters, the kernel itself answers
# EFAULT, EBADF, EINVAL and the like, so that a filter's EPERM or ENOSYS is told apart.
import ctypes, os, platform, sys

libc = ctypes.CDLL(None, use_errno=True)
BAD = ctypes.c_void_p(8)
NEWUSER, NEWNS, NEWNET, NEWPID, NEWTIME = 0x10000000, 0x20000, 0x40000000, 0x20000000, 0x80

# arm64 and riscv64 share one table.
arm = platform.machine() != "x86_64"
NUMBERS = {
    # name: (x86-64, arm64)
    "quotactl_fd": (443, 443), "kexec_file_load": (320, 294), "swapoff": (168, 225), "syslog": (103, 116),
    "fanotify_init": (300, 262), "lookup_dcookie": (212, 18), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "vhangup": (153, 58), "kcmp": (312, 272), "move_pages": (279, 239), "migrate_pages": (256, 238),
    "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438), "open_tree_attr": (467, 467), "nfsservctl": (180, 42),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "socket": (41, 198), "personality": (135, 92),
    "ustat": (136, None), "sysfs": (139, None), "uselib": (134, None), "_sysctl": (156, None),
    "ptrace": (101, 117), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "swapon": (167, 224), "reboot": (169, 142), "init_module": (175, 105), "delete_module": (176, 106),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "unshare": (272, 97), "setns": (308, 268),
    "perf_event_open": (298, 241), "open_by_handle_at": (304, 265), "process_vm_readv": (310, 270), "kexec_load": (246, 104),
    "finit_module": (313, 273), "bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "clone3": (435, 435),
    "mount_setattr": (442, 442), "quotactl": (179, 60), "acct": (163, 89), "settimeofday": (164, 170), "clone": (56, 220),
    "iopl": (172, None), "ioperm": (173, None), "fcntl": (72, 25),
    "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446),
}


def call(name, *args):
    number = NUMBERS[name][1 if arm else 0]
    if number is None:
        return 38
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[a if isinstance(a, ctypes.c_void_p) else ctypes.c_long(a) for a in args])
    return 0 if result >= 0 else ctypes.get_errno()


def forked(function):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = function()
        os.write(writer, b"%d" % code)
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    text = os.read(reader, 16)
    os.close(reader)
    return int(text or b"-1")


def clone3(flags):
    arguments = (ctypes.c_uint64 * 8)(flags, 0, 0, 0, 17, 0, 0, 0)
    pointer = ctypes.cast(arguments, ctypes.c_void_p)
    number = NUMBERS["clone3"][0]
    ctypes.set_errno(0)
    pid = libc.syscall(ctypes.c_long(number), pointer, ctypes.c_long(64))
    if pid == 0:
        os._exit(0)
    return 0 if pid > 0 else ctypes.get_errno()


def clone(flags):
    number = NUMBERS["clone"][1 if arm else 0]
    ctypes.set_errno(0)
    pid = libc.syscall(ctypes.c_long(number), ctypes.c_long(flags | 17), *[ctypes.c_long(0)] * 4)
    if pid == 0:
        os._exit(0)
    if pid > 0:
        os.waitpid(pid, 0)
    return 0 if pid > 0 else ctypes.get_errno()


def ioctl(request):
    with open("/dev/null") as file:
        ctypes.set_errno(0)
        result = libc.syscall(ctypes.c_long(29 if arm else 16), ctypes.c_long(file.fileno()), ctypes.c_ulong(request), BAD)
        return 0 if result >= 0 else ctypes.get_errno()


table = {
    "unshare-user": lambda: forked(lambda: call("unshare", NEWUSER)),
    "unshare-mount": lambda: forked(lambda: call("unshare", NEWUSER | NEWNS)),
    "unshare-net": lambda: forked(lambda: call("unshare", NEWUSER | NEWNET)),
    "unshare-pid": lambda: forked(lambda: call("unshare", NEWUSER | NEWPID)),
    "unshare-time": lambda: forked(lambda: call("unshare", NEWUSER | NEWTIME)),
    "clone3-user": lambda: forked(lambda: clone3(NEWUSER)),
    "clone3-mount": lambda: forked(lambda: clone3(NEWUSER | NEWNS)),
    "setns": lambda: call("setns", -1, NEWNS),
    "mount": lambda: call("mount", BAD, BAD, BAD, 0, BAD),
    "umount": lambda: call("umount2", BAD, 0),
    "pivot-root": lambda: call("pivot_root", BAD, BAD),
    "chroot": lambda: call("chroot", BAD),
    "open-tree": lambda: call("open_tree", -100, BAD, 1),
    "move-mount": lambda: call("move_mount", -1, BAD, -1, BAD, 0),
    "fsopen": lambda: call("fsopen", BAD, 0),
    "fsmount": lambda: call("fsmount", -1, 0, 0),
    "mount-setattr": lambda: call("mount_setattr", -1, BAD, 0, BAD, 32),
    "io-uring": lambda: call("io_uring_setup", 1, BAD),
    "io-uring-register": lambda: call("io_uring_register", -1, 0, BAD, 0),
    "keyctl": lambda: call("keyctl", 0, -3, 0),
    # A keyring of its own first: without one there is nothing to give (KEYCTL_SESSION_TO_PARENT).
    "keyctl-session-to-parent": lambda: forked(lambda: (call("keyctl", 1, 0), call("keyctl", 18))[1]),
    "add-key": lambda: call("add_key", BAD, BAD, BAD, 0, -3),
    "request-key": lambda: call("request_key", BAD, BAD, BAD, 0),
    "bpf": lambda: call("bpf", 0, BAD, 1),
    "perf": lambda: call("perf_event_open", BAD, 0, -1, -1, 0),
    "userfaultfd": lambda: call("userfaultfd", 0x80000),
    "handle": lambda: call("open_by_handle_at", -1, BAD, 0),
    "kexec": lambda: call("kexec_load", 0, 0, BAD, 0),
    "module": lambda: call("init_module", BAD, 0, BAD),
    "swapon": lambda: call("swapon", BAD, 0),
    "acct": lambda: call("acct", BAD),
    "settimeofday": lambda: call("settimeofday", BAD, BAD),
    "tiocsti": lambda: ioctl(0x5412),
    "tiocsti-high-bits": lambda: ioctl(0x5412 | 1 << 32),
    "tioclinux": lambda: ioctl(0x541C),
    "tioclinux-high-bits": lambda: ioctl(0x541C | 1 << 40),
}
NEWIPC, NEWUTS, NEWCGROUP = 0x08000000, 0x04000000, 0x02000000
NAMESPACES = {"mount": NEWNS, "pid": NEWPID, "net": NEWNET, "ipc": NEWIPC, "uts": NEWUTS, "cgroup": NEWCGROUP}
for name, flag in NAMESPACES.items():
    # Alone: each flag has a rule of its own.
    table["unshare-only-" + name] = lambda flag=flag: forked(lambda: call("unshare", flag))
    table["clone-" + name] = lambda flag=flag: forked(lambda: clone(flag))
    table["clone-user-" + name] = lambda flag=flag: forked(lambda: clone(NEWUSER | flag))
# The kernel takes the low half of clone's flags.
table["clone-user"] = lambda: forked(lambda: clone(NEWUSER))
table["clone-user-high-bits"] = lambda: forked(lambda: clone(NEWUSER | 1 << 40))
table.update({
    "ptrace": lambda: forked(lambda: call("ptrace", 0, 0, 0, 0)),
    "ptrace-attach": lambda: call("ptrace", 0x4206, os.getppid(), 0, -1),
    "vm-read": lambda: call("process_vm_readv", os.getpid(), BAD, 1, BAD, 1, 0),
    "vm-write": lambda: call("process_vm_writev", os.getpid(), BAD, 1, BAD, 1, 0),
    "pidfd-getfd": lambda: call("pidfd_getfd", -1, 0, 0),
    "kcmp": lambda: call("kcmp", os.getpid(), os.getpid(), 99, 0, 0),
    "move-pages": lambda: call("move_pages", 0, 1, BAD, 0, BAD, 0),
    "migrate-pages": lambda: call("migrate_pages", 0, 1, BAD, BAD),
    "priority-group": lambda: call("setpriority", 1, 4000000, 0),
    "priority-user": lambda: call("setpriority", 2, 4000000, 0),
    "io-priority-group": lambda: call("ioprio_set", 2, 4000000, 0x4000),
    "io-priority-user": lambda: call("ioprio_set", 3, 4000000, 0x4000),
    "io-uring-enter": lambda: call("io_uring_enter", -1, 0, 0, 0, 0),
    "open-tree-attr": lambda: call("open_tree_attr", -100, BAD, 1, BAD, 32),
    "fsconfig": lambda: call("fsconfig", -1, 0, BAD, BAD, 0),
    "fspick": lambda: call("fspick", -100, BAD, 0),
    "fanotify": lambda: call("fanotify_init", 0xFFFF, 0),
    "dcookie": lambda: call("lookup_dcookie", 0, BAD, 1),
    "quotactl": lambda: call("quotactl", -1, BAD, 0, BAD),
    "quotactl-fd": lambda: call("quotactl_fd", -1, 0, 0, BAD),
    "kexec-file": lambda: call("kexec_file_load", -1, -1, 0, BAD, 0xFFFF),
    "delete-module": lambda: call("delete_module", BAD, 0),
    "finit-module": lambda: call("finit_module", -1, BAD, 0),
    "swapoff": lambda: call("swapoff", BAD),
    "lease": lambda: call("fcntl", 0, 1024, 1),
    "lease-high-bits": lambda: call("fcntl", 0, 1024 | 1 << 32, 1),
    "delegation": lambda: call("fcntl", 0, 1040, 8),
    "landlock-ruleset": lambda: call("landlock_create_ruleset", BAD, 8, 0),
    "landlock-rule": lambda: call("landlock_add_rule", -1, 1, BAD, 0),
    "landlock-restrict": lambda: call("landlock_restrict_self", -1, 0),
    "reboot": lambda: call("reboot", 0, 0, 0, 0),
    "syslog": lambda: call("syslog", 99, BAD, 0),
    "clock-settime": lambda: call("clock_settime", 0, BAD),
    "clock-adjtime": lambda: call("clock_adjtime", 0, BAD),
    "adjtimex": lambda: call("adjtimex", BAD),
    "iopl": lambda: call("iopl", 99),
    "ioperm": lambda: call("ioperm", -1, 0, 0),
    "uselib": lambda: call("uselib", BAD),
    "nfsservctl": lambda: call("nfsservctl", 0, BAD, BAD),
    "sysctl": lambda: call("_sysctl", BAD),
    "sysfs": lambda: call("sysfs", 99, 0, 0),
    "ustat": lambda: call("ustat", 0, BAD),
    "tioccons": lambda: ioctl(0x541D),
    "tiocsetd": lambda: ioctl(0x5423),
    "tiocsetd-high-bits": lambda: ioctl(0x5423 | 1 << 33),
})
if "inside" in sys.argv:
    # This one takes no argument that could make it harmless.
    table["vhangup"] = lambda: call("vhangup")
if not arm:
    # getpid of the x32 table.
    NUMBERS["x32"] = (0x40000000 | 39, None)
    table["x32"] = lambda: call("x32")
for name, attempt in table.items():
    print(name, attempt())
