//! Fills the facts: it only reads the host and changes nothing.

mod copies;
mod denied;
mod devices;
mod folding;
mod kernel_trees;
mod landed;
mod listing;
mod lookup;
mod missing;
mod roots;
mod sockets;
mod way;

use std::{fs, io, os::unix::fs::MetadataExt, path::PathBuf};

use rustix::thread::CapabilitySet;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, PathPattern, PathRule, Policy, ReadAllow};

pub use self::{copies::copied_places, kernel_trees::close_kernel_trees};
use self::{
    denied::{Denied, EXAMINED_WRITE_DENIES, MOUNTED_WRITE_DENIES},
    lookup::Lookup,
};
pub(crate) use self::{
    landed::{LandedWrites, landed_writes},
    listing::open_to_list,
    way::{is_out_of_reach, reachable_way},
};
use crate::{
    facts::{HostFacts, WriteLinks},
    plan::HOSTS,
    sys,
};

/// Why the host can't be probed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// A path that a rule names can't be examined, so its rule can't be enforced.
    #[error("cannot examine `{}` (named by {origin})", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The rule's origin.
        origin: String,
        /// The reason.
        source: io::Error,
    },
    /// The working directory or the home can't be examined.
    #[error("cannot examine `{}`", path.display())]
    Start {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A permissive run would need too many copies, and this directory would have none.
    #[error("cannot show a copy of `{}` besides {} other directories", path.display(), copies::MOST)]
    ManyCopies {
        /// The directory.
        path: PathBuf,
    },
    /// The process's capabilities can't be read.
    #[error("cannot read the process's capabilities")]
    CapabilitiesCall {
        /// The reason.
        source: io::Error,
    },
}

/// Gathers what a plan for this policy needs.
pub fn probe(
    whole: &Policy,
    working_directory: &AbsolutePath,
    home: Option<&AbsolutePath>,
) -> Result<HostFacts, ProbeError> {
    let policy = &whole.filesystem;
    let mut lookup = Lookup::default();
    let FilesystemPolicy {
        deny_read,
        allow_read,
        allow_write,
        deny_write,
        scratch,
        protected: _,
    } = policy;
    let mut inner_roots = roots::inner(policy, &mut lookup);
    let roots = allow_write.iter().enumerate();
    let roots = roots.filter(|(index, _)| inner_roots.binary_search(index).is_err());
    let roots = roots.map(|(_, root)| &root.rule);
    let allows = allow_read.iter().map(|allow| &allow.rule).chain(roots);
    for rule in allows.chain(scratch) {
        learn_allowed(&mut lookup, policy, rule)?;
    }
    let mut denied = Denied::new(policy, lookup, &inner_roots);
    let write_links = if deny_write.len() > EXAMINED_WRITE_DENIES {
        denied.learn_directories(deny_write.iter())?;
        denied.learn_between_roots()?;
        WriteLinks::LeftToSupervisor
    } else {
        denied.learn(deny_write.iter(), MOUNTED_WRITE_DENIES)?;
        WriteLinks::Known
    };
    let leaves_reads_open = denied.learn_reads(deny_read)?;
    let Denied {
        mut lookup,
        landings,
        ways,
        ..
    } = denied;
    // Where a symlink leads from a rule could be between two roots.
    if lookup.has_moved() || !landings.is_empty() {
        let rules = inner_roots
            .iter()
            .filter_map(|index| allow_write.get(*index));
        for ReadAllow { rule, .. } in rules {
            learn_allowed(&mut lookup, policy, rule)?;
        }
        inner_roots.clear();
    }
    let missing_roots = missing::roots(policy, &mut lookup, &inner_roots);
    let folding_roots = folding::roots(policy, &lookup.paths, &inner_roots);
    let working_directory = learn_start(&mut lookup, working_directory, policy)?;
    let home = home
        .map(|home| learn_start(&mut lookup, home, policy))
        .transpose()?;
    learn_own_trees(&mut lookup)?;
    let listed = sockets::listed(&whole.unix_sockets);
    Ok(HostFacts {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        maps_all_ids: maps_all_ids()?,
        landlock_abi: sys::landlock::abi(),
        working_directory,
        home,
        config_home: None,
        host_name: rustix::system::uname()
            .nodename()
            .to_str()
            .unwrap_or("localhost")
            .to_owned(),
        paths: lookup.paths,
        missing_roots,
        inner_roots,
        folding_roots,
        landings,
        deny_links: ways.links,
        datagram_sockets: listed.datagrams,
        known_sockets: listed.known,
        sockets: listed.landings,
        socket_links: listed.links,
        leaves_reads_open,
        write_links,
        devices: devices::devices(&whole.process.devices),
    })
}

