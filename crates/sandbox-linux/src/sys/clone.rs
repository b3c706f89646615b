//! `clone(2)` with shared memory: children and threads that run a function on a stack of their own until
//! they execute a program or exit.
//!
//! To the memory a child is one more thread of the host program, with the thread-local storage of the thread that
//! cloned it. What it runs must not take a lock, since a thread of the host may hold it and would never be seen to release
//! it, and must not allocate or free: two threads with one thread-local storage take each other for the same thread, and an
//! allocator's cache, which is in that storage, has no lock. `errno` is there too: a call of libc that fails in
//! both at the same moment may be told the other's reason, so what is expected to fail is asked by `rustix`, which issues
//! system calls itself.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::{thread::futex, time::Timespec};

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

// SAFETY: a shared stack tells where it ends, and nothing is read or written through it.
unsafe impl Sync for Stack {}

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
    // lends it to a child waits until that child has left this memory.
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
/// `entry` must not take a lock or allocate, as the module's documentation says.
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

/// Starts a child that shares this memory, as [`clone_into`] does, but the calling thread goes on: it
/// runs `meanwhile` with the child's pid, then waits until the child has left the memory, and the process with it that the
/// child starts there itself: `grandchild` is the word of that one, as [`start`] takes it.
///
/// `meanwhile` may allocate, as neither of them does.
pub(crate) fn clone_beside<T, R>(
    stack: &Stack,
    flags: libc::c_int,
    entry: Entry<T>,
    state: &mut T,
    grandchild: &AtomicU32,
    meanwhile: impl FnOnce(libc::pid_t) -> R,
) -> Result<(libc::pid_t, R), Errno> {
    let flags = flags | libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID;
    let mut call = Call {
        entry,
        state: ptr::from_mut(state),
    };
    let argument = (&raw mut call).cast::<c_void>();
    let running = AtomicU32::new(1);
    // Declared after what the child uses, so it is dropped before. The child goes first: after it nobody is left to start
    // the other, and its own end kills it.
    let departure = [Departure(&running), Departure(grandchild)];
    let (unused, cleared) = (ptr::null_mut::<c_void>(), running.as_ptr());
    // SAFETY: the stack is mapped, grows down from its top and is lent to no other child; `argument`
    // points to a `Call<T>`. They, the state and the word live until the child has left the memory,
    // which `departure` waits for when it is dropped.
    let pid = unsafe {
        libc::clone(
            trampoline::<T>,
            stack.top(),
            flags,
            argument,
            unused,
            unused,
            cleared,
        )
    };
    if pid == -1 {
        running.store(0, Ordering::SeqCst);
        return Err(super::last_errno());
    }
    let result = meanwhile(pid);
    drop(departure);
    Ok((pid, result))
}

/// A word that the kernel clears when a child has left the memory (`CLONE_CHILD_CLEARTID`).
struct Departure<'w>(&'w AtomicU32);

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        wait_while(self.0, 1);
    }
}

extern "C" fn trampoline<T>(argument: *mut c_void) -> libc::c_int {
    let call = argument.cast::<Call<T>>();
    // SAFETY: who clones passes a `Call<T>` that nobody else uses while the child runs.
    let call = unsafe { &mut *call };
    // SAFETY: it holds a pointer made of a `&mut T`, whose borrow lasts as long as the child runs.
    let state = unsafe { &mut *call.state };
    (call.entry)(state)
}

/// What makes a child a thread of the calling process.
pub(crate) const THREAD: libc::c_int = libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

/// Starts a child that shares this memory while the calling process goes on, and returns its pid. `running` is 1
/// until the child has left the memory, when the kernel sets it to 0 (`CLONE_CHILD_CLEARTID`): who lends the
/// memory must wait for that, and a process for each [`THREAD`] of it before it leaves the memory itself.
pub(crate) fn start<T: Sync>(
    stack: &Stack,
    flags: libc::c_int,
    call: &ChildCall<T>,
    running: &AtomicU32,
) -> Result<libc::pid_t, Errno> {
    let flags = flags | libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID;
    running.store(1, Ordering::SeqCst);
    let argument = ptr::from_ref(call).cast_mut().cast::<c_void>();
    let (unused, cleared) = (ptr::null_mut::<c_void>(), running.as_ptr());
    // SAFETY: the stack is lent to no other child; it, the call, what it points to and the word that
    // is cleared belong to a launch, which waits for that word before it gives them up.
    let pid = unsafe {
        libc::clone(
            shared_trampoline::<T>,
            stack.top(),
            flags,
            argument,
            unused,
            unused,
            cleared,
        )
    };
    if pid == -1 {
        running.store(0, Ordering::SeqCst);
        return Err(super::last_errno());
    }
    Ok(pid)
}

/// What a thread, or a process beside its maker, runs.
type ChildEntry<T> = fn(&T) -> libc::c_int;

/// What it starts from.
pub(crate) struct ChildCall<T> {
    entry: ChildEntry<T>,
    state: *const T,
}

impl<T> ChildCall<T> {
    /// A call of `entry` with `state`, which must live as long as the launch.
    pub(crate) const fn new(entry: ChildEntry<T>, state: &T) -> Self {
        Self {
            entry,
            state: ptr::from_ref(state),
        }
    }
}

extern "C" fn shared_trampoline<T>(argument: *mut c_void) -> libc::c_int {
    let call = argument.cast::<ChildCall<T>>();
    // SAFETY: `start` passes a `ChildCall<T>`, which nobody changes meanwhile.
    let call = unsafe { &*call };
    // SAFETY: it points to a shared value that lives as long as the launch.
    let state = unsafe { &*call.state };
    (call.entry)(state)
}

/// Waits until the word has another value. Between processes that share the memory too.
pub(crate) fn wait_while(word: &AtomicU32, value: u32) {
    // A wait is cut short after a moment, so that a lost wake-up can't stall a launch.
    let moment = Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    while word.load(Ordering::SeqCst) == value {
        // However it ends, the word is looked at again.
        futex::wait(word, futex::Flags::empty(), value, Some(&moment)).unwrap_or(());
    }
}

/// Changes the word's value and wakes who waits for that.
pub(crate) fn set_and_wake(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::SeqCst);
    // It fails for an address that can't be read alone.
    let (Ok(_) | Err(_)) = futex::wake(word, futex::Flags::empty(), 2);
}

/// Moves the calling thread into a new network namespace.
pub(crate) fn unshare_network() -> Result<(), Errno> {
    // SAFETY: the call takes a flag and changes no memory and no descriptor.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    check(result.into()).map(drop)
}
