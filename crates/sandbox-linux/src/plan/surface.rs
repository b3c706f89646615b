//! The kernel surface that is closed to every command: one row for each call, or for each argument
//! of it, with the reason, and with the setting that opens it if there is one.
//!
//! Sockets depend on the policy ([`super::seccomp`]), calls that change files on what is supervised
//! ([`super::supervised`]). What no row names passes.

use super::seccomp::{ArgumentTest, FilterAction};

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SurfaceRow {
    /// The call's name in the kernel's table.
    pub name: &'static str,
    /// The arguments that are refused; none stands for all.
    pub test: Option<ArgumentTest>,
    /// The answer.
    pub action: FilterAction,
    /// The setting that opens it.
    pub opened_by: Option<Widening>,
    /// Why.
    pub reason: &'static str,
}

/// A setting that opens a part of the surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Widening {
    /// `allowNestedUserNamespaces`.
    UserNamespaces,
    /// `allowPtrace`.
    Ptrace,
}

const fn refused(name: &'static str, reason: &'static str) -> SurfaceRow {
    SurfaceRow {
        name,
        test: None,
        action: FilterAction::NotPermitted,
        opened_by: None,
        reason,
    }
}

const fn absent(name: &'static str, reason: &'static str) -> SurfaceRow {
    SurfaceRow {
        action: FilterAction::NotImplemented,
        ..refused(name, reason)
    }
}

const fn flag(name: &'static str, flag: u32, reason: &'static str) -> SurfaceRow {
    SurfaceRow {
        test: Some(ArgumentTest::Masked(0, flag, flag)),
        opened_by: Some(Widening::UserNamespaces),
        ..refused(name, reason)
    }
}

const fn first(name: &'static str, value: u32, reason: &'static str) -> SurfaceRow {
    SurfaceRow {
        test: Some(ArgumentTest::Is(0, value)),
        ..refused(name, reason)
    }
}

const fn command(value: u32, reason: &'static str) -> SurfaceRow {
    SurfaceRow {
        test: Some(ArgumentTest::Is(1, value)),
        ..refused("fcntl", reason)
    }
}

const fn request(value: u32, reason: &'static str) -> SurfaceRow {
    SurfaceRow {
        test: Some(ArgumentTest::Is(1, value)),
        ..refused("ioctl", reason)
    }
}

const fn unless(widening: Widening, row: SurfaceRow) -> SurfaceRow {
    SurfaceRow {
        opened_by: Some(widening),
        ..row
    }
}

// Flags of clone(2) and unshare(2). Each has a row, since any of them is enough. The low byte of
// clone(2)'s is the exit signal, so a time namespace can't be asked for there.
const CLONE_NEWTIME: u32 = 0x80;
const CLONE_NEWNS: u32 = 0x0002_0000;
const CLONE_NEWCGROUP: u32 = 0x0200_0000;
const CLONE_NEWUTS: u32 = 0x0400_0000;
const CLONE_NEWIPC: u32 = 0x0800_0000;
const CLONE_NEWUSER: u32 = 0x1000_0000;
const CLONE_NEWPID: u32 = 0x2000_0000;
const CLONE_NEWNET: u32 = 0x4000_0000;

// ioctl_tty(2).
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const TIOCCONS: u32 = 0x541d;
const TIOCSETD: u32 = 0x5423;

// fcntl(2), linux/fcntl.h. Directories have leases of their own since Linux 6.19.
const F_SETLEASE: u32 = 1024;
const F_SETDELEG: u32 = 1024 + 16;

// setpriority(2), ioprio_set(2).
const PRIO_PGRP: u32 = 1;
const PRIO_USER: u32 = 2;
const IOPRIO_WHO_PGRP: u32 = 2;
const IOPRIO_WHO_USER: u32 = 3;

const USER_NAMESPACE: &str = "a user namespace gives capabilities over new namespaces";
const PATHS: &str = "changes what paths mean, so what a denied path is";
const KEYRINGS: &str = "keyrings are shared with the session outside";
const URING: &str = "does what other calls do, unseen by any filter";
const CLOCK: &str = "the host's clock";
const MODULE: &str = "kernel code";
const LEASE: &str = "makes whoever opens the file outside wait (lease-break-time: 45 s)";
const LANDLOCK: &str =
    "would not bind the supervisor, which performs calls for a command that confines itself";
const GROUP: &str =
    "priorities of processes outside: the process group and the user are the caller's";

