//! Unix sockets of the host: which may be connected to, and which are as good as no sandbox.

use crate::filesystem::PathRule;
use crate::origin::Origin;
use crate::path::AbsolutePath;
use crate::pattern::PathPattern;
use crate::verdict::{Denial, DenialReason};

/// Which Unix sockets of the host may be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixSocketPolicy {
    /// None.
    Blocked,
    /// These.
    Listed(Vec<PathRule>),
    /// All (`allowAllUnixSockets`).
    Unrestricted(Origin),
}

/// A service whose socket gives away what the sandbox keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerfulSocket {
    /// The last components of its path.
    pub name: &'static str,
    /// Where it usually is.
    pub place: &'static str,
    /// What whoever may connect can do.
    pub consequence: &'static str,
}

const CONTAINERS: &str =
    "whoever connects to it can start a container with all of the host's files, as root";
const MACHINES: &str = "whoever connects to it can start a machine with all of the host's files";
const COMMANDS: &str = "whoever connects to it can have commands run outside of the sandbox";
const WINDOWS: &str = "whoever connects to it can read every key and type into every window";

/// Sockets of services that do what they are asked, with more rights than the sandbox has.
pub const POWERFUL_SOCKETS: [PowerfulSocket; 17] = [
    powerful("docker.sock", "/run/docker.sock", CONTAINERS),
    powerful("podman.sock", "/run/podman/podman.sock", CONTAINERS),
    powerful(
        "containerd.sock",
        "/run/containerd/containerd.sock",
        CONTAINERS,
    ),
    powerful("crio.sock", "/run/crio/crio.sock", CONTAINERS),
    powerful("buildkitd.sock", "/run/buildkit/buildkitd.sock", CONTAINERS),
    powerful("lxd/unix.socket", "/var/lib/lxd/unix.socket", CONTAINERS),
    powerful(
        "incus/unix.socket",
        "/var/lib/incus/unix.socket",
        CONTAINERS,
    ),
    powerful("libvirt-sock", "/run/libvirt/libvirt-sock", MACHINES),
    powerful("virtqemud-sock", "/run/libvirt/virtqemud-sock", MACHINES),
    powerful("snapd.socket", "/run/snapd.socket", COMMANDS),
    powerful("systemd/private", "/run/systemd/private", COMMANDS),
    powerful("system_bus_socket", "/run/dbus/system_bus_socket", COMMANDS),
    // $XDG_RUNTIME_DIR/bus, the bus of the user's session.
    powerful("bus", "/run/user/1000/bus", COMMANDS),
    // tmux(1).
    powerful("default", "/tmp/tmux-1000/default", COMMANDS),
    powerful("X0", "/tmp/.X11-unix/X0", WINDOWS),
    powerful("X1", "/tmp/.X11-unix/X1", WINDOWS),
    powerful(
        "cups.sock",
        "/run/cups/cups.sock",
        "whoever connects to it can change how the host prints, as root",
    ),
];

const fn powerful(
    name: &'static str,
    place: &'static str,
    consequence: &'static str,
) -> PowerfulSocket {
    PowerfulSocket {
        name,
        place,
        consequence,
    }
}

impl UnixSocketPolicy {
    /// The entry that lists a socket by its path.
    #[must_use]
    pub fn listed(&self, path: &AbsolutePath) -> Option<&PathRule> {
        match self {
            Self::Listed(rules) => rules.iter().find(|rule| rule.pattern.opens(path).is_some()),
            Self::Blocked | Self::Unrestricted(_) => None,
        }
    }
}

/// What listing a pattern gives away, if a known service listens at what it names.
#[must_use]
pub fn powerful_socket(pattern: &PathPattern) -> Option<&'static PowerfulSocket> {
    POWERFUL_SOCKETS.iter().find(|row| {
        let is_name = match pattern {
            PathPattern::Subtree(path) => path.as_path().ends_with(row.name),
            PathPattern::Glob(_) => false,
        };
        is_name
            || pattern
                .opens(&AbsolutePath::from_clean(row.place))
                .is_some()
    })
}

impl Denial {
    /// The refusal of a socket of the host's that no entry lists.
    #[must_use]
    pub fn unlisted_socket(object: String) -> Self {
        Self::by_default(DenialReason::SocketNotListed, object)
    }
}
