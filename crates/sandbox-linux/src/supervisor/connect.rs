//! Connecting sockets on the caller's behalf (connect(2)): to Unix sockets that were made inside or are
//! listed, and to whatever a network address names, which is the network namespace's business.
//!
//! The caller's own socket is connected, through a duplicate of its descriptor, to the very object that
//! was judged: neither the address nor the descriptor can be another one by then.

use std::{
    ffi::{CString, OsStr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags},
    net::{
        AddressFamily,
        sockopt::{self, Timeout},
    },
};
use sandbox_policy::{AbsolutePath, Denial, Operation, shown};

use super::{
    Answering, Outcome, World,
    bound::SocketIdentity,
    caller::PLACE,
    paths::handle_path,
    permit::Access,
    request::SocketArgument,
    resolve::{Object, Place, open_place},
    rules::is_within,
};
use crate::{
    plan::{ListedSocket, closes},
    sys::{self, Errno, notify::Answer},
};

/// A socket address as a caller gave it.
pub(super) struct Address<'a> {
    content: &'a [u8],
}

impl<'a> Address<'a> {
    /// `struct sockaddr_storage` of sys/socket.h.
    pub(super) const LARGEST: usize = 128;

    pub(super) const fn new(content: &'a [u8]) -> Self {
        Self { content }
    }

    /// The path of a Unix socket; none for abstract names and for other families.
    pub(super) fn path(&self) -> Option<&'a [u8]> {
        let (family, rest) = self.content.split_first_chunk()?;
        let is_unix = i32::from(u16::from_ne_bytes(*family)) == libc::AF_UNIX;
        let end = rest.iter().position(|byte| *byte == 0);
        let path = rest.get(..end.unwrap_or(rest.len()))?;
        (is_unix && !path.is_empty()).then_some(path)
    }
}

/// Where to connect to.
pub(super) enum Target {
    /// An address, as the kernel reads it.
    Address(Vec<u8>),
    /// The socket behind a handle.
    Socket(OwnedFd),
}

