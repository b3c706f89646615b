//! Messages, where a datagram socket of the host's is listed: a socket for datagrams, even a connected
//! one, can send to any path, and a filter can't tell a message's address nor a descriptor's kind. So all
//! sends that may have an address are performed here, by the caller's own socket, on what was read once.

use std::{
    os::fd::{AsFd, AsRawFd, OwnedFd},
    sync::Arc,
    thread,
};

use rustix::{
    fs::OFlags,
    net::{AddressFamily, SocketType, sockopt},
    process::{Pid, Signal},
};

use super::{
    Answering, Outcome,
    connect::{Address, MOST_WAITING, Target, require_harmless},
    request::SocketArgument,
    socket_names::write_all,
};
use crate::sys::{self, Errno, notify::Answer};

/// What sendto(2) is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataArgument {
    pub(super) address: u64,
    pub(super) length: u64,
    pub(super) flags: u32,
}

/// Messages of sendmsg(2), or of sendmmsg(2).
#[derive(Clone, Copy, Debug)]
pub(super) struct MessagesArgument {
    pub(super) socket: i32,
    /// Where the headers are.
    pub(super) headers: u64,
    /// How many there are; none for sendmsg(2), whose header has no result behind it.
    pub(super) count: Option<u32>,
    pub(super) flags: u32,
}

/// A message, as it was read.
struct Message {
    to: Option<Target>,
    data: Vec<u8>,
    control: Vec<u8>,
    /// The descriptors that `control` names.
    passed: Vec<OwnedFd>,
    flags: i32,
}

/// What came of it.
enum Sent {
    Bytes(usize),
    /// It waits for room, on a thread that answers.
    Later,
}

/// Bytes of a datagram; a longer one is refused.
const LARGEST: usize = 256 * 1024;
/// Bytes of a stream that are sent at once: the caller goes on after them.
const LARGEST_OF_STREAM: usize = 64 * 1024;
/// `UIO_MAXIOV` of linux/uio.h.
const MOST_PARTS: u64 = 1024;
/// Bytes of control messages; the kernel has 20 KiB by default (`net.core.optmem_max`).
const LARGEST_CONTROL: u64 = 16 * 1024;
/// `SCM_MAX_FD` of net/scm.h.
const MOST_PASSED: usize = 253;
/// Of a message that waits: each is a descriptor of this process's meanwhile.
const MOST_WAITING_PASSED: usize = 16;
/// `struct msghdr`, `struct mmsghdr` and `struct cmsghdr` with 64-bit addresses.
const HEADER: usize = 56;
const HEADER_WITH_RESULT: u64 = 64;
const CONTROL_HEADER: usize = 16;

/// Control messages that are passed on: the kernel asks for no capability for them, of which this process
/// has some over the sandbox's namespaces. Type of service, time to live, source address, and the size of
/// the segments that a long datagram is cut into.
const PASSED_ON: [(i32, i32); 7] = [
    (libc::IPPROTO_IP, libc::IP_TOS),
    (libc::IPPROTO_IP, libc::IP_TTL),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT),
    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    (libc::IPPROTO_UDP, libc::UDP_SEGMENT),
];

