//! A notified call's number and arguments → what is asked for.

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};

use super::send::{DataArgument, MessagesArgument};
use crate::plan::{INODE_FLAG_REQUESTS, SupervisedCall};

/// A path argument: where it starts and where its text is.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathArgument {
    /// A descriptor of the caller, or `AT_FDCWD`.
    pub(super) directory: i32,
    /// Address of the text in the caller's memory.
    pub(super) address: u64,
    /// Whether the call takes no text, and is about what the descriptor has open.
    pub(super) is_descriptor: bool,
}

/// A socket and an address in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct SocketArgument {
    /// A descriptor of the caller.
    pub(super) socket: i32,
    /// Where the socket address is in the caller's memory.
    pub(super) address: u64,
    /// Its length in bytes, or where that is.
    pub(super) length: u64,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum SocketEnd {
    Own,
    Peer,
}

/// Where the times of a file are.
#[derive(Clone, Copy, Debug)]
pub(super) enum TimesArgument {
    /// Two `struct timespec`.
    Nanoseconds(u64),
    /// Two `struct timeval`.
    Microseconds(u64),
    /// One `struct utimbuf`.
    Seconds(u64),
}

/// An ioctl(2) that sets flags of an inode.
#[derive(Clone, Copy, Debug)]
pub(super) enum InodeFlagRequest {
    /// `FS_IOC_SETFLAGS`.
    Flags,
    /// `FS_IOC_FSSETXATTR`.
    Extended,
}

impl InodeFlagRequest {
    pub(super) const LARGEST: usize = 28;

    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Flags => INODE_FLAG_REQUESTS[0],
            Self::Extended => INODE_FLAG_REQUESTS[1],
        }
    }

    pub(super) const fn length(self) -> usize {
        match self {
            Self::Flags => 4,
            Self::Extended => Self::LARGEST,
        }
    }
}

/// What a call asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    Open {
        path: PathArgument,
        flags: OFlags,
        mode: Mode,
    },
    MakeDirectory {
        path: PathArgument,
        mode: Mode,
    },
    MakeNode {
        path: PathArgument,
        mode: u32,
        device: u64,
    },
    Rename {
        from: PathArgument,
        to: PathArgument,
        flags: RenameFlags,
    },
    Link {
        from: PathArgument,
        to: PathArgument,
        flags: AtFlags,
    },
    Symlink {
        text: u64,
        path: PathArgument,
    },
    Remove {
        path: PathArgument,
        flags: AtFlags,
    },
    Truncate {
        path: PathArgument,
        length: u64,
    },
    ChangeMode {
        path: PathArgument,
        mode: Mode,
    },
    ChangeOwner {
        path: PathArgument,
        user: u32,
        group: u32,
        flags: AtFlags,
    },
    SetTimes {
        path: PathArgument,
        times: TimesArgument,
        flags: AtFlags,
    },
    SetAttribute {
        path: PathArgument,
        name: u64,
        value: u64,
        length: u64,
        flags: u32,
        follow: bool,
    },
    RemoveAttribute {
        path: PathArgument,
        name: u64,
        follow: bool,
    },
    Bind(SocketArgument),
    Connect(SocketArgument),
    SendTo(SocketArgument, DataArgument),
    SendMessages(MessagesArgument),
    NameOf(SocketEnd, SocketArgument),
    SetInodeFlags {
        file: i32,
        request: InodeFlagRequest,
        address: u64,
    },
    ChangeUmask,
}

/// The low half of an argument, which is all that the kernel looks at for these.
const fn low(argument: u64) -> u32 {
    (argument & 0xffff_ffff) as u32
}

const fn at(directory: u64, address: u64) -> PathArgument {
    PathArgument {
        directory: low(directory).cast_signed(),
        address,
        is_descriptor: false,
    }
}

const fn descriptor(number: u64) -> PathArgument {
    PathArgument {
        is_descriptor: true,
        ..at(number, 0)
    }
}

/// utimensat(2) without a path is about the descriptor.
const fn at_or_descriptor(directory: u64, address: u64) -> PathArgument {
    let path = at(directory, address);
    PathArgument {
        is_descriptor: address == 0 && path.directory != libc::AT_FDCWD,
        ..path
    }
}

const fn here(address: u64) -> PathArgument {
    PathArgument {
        directory: libc::AT_FDCWD,
        address,
        is_descriptor: false,
    }
}

const fn socket(number: u64, address: u64, length: u64) -> SocketArgument {
    SocketArgument {
        socket: low(number).cast_signed(),
        address,
        length,
    }
}

