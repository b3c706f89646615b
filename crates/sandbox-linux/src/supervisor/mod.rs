//! The supervisor: performs the calls that change files on behalf of the sandboxed processes.
//!
//! Mounts and Landlock name objects that exist. A rule about a name that may appear later, or at any
//! depth, needs somebody who sees names: the filter notifies this thread of each call that changes
//! something by path (seccomp_unotify(2)). It looks the path up as the caller sees it, asks the policy
//! about the place where it leads, and performs the call there itself. The caller's memory is read
//! once and the kernel is never told to continue with it, so a change of mind comes too late.
//!
//! Invariants:
//!
//! - One thread serves a sandbox, so no name changes between a question and what follows from it.
//! - It has no capabilities, and the caller's ids: file modes decide as they would for the caller.
//! - It works through the sandbox's own mounts, except below a write root that did not exist at the
//!   start, which it creates through the host's.
//! - What it refuses it tells, before the caller knows; nobody is waited for. Calls that the filter
//!   refuses whatever they name come here too, for that alone, and fail as they would have there.
//! - Whatever can't be found out is refused. When it is gone, notified calls fail (`ENOSYS`).

mod ahead;
mod answering;
mod attributes;
mod bind;
mod bound;
mod caller;
mod connect;
mod early;
mod entries;
mod fifo;
mod followed;
mod git;
mod held;
mod id_maps;
mod landings;
mod links;
mod missing;
mod moved;
mod named;
mod names;
mod open;
mod opened;
mod opener;
mod paths;
mod permit;
mod reasons;
mod refusal;
mod refused;
mod removable;
mod request;
mod resolve;
mod rules;
mod send;
mod settling;
mod socket_names;
mod standing;
mod trees;
mod unplaced;

use std::{
    cell::Cell,
    collections::HashSet,
    ffi::CStr,
    fmt, io, mem,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

pub use self::git::between_turns;
pub use self::refusal::{Program, Refusal, RefusalSink};
pub(crate) use self::rules::{MissingRoot, Rules};
use self::{
    answering::{Answering, Outcome, State, Umask},
    caller::Caller,
    held::Holdings,
    request::Request,
    resolve::View,
    socket_names::SocketNames,
};
use crate::{
    filter,
    plan::{CONNECT, SENDS, SUPERVISED_CALLS, SupervisedCall},
    sys::{
        self, Errno,
        notify::{Answer, Notification},
    },
};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fs::Mode,
    thread::{CapabilitySet, CapabilitySets},
};

/// What the inner stage hands over.
#[derive(Debug)]
pub(crate) struct SupervisorSockets {
    /// Where notifications arrive.
    pub(crate) listener: OwnedFd,
    /// The root directory inside.
    pub(crate) root: OwnedFd,
}

/// What does not change while it runs.
struct World {
    /// Shared with the threads that wait, which may outlive the sandbox.
    listener: Arc<OwnedFd>,
    root: OwnedFd,
    proc: OwnedFd,
    rules: Arc<Rules>,
    refused: RefusalSink,
    calls: OnceLock<Calls>,
    /// The time (clock_gettime(2), `CLOCK_REALTIME_COARSE`), in seconds and nanoseconds.
    started: (i64, u32),
    /// Held once more by each thread that waits for a server's room.
    waiting_connections: Arc<()>,
    /// Descriptors of what waits.
    holdings: Holdings,
    /// Whether there is something to do yet when nobody is left.
    unsettled: Arc<AtomicBool>,
}

/// The calls that are notified. Looked up when the first one is, so that no launch waits for it.
struct Calls {
    /// Numbers and names of those that are performed, sorted.
    performed: Vec<(i64, &'static str, SupervisedCall)>,
    /// Those that are only refused.
    refused: refused::RefusedCalls,
}

/// After this time without a question the command is no short one.
const LEISURE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 2_000_000,
};

