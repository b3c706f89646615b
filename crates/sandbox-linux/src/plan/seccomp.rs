//! The system call filter as data: which calls are refused, with which error, and why; and which the
//! supervisor performs.
//!
//! Calls are named; numbers belong to the kernel's table of one architecture and come later. What
//! is not in the table passes: the filter is the third layer, behind mounts and Landlock.

use super::{
    NestedNamespaces,
    sockets::SocketGuard,
    supervised::{
        CONNECT, INODE_FLAG_REQUESTS, NEWER_CALLS, SUPERVISED_CALLS, SupervisedCall, Supervision,
    },
};

/// The whole filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSpec {
    rules: Vec<SyscallRule>,
}

/// A call that does not pass, or that does not with some arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyscallRule {
    /// The call's name in the kernel's table.
    pub name: &'static str,
    /// All of these must hold; none means that the arguments do not matter.
    pub tests: Vec<ArgumentTest>,
    /// What happens to it.
    pub action: FilterAction,
    /// Why.
    pub reason: &'static str,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterAction {
    /// `EPERM`.
    NotPermitted,
    /// `ENOSYS`: callers fall back to something that can be filtered.
    NotImplemented,
    /// `EAFNOSUPPORT`, as a kernel without the address family answers.
    NoAddressFamily,
    /// The supervisor performs it, or refuses.
    Supervised,
}

/// A test of the low 32 bits of an argument: the kernel ignores the high bits of these arguments,
/// so a filter that looked at them could be passed with garbage there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentTest {
    /// Equal.
    Is(u8, u32),
    /// Not equal.
    IsNot(u8, u32),
    /// Equal after masking: argument, mask, value.
    Masked(u8, u32, u32),
}

// clone(2): flags that make namespaces. Each is tested alone, since any of them is enough.
const NAMESPACE_FLAGS: [(u32, &str); 8] = [
    (
        0x1000_0000,
        "a user namespace gives capabilities over new namespaces",
    ),
    (0x0002_0000, "a mount namespace"),
    (0x2000_0000, "a pid namespace"),
    (0x4000_0000, "a network namespace"),
    (0x0800_0000, "an ipc namespace"),
    (0x0400_0000, "a uts namespace"),
    (0x0200_0000, "a cgroup namespace"),
    (0x0000_0080, "a time namespace"),
];

const MOUNT_CALLS: [&str; 13] = [
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "open_tree",
    "open_tree_attr",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "setns",
];

const KERNEL_CALLS: [(&str, &str); 27] = [
    ("bpf", "programs in the kernel"),
    (
        "perf_event_open",
        "a large kernel surface, and it sees other processes",
    ),
    (
        "userfaultfd",
        "stalls kernel copies, which exploits rely on",
    ),
    ("kexec_load", "replaces the kernel"),
    ("kexec_file_load", "replaces the kernel"),
    ("init_module", "kernel code"),
    ("finit_module", "kernel code"),
    ("delete_module", "kernel code"),
    ("reboot", "the host's power"),
    ("swapon", "the host's memory"),
    ("swapoff", "the host's memory"),
    ("acct", "writes a file from inside the kernel"),
    ("quotactl", "the host's quotas"),
    ("quotactl_fd", "the host's quotas"),
    ("syslog", "the kernel's log"),
    (
        "open_by_handle_at",
        "opens files without a path, so past every mount",
    ),
    ("fanotify_init", "sees events of whole filesystems"),
    ("lookup_dcookie", "reads paths of other processes"),
    ("settimeofday", "the host's clock"),
    ("clock_settime", "the host's clock"),
    ("clock_adjtime", "the host's clock"),
    ("adjtimex", "the host's clock"),
    ("iopl", "hardware ports"),
    ("ioperm", "hardware ports"),
    ("vhangup", "the terminal of the session outside"),
    ("kcmp", "compares kernel objects of other processes"),
    ("move_pages", "memory placement of other processes"),
];

const KEYRING_CALLS: [&str; 3] = ["keyctl", "add_key", "request_key"];

const TRACING_CALLS: [&str; 4] = [
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
];

const IO_URING_CALLS: [&str; 3] = ["io_uring_setup", "io_uring_enter", "io_uring_register"];

// socket(2): address families that a program inside can need.
const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;
const NETLINK_ROUTE: u32 = 0;
const SOCK_TYPE_MASK: u32 = 0xf;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
/// Raw, reliably delivered, sequenced, DCCP and packet sockets.
const UNUSED_SOCKET_TYPES: [u32; 5] = [SOCK_RAW, 4, 5, 6, 10];
const IPPROTO_TCP: u32 = 6;
const IPPROTO_UDP: u32 = 17;

