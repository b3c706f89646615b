//! The init image: pid 1 of a sandbox, in its own memory.
//!
//! It forwards the signals that it receives to the command, reaps every orphan, reports each change
//! of the command's state to the host side, and leaves when the command has ended or the host side
//! has gone. The end is reported when everything in the pid namespace is dead; where it is not, as
//! when the host side has gone, the kernel kills what is left.
//!
//! Started with three words: its name, the command's pid, and nothing else; descriptor 3 is the
//! status pipe (one `i32` in native order for each change, as `wait4(2)` reports it), descriptor 4
//! the lifeline (its other end closes when the host side dies). All signals are blocked.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

const STATUS_FD: usize = 3;
const LIFELINE_FD: usize = 4;

const SIGKILL: u32 = 9;
const SIGCHLD: u32 = 17;
const SIG_BLOCK_SET_BYTES: usize = 8;
const WNOHANG: usize = 1;
const WUNTRACED: usize = 2;
const WCONTINUED: usize = 8;
const ALL_CHILDREN: usize = 0x4000_0000; // __WALL
const PR_SET_PDEATHSIG: usize = 1;
const PR_SET_DUMPABLE: usize = 4;
const PR_SET_NAME: usize = 15;
const POLLIN: i16 = 1;
const SFD_CLOEXEC: usize = 0o2_000_000;
const SFD_NONBLOCK: usize = 0o4_000;
const SIGNALFD_RECORD_BYTES: usize = 128;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const EXIT_GROUP: usize = 231;
    pub const KILL: usize = 62;
    pub const WAIT4: usize = 61;
    pub const PRCTL: usize = 157;
    pub const PPOLL: usize = 271;
    pub const SIGNALFD4: usize = 289;
}
// aarch64 and riscv64 share the generic table (asm-generic/unistd.h).
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
mod number {
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const EXIT_GROUP: usize = 94;
    pub const KILL: usize = 129;
    pub const WAIT4: usize = 260;
    pub const PRCTL: usize = 167;
    pub const PPOLL: usize = 73;
    pub const SIGNALFD4: usize = 74;
}

// The kernel enters with argc at the stack pointer and argv behind it; `begin` gets their address.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {0}", "ud2", sym begin);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "and sp, x0, #-16", "bl {0}", "brk #1", sym begin);
#[cfg(target_arch = "riscv64")]
global_asm!(".globl _start", "_start:", "mv a0, sp", "andi sp, sp, -16", "call {0}", "unimp", sym begin);

/// One system call with up to five arguments; the kernel's result, negative for an error.
fn syscall(number: usize, args: [usize; 5]) -> isize {
    let [a, b, c, d, e] = args;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the calls made here read and write only memory that the caller owns, and the
    // registers that the instruction clobbers are declared.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b,
             in("rdx") c, in("r10") d, in("r8") e, lateout("rcx") _, lateout("r11") _,
             options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b,
             in("x2") c, in("x3") d, in("x4") e, options(nostack));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        asm!("ecall", in("a7") number, inlateout("a0") a as isize => result, in("a1") b,
             in("a2") c, in("a3") d, in("a4") e, options(nostack));
    }
    result
}

fn exit(code: i32) -> ! {
    loop {
        syscall(number::EXIT_GROUP, [code as usize, 0, 0, 0, 0]);
    }
}

fn report(status: i32) {
    let address = &raw const status as usize;
    syscall(number::WRITE, [STATUS_FD, address, 4, 0, 0]);
}

/// The exit code that stands for a wait status, as shells give it.
fn exit_code(status: i32) -> i32 {
    let signal = status & 0x7f;
    if signal == 0 { (status >> 8) & 0xff } else { 128 + signal }
}

