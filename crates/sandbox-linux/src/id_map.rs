//! The id maps of the user namespace.
//!
//! An ordinary user's own ids are mapped by the child itself. A caller that may map all ids does it
//! from outside (user_namespaces(7) asks for its capabilities in the parent namespace), while the
//! child waits.

use std::{
    ffi::CString,
    fs, io,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    plan::IdMap,
    stage::IdMaps,
    sys::{self, Errno},
};

/// The map of the caller's own ids, as the child writes it.
pub(crate) fn own(ids: IdMap) -> IdMaps<'static> {
    let (uid, gid) = match ids {
        IdMap::Own { uid, gid } => (uid, gid),
        IdMap::Identity => (0, 0),
    };
    // Digits and spaces hold no NUL.
    let line =
        |id: u32| CString::new(format!("{id} {id} 1")).unwrap_or_else(|_nul| CString::default());
    IdMaps::Own {
        uid_map: line(uid),
        gid_map: line(gid),
    }
}

/// Whether the host side has written the maps.
#[derive(Debug)]
pub(crate) struct HostMaps(AtomicU32);

const WAITING: u32 = 0;
const WRITTEN: u32 = 1;
const FAILED: u32 = 2;

impl HostMaps {
    /// Nothing is written yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(WAITING))
    }

    /// Writes the maps of a child that waits for them.
    pub(crate) fn write(&self, pid: libc::pid_t) {
        let state = if write(pid).is_ok() { WRITTEN } else { FAILED };
        sys::clone::set_and_wake(&self.0, state);
    }

    /// What the child does meanwhile.
    pub(crate) fn wait(&self) -> Result<(), Errno> {
        sys::clone::wait_while(&self.0, WAITING);
        match self.0.load(Ordering::SeqCst) {
            WRITTEN => Ok(()),
            _ => Err(Errno::PERM),
        }
    }
}

fn write(pid: libc::pid_t) -> io::Result<()> {
    for name in ["uid_map", "gid_map"] {
        let own = fs::read_to_string(format!("/proc/self/{name}"))?;
        fs::write(format!("/proc/{pid}/{name}"), identity(&own))?;
    }
    Ok(())
}

/// Every range of ids of our own namespace, mapped to itself.
fn identity(own: &str) -> String {
    let ranges = own.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (first, count) = (fields.next()?, fields.nth(1)?);
        Some(format!("{first} {first} {count}\n"))
    });
    ranges.collect()
}

#[cfg(test)]
mod tests {
    //! The map's text.

    #[test]
    fn every_range_is_mapped_to_itself() {
        let own = "         0     100000      65536\n     70000     200000          1\n";
        assert_eq!(super::identity(own), "0 0 65536\n70000 70000 1\n");
    }
}