/// The table.
pub const SURFACE: &[SurfaceRow] = &[
    // Namespaces.
    flag("unshare", CLONE_NEWUSER, USER_NAMESPACE),
    flag("unshare", CLONE_NEWNS, "a mount namespace"),
    flag("unshare", CLONE_NEWPID, "a pid namespace"),
    flag("unshare", CLONE_NEWNET, "a network namespace"),
    flag("unshare", CLONE_NEWIPC, "an ipc namespace"),
    flag("unshare", CLONE_NEWUTS, "a uts namespace"),
    flag("unshare", CLONE_NEWCGROUP, "a cgroup namespace"),
    flag("unshare", CLONE_NEWTIME, "a time namespace"),
    flag("clone", CLONE_NEWUSER, USER_NAMESPACE),
    flag("clone", CLONE_NEWNS, "a mount namespace"),
    flag("clone", CLONE_NEWPID, "a pid namespace"),
    flag("clone", CLONE_NEWNET, "a network namespace"),
    flag("clone", CLONE_NEWIPC, "an ipc namespace"),
    flag("clone", CLONE_NEWUTS, "a uts namespace"),
    flag("clone", CLONE_NEWCGROUP, "a cgroup namespace"),
    unless(
        Widening::UserNamespaces,
        absent(
            "clone3",
            "its flags are in memory, where a filter can't see them",
        ),
    ),
    unless(
        Widening::UserNamespaces,
        refused("setns", "enters other namespaces"),
    ),
    unless(Widening::UserNamespaces, refused("chroot", PATHS)),
    // Mounts: closed in nested namespaces too, or a denied path would get another name there.
    refused("mount", PATHS),
    refused("umount2", PATHS),
    refused("pivot_root", PATHS),
    refused("open_tree", PATHS),
    refused("open_tree_attr", PATHS),
    refused("move_mount", PATHS),
    refused("fsopen", PATHS),
    refused("fsconfig", PATHS),
    refused("fsmount", PATHS),
    refused("fspick", PATHS),
    refused("mount_setattr", PATHS),
    // Files past their paths.
    refused(
        "open_by_handle_at",
        "opens files without a path, so past every mount",
    ),
    refused("fanotify_init", "sees events of whole filesystems"),
    refused("lookup_dcookie", "reads paths of other processes"),
    refused("quotactl", "the host's quotas"),
    refused("quotactl_fd", "the host's quotas"),
    refused("acct", "writes a file from inside the kernel"),
    refused("swapon", "the host's memory"),
    refused("swapoff", "the host's memory"),
    command(F_SETLEASE, LEASE),
    command(F_SETDELEG, LEASE),
    // Better none than one that seems to hold. To programs the kernel looks as if it had none.
    absent("landlock_create_ruleset", LANDLOCK),
    absent("landlock_add_rule", LANDLOCK),
    absent("landlock_restrict_self", LANDLOCK),
    // Other processes.
    unless(
        Widening::Ptrace,
        refused("ptrace", "reads and changes other processes"),
    ),
    unless(
        Widening::Ptrace,
        refused("process_vm_readv", "reads other processes"),
    ),
    unless(
        Widening::Ptrace,
        refused("process_vm_writev", "changes other processes"),
    ),
    refused("pidfd_getfd", "takes descriptors of other processes"),
    refused("kcmp", "compares kernel objects of other processes"),
    refused("move_pages", "memory placement of other processes"),
    refused("migrate_pages", "memory placement of other processes"),
    first("setpriority", PRIO_PGRP, GROUP),
    first("setpriority", PRIO_USER, GROUP),
    first("ioprio_set", IOPRIO_WHO_PGRP, GROUP),
    first("ioprio_set", IOPRIO_WHO_USER, GROUP),
    // Keyrings.
    refused("keyctl", KEYRINGS),
    refused("add_key", KEYRINGS),
    refused("request_key", KEYRINGS),
    // Programs in the kernel, and what exploits of it rely on.
    refused("bpf", "programs in the kernel"),
    refused(
        "perf_event_open",
        "a large kernel surface, and it sees other processes",
    ),
    refused(
        "userfaultfd",
        "stalls kernel copies, which exploits rely on",
    ),
    // seccomp(2): SECCOMP_FILTER_FLAG_NEW_LISTENER. Of two filters that notify the newer one's listener is
    // asked, and it may have calls continued.
    SurfaceRow {
        test: Some(ArgumentTest::Masked(1, 8, 8)),
        ..absent(
            "seccomp",
            "a listener of its own would decide instead of the supervisor, once that is gone",
        )
    },
    absent("io_uring_setup", URING),
    absent("io_uring_enter", URING),
    absent("io_uring_register", URING),
    refused("init_module", MODULE),
    refused("finit_module", MODULE),
    refused("delete_module", MODULE),
    refused("kexec_load", "replaces the kernel"),
    refused("kexec_file_load", "replaces the kernel"),
    // The machine.
    refused("reboot", "the host's power"),
    refused("syslog", "the kernel's log"),
    refused("settimeofday", CLOCK),
    refused("clock_settime", CLOCK),
    refused("clock_adjtime", CLOCK),
    refused("adjtimex", CLOCK),
    refused("iopl", "hardware ports"),
    refused("ioperm", "hardware ports"),
    // The terminal.
    refused("vhangup", "the terminal of the session outside"),
    request(TIOCSTI, "types into the terminal outside"),
    request(TIOCLINUX, "pastes into the console outside"),
    request(TIOCCONS, "takes the console's output"),
    request(
        TIOCSETD,
        "line disciplines: rarely walked kernel code, loaded on demand",
    ),
    // Obsolete calls that some kernels still have.
    refused("uselib", "loads a library past the loader"),
    refused("nfsservctl", "the host's file server"),
    refused("_sysctl", "the host's settings"),
    refused("sysfs", "obsolete"),
    refused("ustat", "obsolete"),
];
