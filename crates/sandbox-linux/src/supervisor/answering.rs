//! One call that is being answered: what it comes to, and what of the supervisor it may change.

use std::{cell::Cell, collections::HashSet, os::fd::AsFd};

use rustix::fs::Mode;

use super::{
    World,
    fifo::{self, WaitingOpen},
    git,
    opened::Opened,
    request::Request,
    resolve::View,
    socket_names::SocketNames,
};
use crate::sys::{self, Errno};

/// What changes while a supervisor runs.
pub(super) struct State {
    pub(super) umask: Umask,
    /// Mounts that belong to the sandbox.
    pub(super) mounts: Vec<u64>,
    pub(super) waiting: Vec<WaitingOpen>,
    /// Made for the first open that waits for a writer.
    pub(super) fifo_probe: Option<fifo::Probe>,
    pub(super) git: git::Session,
    /// Held while a change is made that other sandboxes must not judge at the same time.
    pub(super) git_turn: Option<git::Turn>,
    pub(super) socket_names: SocketNames,
    /// Directories that held a `.git` which was removed.
    pub(super) former_repositories: HashSet<(u64, u64)>,
    /// What got the name `.git` by being moved or linked there.
    pub(super) moved_repositories: HashSet<(u64, u64)>,
    /// Directories that were moved into a repository which they had not been in.
    pub(super) carried_directories: HashSet<(u64, u64)>,
}

/// The umask of the callers, and of this thread.
pub(super) struct Umask {
    /// What every process inside started with.
    pub(super) inherited: Mode,
    /// Whether one of them may have changed its own.
    pub(super) changed: bool,
    pub(super) own: Mode,
}

/// One call that is being answered.
pub(super) struct Answering<'s> {
    pub(super) world: &'s World,
    pub(super) state: &'s mut State,
    pub(super) view: View<'s>,
    pub(super) id: u64,
    /// The call's name.
    pub(super) call: &'static str,
    /// Whether its refusal has been told.
    pub(super) is_reported: Cell<bool>,
}

/// How a call ends.
pub(super) enum Outcome {
    /// It returns 0.
    Done,
    /// It returns this many bytes, or messages.
    Sent(usize),
    /// It returns a descriptor of this.
    Descriptor(Opened),
    /// It is answered later.
    Later,
    /// The kernel performs it: only for what nothing is decided about.
    Continue,
}

impl Answering<'_> {
    pub(super) fn perform(&mut self, request: Request) -> Result<Outcome, Errno> {
        match request {
            Request::Open { path, flags, mode } => self.open(path, flags, mode),
            Request::MakeDirectory { path, mode } => self.make_directory(path, mode),
            Request::MakeNode { path, mode, device } => self.make_node(path, mode, device),
            Request::Rename { from, to, flags } => self.rename(from, to, flags),
            Request::Link { from, to, flags } => self.link(from, to, flags),
            Request::Symlink { text, path } => self.symlink(text, path),
            Request::Remove { path, flags } => self.remove(path, flags),
            Request::Truncate { path, length } => self.truncate(path, length),
            Request::ChangeMode { path, mode } => self.change_mode(path, mode),
            Request::ChangeOwner {
                path,
                user,
                group,
                flags,
            } => self.change_owner(path, (user, group), flags),
            Request::SetTimes { path, times, flags } => self.set_times(path, times, flags),
            Request::SetAttribute {
                path,
                name,
                value,
                length,
                flags,
                follow,
            } => self.set_attribute(path, name, (value, length), flags, follow),
            Request::RemoveAttribute { path, name, follow } => {
                self.remove_attribute(path, name, follow)
            }
            Request::SetInodeFlags {
                file,
                request,
                address,
            } => self.set_inode_flags(file, request, address),
            Request::Bind(argument) => self.bind(argument),
            Request::Connect(argument) => self.connect(argument),
            Request::SendTo(argument, data) => self.send_to(argument, data),
            Request::SendMessages(argument) => self.send_messages(argument),
            Request::NameOf(end, argument) => self.name_of(end, argument),
            Request::ChangeUmask => {
                // From here on it is looked up; nothing is decided about it.
                self.state.umask.changed = true;
                Ok(Outcome::Continue)
            }
        }
    }

    /// Whether the arguments that were read were the caller's: its thread id may be another's by now.
    pub(super) fn is_still_waiting(&self) -> Result<(), Errno> {
        if sys::notify::is_waiting(self.world.listener.as_fd(), self.id) {
            Ok(())
        } else {
            Err(Errno::NOENT)
        }
    }

    /// Takes the caller's umask over, for what is about to be created.
    pub(super) fn adopt_umask(&mut self) -> Result<(), Errno> {
        let umask = &mut self.state.umask;
        let wanted = if umask.changed {
            self.view.caller.umask()?
        } else {
            umask.inherited
        };
        if umask.own != wanted {
            rustix::process::umask(wanted);
            umask.own = wanted;
        }
        Ok(())
    }
}