const fn open_flags(argument: u64) -> OFlags {
    OFlags::from_bits_retain(low(argument))
}

const fn flags_at(argument: u64) -> AtFlags {
    AtFlags::from_bits_retain(low(argument))
}

/// The permission bits, as open(2) and mkdir(2) take them.
const fn mode(argument: u64) -> Mode {
    Mode::from_bits_retain(low(argument) & 0o7777)
}

impl Request {
    /// The paths that it names.
    pub(super) const fn paths(self) -> [Option<PathArgument>; 2] {
        match self {
            Self::Rename { from, to, .. } | Self::Link { from, to, .. } => [Some(from), Some(to)],
            Self::Open { path, .. }
            | Self::MakeDirectory { path, .. }
            | Self::MakeNode { path, .. }
            | Self::Symlink { path, .. }
            | Self::Remove { path, .. }
            | Self::Truncate { path, .. }
            | Self::ChangeMode { path, .. }
            | Self::ChangeOwner { path, .. }
            | Self::SetTimes { path, .. }
            | Self::SetAttribute { path, .. }
            | Self::RemoveAttribute { path, .. } => [Some(path), None],
            Self::Bind(_)
            | Self::Connect(_)
            | Self::SendTo(..)
            | Self::SendMessages(_)
            | Self::NameOf(..)
            | Self::SetInodeFlags { .. }
            | Self::ChangeUmask => [None, None],
        }
    }

    /// Whether it changes something that a path names.
    pub(super) const fn changes(self) -> bool {
        match self {
            Self::Open { flags, .. } => flags.intersects(
                OFlags::WRONLY
                    .union(OFlags::RDWR)
                    .union(OFlags::TRUNC)
                    .union(OFlags::CREATE),
            ),
            Self::Connect(_)
            | Self::SendTo(..)
            | Self::SendMessages(_)
            | Self::NameOf(..)
            | Self::ChangeUmask => false,
            Self::Rename { .. }
            | Self::Link { .. }
            | Self::MakeDirectory { .. }
            | Self::MakeNode { .. }
            | Self::Symlink { .. }
            | Self::Remove { .. }
            | Self::Truncate { .. }
            | Self::ChangeMode { .. }
            | Self::ChangeOwner { .. }
            | Self::SetTimes { .. }
            | Self::SetAttribute { .. }
            | Self::RemoveAttribute { .. }
            | Self::Bind(_)
            | Self::SetInodeFlags { .. } => true,
        }
    }

    /// Reads a call's arguments.
    pub(super) fn new(call: SupervisedCall, arguments: &[u64; 6]) -> Self {
        use SupervisedCall as Call;
        const CREAT: u64 = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64;
        let [a, b, c, d, e, f] = *arguments;
        let directory = AtFlags::REMOVEDIR.bits().into();
        match call {
            Call::Open => Self::open(here(a), b, c),
            Call::OpenAt => Self::open(at(a, b), c, d),
            Call::Creat => Self::open(here(a), CREAT, b),
            Call::Mkdir => Self::make_directory(here(a), b),
            Call::MkdirAt => Self::make_directory(at(a, b), c),
            Call::Mknod => Self::make_node(here(a), b, c),
            Call::MknodAt => Self::make_node(at(a, b), c, d),
            Call::Rename => Self::rename(here(a), here(b), 0),
            Call::RenameAt => Self::rename(at(a, b), at(c, d), 0),
            Call::RenameAt2 => Self::rename(at(a, b), at(c, d), e),
            Call::Link => Self::link(here(a), here(b), 0),
            Call::LinkAt => Self::link(at(a, b), at(c, d), e),
            Call::Symlink => Self::symlink(a, here(b)),
            Call::SymlinkAt => Self::symlink(a, at(b, c)),
            Call::Unlink => Self::remove(here(a), 0),
            Call::UnlinkAt => Self::remove(at(a, b), c),
            Call::Rmdir => Self::remove(here(a), directory),
            Call::Truncate => Self::truncate(here(a), b),
            Call::Chmod => Self::change_mode(here(a), b),
            Call::FchmodAt => Self::change_mode(at(a, b), c),
            Call::Fchmod => Self::change_mode(descriptor(a), b),
            Call::Chown => Self::owner(here(a), (b, c), AtFlags::empty()),
            Call::Lchown => Self::owner(here(a), (b, c), AtFlags::SYMLINK_NOFOLLOW),
            Call::FchownAt => Self::owner(at(a, b), (c, d), flags_at(e)),
            Call::Fchown => Self::owner(descriptor(a), (b, c), AtFlags::empty()),
            Call::Utime => Self::times(here(a), TimesArgument::Seconds(b), 0),
            Call::Utimes => Self::times(here(a), TimesArgument::Microseconds(b), 0),
            Call::FutimesAt => {
                Self::times(at_or_descriptor(a, b), TimesArgument::Microseconds(c), 0)
            }
            Call::UtimensAt => {
                Self::times(at_or_descriptor(a, b), TimesArgument::Nanoseconds(c), d)
            }
            Call::SetXattr => Self::set_attribute(here(a), arguments, true),
            Call::LsetXattr => Self::set_attribute(here(a), arguments, false),
            Call::FsetXattr => Self::set_attribute(descriptor(a), arguments, true),
            Call::RemoveXattr => Self::remove_attribute(here(a), b, true),
            Call::LremoveXattr => Self::remove_attribute(here(a), b, false),
            Call::FremoveXattr => Self::remove_attribute(descriptor(a), b, true),
            Call::Ioctl => Self::set_inode_flags(a, b, c),
            Call::Bind => Self::Bind(socket(a, b, c)),
            Call::Connect => Self::Connect(socket(a, b, c)),
            Call::SendTo => Self::SendTo(
                socket(a, e, f),
                DataArgument {
                    address: b,
                    length: c,
                    flags: low(d),
                },
            ),
            Call::SendMessage => Self::messages(a, b, None, c),
            Call::SendMessages => Self::messages(a, b, Some(low(c)), d),
            Call::GetSockName => Self::NameOf(SocketEnd::Own, socket(a, b, c)),
            Call::GetPeerName => Self::NameOf(SocketEnd::Peer, socket(a, b, c)),
            Call::Umask => Self::ChangeUmask,
        }
    }

