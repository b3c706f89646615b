//! Bytes from socket to socket without a copy: through a pipe that holds references to their pages.
//!
//! A pipe is two descriptors and memory of the kernel that counts against its user, so there are
//! few of them, a direction holds one only while bytes pass, and none is a reason to fail: what is
//! not carried here is copied.

use std::{
    fs, io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use rustix::{
    io::Errno,
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};
use tokio::{io::Interest, net::TcpStream, task};

use super::Activity;

/// A stock of empty pipes.
#[derive(Clone, Debug)]
pub(super) struct PipePool {
    stock: Arc<Mutex<Stock>>,
    usable: Arc<OnceLock<bool>>,
}

#[derive(Debug)]
struct Stock {
    empty: Vec<Ends>,
    lent: usize,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
}

/// A pipe that returns to its pool when dropped, if it is empty.
#[derive(Debug)]
struct PooledPipe {
    /// Present until the drop.
    ends: Option<Ends>,
    held: usize,
    pool: PipePool,
}

/// Whether a direction carries enough to be worth a pipe.
#[derive(Debug)]
pub(super) struct Shortcut<'a> {
    pool: &'a PipePool,
    bulk: bool,
    /// Since the last wait for the source.
    moved: usize,
}

impl<'a> Shortcut<'a> {
    pub(super) fn new(pool: &'a PipePool) -> Self {
        Self {
            pool,
            bulk: false,
            moved: 0,
        }
    }

    /// The source is going to be waited for.
    pub(super) fn rest(&mut self) {
        self.bulk = self.moved >= BULK;
        self.moved = 0;
    }

    /// So much went the ordinary way.
    pub(super) fn copied(&mut self, length: usize) {
        self.moved = self.moved.saturating_add(length);
        self.bulk |= self.moved >= BULK;
    }

    /// Carries what there is without copying, if that pays and is possible.
    pub(super) async fn carry(
        &mut self,
        from: &TcpStream,
        to: &TcpStream,
        activity: &Activity,
    ) -> io::Result<()> {
        if self.bulk
            && let Some(mut pipe) = self.pool.take()
        {
            let carried = pipe.carry(from, to, activity).await?;
            self.moved = self.moved.saturating_add(carried);
        }
        Ok(())
    }
}

impl PipePool {
    pub(super) fn new() -> Self {
        Self {
            stock: Arc::new(Mutex::new(Stock {
                empty: Vec::new(),
                lent: 0,
            })),
            usable: Arc::new(OnceLock::new()),
        }
    }

    /// A pipe, if there is one to be had.
    fn take(&self) -> Option<PooledPipe> {
        if !*self.usable.get_or_init(survives_broken_pipes) {
            return None;
        }
        let mut stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        if stock.lent >= MOST {
            return None;
        }
        let ends = match stock.empty.pop() {
            Some(ends) => ends,
            None => Ends::open().ok()?,
        };
        stock.lent += 1;
        Some(PooledPipe {
            ends: Some(ends),
            held: 0,
            pool: self.clone(),
        })
    }
}

impl Ends {
    fn open() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // A user with too many pages in pipes may not, and would get pipes of two pages.
        fcntl_setpipe_size(&write, PIPE_SIZE)?;
        Ok(Self { read, write })
    }
}

impl PooledPipe {
    /// Carries bytes for as long as there are any, and returns how many. Whether the source ended or
    /// has nothing at the moment is left to the read that follows.
    async fn carry(
        &mut self,
        from: &TcpStream,
        to: &TcpStream,
        activity: &Activity,
    ) -> io::Result<usize> {
        let mut carried: usize = 0;
        let mut turn = 0;
        while let length @ 1.. = self.fill(from)? {
            activity.note();
            while self.held > 0 {
                to.async_io(Interest::WRITABLE, || self.drain(to)).await?;
                activity.note();
            }
            carried = carried.saturating_add(length);
            turn += length;
            if turn >= TURN {
                turn = 0;
                task::yield_now().await;
            }
        }
        Ok(carried)
    }

