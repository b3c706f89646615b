//! What the plan needs to know about the host: plain data, so that plans for other kernels and
//! users can be made and tested anywhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use sandbox_policy::AbsolutePath;

/// The host as the probe found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Whether all ids can be mapped into a user namespace (needs `CAP_SETUID` and `CAP_SETGID`).
    pub maps_all_ids: bool,
    /// The kernel's Landlock ABI; 0 where it has none or it is switched off.
    pub landlock_abi: u32,
    /// Where the command starts, without symlinks.
    pub working_directory: AbsolutePath,
    /// The user's home, without symlinks where it exists.
    pub home: Option<AbsolutePath>,
    /// Where the user's programs outside look for their settings (`XDG_CONFIG_HOME`), if that is not in the home.
    /// A probe asks for no variable, and finds none.
    pub config_home: Option<AbsolutePath>,
    /// The host's name (uname(2)), which programs look up to learn their own address.
    pub host_name: String,
    /// What is at each path that a rule names. A path that is absent here does not exist, or is left to
    /// the supervisor.
    pub paths: KnownPaths,
    /// Where the write roots would be that do not exist, by their paths as written.
    pub missing_roots: BTreeMap<AbsolutePath, MissingPath>,
    /// Write roots in others that no rule lies between: their places in the policy's list, ascending. They
    /// are no symlinks, what the outer one opens covers them, and `paths` may lack them.
    pub inner_roots: Vec<usize>,
    /// Write roots, by where they are, on file systems that may find a file by other spellings of its name.
    pub folding_roots: Vec<AbsolutePath>,
    /// Where symlinks lead that denied paths are, or would be, behind and that `paths` does not have:
    /// by the paths as written, or by the directories that patterns begin in.
    pub landings: BTreeMap<AbsolutePath, AbsolutePath>,
    /// The symlinks on the ways of denied paths that lead elsewhere, by their real places.
    pub deny_links: BTreeSet<AbsolutePath>,
    /// Where the entries of listed Unix sockets lead, by their paths as written.
    pub sockets: BTreeMap<AbsolutePath, AbsolutePath>,
    /// Where datagram sockets are bound.
    pub datagram_sockets: BTreeSet<AbsolutePath>,
    /// Those sockets of known services (`POWERFUL_SOCKETS`) that listed directories hold, or that are bound
    /// where listed patterns match.
    pub known_sockets: BTreeSet<AbsolutePath>,
    /// The places of the symlinks that listed sockets lead through, if there are any.
    pub socket_links: BTreeMap<AbsolutePath, Vec<AbsolutePath>>,
    /// Whether more files closed for reading exist than are worth a mount each. `paths` has none of
    /// them then, and who opens a file must be asked about its name.
    pub leaves_reads_open: bool,
    /// Whether symlinks among the paths closed for writing are known.
    pub write_links: WriteLinks,
    /// The devices that rules name and that exist, by their paths as written.
    pub devices: BTreeMap<AbsolutePath, DeviceFacts>,
}

/// What is at thousands of paths. Nothing depends on their order.
pub type KnownPaths = HashMap<AbsolutePath, PathFacts, RandomState>;

/// A device, or something else below `/dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its path without symlinks.
    pub canonical: AbsolutePath,
    /// What it is.
    pub kind: DeviceKind,
    /// Which object it is.
    pub identity: FileIdentity,
}

/// What a path below `/dev` leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A directory without block devices.
    Directory,
    /// A directory with some.
    HoldsBlock,
    /// Anything else, or something outside of `/dev`.
    Other,
}

/// Whether symlinks among the paths closed for writing are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteLinks {
    /// Yes.
    Known,
    /// There are more paths than are worth a look each before a start: `landings` may lack symlinks
    /// among them. They are kept by name, and whoever keeps them looks.
    LeftToSupervisor,
}

/// Something that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathFacts {
    /// Its path without symlinks.
    pub canonical: AbsolutePath,
    /// What it is.
    pub kind: PathKind,
    /// Which object it is: it must still be this one when it is mounted.
    pub identity: FileIdentity,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// Device and inode number, as `stat(2)` gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIdentity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
}

/// Something that does not exist, and the nearest place above that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPath {
    /// Its path without symlinks.
    pub canonical: AbsolutePath,
    /// The nearest path above that exists.
    pub above: AbsolutePath,
    /// What that is. Nothing can be made below a file.
    pub kind: PathKind,
    /// Which object that is.
    pub identity: FileIdentity,
}

/// Where the proxies listen inside the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// TCP port of the HTTP proxy on 127.0.0.1.
    pub http_port: u16,
    /// TCP port of the SOCKS5 proxy on 127.0.0.1.
    pub socks_port: u16,
}

impl Endpoints {
    /// The usual ports: 3128 (as Squid) and 1080 (RFC 1928).
    #[must_use]
    pub const fn standard() -> Self {
        Self {
            http_port: 3128,
            socks_port: 1080,
        }
    }
}

/// The port of the transparent listeners; connections to it are made by nf_tables alone.
pub(crate) const TRANSPARENT_PORT: u16 = 1;
/// The port at which sockets for connections to servers inside are made.
pub(crate) const ENTRANCE_PORT: u16 = 2;
/// The port of name servers.
pub(crate) const DNS_PORT: u16 = 53;
