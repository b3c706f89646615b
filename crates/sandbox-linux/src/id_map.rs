//! The id maps of the user namespace.
//!
//! An ordinary user's own ids are mapped by the child itself. A caller that may map all ids does it
//! from outside (user_namespaces(7) asks for its capabilities in the parent namespace), by a thread,
//! because the launching one is suspended meanwhile.

use std::{
    ffi::CString,
    fs, io,
    os::fd::OwnedFd,
    thread::{self, JoinHandle},
};

use rustix::pipe::PipeFlags;

use crate::{plan::IdMap, stage::IdMaps, sys::Errno};

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

/// A thread that maps all ids for one child.
#[derive(Debug)]
pub(crate) struct HostMaps {
    ready: Option<OwnedFd>,
    done: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl HostMaps {
    /// Starts the thread; it waits for the child to say its pid.
    pub(crate) fn start() -> Result<Self, Errno> {
        let (said, ready) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let (done, answer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let thread = thread::Builder::new()
            .name("sandbox-id-map".into())
            .spawn(move || {
                // A failure is told by closing the pipe without an answer.
                if serve(&said).is_ok() {
                    rustix::io::write(&answer, b"1").map(drop).unwrap_or(());
                }
            });
        let thread = thread.map_err(|_failed| Errno::AGAIN)?;
        Ok(Self {
            ready: Some(ready),
            done,
            thread: Some(thread),
        })
    }

    /// The end that the child writes its pid to.
    pub(crate) fn ready(&self) -> Option<&OwnedFd> {
        self.ready.as_ref()
    }

    /// The end that it reads the answer from.
    pub(crate) fn done(&self) -> &OwnedFd {
        &self.done
    }
}

impl Drop for HostMaps {
    fn drop(&mut self) {
        // Without a writer the thread's read ends, also if the child never spoke.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(said: &OwnedFd) -> io::Result<()> {
    let mut digits = [0_u8; 16];
    let length = rustix::io::read(said, &mut digits)?;
    let pid = digits
        .get(..length)
        .and_then(|digits| str::from_utf8(digits).ok());
    let pid: u32 = pid
        .and_then(|pid| pid.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
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