impl Answering<'_> {
    pub(super) fn connect(&mut self, argument: SocketArgument) -> Result<Outcome, Errno> {
        let mut content = [0; Address::LARGEST];
        let content = self.address(argument, &mut content)?;
        let socket = self.descriptor(argument.socket)?;
        self.is_still_waiting()?;
        let domain = sockopt::socket_domain(&socket)?;
        require_harmless(domain, content)?;
        let is_unix = domain == AddressFamily::UNIX;
        let target = match Address::new(content).path() {
            Some(path) if is_unix => Target::Socket(self.permitted_socket(path)?),
            Some(_) | None => Target::Address(content.to_vec()),
        };
        self.connect_to(socket, target)
    }

    /// A handle to the socket at a path, if it may be connected to.
    pub(super) fn permitted_socket(&mut self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let object = match self.view.object_at(path) {
            Err(Errno::NOENT) => return self.hidden_socket(path),
            found => found?,
        };
        let Object { handle, place, .. } = object;
        let identity = SocketIdentity::of(&handle)?;
        self.is_still_waiting()?;
        if self.world.rules.bound.contains(&identity) {
            return Ok(handle);
        }
        // Found through a process's descriptor: its own path counts.
        let place = match place {
            Some(place) => place,
            None => self.view.place_of(handle.as_fd())?.ok_or(Errno::ACCESS)?,
        };
        self.require_inside(&place, Access::Read)?;
        match listed(self.world.rules.sockets.listed(), &place.path) {
            // What is shown is a copy's, which is nobody's server.
            Some(entry) if entry.is_hidden => return self.hidden_socket(&place.path),
            Some(_) => return Ok(handle),
            None => {}
        }
        if !NAME_SERVICES
            .iter()
            .any(|service| is_within(&place.path, service))
        {
            let object = shown(&place.path);
            self.tell(Operation::UnixSocket, &Denial::unlisted_socket(object));
        }
        // As upstream's filter answers, for which programs have a message of their own.
        Err(Errno::PERM)
    }

    /// A listed socket in a place that the host's tree is not shown at: its name is all that leads there.
    fn hidden_socket(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path = if path.starts_with(b"/") {
            AbsolutePath::new(OsStr::from_bytes(path))
        } else {
            let base = self.view.caller.base(libc::AT_FDCWD)?;
            let base = self.view.path_of(base.as_fd())?;
            AbsolutePath::new(OsStr::from_bytes(&[&base, &b"/"[..], path].concat()))
        };
        let path = path.map_err(|_no_path| Errno::NOENT)?;
        let hidden = self.world.rules.sockets.listed().iter();
        let hidden: Vec<_> = hidden.filter(|listed| listed.is_hidden).collect();
        let landing_of =
            |path: &AbsolutePath| hidden.iter().find_map(|listed| listed.landing_of(path));
        let landing = match landing_of(&path) {
            None if !hidden.is_empty() => landing_of(&self.view.missing(path.as_bytes())?),
            landing => landing,
        };
        let landing = landing.ok_or(Errno::NOENT)?;
        // The entry may list a directory, and a rule may close a place in it.
        if closes(self.world.rules.policy()?, &landing) {
            self.tell(
                Operation::UnixSocket,
                &Denial::unlisted_socket(shown(landing.as_bytes())),
            );
            return Err(Errno::PERM);
        }
        let text = CString::new(landing.as_bytes()).map_err(|_nul| Errno::NOENT)?;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let handle = rustix::fs::openat2(rustix::fs::CWD, text, PLACE, Mode::empty(), resolve)?;
        SocketIdentity::of(&handle)?;
        self.is_still_waiting()?;
        Ok(handle)
    }

    /// Connects. What would wait long is left to a thread.
    fn connect_to(&self, socket: OwnedFd, target: Target) -> Result<Outcome, Errno> {
        if rustix::fs::fcntl_getfl(&socket)?.contains(OFlags::NONBLOCK) {
            return target.connect(socket.as_fd()).map(|()| Outcome::Done);
        }
        // How long it waits is the caller's to set, at any moment, and its server may never have room.
        if let Target::Socket(_) = target {
            wait(self.world, self.id, socket, target)?;
            return Ok(Outcome::Later);
        }
        let timeout = sockopt::socket_timeout(&socket, Timeout::Send)?;
        sockopt::set_socket_timeout(&socket, Timeout::Send, Some(SHORTEST))?;
        let connected = target.connect(socket.as_fd());
        sockopt::set_socket_timeout(&socket, Timeout::Send, timeout)?;
        match connected {
            Ok(()) => Ok(Outcome::Done),
            Err(Errno::AGAIN | Errno::INPROGRESS) => {
                wait(self.world, self.id, socket, target)?;
                Ok(Outcome::Later)
            }
            Err(errno) => Err(errno),
        }
    }
}

/// Refuses addresses for which the kernel looks at who makes the call: this process owns the sandbox's
/// user namespace, so it counts as capable of everything in it (user_namespaces(7)), whatever it dropped.
pub(super) fn require_harmless(domain: AddressFamily, address: &[u8]) -> Result<(), Errno> {
    let is_harmless = match domain {
        AddressFamily::UNIX | AddressFamily::INET | AddressFamily::INET6 => true,
        // Port and groups of `struct sockaddr_nl`: the kernel's own.
        AddressFamily::NETLINK => address.get(4..12) == Some([0; 8].as_slice()),
        _ => false,
    };
    if is_harmless {
        Ok(())
    } else {
        Err(Errno::PERM)
    }
}

