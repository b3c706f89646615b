//! Which Unix sockets were made inside.

use std::{
    collections::{HashSet, VecDeque},
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
};

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, Timespec};

use crate::sys::{self, Errno};

/// The sockets that commands of one sandbox bound to a path.
#[derive(Debug, Default)]
pub(crate) struct BoundSockets(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    sockets: HashSet<SocketIdentity>,
    /// The same, oldest first.
    order: VecDeque<SocketIdentity>,
}

/// A socket's inode. Numbers are used again after a removal, and the next one can be born in the same
/// tick of the clock, so the filesystem's handle belongs to it: that has the generation, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SocketIdentity {
    device: (u32, u32),
    inode: u64,
    birth: Option<(i64, u32)>,
    handle: Option<(i32, Vec<u8>)>,
}

impl BoundSockets {
    /// Of more than these the oldest are forgotten, which closes them.
    const MOST: usize = 65_536;

    pub(super) fn insert(&self, socket: SocketIdentity) {
        // Both are whole at every point where a panic could have left them, or close a socket more.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.order.len() >= Self::MOST
            && let Some(oldest) = known.order.pop_front()
        {
            known.sockets.remove(&oldest);
        }
        if known.sockets.insert(socket.clone()) {
            known.order.push_back(socket);
        }
    }

    pub(super) fn contains(&self, socket: &SocketIdentity) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.sockets.contains(socket)
    }
}

impl SocketIdentity {
    /// Of a handle to a socket; `ECONNREFUSED` if it is something else, as connect(2) has it.
    pub(super) fn of(handle: impl AsFd) -> Result<Self, Errno> {
        let found = look_at(&handle)?;
        if FileType::from_raw_mode(found.stx_mode.into()).is_socket() {
            Ok(Self::new(&found, handle))
        } else {
            Err(Errno::CONNREFUSED)
        }
    }

    /// The same, if it can have been made only after a moment (`CLOCK_REALTIME_COARSE`, as filesystems
    /// take it).
    pub(super) fn of_new(handle: impl AsFd, moment: Timespec) -> Result<Option<Self>, Errno> {
        let found = look_at(&handle)?;
        let identity = Self::new(&found, handle);
        let is_socket = FileType::from_raw_mode(found.stx_mode.into()).is_socket();
        let is_young = identity.birth.is_none_or(|(seconds, nanoseconds)| {
            (seconds, i64::from(nanoseconds)) >= (moment.tv_sec, moment.tv_nsec)
        });
        // What can't be told from a later one is not remembered.
        let is_exact = identity.handle.is_some() || identity.birth.is_some();
        let is_known = is_socket && is_young && is_exact && found.stx_nlink == 1;
        Ok(is_known.then_some(identity))
    }

    fn new(found: &Statx, handle: impl AsFd) -> Self {
        let StatxTimestamp {
            tv_sec, tv_nsec, ..
        } = found.stx_btime;
        let knows_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            birth: knows_birth.then_some((tv_sec, tv_nsec)),
            handle: sys::handle::of(handle.as_fd()).ok(),
        }
    }
}

fn look_at(handle: impl AsFd) -> Result<Statx, Errno> {
    let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::NLINK | StatxFlags::BTIME;
    rustix::fs::statx(handle, c"", AtFlags::EMPTY_PATH, wanted)
}
