//! `execve(2)` and `execveat(2)`.
#![expect(unsafe_code, reason = "system call wrappers")]

use std::{
    ffi::{CStr, CString, c_char},
    os::fd::RawFd,
    ptr,
};

use super::Errno;

/// A NULL-terminated array of C strings, as `execve` takes it.
#[derive(Debug)]
pub(crate) struct StringArray {
    strings: Vec<Vec<u8>>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers are to the array's own strings, which are changed through a unique reference alone.
unsafe impl Sync for StringArray {}

impl StringArray {
    /// Builds the array; the strings' buffers stay where they are while it lives.
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        let strings: Vec<_> = strings
            .into_iter()
            .map(CString::into_bytes_with_nul)
            .collect();
        let mut pointers: Vec<_> = strings
            .iter()
            .map(|string| string.as_ptr().cast())
            .collect();
        pointers.push(ptr::null());
        Self { strings, pointers }
    }

    /// Overwrites the digits of a string with a number, zero-padded: no length changes, so nothing
    /// moves.
    pub(crate) fn write_decimal(&mut self, index: usize, mut number: u32) {
        let string = self.strings.get_mut(index);
        for digit in string
            .into_iter()
            .flatten()
            .rev()
            .filter(|byte| byte.is_ascii_digit())
        {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
    }
}

/// Replaces the process image; returns only on failure.
pub(crate) fn execve(program: &CStr, argv: &StringArray, envp: &StringArray) -> Errno {
    let (argv, envp) = (argv.pointers.as_ptr(), envp.pointers.as_ptr());
    // SAFETY: both arrays end in NULL and their strings are NUL-terminated and alive.
    unsafe { libc::execve(program.as_ptr(), argv, envp) };
    super::last_errno()
}

/// Replaces the process image by the program that the descriptor refers to.
pub(crate) fn execve_fd(program: RawFd, argv: &StringArray, envp: &StringArray) -> Errno {
    let (argv, envp) = (argv.pointers.as_ptr(), envp.pointers.as_ptr());
    // SAFETY: both arrays end in NULL, their strings are NUL-terminated and alive, and the empty
    // path is what AT_EMPTY_PATH wants.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            argv,
            envp,
            libc::AT_EMPTY_PATH,
        );
    }
    super::last_errno()
}