    /// Moves bytes from a socket into the pipe, none where only a read would help. The socket's
    /// readiness is not touched: an urgent byte at the front stops splice(2) and not a read.
    fn fill(&mut self, from: &TcpStream) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        match splice(from, None, &ends.write, None, AT_ONCE, FLAGS) {
            Ok(length) => {
                self.held += length;
                Ok(length)
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::NOMEM) => Ok(0),
            // Not for this kernel, or not for this process.
            Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) => Ok(0),
            // The kernel reports a socket's error once: the read would find an orderly end.
            Err(error) => Err(error.into()),
        }
    }

    /// Moves bytes from the pipe, which is not empty, into a socket.
    fn drain(&mut self, to: &TcpStream) -> io::Result<()> {
        let Some(ends) = &self.ends else {
            return Ok(());
        };
        match splice(&ends.read, None, to, None, self.held, FLAGS)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            length => {
                self.held = self.held.saturating_sub(length);
                Ok(())
            }
        }
    }
}

impl Drop for PooledPipe {
    fn drop(&mut self) {
        let mut stock = self
            .pool
            .stock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        stock.lent = stock.lent.saturating_sub(1);
        // What a broken tunnel left in its pipe must not come out of another one.
        let ends = self.ends.take().filter(|_| self.held == 0);
        if let Some(ends) = ends
            && stock.empty.len() < KEPT
        {
            stock.empty.push(ends);
        }
    }
}

/// Whether SIGPIPE would not end this process. Unlike a write to a socket, splice(2) can't be told
/// to do without the signal; programs in Rust ignore it from the start, others may not.
fn survives_broken_pipes() -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return false;
    };
    let has = |set: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(set))
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask & SIGPIPE != 0)
    };
    has("SigIgn:") || has("SigCgt:")
}

/// A direction that carries this much between two waits is worth a pipe.
const BULK: usize = 32 * 1024;
/// SIGPIPE's bit in the masks of proc_pid_status(5).
const SIGPIPE: u64 = 1 << (13 - 1);
const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);
/// Four times the default: no larger size was clearly faster, and the pages count against the user.
const PIPE_SIZE: usize = 256 * 1024;
/// More than the pipe's size: one of its slots holds up to 32 KiB of neighbouring pages.
const AT_ONCE: usize = 1024 * 1024;
/// Other tasks of the thread wait for no more than this.
const TURN: usize = 4 * 1024 * 1024;
/// Pipes in use at once, because descriptors and the user's pipe memory are scarce.
const MOST: usize = 32;
/// Pipes that wait for their next use.
const KEPT: usize = 4;

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::fd::AsRawFd as _};

    use super::*;

    fn descriptor(pipe: &PooledPipe) -> i32 {
        pipe.ends.as_ref().unwrap().read.as_raw_fd()
    }

    #[test]
    fn only_empty_pipes_are_lent_again() {
        let pool = PipePool::new();
        let pipe = pool.take().unwrap();
        let first = descriptor(&pipe);
        drop(pipe);
        let mut pipe = pool.take().unwrap();
        assert_eq!(descriptor(&pipe), first);

        let ends = pipe.ends.as_ref().unwrap();
        let mut write = fs::File::from(ends.write.try_clone().unwrap());
        write.write_all(b"of somebody else").unwrap();
        pipe.held = 16;
        drop(pipe);
        assert!(pool.stock.lock().unwrap().empty.is_empty());
    }

    #[test]
    fn pipes_run_out_and_come_back() {
        let pool = PipePool::new();
        let lent: Vec<_> = (0..MOST).map(|_| pool.take().unwrap()).collect();
        assert!(pool.take().is_none());
        drop(lent);
        assert!(pool.take().is_some());
        let stock = pool.stock.lock().unwrap();
        assert_eq!((stock.lent, stock.empty.len()), (0, KEPT));
    }
}
