//! The supervisor's start: its thread is there before the sandbox is.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, OnceLock, atomic::AtomicBool, mpsc},
    thread,
};

use rustix::{
    fs::Mode,
    thread::{CapabilitySet, CapabilitySets},
};

use super::{Holdings, RefusalSink, Rules, SupervisorSockets, World};
use crate::{
    stage::handover::receive_supervisor,
    sys::{self, Errno},
};

/// The supervisor of a launch, while its sandbox is still being made.
#[derive(Debug)]
pub(crate) struct Beginning {
    unsettled: Arc<AtomicBool>,
    /// Whether it has what it needs.
    outcome: mpsc::Receiver<Result<(), Errno>>,
}

impl Beginning {
    /// Waits until it is ready, which it is once the sandbox has sent its descriptors. Returns what tells whether
    /// it still has something to put in place.
    pub(crate) fn finish(self) -> Result<Arc<AtomicBool>, Errno> {
        self.outcome.recv().map_err(|_gone| Errno::PIPE)??;
        Ok(self.unsettled)
    }
}

/// Starts the thread, which waits for the sandbox's descriptors at the end of a socket: a command's first call
/// need not wait until there is one. It ends with the last process inside, or when nothing can come any more.
pub(crate) fn begin(
    channel: OwnedFd,
    proc: OwnedFd,
    rules: Arc<Rules>,
    refused: RefusalSink,
) -> io::Result<Beginning> {
    let unsettled = Arc::default();
    let shared = Arc::clone(&unsettled);
    let (told, outcome) = mpsc::sync_channel(1);
    let run = move || {
        let started = now();
        let umask = prepare();
        let received = umask.and_then(|umask| Ok((umask, receive_supervisor(channel.as_fd())?)));
        drop(channel);
        let (umask, sockets) = match received {
            Ok(received) => received,
            Err(errno) => return told.send(Err(errno)).unwrap_or(()),
        };
        let SupervisorSockets { listener, root } = sockets;
        let world = World {
            listener: Arc::new(listener),
            root,
            proc,
            rules,
            refused,
            calls: OnceLock::new(),
            started,
            waiting_connections: Arc::new(()),
            holdings: Holdings::default(),
            unsettled: shared,
        };
        // Dropping the listener fails every notified call.
        if told.send(Ok(())).is_ok() {
            world.serve(umask);
        }
    };
    thread::Builder::new()
        .name("sandbox-files".into())
        .spawn(run)
        .map(|_thread| Beginning { unsettled, outcome })
}

/// As file systems tell it: their clock goes by ticks, so that what is made soon after a precise time would
/// seem older.
fn now() -> (i64, u32) {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    (now.tv_sec, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Makes the thread as weak as the callers are, with a umask of its own. Returns the one it had.
fn prepare() -> Result<Mode, Errno> {
    sys::thread::unshare_directory_and_umask()?;
    let inherited = rustix::process::umask(Mode::empty());
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    rustix::thread::set_capabilities(None, sets)?;
    Ok(inherited)
}
