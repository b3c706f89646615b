//! The filter specification → BPF programs for this machine's architecture.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::{
    plan::{ArgumentTest, FilterSpec, Refusal, SyscallRule},
    sys::seccomp::Instruction,
};

/// Why a filter can't be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// There is no table of numbers for this machine.
    #[error("no system call table for this architecture")]
    Architecture,
    /// The compiler refused.
    #[error("cannot compile the system call filter")]
    Compile(#[source] seccompiler::BackendError),
}

/// Compiles one program for each error that the filter returns, since a program has one, and the
/// one that closes foreign tables. They are installed in this order.
pub(crate) fn compile(spec: &FilterSpec) -> Result<Vec<Vec<Instruction>>, FilterError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_unsupported| FilterError::Architecture)?;
    let mut by_refusal: BTreeMap<Refusal, BTreeMap<i64, Vec<SeccompRule>>> = BTreeMap::new();
    for rule in spec.rules() {
        // A call that the architecture lacks can't be made, so there is nothing to refuse.
        let Some(number) = number(rule.name) else {
            continue;
        };
        let refused = by_refusal
            .entry(rule.refusal)
            .or_default()
            .entry(number)
            .or_default();
        if !rule.tests.is_empty() {
            refused.push(conditions(rule).map_err(FilterError::Compile)?);
        }
    }
    let mut programs = Vec::with_capacity(by_refusal.len() + 1);
    programs.extend(foreign_table());
    for (refusal, rules) in by_refusal {
        let errno = match refusal {
            Refusal::NotPermitted => libc::EPERM,
            Refusal::NotImplemented => libc::ENOSYS,
            Refusal::NoAddressFamily => libc::EAFNOSUPPORT,
        };
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)
            .map_err(FilterError::Compile)?;
        let program = BpfProgram::try_from(filter).map_err(FilterError::Compile)?;
        programs.push(program.into_iter().map(instruction).collect());
    }
    Ok(programs)
}

fn instruction(from: seccompiler::sock_filter) -> Instruction {
    let seccompiler::sock_filter { code, jt, jf, k } = from;
    Instruction { code, jt, jf, k }
}

fn conditions(rule: &SyscallRule) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = rule.tests.iter().map(|test| {
        let (argument, operator, value) = match *test {
            ArgumentTest::Is(argument, value) => (argument, SeccompCmpOp::Eq, value),
            ArgumentTest::IsNot(argument, value) => (argument, SeccompCmpOp::Ne, value),
            ArgumentTest::Masked(argument, mask, value) => {
                (argument, SeccompCmpOp::MaskedEq(mask.into()), value)
            }
        };
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.into())
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

/// On x86-64 the kernel also takes numbers with bit 30 set, the x32 table, under the same
/// architecture value: a filter that compares numbers would miss every one of them.
#[cfg(target_arch = "x86_64")]
fn foreign_table() -> Option<Vec<Instruction>> {
    const X32_BIT: u32 = 0x4000_0000;
    // linux/bpf_common.h: BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JGE | BPF_K, BPF_RET | BPF_K.
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_UNLESS_BELOW: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let step = |code, jt, jf, k| Instruction { code, jt, jf, k };
    Some(vec![
        // The number is the first field of `struct seccomp_data`.
        step(LOAD_NUMBER, 0, 0, 0),
        step(JUMP_UNLESS_BELOW, 0, 1, X32_BIT),
        step(
            RETURN,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
        ),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ])
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign_table() -> Option<Vec<Instruction>> {
    None
}

/// Numbers that `libc` does not name yet; they are the same on all architectures
/// (scripts/syscall.tbl of the kernel).
const OPEN_TREE_ATTR: i64 = 467;

fn number(name: &str) -> Option<i64> {
    let common = match name {
        "acct" => libc::SYS_acct,
        "add_key" => libc::SYS_add_key,
        "adjtimex" => libc::SYS_adjtimex,
        "bpf" => libc::SYS_bpf,
        "chroot" => libc::SYS_chroot,
        "clock_adjtime" => libc::SYS_clock_adjtime,
        "clock_settime" => libc::SYS_clock_settime,
        "clone" => libc::SYS_clone,
        "clone3" => libc::SYS_clone3,
        "delete_module" => libc::SYS_delete_module,
        "fanotify_init" => libc::SYS_fanotify_init,
        "finit_module" => libc::SYS_finit_module,
        "fsconfig" => libc::SYS_fsconfig,
        "fsmount" => libc::SYS_fsmount,
        "fsopen" => libc::SYS_fsopen,
        "fspick" => libc::SYS_fspick,
        "init_module" => libc::SYS_init_module,
        "io_uring_enter" => libc::SYS_io_uring_enter,
        "io_uring_register" => libc::SYS_io_uring_register,
        "io_uring_setup" => libc::SYS_io_uring_setup,
        "ioctl" => libc::SYS_ioctl,
        "kcmp" => libc::SYS_kcmp,
        "kexec_file_load" => libc::SYS_kexec_file_load,
        "kexec_load" => libc::SYS_kexec_load,
        "keyctl" => libc::SYS_keyctl,
        "lookup_dcookie" => libc::SYS_lookup_dcookie,
        "mount" => libc::SYS_mount,
        "mount_setattr" => libc::SYS_mount_setattr,
        "move_mount" => libc::SYS_move_mount,
        "move_pages" => libc::SYS_move_pages,
        "open_by_handle_at" => libc::SYS_open_by_handle_at,
        "open_tree" => libc::SYS_open_tree,
        "open_tree_attr" => OPEN_TREE_ATTR,
        "perf_event_open" => libc::SYS_perf_event_open,
        "pidfd_getfd" => libc::SYS_pidfd_getfd,
        "pivot_root" => libc::SYS_pivot_root,
        "process_vm_readv" => libc::SYS_process_vm_readv,
        "process_vm_writev" => libc::SYS_process_vm_writev,
        "ptrace" => libc::SYS_ptrace,
        "quotactl" => libc::SYS_quotactl,
        "quotactl_fd" => libc::SYS_quotactl_fd,
        "reboot" => libc::SYS_reboot,
        "request_key" => libc::SYS_request_key,
        "setns" => libc::SYS_setns,
        "settimeofday" => libc::SYS_settimeofday,
        "socket" => libc::SYS_socket,
        "socketpair" => libc::SYS_socketpair,
        "swapoff" => libc::SYS_swapoff,
        "swapon" => libc::SYS_swapon,
        "syslog" => libc::SYS_syslog,
        "umount2" => libc::SYS_umount2,
        "unshare" => libc::SYS_unshare,
        "userfaultfd" => libc::SYS_userfaultfd,
        "vhangup" => libc::SYS_vhangup,
        _ => return architecture_number(name),
    };
    Some(common)
}

#[cfg(target_arch = "x86_64")]
fn architecture_number(name: &str) -> Option<i64> {
    match name {
        "iopl" => Some(libc::SYS_iopl),
        "ioperm" => Some(libc::SYS_ioperm),
        _ => None,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn architecture_number(_name: &str) -> Option<i64> {
    None
}