/// A listed name says which of the host's sockets may be connected to: no other one gets that name.
impl Answering<'_> {
    pub(super) fn permit_moved_socket(&self, from: &Place, to: &Place) -> Result<(), Errno> {
        if self.world.rules.sockets.listed().is_empty() {
            return Ok(());
        }
        let handle = open_place(from.directory.as_fd(), &from.name)?;
        self.permit_socket_name(handle.as_fd(), to)
    }

    pub(super) fn permit_socket_name(
        &self,
        moved: BorrowedFd<'_>,
        to: &Place,
    ) -> Result<(), Errno> {
        let rules = &self.world.rules;
        let entries = rules.sockets.listed();
        if entries.is_empty() {
            return Ok(());
        }
        let path = AbsolutePath::new(OsStr::from_bytes(&to.path));
        let path = path.map_err(|_no_path| Errno::ACCESS)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(moved)?.st_mode);
        let is_listed = match kind {
            FileType::Directory => entries.iter().any(|entry| entry.may_name_below(&path)),
            FileType::Socket => {
                let is_own = rules.bound.contains(&SocketIdentity::of(moved)?);
                !is_own && entries.iter().any(|entry| entry.names(&path))
            }
            FileType::RegularFile
            | FileType::Symlink
            | FileType::Fifo
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => false,
        };
        if !is_listed {
            return Ok(());
        }
        let object = shown(&to.path);
        self.tell(Operation::UnixSocket, &Denial::unlisted_socket(object));
        Err(Errno::ACCESS)
    }
}

impl Target {
    /// How many it holds.
    pub(super) fn descriptors(&self) -> u64 {
        match self {
            Self::Address(_) => 0,
            Self::Socket(_) => 1,
        }
    }

    /// Its address, as the kernel reads it.
    pub(super) fn name(&self) -> Result<Vec<u8>, Errno> {
        match self {
            Self::Address(content) => Ok(content.clone()),
            Self::Socket(handle) => {
                let family = u16::try_from(libc::AF_UNIX).map_err(|_large| Errno::INVAL)?;
                let path = handle_path(handle.as_fd())?;
                let parts = [
                    &family.to_ne_bytes(),
                    &b"/proc/"[..],
                    path.as_c_str().to_bytes(),
                    &[0],
                ];
                Ok(parts.concat())
            }
        }
    }

    fn connect(&self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        match self {
            Self::Address(content) => sys::net::connect(socket, content),
            Self::Socket(_) => sys::net::connect(socket, &self.name()?),
        }
    }
}

/// What the C library and its modules try at every look-up of a user or a host, and do without: their
/// refusal is no news.
const NAME_SERVICES: [&[u8]; 6] = [
    b"/run/nscd",
    b"/run/systemd/userdb",
    b"/run/systemd/resolve",
    b"/run/systemd/journal",
    b"/run/avahi-daemon",
    b"/run/sssd",
];

/// The kernel rounds it up to a tick of its clock.
const SHORTEST: Duration = Duration::from_micros(1);

/// Connections that may wait at a time for their servers.
pub(super) const MOST_WAITING: usize = 512;

/// Waits for a server that has no room yet, or an address that does not answer.
fn wait(world: &World, id: u64, socket: OwnedFd, target: Target) -> Result<(), Errno> {
    let running = Arc::clone(&world.waiting_connections);
    if Arc::strong_count(&running) > MOST_WAITING {
        return Err(Errno::AGAIN);
    }
    let held = world.holdings.hold(1 + target.descriptors())?;
    // The thread may outlive the sandbox, so it holds nothing of it but this.
    let listener = Arc::clone(&world.listener);
    let run = move || {
        let answer = match target.connect(socket.as_fd()) {
            Ok(()) | Err(Errno::ISCONN) => Answer::Value(0),
            Err(errno) => Answer::Error(errno),
        };
        // ENOENT: the caller is gone.
        sys::notify::answer(listener.as_fd(), id, answer).unwrap_or(());
        drop((socket, target, held, running));
    };
    thread::Builder::new()
        .name("sandbox-connect".into())
        .spawn(run)
        .map(drop)
        .map_err(|_failed| Errno::AGAIN)
}

/// The entry that lists the socket of a path.
fn listed<'l>(sockets: &'l [ListedSocket], path: &[u8]) -> Option<&'l ListedSocket> {
    let path = AbsolutePath::new(OsStr::from_bytes(path)).ok()?;
    sockets.iter().find(|listed| listed.names(&path))
}
