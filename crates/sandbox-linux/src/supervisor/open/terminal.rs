//! The controlling terminal, which is the opener's.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

use super::ALWAYS;
use crate::{
    supervisor::{Answering, caller::Caller},
    sys::Errno,
};

/// The first major number of pseudo-terminals.
const FIRST_TERMINAL: u32 = 136;

impl Answering<'_> {
    /// `/dev/tty` is whatever terminal the opener has, and the opener is this thread.
    pub(super) fn terminal(&mut self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let (session, terminal) = self.view.caller.terminal()?;
        self.is_still_waiting()?;
        if terminal == 0 {
            return Err(Errno::NXIO);
        }
        let asked = (flags | ALWAYS) - OFlags::CREATE - OFlags::EXCL - OFlags::TRUNC;
        let this_thread = Caller {
            thread: rustix::thread::gettid().as_raw_nonzero().get(),
            ..self.view.caller
        };
        if session == this_thread.terminal()?.0 {
            return rustix::fs::open(c"/dev/tty", asked, Mode::empty());
        }
        // A terminal that was made inside (proc_pid_stat(5): the minor number in bits 31 to 20 and 7
        // to 0, the major in 15 to 8).
        let (major, minor) = (
            (terminal >> 8) & 0xff,
            (terminal & 0xff) | ((terminal >> 12) & 0xff_f00),
        );
        let number = u64::from(major.checked_sub(FIRST_TERMINAL).ok_or(Errno::NXIO)?) * 256
            + u64::from(minor);
        let path = format!("dev/pts/{number}");
        rustix::fs::openat(
            self.view.root,
            path.as_str(),
            asked | OFlags::NOFOLLOW,
            Mode::empty(),
        )
    }
}