/// Starts the thread. It ends with the last process inside.
pub(crate) fn start(
    sockets: SupervisorSockets,
    proc: OwnedFd,
    rules: Arc<Rules>,
    refused: RefusalSink,
) -> io::Result<Arc<AtomicBool>> {
    let SupervisorSockets { listener, root } = sockets;
    let world = World {
        listener: Arc::new(listener),
        root,
        proc,
        rules,
        refused,
        calls: OnceLock::new(),
        started: now(),
        waiting_connections: Arc::new(()),
        holdings: Holdings::default(),
        unsettled: Arc::default(),
    };
    let unsettled = Arc::clone(&world.unsettled);
    let run = move || match prepare() {
        Ok(umask) => world.serve(umask),
        // Dropping the listener fails every notified call.
        Err(_errno) => drop(world),
    };
    thread::Builder::new()
        .name("sandbox-files".into())
        .spawn(run)
        .map(|_thread| unsettled)
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

/// Whether a kernel of this release ends the wait for a notification when nobody is left who could send one
/// (since Linux 6.11): then one call waits and receives, where it takes two otherwise.
fn is_told_of_end(release: &CStr) -> bool {
    let release = release.to_bytes().split(|byte| !byte.is_ascii_digit());
    let mut numbers = release.map_while(|digits| str::from_utf8(digits).ok()?.parse::<u32>().ok());
    let version = numbers.next().zip(numbers.next());
    version.is_some_and(|version| version >= (6, 11))
}

impl World {
    fn serve(&self, inherited: Mode) {
        // An older kernel wakes another processor each time, which is only slower.
        sys::notify::take_turns(self.listener.as_fd()).unwrap_or(());
        let mut state = State {
            umask: Umask {
                inherited,
                changed: false,
                own: Mode::empty(),
            },
            mounts: Vec::new(),
            waiting: Vec::new(),
            fifo_probe: None,
            git: git::Session::new(self.rules.open_git_places()),
            git_turn: None,
            socket_names: SocketNames::default(),
            former_repositories: HashSet::new(),
            moved_repositories: HashSet::new(),
            carried_directories: HashSet::new(),
        };
        state.git.tell(Arc::clone(&self.unsettled));
        self.make_ready();
        self.serve_all(&mut state);
        settling::finish(self, &mut state.git);
        self.unsettled.store(false, Ordering::Release);
    }

    /// Answers until nobody is left.
    fn serve_all(&self, state: &mut State) {
        let is_told_of_end = is_told_of_end(rustix::system::uname().release());
        let mut waits_by_receiving = is_told_of_end;
        while (waits_by_receiving && state.waiting.is_empty() && !state.git.has_pending())
            || self.wait(state)
        {
            match sys::notify::receive(self.listener.as_fd()) {
                Ok(notification) => {
                    self.answer(state, &notification);
                    self.rules.compile_for_more();
                    waits_by_receiving = is_told_of_end;
                }
                // The caller was killed, this call was interrupted, or nobody is left.
                Err(Errno::NOENT | Errno::INTR) => waits_by_receiving = false,
                Err(_errno) => return,
            }
        }
    }

    /// Makes ready for questions, while no command that ends at once has to wait for it.
    fn make_ready(&self) {
        if self.rules.judges_opens() {
            self.calls();
            self.rules.begin_opens();
        }
        let mut poll = [PollFd::new(&self.listener, PollFlags::IN)];
        if let Ok(0) = rustix::event::poll(&mut poll, Some(&LEISURE)) {
            self.rules.begin();
            self.calls();
        }
    }

    fn calls(&self) -> &Calls {
        self.calls.get_or_init(|| {
            let calls = SUPERVISED_CALLS.iter().chain([&CONNECT]).chain(&SENDS);
            let mut performed: Vec<_> = calls
                .filter_map(|(name, call)| Some((filter::number(name)?, *name, *call)))
                .collect();
            performed.sort_unstable_by_key(|(number, ..)| *number);
            Calls {
                performed,
                refused: refused::RefusedCalls::new(&self.rules.filter),
            }
        })
    }

    /// Waits for a notification; false when nobody is left who could send one.
    fn wait(&self, state: &mut State) -> bool {
        let mut looks = 0;
        loop {
            // Also after each answer, which may have been what one waits for.
            let waiting = mem::take(&mut state.waiting).into_iter();
            let waiting = waiting.filter_map(|open| open.look(self, &mut state.fifo_probe));
            state.waiting = waiting.collect();
            let mut poll = [PollFd::new(&self.listener, PollFlags::IN)];
            // What is written to settings or an index comes to an end without a call.
            settling::settle(self, &mut state.git);
            let pause = settling::pause(&state.git, &mut looks);
            let is_waited = !state.waiting.is_empty() || state.git.has_pending();
            let timeout = is_waited.then_some(&pause);
            match rustix::event::poll(&mut poll, timeout) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_errno) => return false,
            }
            let [poll] = &poll;
            let events = poll.revents();
            if events.contains(PollFlags::IN) {
                return true;
            }
            if events.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                return false;
            }
        }
    }

    fn answer(&self, state: &mut State, notification: &Notification) {
        let id = notification.id;
        let outcome = self.perform(state, notification);
        let listener = self.listener.as_fd();
        let sent = match outcome {
            Ok(Outcome::Done) => sys::notify::answer(listener, id, Answer::Value(0)),
            Ok(Outcome::Sent(count)) => {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                sys::notify::answer(listener, id, Answer::Value(count))
            }
            Ok(Outcome::Continue) => sys::notify::answer(listener, id, Answer::Continue),
            Ok(Outcome::Later) => Ok(()),
            Ok(Outcome::Descriptor(opened)) => opened.give(listener, id),
            Err(errno) => sys::notify::answer(listener, id, Answer::Error(errno)),
        };
        // ENOENT: the caller is gone, so nobody waits for the answer.
        sent.unwrap_or(());
    }

    fn perform(&self, state: &mut State, notification: &Notification) -> Result<Outcome, Errno> {
        let number = i64::from(notification.data.nr);
        let thread = i32::try_from(notification.pid).map_err(|_large| Errno::ACCESS)?;
        let caller = Caller {
            thread,
            proc: self.proc.as_fd(),
        };
        if let Some(errno) = self.refuse_call(number, &notification.data.args, caller) {
            return Err(errno);
        }
        let calls = &self.calls().performed;
        let found = calls.binary_search_by_key(&number, |(number, ..)| *number);
        let call = found.ok().and_then(|index| calls.get(index));
        let (_, name, call) = call.ok_or(Errno::NOSYS)?;
        // 0: a thread of a pid namespace that this process can't see.
        if thread == 0 {
            return Err(Errno::ACCESS);
        }
        // Whoever reads settings or an index has to find what was written.
        settling::settle(self, &mut state.git);
        let request = Request::new(*call, &notification.data.args);
        let view = View {
            root: self.root.as_fd(),
            caller,
            rules: &self.rules,
            changes: request.changes(),
        };
        let mut answering = Answering {
            world: self,
            state,
            view,
            id: notification.id,
            call: name,
            is_reported: Cell::new(false),
        };
        let outcome = answering.perform(request);
        answering.state.git_turn = None;
        match outcome {
            Err(Errno::ACCESS) => answering.report_closed_way(request),
            Err(Errno::ROFS) => answering.report_read_only(request),
            _ => {}
        }
        outcome
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::is_told_of_end;

    #[test]
    fn the_kernels_release_tells_whether_it_ends_the_wait() {
        for release in [c"6.11.0", c"6.18.44-fc-v470", c"7.0", c"10.2-rc1"] {
            assert!(is_told_of_end(release), "{release:?}");
        }
        for release in [
            c"6.10.14",
            c"6.1.0-44-amd64",
            c"5.15",
            c"2.6.68",
            c"6",
            c"",
            c"x.6.11",
        ] {
            assert!(!is_told_of_end(release), "{release:?}");
        }
    }
}
