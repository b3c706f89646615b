//! The id maps of user namespaces that a command made itself (user_namespaces(7)).
//!
//! The kernel asks who opened such a file: somebody of the namespace, or of the one around. This thread is
//! of neither, so a process that shares its memory and descriptors enters the caller's namespace with the
//! caller's capabilities and opens the file. The caller writes to it, and the kernel judges what is
//! written by both, as if the caller had opened it.

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType},
};

use super::{Answering, permit::NAMESPACE_FILES};
use crate::{
    follow::reap,
    plan::NestedNamespaces,
    sys::{self, Errno, clone::Stack, signal::SignalSet},
};

/// What the process does, and what came of it.
struct Opening<'o> {
    namespace: BorrowedFd<'o>,
    capabilities: CapabilitySet,
    proc: BorrowedFd<'o>,
    path: &'o CStr,
    flags: OFlags,
    outcome: Result<OwnedFd, Errno>,
}

impl Answering<'_> {
    /// The file's name, if a permitted place is one of the caller's id maps.
    pub(super) fn id_map(&self, path: &[u8]) -> Option<&'static str> {
        let has_any = self.world.rules.nested_namespaces == NestedNamespaces::Allowed;
        let name = path.rsplit(|byte| *byte == b'/').next()?;
        let known = NAMESPACE_FILES.iter().find(|known| **known == name)?;
        let is_process = path.starts_with(b"/proc/");
        str::from_utf8(known).ok().filter(|_| has_any && is_process)
    }

    /// Opens the caller's own file of this name.
    pub(super) fn open_id_map(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let caller = self.view.caller;
        let namespace = caller.user_namespace()?;
        let path = format!("{}/{name}", caller.thread);
        let path = CString::new(path).map_err(|_nul| Errno::INVAL)?;
        let mut opening = Opening {
            namespace: namespace.as_fd(),
            capabilities: caller.capabilities()?,
            proc: self.world.proc.as_fd(),
            path: &path,
            flags: (flags - OFlags::CREATE - OFlags::EXCL) | OFlags::CLOEXEC | OFlags::NOCTTY,
            outcome: Err(Errno::ACCESS),
        };
        let stack = Stack::new()?;
        // No handler of the host program's may run in it.
        let mask = sys::signal::set_mask(&SignalSet::full())?;
        let cloned = sys::clone::clone_into(&stack, libc::CLONE_FILES, open, &mut opening);
        sys::signal::set_mask(&mask)?;
        reap(cloned?);
        let file = opening.outcome?;
        // The thread id was the caller's until now.
        self.is_still_waiting()?;
        Ok(file)
    }
}

fn open(opening: &mut Opening<'_>) -> libc::c_int {
    opening.outcome = attempt(opening);
    0
}

fn attempt(opening: &Opening<'_>) -> Result<OwnedFd, Errno> {
    let kind = Some(LinkNameSpaceType::User);
    rustix::thread::move_into_link_name_space(opening.namespace, kind)?;
    let sets = CapabilitySets {
        effective: opening.capabilities,
        permitted: opening.capabilities,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::fs::openat(opening.proc, opening.path, opening.flags, Mode::empty())
}
