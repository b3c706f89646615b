//! `clone(2)` with shared memory: the child runs a function on a stack of its own while the calling
//! thread is suspended until it executes a program or exits.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::{ffi::c_void, ptr};

use super::{Errno, check};

/// Bytes of a child's stack; the deepest stage uses less than a quarter.
const STACK_BYTES: usize = 256 * 1024;
/// Below the stack lies a page that faults, whatever the page size is.
const GUARD_BYTES: usize = 64 * 1024;

/// Memory for the stack of one child.
#[derive(Debug)]
pub(crate) struct Stack {
    base: *mut c_void,
}

impl Stack {
    /// Maps a stack with a guard below it.
    pub(crate) fn new() -> Result<Self, Errno> {
        let base = map(STACK_BYTES + GUARD_BYTES)?;
        let stack = Self { base };
        protect(base, GUARD_BYTES)?;
        Ok(stack)
    }

    fn top(&self) -> *mut c_void {
        self.base.wrapping_byte_add(STACK_BYTES + GUARD_BYTES)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        unmap(self.base, STACK_BYTES + GUARD_BYTES);
    }
}

fn map(length: usize) -> Result<*mut c_void, Errno> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
    // SAFETY: an anonymous mapping at an address of the kernel's choice replaces nothing.
    let base = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
    if base == libc::MAP_FAILED {
        Err(super::last_errno())
    } else {
        Ok(base)
    }
}

fn protect(base: *mut c_void, length: usize) -> Result<(), Errno> {
    // SAFETY: the range is the start of a mapping that only its owner `Stack` knows.
    let result = unsafe { libc::mprotect(base, length, libc::PROT_NONE) };
    check(result.into()).map(drop)
}

fn unmap(base: *mut c_void, length: usize) {
    // SAFETY: the owner drops the mapping once, and no child runs on it any more: the thread that
    // lends it to a child is suspended until that child has left this memory.
    unsafe { libc::munmap(base, length) };
}

/// What a child runs on its stack; its result is its exit status.
pub(crate) type Entry<T> = fn(&mut T) -> libc::c_int;

struct Call<T> {
    entry: Entry<T>,
    state: *mut T,
}

/// Starts a child that shares this memory (`CLONE_VM | CLONE_VFORK` are added to `flags`), and
/// returns when it has left it by `execve` or exit. Returns its pid as the caller's pid namespace
/// numbers it.
///
/// `entry` must not take a lock or allocate: a thread of the host program may hold the lock, and
/// nobody would release it in the child's sight. That would be a deadlock, not undefined behaviour:
/// to the memory, the child is one more thread, and the only one that knows `state`.
pub(crate) fn clone_into<T>(
    stack: &Stack,
    flags: libc::c_int,
    entry: Entry<T>,
    state: &mut T,
) -> Result<libc::pid_t, Errno> {
    let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK;
    let mut call = Call {
        entry,
        state: ptr::from_mut(state),
    };
    let argument = (&raw mut call).cast::<c_void>();
    // SAFETY: the stack is mapped, grows down from its top and is lent to no other child, since the
    // calling thread is suspended until this one has left it; `argument` points to a `Call<T>` that
    // lives until then.
    let pid = unsafe { libc::clone(trampoline::<T>, stack.top(), flags, argument) };
    if pid == -1 {
        Err(super::last_errno())
    } else {
        Ok(pid)
    }
}

extern "C" fn trampoline<T>(argument: *mut c_void) -> libc::c_int {
    let call = argument.cast::<Call<T>>();
    // SAFETY: `clone_into` passes a `Call<T>` that nobody else uses while the child runs.
    let call = unsafe { &mut *call };
    // SAFETY: it holds a pointer made of a `&mut T`, whose borrow lasts as long as the child runs.
    let state = unsafe { &mut *call.state };
    (call.entry)(state)
}
