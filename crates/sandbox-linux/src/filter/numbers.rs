//! Names of system calls → their numbers on this machine's architecture.

/// Numbers that `libc` does not name yet; they are the same on all architectures
/// (scripts/syscall.tbl of the kernel).
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const OPEN_TREE_ATTR: i64 = 467;
const FILE_SETATTR: i64 = 469;

/// Calls that every architecture has, sorted by name.
const COMMON: &[(&str, i64)] = &[
    ("acct", libc::SYS_acct),
    ("add_key", libc::SYS_add_key),
    ("adjtimex", libc::SYS_adjtimex),
    ("bind", libc::SYS_bind),
    ("bpf", libc::SYS_bpf),
    ("chroot", libc::SYS_chroot),
    ("clock_adjtime", libc::SYS_clock_adjtime),
    ("clock_settime", libc::SYS_clock_settime),
    ("clone", libc::SYS_clone),
    ("clone3", libc::SYS_clone3),
    ("connect", libc::SYS_connect),
    ("delete_module", libc::SYS_delete_module),
    ("fanotify_init", libc::SYS_fanotify_init),
    ("fchmod", libc::SYS_fchmod),
    ("fchmodat", libc::SYS_fchmodat),
    ("fchmodat2", libc::SYS_fchmodat2),
    ("fchown", libc::SYS_fchown),
    ("fchownat", libc::SYS_fchownat),
    ("file_setattr", FILE_SETATTR),
    ("finit_module", libc::SYS_finit_module),
    ("fremovexattr", libc::SYS_fremovexattr),
    ("fsconfig", libc::SYS_fsconfig),
    ("fsetxattr", libc::SYS_fsetxattr),
    ("fsmount", libc::SYS_fsmount),
    ("fsopen", libc::SYS_fsopen),
    ("fspick", libc::SYS_fspick),
    ("getpeername", libc::SYS_getpeername),
    ("getsockname", libc::SYS_getsockname),
    ("init_module", libc::SYS_init_module),
    ("io_uring_enter", libc::SYS_io_uring_enter),
    ("io_uring_register", libc::SYS_io_uring_register),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("ioctl", libc::SYS_ioctl),
    ("ioprio_set", libc::SYS_ioprio_set),
    ("kcmp", libc::SYS_kcmp),
    ("kexec_file_load", libc::SYS_kexec_file_load),
    ("kexec_load", libc::SYS_kexec_load),
    ("keyctl", libc::SYS_keyctl),
    ("linkat", libc::SYS_linkat),
    ("lookup_dcookie", libc::SYS_lookup_dcookie),
    ("lremovexattr", libc::SYS_lremovexattr),
    ("lsetxattr", libc::SYS_lsetxattr),
    ("mkdirat", libc::SYS_mkdirat),
    ("mknodat", libc::SYS_mknodat),
    ("mount", libc::SYS_mount),
    ("mount_setattr", libc::SYS_mount_setattr),
    ("move_mount", libc::SYS_move_mount),
    ("move_pages", libc::SYS_move_pages),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("open_tree", libc::SYS_open_tree),
    ("open_tree_attr", OPEN_TREE_ATTR),
    ("openat", libc::SYS_openat),
    ("openat2", libc::SYS_openat2),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("pidfd_getfd", libc::SYS_pidfd_getfd),
    ("pivot_root", libc::SYS_pivot_root),
    ("process_vm_readv", libc::SYS_process_vm_readv),
    ("process_vm_writev", libc::SYS_process_vm_writev),
    ("ptrace", libc::SYS_ptrace),
    ("quotactl", libc::SYS_quotactl),
    ("quotactl_fd", libc::SYS_quotactl_fd),
    ("reboot", libc::SYS_reboot),
    ("removexattr", libc::SYS_removexattr),
    ("removexattrat", REMOVEXATTRAT),
    ("renameat2", libc::SYS_renameat2),
    ("request_key", libc::SYS_request_key),
    ("setns", libc::SYS_setns),
    ("setpriority", libc::SYS_setpriority),
    ("settimeofday", libc::SYS_settimeofday),
    ("setxattr", libc::SYS_setxattr),
    ("setxattrat", SETXATTRAT),
    ("socket", libc::SYS_socket),
    ("socketpair", libc::SYS_socketpair),
    ("swapoff", libc::SYS_swapoff),
    ("swapon", libc::SYS_swapon),
    ("symlinkat", libc::SYS_symlinkat),
    ("syslog", libc::SYS_syslog),
    ("truncate", libc::SYS_truncate),
    ("umask", libc::SYS_umask),
    ("umount2", libc::SYS_umount2),
    ("unlinkat", libc::SYS_unlinkat),
    ("unshare", libc::SYS_unshare),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("utimensat", libc::SYS_utimensat),
    ("vhangup", libc::SYS_vhangup),
];

/// Older calls that only some architectures have, sorted by name.
#[cfg(target_arch = "x86_64")]
const OLDER: &[(&str, i64)] = &[
    ("chmod", libc::SYS_chmod),
    ("chown", libc::SYS_chown),
    ("creat", libc::SYS_creat),
    ("futimesat", libc::SYS_futimesat),
    ("ioperm", libc::SYS_ioperm),
    ("iopl", libc::SYS_iopl),
    ("lchown", libc::SYS_lchown),
    ("link", libc::SYS_link),
    ("mkdir", libc::SYS_mkdir),
    ("mknod", libc::SYS_mknod),
    ("open", libc::SYS_open),
    ("rename", libc::SYS_rename),
    ("renameat", libc::SYS_renameat),
    ("rmdir", libc::SYS_rmdir),
    ("symlink", libc::SYS_symlink),
    ("unlink", libc::SYS_unlink),
    ("utime", libc::SYS_utime),
    ("utimes", libc::SYS_utimes),
];
#[cfg(target_arch = "aarch64")]
const OLDER: &[(&str, i64)] = &[("renameat", libc::SYS_renameat)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLDER: &[(&str, i64)] = &[];

/// The number of a call; none where the architecture lacks it.
pub(crate) fn number(name: &str) -> Option<i64> {
    let find = |table: &'static [(&'static str, i64)]| {
        let found = table.binary_search_by_key(&name, |(known, _)| known);
        found.ok().and_then(|index| table.get(index))
    };
    find(COMMON)
        .or_else(|| find(OLDER))
        .map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        CONNECT, FilterSpec, NestedNamespaces, SUPERVISED_CALLS, SocketGuard, Supervision,
    };

    #[test]
    fn the_tables_are_sorted() {
        for table in [COMMON, OLDER] {
            assert!(table.is_sorted_by_key(|(name, _)| name));
        }
    }

    #[test]
    fn every_call_of_the_table_has_a_number_here() {
        let sockets = SocketGuard::Supervisor {
            listed: Vec::new(),
            with_landlock: false,
        };
        let filter = FilterSpec::new(&sockets, NestedNamespaces::Refused, Supervision::Opens);
        // Other architectures lack the ports of x86.
        if cfg!(target_arch = "x86_64") {
            for rule in filter.rules() {
                assert!(number(rule.name).is_some(), "{}", rule.name);
            }
        }
    }

    #[test]
    fn every_supervised_call_has_a_number_here() {
        // Other architectures never had the older ones.
        if cfg!(target_arch = "x86_64") {
            for (name, _) in SUPERVISED_CALLS.into_iter().chain([CONNECT]) {
                assert!(number(name).is_some(), "{name}");
            }
        }
    }
}
