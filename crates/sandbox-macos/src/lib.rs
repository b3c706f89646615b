//! How a policy is enforced on macOS: as a Seatbelt profile.
//!
//! # Terminology
//!
//! Seatbelt is the kernel's mandatory access control; a *profile* tells it what a process and all
//! its descendants may do. A profile is written in *SBPL*, a Scheme-like language of *rules*: an
//! effect (`allow`, `deny`), *operations* (`file-read*`) and *filters* on the operation's object
//! (`subpath`, `literal`, `regex`). A *parameter* is a string that reaches a profile from outside
//! its text, so that no path is ever quoted into SBPL.
//!
//! # From policy to process
//!
//! 1. [`lower`] turns a policy, the [`HostFacts`] and the proxy's [`Endpoints`] into a
//!    [`SeatbeltProfile`]. It is pure and runs on any operating system: equal inputs give equal
//!    bytes, and what a profile can't express is an error, never a weaker profile.
//! 2. [`LaunchSpec`] adds the program, and spells the whole argument vector of `sandbox-exec`.
//! 3. `launch`, on macOS only, starts it.
//!
//! # What differs from Linux
//!
//! [`effective`] is the policy as macOS can keep it; its verdicts are the profile's.
//!
//! * There is no private `/tmp`: the policy's scratch directories, and `TMPDIR`, are the host's own
//!   directories, made writable. What other programs keep there is visible to the command.
//! * There is no private network: the command talks to the proxies on the host's loopback
//!   interface, and reaches nothing else unless [`LocalBinding`] says so, or the policy lists
//!   or publishes single ports of it. A published port is the server's own.
//! * A rule names a path and not an object. Renaming a directory would take a closed path away
//!   from its rule, so the writable ancestors of closed paths can't be renamed, removed or created
//!   (see the `closed` module). Where such an ancestor is missing when the command starts, the
//!   command can't create it.
//! * A directory that holds matches of a pattern with `**` can be renamed; its matches stay closed
//!   wherever it can arrive, because the pattern's tail is closed in every writable directory.
//!   Directories that a pattern names by `*`, `?` or a set can be created but not renamed or
//!   removed; a prepared directory that is renamed to such a name brings its content with it.
//! * File names are taken without regard to case: what closes a path closes all its spellings.
//! * A path that leads through a symbolic link closes nothing, as Seatbelt sees real paths. The
//!   links of the system are known; a caller has the links of its rules looked up by
//!   [`HostFacts::with_landings`].
//! * Hard links can't be made, and private Unix sockets can't be told from the host's: what the
//!   policy does not list is refused. New pseudo-terminals are refused too.
//! * Writable although no rule says so: `/dev/null`, `/dev/zero`, `/dev/tty`, a few devices of the
//!   system libraries, and open descriptors by their names. Readable although a rule closes them:
//!   the names in `/`, and the metadata of directories.
#![forbid(unsafe_code)]

mod facts;
mod launch;
mod profile;

pub use facts::{HostFacts, MacosRelease, ProbeError};
pub use launch::LaunchSpec;
#[cfg(target_os = "macos")]
pub use launch::{LaunchError, Running, command, launch};
pub use profile::{
    Endpoints, LocalBinding, Parameter, ProfileError, SeatbeltProfile, effective, joined_ports,
    lower,
};
