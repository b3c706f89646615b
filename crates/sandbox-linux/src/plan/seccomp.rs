//! The system call filter as data: which calls are refused, with which error, and why; and which the
//! supervisor performs.
//!
//! Calls are named; numbers belong to the kernel's table of one architecture and come later. What
//! is not in the table passes: the filter is the third layer, behind mounts and Landlock.

use std::sync::Arc;

use super::{
    NestedNamespaces, Tracing,
    sockets::SocketGuard,
    supervised::{
        CONNECT, INODE_FLAG_REQUESTS, NEWER_CALLS, SENDS, SUPERVISED_CALLS, SupervisedCall,
        Supervision,
    },
    surface::{SURFACE, Widening},
};

/// The whole filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSpec {
    /// Shared by all who look something up in it while commands run.
    rules: Arc<[SyscallRule]>,
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

impl FilterSpec {
    pub(crate) fn new(
        sockets: &SocketGuard,
        user_namespaces: NestedNamespaces,
        tracing: Tracing,
        supervision: Supervision,
    ) -> Self {
        let mut rules = supervision_rules(supervision);
        if sockets.is_supervisor() {
            rules.extend(connection_rules(supervision));
        }
        if sockets.sends_datagrams() {
            rules.extend(send_rules());
        }
        let closed = SURFACE.iter().filter(|row| match row.opened_by {
            Some(Widening::UserNamespaces) => user_namespaces == NestedNamespaces::Refused,
            Some(Widening::Ptrace) => tracing == Tracing::Refused,
            None => true,
        });
        rules.extend(closed.map(|row| SyscallRule {
            name: row.name,
            tests: row.test.into_iter().collect(),
            action: row.action,
            reason: row.reason,
        }));
        rules.extend(socket_rules(sockets));
        Self {
            rules: rules.into(),
        }
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

/// Requests that change what an inode says of itself, some of them by a descriptor that is open for reading
/// alone: `FS_IOC_SETVERSION` (linux/fs.h) and the one of ext4 alone, `FAT_IOCTL_SET_ATTRIBUTES`
/// (linux/msdos_fs.h), `FS_IOC_ENABLE_VERITY` (linux/fsverity.h), `FS_IOC_SET_ENCRYPTION_POLICY`
/// (linux/fscrypt.h).
const INODE_REQUESTS: [u32; 5] = [
    0x4008_7602,
    0x4008_6604,
    0x4004_7211,
    0x4080_6685,
    0x800c_6613,
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
    let names = SUBVOLUME_REQUESTS.map(|it| (it, "makes or removes a name by a descriptor"));
    let inodes = INODE_REQUESTS.map(|it| (it, "changes a file by a descriptor of any kind"));
    for (request, reason) in names.into_iter().chain(inodes) {
        rules.push(refuse("ioctl", vec![ArgumentTest::Is(1, request)], reason));
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

/// What may have an address. The length of it is looked at: the kernel takes the low half of that, while
/// an address in memory has two.
fn send_rules() -> impl Iterator<Item = SyscallRule> {
    SENDS.iter().map(|(name, call)| SyscallRule {
        name,
        tests: if *call == SupervisedCall::SendTo {
            vec![ArgumentTest::IsNot(5, 0)]
        } else {
            Vec::new()
        },
        action: FilterAction::Supervised,
        reason: "a datagram's address decides",
    })
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
        SocketGuard::Supervisor {
            with_landlock,
            datagrams,
            ..
        } => *with_landlock || *datagrams,
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
