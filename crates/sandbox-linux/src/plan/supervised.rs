//! The calls that change names, contents or metadata by path: a filter can't see paths, so the
//! supervisor performs these calls on the caller's behalf.

/// A call that the supervisor performs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupervisedCall {
    /// open(2).
    Open,
    /// openat(2).
    OpenAt,
    /// creat(2).
    Creat,
    /// mkdir(2).
    Mkdir,
    /// mkdirat(2).
    MkdirAt,
    /// mknod(2).
    Mknod,
    /// mknodat(2).
    MknodAt,
    /// rename(2).
    Rename,
    /// renameat(2).
    RenameAt,
    /// renameat2(2).
    RenameAt2,
    /// link(2).
    Link,
    /// linkat(2).
    LinkAt,
    /// symlink(2).
    Symlink,
    /// symlinkat(2).
    SymlinkAt,
    /// unlink(2).
    Unlink,
    /// unlinkat(2).
    UnlinkAt,
    /// rmdir(2).
    Rmdir,
    /// truncate(2).
    Truncate,
    /// chmod(2).
    Chmod,
    /// fchmodat(2), as the kernel has it: without flags.
    FchmodAt,
    /// chown(2).
    Chown,
    /// lchown(2).
    Lchown,
    /// fchownat(2).
    FchownAt,
    /// utime(2).
    Utime,
    /// utimes(2).
    Utimes,
    /// futimesat(2).
    FutimesAt,
    /// utimensat(2).
    UtimensAt,
    /// setxattr(2).
    SetXattr,
    /// lsetxattr(2).
    LsetXattr,
    /// removexattr(2).
    RemoveXattr,
    /// lremovexattr(2).
    LremoveXattr,
    /// fchmod(2).
    Fchmod,
    /// fchown(2).
    Fchown,
    /// fsetxattr(2).
    FsetXattr,
    /// fremovexattr(2).
    FremoveXattr,
    /// ioctl(2) that sets flags of an inode (ioctl_iflags(2)).
    Ioctl,
    /// bind(2): a Unix socket, one of a socketpair(2) too, gets a name by it.
    Bind,
    /// umask(2), which is only taken note of.
    Umask,
    /// connect(2), where the supervisor keeps Unix sockets of the host's out of reach.
    Connect,
    /// sendto(2) with an address.
    SendTo,
    /// sendmsg(2).
    SendMessage,
    /// sendmmsg(2).
    SendMessages,
    /// getsockname(2): the kernel knows the path by which the supervisor bound a socket.
    GetSockName,
    /// getpeername(2).
    GetPeerName,
}

/// All of them, by their names in the kernel's table.
pub(crate) const SUPERVISED_CALLS: [(&str, SupervisedCall); 40] = [
    ("open", SupervisedCall::Open),
    ("openat", SupervisedCall::OpenAt),
    ("creat", SupervisedCall::Creat),
    ("mkdir", SupervisedCall::Mkdir),
    ("mkdirat", SupervisedCall::MkdirAt),
    ("mknod", SupervisedCall::Mknod),
    ("mknodat", SupervisedCall::MknodAt),
    ("rename", SupervisedCall::Rename),
    ("renameat", SupervisedCall::RenameAt),
    ("renameat2", SupervisedCall::RenameAt2),
    ("link", SupervisedCall::Link),
    ("linkat", SupervisedCall::LinkAt),
    ("symlink", SupervisedCall::Symlink),
    ("symlinkat", SupervisedCall::SymlinkAt),
    ("unlink", SupervisedCall::Unlink),
    ("unlinkat", SupervisedCall::UnlinkAt),
    ("rmdir", SupervisedCall::Rmdir),
    ("truncate", SupervisedCall::Truncate),
    ("chmod", SupervisedCall::Chmod),
    ("fchmodat", SupervisedCall::FchmodAt),
    ("chown", SupervisedCall::Chown),
    ("lchown", SupervisedCall::Lchown),
    ("fchownat", SupervisedCall::FchownAt),
    ("utime", SupervisedCall::Utime),
    ("utimes", SupervisedCall::Utimes),
    ("futimesat", SupervisedCall::FutimesAt),
    ("utimensat", SupervisedCall::UtimensAt),
    ("setxattr", SupervisedCall::SetXattr),
    ("lsetxattr", SupervisedCall::LsetXattr),
    ("removexattr", SupervisedCall::RemoveXattr),
    ("lremovexattr", SupervisedCall::LremoveXattr),
    ("fchmod", SupervisedCall::Fchmod),
    ("fchown", SupervisedCall::Fchown),
    ("fsetxattr", SupervisedCall::FsetXattr),
    ("fremovexattr", SupervisedCall::FremoveXattr),
    ("ioctl", SupervisedCall::Ioctl),
    ("bind", SupervisedCall::Bind),
    ("getsockname", SupervisedCall::GetSockName),
    ("getpeername", SupervisedCall::GetPeerName),
    ("umask", SupervisedCall::Umask),
];

/// The call that is supervised for the sake of Unix sockets.
pub(crate) const CONNECT: (&str, SupervisedCall) = ("connect", SupervisedCall::Connect);

/// The calls that are supervised where a datagram socket of the host's is listed.
pub(crate) const SENDS: [(&str, SupervisedCall); 3] = [
    ("sendto", SupervisedCall::SendTo),
    ("sendmsg", SupervisedCall::SendMessage),
    ("sendmmsg", SupervisedCall::SendMessages),
];

/// `FS_IOC_SETFLAGS`, `FS_IOC_FSSETXATTR` (linux/fs.h).
pub(crate) const INODE_FLAG_REQUESTS: [u32; 2] = [0x4008_6602, 0x401c_5820];

/// Newer calls that do the same with arguments in memory or flags of their own; callers fall back to
/// the ones above.
pub(crate) const NEWER_CALLS: [&str; 5] = [
    "openat2",
    "fchmodat2",
    "setxattrat",
    "removexattrat",
    "file_setattr",
];

/// How much the supervisor sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervision {
    /// No path: the policy refuses none.
    Off,
    /// Calls that change something.
    Changes,
    /// Every open as well: a pattern closes files for reading, wherever they appear.
    Opens,
}