    const fn open(path: PathArgument, flags: u64, bits: u64) -> Self {
        Self::Open {
            path,
            flags: open_flags(flags),
            mode: mode(bits),
        }
    }

    const fn make_directory(path: PathArgument, bits: u64) -> Self {
        let mode = mode(bits);
        Self::MakeDirectory { path, mode }
    }

    const fn make_node(path: PathArgument, mode: u64, device: u64) -> Self {
        Self::MakeNode {
            path,
            mode: low(mode),
            device,
        }
    }

    const fn rename(from: PathArgument, to: PathArgument, flags: u64) -> Self {
        let flags = RenameFlags::from_bits_retain(low(flags));
        Self::Rename { from, to, flags }
    }

    const fn link(from: PathArgument, to: PathArgument, flags: u64) -> Self {
        let flags = flags_at(flags);
        Self::Link { from, to, flags }
    }

    const fn symlink(text: u64, path: PathArgument) -> Self {
        Self::Symlink { text, path }
    }

    const fn remove(path: PathArgument, flags: u64) -> Self {
        let flags = flags_at(flags);
        Self::Remove { path, flags }
    }

    const fn truncate(path: PathArgument, length: u64) -> Self {
        Self::Truncate { path, length }
    }

    const fn change_mode(path: PathArgument, bits: u64) -> Self {
        let mode = mode(bits);
        Self::ChangeMode { path, mode }
    }

    const fn owner(path: PathArgument, (user, group): (u64, u64), flags: AtFlags) -> Self {
        Self::ChangeOwner {
            path,
            user: low(user),
            group: low(group),
            flags,
        }
    }

    const fn times(path: PathArgument, times: TimesArgument, flags: u64) -> Self {
        let flags = flags_at(flags);
        Self::SetTimes { path, times, flags }
    }

    const fn set_attribute(path: PathArgument, arguments: &[u64; 6], follow: bool) -> Self {
        let [_, name, value, length, flags, _] = *arguments;
        Self::SetAttribute {
            path,
            name,
            value,
            length,
            flags: low(flags),
            follow,
        }
    }

    const fn remove_attribute(path: PathArgument, name: u64, follow: bool) -> Self {
        Self::RemoveAttribute { path, name, follow }
    }

    const fn messages(number: u64, headers: u64, count: Option<u32>, flags: u64) -> Self {
        Self::SendMessages(MessagesArgument {
            socket: low(number).cast_signed(),
            headers,
            count,
            flags: low(flags),
        })
    }

    const fn set_inode_flags(file: u64, request: u64, address: u64) -> Self {
        let request = if low(request) == InodeFlagRequest::Flags.number() {
            InodeFlagRequest::Flags
        } else {
            InodeFlagRequest::Extended
        };
        Self::SetInodeFlags {
            file: low(file).cast_signed(),
            request,
            address,
        }
    }
}