// ioctl_tty(2).
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

impl FilterSpec {
    pub(crate) fn new(
        sockets: &SocketGuard,
        user_namespaces: NestedNamespaces,
        supervision: Supervision,
    ) -> Self {
        let mut rules = supervision_rules(supervision);
        if sockets.is_supervisor() {
            rules.extend(connection_rules(supervision));
        }
        if user_namespaces == NestedNamespaces::Refused {
            rules.extend(namespace_rules());
        }
        let plain = |names: &[&'static str], reason| {
            let rules = names.iter().map(|name| refuse(name, Vec::new(), reason));
            rules.collect::<Vec<_>>()
        };
        if user_namespaces == NestedNamespaces::Refused {
            rules.extend(plain(&MOUNT_CALLS, "changes what paths mean"));
        }
        rules.extend(KERNEL_CALLS.map(|(name, reason)| refuse(name, Vec::new(), reason)));
        rules.extend(plain(
            &KEYRING_CALLS,
            "keyrings are shared with the session outside",
        ));
        rules.extend(plain(&TRACING_CALLS, "reaches into other processes"));
        rules.extend(IO_URING_CALLS.map(|name| SyscallRule {
            name,
            tests: Vec::new(),
            action: FilterAction::NotImplemented,
            reason: "does what other calls do, unseen by any filter",
        }));
        for (request, reason) in [
            (TIOCSTI, "types into the terminal outside"),
            (TIOCLINUX, "pastes into the console outside"),
        ] {
            rules.push(refuse("ioctl", vec![ArgumentTest::Is(1, request)], reason));
        }
        rules.extend(group_rules());
        rules.extend(socket_rules(sockets));
        Self { rules }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[SyscallRule] {
        &self.rules
    }
}

fn refuse(name: &'static str, tests: Vec<ArgumentTest>, reason: &'static str) -> SyscallRule {
    SyscallRule {
        name,
        tests,
        action: FilterAction::NotPermitted,
        reason,
    }
}

// open(2), asm-generic/fcntl.h.
const O_ACCMODE: u32 = 0o3;
const O_CREAT: u32 = 0o100;
const O_TRUNC: u32 = 0o1000;
const O_PATH: u32 = 0o10_000_000;

/// `BTRFS_IOC_SNAP_CREATE`, `_SUBVOL_CREATE`, `_SNAP_DESTROY` and their second versions
/// (linux/btrfs.h).
const SUBVOLUME_REQUESTS: [u32; 6] = [
    0x5000_9401,
    0x5000_940e,
    0x5000_940f,
    0x5000_9417,
    0x5000_9418,
    0x5000_943f,
];

fn supervision_rules(supervision: Supervision) -> Vec<SyscallRule> {
    if supervision == Supervision::Off {
        return Vec::new();
    }
    let mut rules: Vec<_> = NEWER_CALLS
        .map(|name| SyscallRule {
            name,
            tests: Vec::new(),
            action: FilterAction::NotImplemented,
            reason: "does what a supervised call does",
        })
        .into();
    for request in SUBVOLUME_REQUESTS {
        let tests = vec![ArgumentTest::Is(1, request)];
        rules.push(refuse(
            "ioctl",
            tests,
            "makes or removes a name by a descriptor",
        ));
    }
    for (name, call) in SUPERVISED_CALLS {
        let alternatives = if call == SupervisedCall::Open {
            open_tests(supervision, 1)
        } else if call == SupervisedCall::OpenAt {
            open_tests(supervision, 2)
        } else if call == SupervisedCall::Ioctl {
            let requests = INODE_FLAG_REQUESTS.into_iter();
            requests
                .map(|request| vec![ArgumentTest::Is(1, request)])
                .collect()
        } else {
            vec![Vec::new()]
        };
        rules.extend(alternatives.into_iter().map(|tests| SyscallRule {
            name,
            tests,
            action: FilterAction::Supervised,
            reason: "its path decides",
        }));
    }
    rules
}

/// What the supervisor sees of sockets. A filter can't tell of which family a descriptor is, so it
/// connects those of the network as well.
fn connection_rules(supervision: Supervision) -> Vec<SyscallRule> {
    // It has to know what is bound inside, and with which umask.
    let more = ["bind", "getsockname", "getpeername", "umask"]
        .into_iter()
        .filter(|_| supervision == Supervision::Off);
    let names = std::iter::once(CONNECT.0).chain(more);
    let rules = names.map(|name| SyscallRule {
        name,
        tests: Vec::new(),
        action: FilterAction::Supervised,
        reason: "the socket's path decides",
    });
    rules.collect()
}

/// Which opens are supervised, by the argument that holds their flags.
fn open_tests(supervision: Supervision, flags: u8) -> Vec<Vec<ArgumentTest>> {
    // A handle permits nothing, whatever else it asks for.
    let is_no_handle = ArgumentTest::Masked(flags, O_PATH, 0);
    if supervision == Supervision::Opens {
        return vec![vec![is_no_handle]];
    }
    let modes = (1..=O_ACCMODE).map(|mode| (O_ACCMODE, mode));
    let creations = [O_CREAT, O_TRUNC].map(|flag| (flag, flag));
    let asked = modes.chain(creations);
    asked
        .map(|(mask, value)| vec![ArgumentTest::Masked(flags, mask, value), is_no_handle])
        .collect()
}

fn namespace_rules() -> Vec<SyscallRule> {
    let mut rules = Vec::new();
    for (flag, reason) in NAMESPACE_FLAGS {
        rules.push(refuse(
            "unshare",
            vec![ArgumentTest::Masked(0, flag, flag)],
            reason,
        ));
        // For clone(2) the low byte is the exit signal, so the time namespace can't be asked for.
        if flag != 0x80 {
            rules.push(refuse(
                "clone",
                vec![ArgumentTest::Masked(0, flag, flag)],
                reason,
            ));
        }
    }
    rules.push(SyscallRule {
        name: "clone3",
        tests: Vec::new(),
        action: FilterAction::NotImplemented,
        reason: "its flags are in memory, where a filter can't see them",
    });
    rules
}

/// The command shares its process group, and its user's processes, with the outside.
fn group_rules() -> Vec<SyscallRule> {
    // setpriority(2): PRIO_PGRP, PRIO_USER; ioprio_set(2): IOPRIO_WHO_PGRP, IOPRIO_WHO_USER.
    let calls = [("setpriority", [1, 2]), ("ioprio_set", [2, 3])];
    let rules = calls.into_iter().flat_map(|(name, groups)| {
        let reason = "priorities of processes outside";
        groups.map(|which| refuse(name, vec![ArgumentTest::Is(0, which)], reason))
    });
    rules.collect()
}

fn socket_rules(sockets: &SocketGuard) -> Vec<SyscallRule> {
    use ArgumentTest::{Is, IsNot, Masked};
    let mut rules = vec![
        SyscallRule {
            name: "socket",
            tests: [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK]
                .map(|family| IsNot(0, family))
                .into(),
            action: FilterAction::NoAddressFamily,
            reason: "an address family that the network namespace does not confine",
        },
        SyscallRule {
            name: "socket",
            tests: vec![Is(0, AF_NETLINK), IsNot(2, NETLINK_ROUTE)],
            action: FilterAction::NoAddressFamily,
            reason: "kernel configuration other than the namespace's own addresses",
        },
    ];
    for family in [AF_INET, AF_INET6] {
        for kind in UNUSED_SOCKET_TYPES {
            let tests = vec![Is(0, family), Masked(1, SOCK_TYPE_MASK, kind)];
            rules.push(refuse("socket", tests, "neither a stream nor datagrams"));
        }
        // Multipath TCP (262), which Landlock's rules for TCP do not see, SCTP (132), ICMP, …
        let others = [0, IPPROTO_TCP, IPPROTO_UDP].map(|protocol| IsNot(2, protocol));
        let tests = std::iter::once(Is(0, family)).chain(others).collect();
        rules.push(refuse("socket", tests, "neither TCP nor UDP"));
    }
    let sees_datagrams = match sockets {
        SocketGuard::Nobody | SocketGuard::Landlock => true,
        SocketGuard::Supervisor { with_landlock, .. } => *with_landlock,
    };
    if !sees_datagrams {
        // The kernel makes a datagram socket of a raw one too (unix(7), net/unix/af_unix.c).
        for kind in [SOCK_DGRAM, SOCK_RAW] {
            for call in ["socket", "socketpair"] {
                let tests = vec![Is(0, AF_UNIX), Masked(1, SOCK_TYPE_MASK, kind)];
                let reason = "even a connected datagram socket can send to any path";
                rules.push(refuse(call, tests, reason));
            }
        }
    }
    rules
}
