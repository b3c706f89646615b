//! One change at a time among all sandboxes of a user.
//!
//! Each supervisor is serial for its own sandbox. Two of them over one directory could each permit a
//! piece of a git directory that the other's makes whole, so whoever judges such a piece has the turn
//! until the change is done.
//!
//! The turn is an abstract Unix socket's name (unix(7)) in the host's network namespace. Nothing
//! inside reaches that namespace, nothing is created in the file system, and the kernel takes the name
//! back from a process that dies. Another user of the host can hold the name too: then nobody has the
//! turn, and nobody waits for it.

use std::{
    os::fd::OwnedFd,
    sync::{PoisonError, RwLock, RwLockReadGuard},
    thread,
    time::Duration,
};

use rustix::{
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
        sockopt::socket_peercred,
    },
    thread::NanosleepRelativeResult,
    time::Timespec,
};

use crate::sys::Errno;

/// The turn, until it is dropped.
#[derive(Debug)]
pub(in crate::supervisor) struct Turn {
    #[expect(dead_code, reason = "held")]
    socket: OwnedFd,
    #[expect(dead_code, reason = "held")]
    held: RwLockReadGuard<'static, ()>,
}

/// Whoever has the turn, in this process, reads this.
static HELD: RwLock<()> = RwLock::new(());

/// Calls a function that stops this process, when nobody in it has the turn: all sandboxes of the user would wait for
/// it until somebody continues the process.
pub fn between_turns<T>(stop: impl FnOnce() -> T) -> T {
    // Somebody may wait for a file system that does not answer, and a terminal must not wait for that.
    let mut pauses = std::iter::repeat_n(STOP_PAUSE, STOP_TRIES);
    let _nobody = loop {
        if let Ok(nobody) = HELD.try_write() {
            break Some(nobody);
        }
        let Some(pause) = pauses.next() else {
            break None;
        };
        thread::sleep(pause);
    };
    stop()
}

/// Who has the turn.
#[derive(PartialEq, Eq)]
enum Holder {
    /// A sandbox of the same user.
    Own,
    /// Nobody who gives it back.
    Foreign,
    /// It can't be told: it was given back just now, or is being taken.
    Unknown,
}

impl Turn {
    /// Waits for the turn. A change takes microseconds: who has not got it after so long a time is not
    /// going to, and the change is refused.
    pub(in crate::supervisor) fn take() -> Result<Self, Errno> {
        Self::take_unless_foreign()?.ok_or(Errno::ACCESS)
    }

    /// The same; none where another user of the host has it. No sandbox makes a git directory meanwhile, so that what
    /// is no piece of one may go on.
    pub(in crate::supervisor) fn take_unless_foreign() -> Result<Option<Self>, Errno> {
        let name = format!("srt/git/{}", rustix::process::geteuid().as_raw());
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes())?;
        let socket = new_socket()?;
        let mut unknown = 0;
        for _ in 0..TRIES {
            let held = HELD.read().unwrap_or_else(PoisonError::into_inner);
            match bind(&socket, &address) {
                Ok(()) => {
                    // Those who wait ask whose it is.
                    listen(&socket, WAITING)?;
                    return Ok(Some(Self { socket, held }));
                }
                Err(Errno::ADDRINUSE) => {}
                Err(errno) => return Err(errno),
            }
            drop(held);
            match holder(&address)? {
                Holder::Own => unknown = 0,
                Holder::Unknown if unknown < UNKNOWN_TRIES => unknown += 1,
                Holder::Unknown | Holder::Foreign => return Ok(None),
            }
            match rustix::thread::nanosleep(&PAUSE) {
                NanosleepRelativeResult::Ok | NanosleepRelativeResult::Interrupted(_) => {}
                NanosleepRelativeResult::Err(errno) => return Err(errno),
            }
        }
        Err(Errno::ACCESS)
    }
}

fn new_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

fn holder(address: &SocketAddrUnix) -> Result<Holder, Errno> {
    let asking = new_socket()?;
    match connect(&asking, address) {
        // The ids of whoever called listen(2).
        Ok(()) if socket_peercred(&asking)?.uid == rustix::process::geteuid() => Ok(Holder::Own),
        Ok(()) => Ok(Holder::Foreign),
        // So many wait already.
        Err(Errno::AGAIN) => Ok(Holder::Own),
        Err(_not_listening) => Ok(Holder::Unknown),
    }
}

const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000,
};

const STOP_PAUSE: Duration = Duration::from_millis(1);
/// A tenth of a second.
const STOP_TRIES: usize = 100;

/// Some two seconds.
const TRIES: usize = 20_000;
/// Some ten milliseconds.
const UNKNOWN_TRIES: usize = 100;
/// Connections that nobody accepts.
const WAITING: i32 = 1024;