/// Kills and reaps everything else in the namespace, so that the report of the command's end says
/// that nothing runs any more, and nobody has to wait for the kernel to take the namespaces down.
fn kill_the_rest() {
    loop {
        // kill(2): -1 is every process but this one. Without another one it fails.
        let killed = syscall(number::KILL, [usize::MAX, SIGKILL as usize, 0, 0, 0]);
        let waited = syscall(number::WAIT4, [usize::MAX, 0, ALL_CHILDREN, 0, 0]);
        if killed < 0 && waited < 0 {
            return;
        }
    }
}

/// Reaps until nothing is left to reap; leaves once the command has ended.
fn reap(command: i32) {
    loop {
        let mut status: i32 = 0;
        let options = WNOHANG | WUNTRACED | WCONTINUED | ALL_CHILDREN;
        let address = &raw mut status as usize;
        let pid = syscall(number::WAIT4, [usize::MAX, address, options, 0, 0]);
        if pid <= 0 {
            return;
        }
        if pid as i32 != command {
            continue;
        }
        let ended = (status & 0xff) != 0x7f && status != 0xffff;
        if ended {
            kill_the_rest();
            report(status);
            exit(exit_code(status));
        }
        report(status);
    }
}

#[repr(C)]
struct PollFd {
    descriptor: i32,
    events: i16,
    returned: i16,
}

fn forward_signals(signals: i32, command: i32) {
    let mut record = [0_u32; SIGNALFD_RECORD_BYTES / 4];
    loop {
        let address = &raw mut record as usize;
        let read = syscall(number::READ, [signals as usize, address, SIGNALFD_RECORD_BYTES, 0, 0]);
        if read != SIGNALFD_RECORD_BYTES as isize {
            return;
        }
        // signalfd(2): the first field is the signal's number, the third its origin (si_code).
        let [signal, _, origin, ..] = record;
        // A terminal's signal (SI_KERNEL, 128) has reached the whole foreground group already.
        if signal != SIGCHLD && origin != 128 {
            syscall(number::KILL, [command as usize, signal as usize, 0, 0, 0]);
        }
    }
}

/// # Safety
///
/// `stack` must be the stack pointer at process entry: argc, then argc pointers to C strings.
unsafe extern "C" fn begin(stack: *const usize) -> ! {
    // SAFETY: the launcher always passes two words, so argv[1] is a C string of digits.
    let mut digit = unsafe { *stack.add(2) as *const u8 };
    let mut command: i32 = 0;
    loop {
        // SAFETY: the string is NUL-terminated and `digit` has not passed the NUL.
        let byte = unsafe { *digit };
        if !byte.is_ascii_digit() {
            break;
        }
        command = command * 10 + i32::from(byte - b'0');
        // SAFETY: the byte just read was not the NUL, so one more belongs to the string.
        digit = unsafe { digit.add(1) };
    }
    let name = c"srt-init";
    syscall(number::PRCTL, [PR_SET_NAME, name.as_ptr() as usize, 0, 0, 0]);
    syscall(number::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0]);
    syscall(number::PRCTL, [PR_SET_PDEATHSIG, SIGKILL as usize, 0, 0, 0]);
    let all: u64 = u64::MAX;
    let mask = &raw const all as usize;
    let flags = SFD_CLOEXEC | SFD_NONBLOCK;
    let signals = syscall(number::SIGNALFD4, [usize::MAX, mask, SIG_BLOCK_SET_BYTES, flags, 0]) as i32;
    if signals < 0 {
        exit(125);
    }
    loop {
        // The command may have ended before the signals were watched, so reap first.
        reap(command);
        let mut watched = [
            PollFd { descriptor: signals, events: POLLIN, returned: 0 },
            PollFd { descriptor: LIFELINE_FD as i32, events: POLLIN, returned: 0 },
        ];
        let address = &raw mut watched as usize;
        syscall(number::PPOLL, [address, 2, 0, 0, 0]);
        let [_, lifeline] = watched;
        if lifeline.returned != 0 {
            exit(128 + SIGKILL as i32);
        }
        forward_signals(signals, command);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(125)
}
