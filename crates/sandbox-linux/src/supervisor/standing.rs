//! What a caller is to the sandbox and to its other processes.

use rustix::fs::{Mode, OFlags};

use super::{
    caller::{self, PATH_MAX},
    resolve::{INIT, View},
};
use crate::{
    plan::{NestedNamespaces, Tracing},
    sys::Errno,
};

impl View<'_> {
    /// In a user namespace of its own a caller may change its root, and its paths mean something else
    /// then than they do here.
    pub(super) fn require_own_root(&self) -> Result<(), Errno> {
        if self.rules.nested_namespaces == NestedNamespaces::Refused {
            return Ok(());
        }
        let root = rustix::fs::fstat(self.caller.root()?)?;
        let own = rustix::fs::fstat(self.root)?;
        if (root.st_dev, root.st_ino) == (own.st_dev, own.st_ino) {
            Ok(())
        } else {
            Err(Errno::ACCESS)
        }
    }

    /// Whether an entry of `/proc` is the caller's own. Pid 1 of the sandbox never is.
    pub(super) fn is_own(&self, number: u32) -> Result<bool, Errno> {
        let (process, thread) = self.ids()?;
        let is_init = self.rules.fresh_proc && number == INIT;
        Ok(!is_init && (number == process || number == thread))
    }

    /// Whether the caller traces a process: then the kernel has found that it may look into it.
    pub(super) fn is_traced(&self, number: u32) -> Result<bool, Errno> {
        if self.rules.tracing == Tracing::Refused || !self.rules.fresh_proc {
            return Ok(false);
        }
        let status = format!("proc/{number}/status");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let status = rustix::fs::openat(self.root, status, flags, Mode::empty())?;
        let mut content = vec![0; PATH_MAX];
        let length = rustix::io::read(&status, &mut content)?;
        content.truncate(length);
        let tracer = caller::field(&content, b"TracerPid:");
        let tracer = tracer.and_then(|digits| str::from_utf8(digits).ok()?.parse::<u32>().ok());
        let (process, thread) = self.ids()?;
        Ok(tracer.is_some_and(|tracer| tracer == process || tracer == thread))
    }
}