impl Answering<'_> {
    pub(super) fn send_to(
        &mut self,
        argument: SocketArgument,
        data: DataArgument,
    ) -> Result<Outcome, Errno> {
        let mut name = [0; Address::LARGEST];
        let name = self.address(argument, &mut name)?;
        let socket = self.descriptor(argument.socket)?;
        let bytes = self.gather(&socket, &[(data.address, data.length)])?;
        let message = Message {
            to: self.destination(&socket, name)?,
            data: bytes,
            control: Vec::new(),
            passed: Vec::new(),
            flags: data.flags.cast_signed(),
        };
        let length = message.data.len();
        match self.send(&socket, message, length)? {
            Sent::Bytes(sent) => Ok(Outcome::Sent(sent)),
            Sent::Later => Ok(Outcome::Later),
        }
    }

    pub(super) fn send_messages(&mut self, argument: MessagesArgument) -> Result<Outcome, Errno> {
        let MessagesArgument {
            socket,
            headers,
            count,
            flags,
        } = argument;
        let socket = self.descriptor(socket)?;
        let Some(count) = count else {
            let message = self.message(&socket, headers, flags)?;
            let length = message.data.len();
            return Ok(match self.send(&socket, message, length)? {
                Sent::Bytes(sent) => Outcome::Sent(sent),
                Sent::Later => Outcome::Later,
            });
        };
        let memory = self.view.caller.memory()?;
        let mut done = 0;
        for index in 0..u64::from(count).min(MOST_PARTS) {
            let at = headers.wrapping_add(index * HEADER_WITH_RESULT);
            let result = at.wrapping_add(HEADER as u64);
            let sent = self.message(&socket, at, flags).and_then(|message| {
                let length = u32::try_from(message.data.len()).map_err(|_large| Errno::MSGSIZE)?;
                if done > 0 {
                    let flags = message.flags | libc::MSG_DONTWAIT;
                    let message = Message { flags, ..message };
                    return self.send(&socket, message, 1);
                }
                write_all(&memory, result, &length.to_ne_bytes())?;
                self.send(&socket, message, 1)
            });
            match sent {
                Ok(Sent::Later) => return Ok(Outcome::Later),
                Ok(Sent::Bytes(bytes)) => {
                    let bytes = u32::try_from(bytes).map_err(|_large| Errno::MSGSIZE)?;
                    write_all(&memory, result, &bytes.to_ne_bytes())?;
                    done += 1;
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_later) => break,
            }
        }
        Ok(Outcome::Sent(done))
    }

    /// Reads a message header and what it points to.
    fn message(&mut self, socket: &OwnedFd, header: u64, flags: u32) -> Result<Message, Errno> {
        let mut bytes = [0; HEADER];
        self.view.caller.bytes(header, &mut bytes)?;
        // Name, its length, parts, their number, control, its length, flags that are not looked at.
        let [name, name_length, parts, count, control, control_length, _] = words(&bytes);
        let named = SocketArgument {
            socket: 0,
            address: name,
            length: if name == 0 { 0 } else { name_length },
        };
        let mut room = [0; Address::LARGEST];
        let name = self.address(named, &mut room)?;
        if count > MOST_PARTS || control_length > LARGEST_CONTROL {
            return Err(Errno::MSGSIZE);
        }
        let mut described = vec![0; usize::try_from(count * 16).map_err(|_large| Errno::MSGSIZE)?];
        self.view.caller.bytes(parts, &mut described)?;
        let described = described.chunks_exact(16).map(|part| {
            let [address, length] = words(part);
            (address, length)
        });
        let data = self.gather(socket, &described.collect::<Vec<_>>())?;
        let length = usize::try_from(control_length).map_err(|_large| Errno::MSGSIZE)?;
        let mut raw = vec![0; length];
        self.view.caller.bytes(control, &mut raw)?;
        let (control, passed) = self.control(&raw)?;
        Ok(Message {
            to: self.destination(socket, name)?,
            data,
            control,
            passed,
            flags: flags.cast_signed(),
        })
    }

    /// The bytes of a message.
    fn gather(&self, socket: &OwnedFd, parts: &[(u64, u64)]) -> Result<Vec<u8>, Errno> {
        let mut data = Vec::new();
        let is_stream = sockopt::socket_type(socket)? == SocketType::STREAM;
        let most = if is_stream {
            LARGEST_OF_STREAM
        } else {
            LARGEST
        };
        for (address, length) in parts {
            let length = usize::try_from(*length).map_err(|_large| Errno::INVAL)?;
            let room = most - data.len();
            if length > room && !is_stream {
                return Err(Errno::MSGSIZE);
            }
            let start = data.len();
            data.resize(start + length.min(room), 0);
            let part = data.get_mut(start..).unwrap_or_default();
            self.view.caller.bytes(*address, part)?;
        }
        Ok(data)
    }

    /// Where a message goes that has this address.
    fn destination(&mut self, socket: &OwnedFd, name: &[u8]) -> Result<Option<Target>, Errno> {
        self.is_still_waiting()?;
        if name.is_empty() {
            return Ok(None);
        }
        let domain = sockopt::socket_domain(socket)?;
        require_harmless(domain, name)?;
        if domain == AddressFamily::NETLINK {
            // Without an address it goes to the kernel as well, which then asks for the capabilities of
            // whoever made the socket; with one it asks for the sender's alone (netlink_ns_capable).
            return Ok(None);
        }
        let is_unix = domain == AddressFamily::UNIX;
        match (sockopt::socket_type(socket)?, Address::new(name).path()) {
            (SocketType::STREAM, _) if is_unix => Err(Errno::ISCONN),
            // The kernel does not look at it.
            (SocketType::SEQPACKET, _) if is_unix => Ok(None),
            (_, Some(path)) if is_unix => self.permitted_socket(path).map(Target::Socket).map(Some),
            _ => Ok(Some(Target::Address(name.to_vec()))),
        }
    }

    /// Control messages with descriptors of this process for the caller's.
    fn control(&self, mut rest: &[u8]) -> Result<(Vec<u8>, Vec<OwnedFd>), Errno> {
        let (mut control, mut passed) = (Vec::new(), Vec::new());
        while rest.len() >= CONTROL_HEADER {
            let (head, _) = rest.split_at_checked(CONTROL_HEADER).ok_or(Errno::INVAL)?;
            let [length] = words(head);
            let length = usize::try_from(length).map_err(|_large| Errno::INVAL)?;
            let data = rest.get(CONTROL_HEADER..length).ok_or(Errno::INVAL)?;
            let number = |at: usize| -> Option<i32> {
                let bytes = head.get(at..at + 4)?.try_into().ok()?;
                Some(i32::from_ne_bytes(bytes))
            };
            let level = number(8).zip(number(12)).ok_or(Errno::INVAL)?;
            match level {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    let mut numbers = Vec::new();
                    for number in data.chunks_exact(4) {
                        let number = number.try_into().map_err(|_short| Errno::INVAL)?;
                        let file = self.descriptor(i32::from_ne_bytes(number))?;
                        numbers.extend(file.as_raw_fd().to_ne_bytes());
                        passed.push(file);
                        if passed.len() > MOST_PASSED {
                            return Err(Errno::INVAL);
                        }
                    }
                    let length = CONTROL_HEADER + numbers.len();
                    control.extend(length.to_ne_bytes());
                    control.extend_from_slice(head.get(8..).unwrap_or_default());
                    control.extend(numbers);
                }
                // The kernel tells its own account of who sends.
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {}
                _ if !PASSED_ON.contains(&level) => return Err(Errno::PERM),
                _ => {
                    control.extend_from_slice(head);
                    control.extend_from_slice(data);
                }
            }
            control.resize(control.len().next_multiple_of(8), 0);
            rest = rest.get(length.next_multiple_of(8)..).unwrap_or_default();
        }
        self.is_still_waiting()?;
        Ok((control, passed))
    }

    /// Sends. What has to wait for room is left to a thread, which answers with this value.
    fn send(&self, socket: &OwnedFd, message: Message, later: usize) -> Result<Sent, Errno> {
        // The kernel would go on reading memory of this process that others use by then. Callers copy where
        // there is no room for its notes.
        if message.flags & libc::MSG_ZEROCOPY != 0 {
            return Err(Errno::NOBUFS);
        }
        self.is_still_waiting()?;
        let is_patient = message.flags & libc::MSG_DONTWAIT == 0
            && !rustix::fs::fcntl_getfl(socket)?.contains(OFlags::NONBLOCK);
        match message.send(socket, libc::MSG_DONTWAIT) {
            Err(Errno::AGAIN) if is_patient => self.send_later(socket, message, later),
            Err(Errno::PIPE) if message.flags & libc::MSG_NOSIGNAL == 0 => {
                let process = Pid::from_raw(self.view.caller.process()?).ok_or(Errno::PIPE)?;
                self.is_still_waiting()?;
                rustix::process::kill_process(process, Signal::PIPE)?;
                Err(Errno::PIPE)
            }
            sent => sent.map(Sent::Bytes),
        }
    }

    fn send_later(&self, socket: &OwnedFd, message: Message, value: usize) -> Result<Sent, Errno> {
        let running = Arc::clone(&self.world.waiting_connections);
        let is_large = message.passed.len() > MOST_WAITING_PASSED;
        if is_large || Arc::strong_count(&running) > MOST_WAITING {
            return Err(Errno::AGAIN);
        }
        let value = i64::try_from(value).map_err(|_large| Errno::MSGSIZE)?;
        let held = self.world.holdings.hold(1 + message.descriptors())?;
        let socket = rustix::io::fcntl_dupfd_cloexec(socket, 0)?;
        let listener = Arc::clone(&self.world.listener);
        let id = self.id;
        let run = move || {
            let answer = match message.send(&socket, 0) {
                Ok(_all) => Answer::Value(value),
                Err(errno) => Answer::Error(errno),
            };
            // ENOENT: the caller is gone.
            sys::notify::answer(listener.as_fd(), id, answer).unwrap_or(());
            drop((socket, message, held, running));
        };
        thread::Builder::new()
            .name("sandbox-send".into())
            .spawn(run)
            .map(|_thread| Sent::Later)
            .map_err(|_failed| Errno::AGAIN)
    }
}

impl Message {
    /// How many it holds.
    fn descriptors(&self) -> u64 {
        let target = self.to.as_ref().map_or(0, Target::descriptors);
        target + self.passed.len() as u64
    }

    fn send(&self, socket: &OwnedFd, more: i32) -> Result<usize, Errno> {
        let name = match &self.to {
            None => Vec::new(),
            Some(target) => target.name()?,
        };
        let flags = self.flags | more | libc::MSG_NOSIGNAL;
        sys::net::send(socket.as_fd(), &name, &self.data, &self.control, flags)
    }
}

/// The 64-bit numbers that a structure consists of; zeros where it ends.
fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = bytes.try_into().map_or(0, u64::from_ne_bytes);
    }
    words
}