fn learn_allowed(
    lookup: &mut Lookup,
    policy: &FilesystemPolicy,
    rule: &PathRule,
) -> Result<(), ProbeError> {
    let path = named(rule);
    let found = unless_out_of_reach(lookup.learn(path), policy, path);
    found
        .map(drop)
        .map_err(|source| unexaminable(path, rule, source))
}

/// Whether the ids of all users have a number inside.
fn maps_all_ids() -> Result<bool, ProbeError> {
    let capabilities =
        rustix::thread::capabilities(None).map_err(|errno| ProbeError::CapabilitiesCall {
            source: errno.into(),
        })?;
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    Ok(capabilities.effective.contains(needed))
}

fn start_error(path: &AbsolutePath, source: io::Error) -> ProbeError {
    ProbeError::Start {
        path: path.as_path().to_path_buf(),
        source,
    }
}

/// Records what the sandbox has its own of.
fn learn_own_trees(lookup: &mut Lookup) -> Result<(), ProbeError> {
    for name in ["/dev", "/proc", HOSTS] {
        let path = AbsolutePath::new(name).map_err(|source| ProbeError::Start {
            path: name.into(),
            source: io::Error::other(source),
        })?;
        lookup
            .learn(&path)
            .map_err(|source| start_error(&path, source))?;
    }
    Ok(())
}

/// Records a place that a command starts from; returns it without symlinks.
fn learn_start(
    lookup: &mut Lookup,
    path: &AbsolutePath,
    policy: &FilesystemPolicy,
) -> Result<AbsolutePath, ProbeError> {
    let found = unless_out_of_reach(lookup.learn(path), policy, path);
    let canonical = found.map_err(|source| start_error(path, source))?.flatten();
    Ok(canonical.unwrap_or_else(|| path.clone()))
}

fn unexaminable(path: &AbsolutePath, rule: &PathRule, source: io::Error) -> ProbeError {
    ProbeError::Path {
        path: path.as_path().to_path_buf(),
        origin: rule.origin.to_string(),
        source,
    }
}

/// The path that a rule names, or the directory that everything it can name lies in.
fn named(rule: &PathRule) -> &AbsolutePath {
    match &rule.pattern {
        PathPattern::Subtree(path) => path,
        PathPattern::Glob(glob) => glob.static_prefix(),
    }
}

/// Whether a place lies where the command may change modes: what the caller can't look at now, the
/// command could make visible. Places count, not spellings: either may lead through symlinks.
fn is_writable_place(policy: &FilesystemPolicy, path: &AbsolutePath) -> bool {
    let real = |path: &AbsolutePath| {
        let mut above = path.ancestors();
        above.find_map(|above| AbsolutePath::new(fs::canonicalize(above.as_path()).ok()?).ok())
    };
    let place = real(path);
    may_be_unlocked(path)
        && policy.allow_write.iter().any(|root| {
            let lands = match &root.rule.pattern {
                PathPattern::Subtree(root) => real(root)
                    .zip(place.as_ref())
                    .is_some_and(|(root, place)| place.is_within(&root)),
                PathPattern::Glob(_) => true,
            };
            lands || root.rule.pattern.opens(path).is_some()
        })
}

/// Whether the directory that keeps the caller from a place is the caller's own: others' modes nobody
/// inside can change (chmod(2)). What can't be told counts as such.
fn may_be_unlocked(path: &AbsolutePath) -> bool {
    let mut below = path.clone();
    for above in path.ancestors().skip(1) {
        if let Ok(found) = fs::metadata(above.as_path()) {
            // A name that can be looked at leads on through a symlink.
            let is_locked = fs::symlink_metadata(below.as_path())
                .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
            return !is_locked || found.uid() == rustix::process::geteuid().as_raw();
        }
        below = above;
    }
    true
}

/// What the caller can't look at, the command can't reach either, unless it may change modes there.
fn unless_out_of_reach<T>(
    result: io::Result<T>,
    policy: &FilesystemPolicy,
    path: &AbsolutePath,
) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && !is_writable_place(policy, path) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
