//! Where listed Unix sockets are on this host.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, PathBuf};

use sandbox_policy::{AbsolutePath, PathPattern, UnixSocketPolicy};

/// The symlinks that the kernel follows on one way (path_resolution(7)).
const FOLLOWED: usize = 40;

/// Where listed sockets are, symlinks on the way followed. What does not exist yet may be made later.
pub(super) fn landings(policy: &UnixSocketPolicy) -> BTreeMap<AbsolutePath, AbsolutePath> {
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

/// Where datagram sockets are bound (proc_net(5)), if settings list any socket. Without that table none is
/// known.
pub(super) fn datagram_sockets(policy: &UnixSocketPolicy) -> BTreeSet<AbsolutePath> {
    let UnixSocketPolicy::Listed(_) = policy else {
        return BTreeSet::new();
    };
    let Ok(table) = fs::read("/proc/net/unix") else {
        return BTreeSet::new();
    };
    let lines = table.split(|byte| *byte == b'\n');
    // Number, references, protocol, flags, type, state, inode, path.
    let found = lines.filter_map(|line| {
        let kind = line.split(|byte| *byte == b' ').nth(4)?;
        let start = line.windows(2).position(|pair| pair == b" /")?;
        let path = OsStr::from_bytes(line.get(start + 1..)?);
        (kind == b"0002").then(|| AbsolutePath::new(path).ok())?
    });
    found.collect()
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
pub(super) fn links(policy: &UnixSocketPolicy) -> BTreeMap<AbsolutePath, Vec<AbsolutePath>> {
    let UnixSocketPolicy::Listed(rules) = policy else {
        return BTreeMap::new();
    };
    let paths = rules.iter().filter_map(|rule| match &rule.pattern {
        PathPattern::Subtree(path) => Some(path),
        PathPattern::Glob(_) => None,
    });
    let found = paths.map(|path| (path.clone(), links_on(path)));
    found.filter(|(_, links)| !links.is_empty()).collect()
}

fn links_on(path: &AbsolutePath) -> Vec<AbsolutePath> {
    let mut links = Vec::new();
    let mut real = PathBuf::from("/");
    let mut rest = path.as_path().to_path_buf();
    loop {
        let mut components = rest.components();
        let Some(component) = components.next() else {
            return links;
        };
        let after = components.as_path().to_path_buf();
        match component {
            Component::RootDir => real = PathBuf::from("/"),
            Component::ParentDir => drop(real.pop()),
            Component::CurDir | Component::Prefix(_) => {}
            Component::Normal(name) => {
                let place = real.join(name);
                let target = fs::read_link(&place).ok();
                let Some(target) = target.filter(|_| links.len() < FOLLOWED) else {
                    real = place;
                    rest = after;
                    continue;
                };
                links.extend(AbsolutePath::new(&place));
                rest = target.join(after);
                continue;
            }
        }
        rest = after;
    }
}
