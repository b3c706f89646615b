//! The refused calls that are worth a report: the supervisor gives their callers the same error that
//! the filter would, and tells of it. Which those are, and what they mean to people.

use sandbox_policy::{Denial, DenialReason, Operation, Origin};

use super::seccomp::{ArgumentTest, FilterAction, SyscallRule};

impl ArgumentTest {
    /// Whether the arguments pass it, as the filter has it: by the low half of one of them.
    #[must_use]
    pub fn holds(self, arguments: &[u64; 6]) -> bool {
        let low = |index: u8| {
            let argument = arguments.get(usize::from(index)).copied();
            argument.map_or(0, |argument| (argument & 0xffff_ffff) as u32)
        };
        match self {
            Self::Is(index, value) => low(index) == value,
            Self::IsNot(index, value) => low(index) != value,
            Self::Masked(index, mask, value) => low(index) & mask == value & mask,
        }
    }
}

impl SyscallRule {
    /// Whether the supervisor answers it and reports.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        match self.action {
            FilterAction::NotPermitted | FilterAction::NoAddressFamily => true,
            // Callers fall back to another call, which is judged.
            FilterAction::NotImplemented | FilterAction::Supervised => false,
        }
    }

    /// What an attempt to make this call is.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self.name {
            "socket" | "socketpair" => Operation::Socket,
            "unshare" | "clone" | "clone3" | "setns" => Operation::Namespace,
            "mount" | "umount2" | "pivot_root" | "chroot" | "open_tree" | "open_tree_attr"
            | "move_mount" | "fsopen" | "fsconfig" | "fsmount" | "fspick" | "mount_setattr" => {
                Operation::Mount
            }
            "ptrace" | "process_vm_readv" | "process_vm_writev" | "pidfd_getfd" | "kcmp"
            | "move_pages" => Operation::Trace,
            "keyctl" | "add_key" | "request_key" => Operation::Keyring,
            "setpriority" | "ioprio_set" => Operation::Priority,
            "ioctl" => {
                let subvolumes = ArgumentTest::Masked(1, 0xff00, 0x9400);
                match self.tests.as_slice() {
                    [ArgumentTest::Is(1, request)]
                        if subvolumes.holds(&[0, u64::from(*request), 0, 0, 0, 0]) =>
                    {
                        Operation::FileWrite
                    }
                    _ => Operation::Terminal,
                }
            }
            _ => Operation::Kernel,
        }
    }

    /// Why a call with these arguments is refused.
    #[must_use]
    pub fn denial(&self, arguments: &[u64; 6]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::CallRefused, self.object(arguments));
        denial.rule = Some((self.name.to_owned(), Origin::BuiltIn(self.reason)));
        denial
    }

    /// The call as people write it, with the argument that decided.
    fn object(&self, arguments: &[u64; 6]) -> String {
        let name = self.name;
        let [first, second, third, ..] = arguments.map(|argument| argument & 0xffff_ffff);
        match name {
            "socket" | "socketpair" => {
                let family = named(&FAMILIES, first);
                let kind = named(&SOCKET_TYPES, second & 0xf);
                format!("{name}({family}, {kind}, {third})")
            }
            "unshare" | "clone" => {
                let asked = NAMESPACES.iter().filter(|(flag, _)| first & flag != 0);
                let asked: Vec<_> = asked.map(|(_, name)| *name).collect();
                format!("{name}({})", asked.join(" | "))
            }
            "ioctl" => format!("{name}({})", named(&REQUESTS, second)),
            _ => name.to_owned(),
        }
    }
}

fn named(names: &[(u64, &str)], number: u64) -> String {
    let found = names.iter().find(|(named, _)| *named == number);
    found.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

// sys/socket.h.
const FAMILIES: [(u64, &str); 22] = [
    (1, "AF_UNIX"),
    (2, "AF_INET"),
    (3, "AF_AX25"),
    (4, "AF_IPX"),
    (5, "AF_APPLETALK"),
    (9, "AF_X25"),
    (10, "AF_INET6"),
    (15, "AF_KEY"),
    (16, "AF_NETLINK"),
    (17, "AF_PACKET"),
    (21, "AF_RDS"),
    (24, "AF_PPPOX"),
    (29, "AF_CAN"),
    (30, "AF_TIPC"),
    (31, "AF_BLUETOOTH"),
    (36, "AF_IEEE802154"),
    (38, "AF_ALG"),
    (39, "AF_NFC"),
    (40, "AF_VSOCK"),
    (41, "AF_KCM"),
    (43, "AF_SMC"),
    (44, "AF_XDP"),
];
const SOCKET_TYPES: [(u64, &str); 7] = [
    (1, "SOCK_STREAM"),
    (2, "SOCK_DGRAM"),
    (3, "SOCK_RAW"),
    (4, "SOCK_RDM"),
    (5, "SOCK_SEQPACKET"),
    (6, "SOCK_DCCP"),
    (10, "SOCK_PACKET"),
];
// linux/sched.h.
const NAMESPACES: [(u64, &str); 8] = [
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x0002_0000, "CLONE_NEWNS"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x0800_0000, "CLONE_NEWIPC"),
    (0x0400_0000, "CLONE_NEWUTS"),
    (0x0200_0000, "CLONE_NEWCGROUP"),
    (0x0000_0080, "CLONE_NEWTIME"),
];
// asm-generic/ioctls.h.
const REQUESTS: [(u64, &str); 2] = [(0x5412, "TIOCSTI"), (0x541c, "TIOCLINUX")];
