//! The id maps of the user namespace.
//!
//! An ordinary user's own ids are mapped by the child itself. A caller that may map all ids does it
//! from outside, as user_namespaces(7) asks for its capabilities in the parent namespace.

use std::{
    ffi::CString,
    fs, io,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::thread::futex;

use crate::{plan::IdMap, stage::IdMaps, sys::Errno};

/// Maps of a child, or of our own namespace: the kernel's file of each.
const FILES: [&str; 2] = ["uid_map", "gid_map"];

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

/// Maps all ids for one child.
#[derive(Debug)]
pub(crate) struct HostMaps {
    texts: [String; 2],
    /// What the child waits for: [`WAIT`] until the maps are written.
    word: AtomicU32,
}

const WAIT: u32 = 0;
const DONE: u32 = 1;
const FAILED: u32 = 2;

impl HostMaps {
    /// Every id of our own namespace, mapped to itself.
    pub(crate) fn prepare() -> io::Result<Self> {
        let read = |name| fs::read_to_string(format!("/proc/self/{name}"));
        let [uid, gid] = FILES;
        Ok(Self {
            texts: [identity(&read(uid)?), identity(&read(gid)?)],
            word: AtomicU32::new(WAIT),
        })
    }

    /// Writes them for a child and tells it.
    pub(crate) fn write(&self, child: libc::pid_t) {
        let mut files = FILES.iter().zip(&self.texts);
        let written = files.try_for_each(|(name, text)| fs::write(file(child, name), text));
        let word = if written.is_ok() { DONE } else { FAILED };
        self.word.store(word, Ordering::SeqCst);
        // Nobody may be waiting, and what waits has no other word.
        match futex::wake(&self.word, futex::Flags::empty(), 1) {
            Ok(_) | Err(_) => {}
        }
    }

    /// In the child: waits until they are written.
    pub(crate) fn wait(&self) -> Result<(), Errno> {
        while self.word.load(Ordering::SeqCst) == WAIT {
            // However the wait ends, the word is looked at again.
            futex::wait(&self.word, futex::Flags::empty(), WAIT, None).unwrap_or(());
        }
        match self.word.load(Ordering::SeqCst) {
            DONE => Ok(()),
            _ => Err(Errno::PERM),
        }
    }
}

fn file(child: libc::pid_t, name: &str) -> String {
    format!("/proc/{child}/{name}")
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
