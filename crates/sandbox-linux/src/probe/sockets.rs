//! Where listed Unix sockets are on this host.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::{ffi::OsStrExt as _, fs::FileTypeExt as _};

use sandbox_policy::{AbsolutePath, PathPattern, UnixSocketPolicy, powerful_socket};

use super::way::walk;

/// What there is of listed sockets.
pub(super) struct Listed {
    /// Where entries lead.
    pub(super) landings: BTreeMap<AbsolutePath, AbsolutePath>,
    /// The symlinks on the way.
    pub(super) links: BTreeMap<AbsolutePath, Vec<AbsolutePath>>,
    /// Where datagram sockets are bound.
    pub(super) datagrams: BTreeSet<AbsolutePath>,
    /// The sockets of known services that entries reach.
    pub(super) known: BTreeSet<AbsolutePath>,
}

/// Looks for what the settings list.
pub(super) fn listed(policy: &UnixSocketPolicy) -> Listed {
    let BoundSockets { datagrams, known } = bound(policy);
    let landings = landings(policy);
    Listed {
        known: reached(policy, &landings, known),
        links: links(policy),
        landings,
        datagrams,
    }
}

/// Where listed sockets are, symlinks on the way followed. What does not exist yet may be made later.
fn landings(policy: &UnixSocketPolicy) -> BTreeMap<AbsolutePath, AbsolutePath> {
    let UnixSocketPolicy::Listed(rules) = policy else {
        return BTreeMap::new();
    };
    let paths = rules.iter().filter_map(|rule| match &rule.pattern {
        PathPattern::Subtree(path) => Some(path),
        PathPattern::Glob(_) => None,
    });
    let landings = paths.filter_map(|path| Some((path.clone(), landing(path)?)));
    landings.collect()
}

/// The sockets that are bound in this network namespace (proc_net(5)).
#[derive(Default)]
struct BoundSockets {
    /// Those that take datagrams.
    datagrams: BTreeSet<AbsolutePath>,
    /// Those of known services.
    known: BTreeSet<AbsolutePath>,
}

/// Looks for bound sockets, if settings list any. Without the kernel's table none is known.
fn bound(policy: &UnixSocketPolicy) -> BoundSockets {
    let mut found = BoundSockets::default();
    let UnixSocketPolicy::Listed(_) = policy else {
        return found;
    };
    let Ok(table) = fs::read("/proc/net/unix") else {
        return found;
    };
    // Number, references, protocol, flags, type, state, inode, path.
    for line in table.split(|byte| *byte == b'\n') {
        let kind = line.split(|byte| *byte == b' ').nth(4);
        let start = line.windows(2).position(|pair| pair == b" /");
        let path = start.and_then(|start| line.get(start + 1..));
        let Some(Ok(path)) = path.map(|path| AbsolutePath::new(OsStr::from_bytes(path))) else {
            continue;
        };
        if is_known(&path) {
            found.known.insert(path.clone());
        }
        if kind == Some(b"0002") {
            found.datagrams.insert(path);
        }
    }
    found
}

/// The most entries of a listed directory that are looked at.
const LOOKED_AT: usize = 4096;

/// The sockets of known services that entries reach: bound ones anywhere, and those that lie directly in a
/// listed directory, whatever network namespace their service is in.
fn reached(
    policy: &UnixSocketPolicy,
    landings: &BTreeMap<AbsolutePath, AbsolutePath>,
    mut known: BTreeSet<AbsolutePath>,
) -> BTreeSet<AbsolutePath> {
    let UnixSocketPolicy::Listed(rules) = policy else {
        return BTreeSet::new();
    };
    let is_reached = |path: &AbsolutePath| {
        let mut landings = landings.values();
        let mut rules = rules.iter();
        landings.any(|landing| path.is_within(landing))
            || rules.any(|rule| rule.pattern.opens(path).is_some())
    };
    known.retain(is_reached);
    let patterns = rules.iter().filter_map(|rule| match &rule.pattern {
        PathPattern::Subtree(_) => None,
        PathPattern::Glob(glob) => Some(glob.static_prefix()),
    });
    for directory in landings.values().chain(patterns) {
        // What is no directory, or can't be listed, holds nothing that is known.
        let entries = fs::read_dir(directory.as_path()).into_iter().flatten();
        for entry in entries.take(LOOKED_AT).flatten() {
            let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
            if is_socket
                && let Ok(path) = AbsolutePath::new(entry.path())
                && is_known(&path)
                && is_reached(&path)
            {
                known.insert(path);
            }
        }
    }
    known
}

fn is_known(path: &AbsolutePath) -> bool {
    powerful_socket(&PathPattern::Subtree(path.clone())).is_some()
}

fn landing(path: &AbsolutePath) -> Option<AbsolutePath> {
    let mut above = path.ancestors();
    let (written, place) = above.find_map(|above| {
        let place = fs::canonicalize(above.as_path()).ok()?;
        Some((above, place))
    })?;
    let rest = path.as_path().strip_prefix(written.as_path()).ok()?;
    let landing = if rest.as_os_str().is_empty() {
        place
    } else {
        place.join(rest)
    };
    AbsolutePath::new(landing).ok()
}

/// The places of the symlinks that listed sockets lead through, with all above them resolved.
fn links(policy: &UnixSocketPolicy) -> BTreeMap<AbsolutePath, Vec<AbsolutePath>> {
    let UnixSocketPolicy::Listed(rules) = policy else {
        return BTreeMap::new();
    };
    let paths = rules.iter().filter_map(|rule| match &rule.pattern {
        PathPattern::Subtree(path) => Some(path),
        PathPattern::Glob(_) => None,
    });
    let found = paths.filter_map(|path| Some((path.clone(), walk(path.as_path()).ok()?.links)));
    found.filter(|(_, links)| !links.is_empty()).collect()
}
