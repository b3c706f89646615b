//! Fills the facts: it only reads the host and changes nothing.

use std::{collections::BTreeMap, fs, io, os::unix::fs::MetadataExt, path::PathBuf};

use rustix::thread::CapabilitySet;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, PathPattern, PathRule};

use crate::{
    facts::{FileIdentity, HostFacts, MissingPath, PathFacts, PathKind},
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
    /// The process's capabilities can't be read.
    #[error("cannot read the process's capabilities")]
    CapabilitiesCall {
        /// The reason.
        source: io::Error,
    },
}

/// Gathers what a plan for this policy needs.
pub fn probe(
    policy: &FilesystemPolicy,
    working_directory: &AbsolutePath,
    home: Option<&AbsolutePath>,
) -> Result<HostFacts, ProbeError> {
    let mut paths = BTreeMap::new();
    let FilesystemPolicy {
        deny_read,
        allow_read,
        allow_write,
        deny_write,
        scratch,
        protected: _,
    } = policy;
    let denies = || deny_read.iter().map(|deny| &deny.rule).chain(deny_write);
    let allows = (allow_read.iter().chain(allow_write)).map(|allow| &allow.rule);
    for rule in denies().chain(allows).chain(scratch) {
        let path = match &rule.pattern {
            PathPattern::Subtree(path) => path,
            PathPattern::Glob(glob) => glob.static_prefix(),
        };
        unless_out_of_reach(learn(&mut paths, path), policy, path)
            .map_err(|source| unexaminable(path, rule, source))?;
    }
    let literals = denies().filter_map(|rule| match &rule.pattern {
        PathPattern::Subtree(path) => Some(path),
        PathPattern::Glob(_) => None,
    });
    for path in literals {
        learn_above(&mut paths, path, policy).map_err(|source| start_error(path, source))?;
    }
    let missing_roots = missing_roots(&paths, policy);
    let working_directory = learn_start(&mut paths, working_directory, policy)?;
    let home = home
        .map(|home| learn_start(&mut paths, home, policy))
        .transpose()?;
    for name in ["/dev", "/proc", HOSTS] {
        let path = AbsolutePath::new(name).map_err(|source| ProbeError::Start {
            path: name.into(),
            source: io::Error::other(source),
        })?;
        learn(&mut paths, &path).map_err(|source| start_error(&path, source))?;
    }
    let capabilities =
        rustix::thread::capabilities(None).map_err(|errno| ProbeError::CapabilitiesCall {
            source: errno.into(),
        })?;
    let maps_all_ids = capabilities
        .effective
        .contains(CapabilitySet::SETUID | CapabilitySet::SETGID);
    Ok(HostFacts {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        maps_all_ids,
        landlock_abi: sys::landlock::abi(),
        working_directory,
        home,
        host_name: rustix::system::uname()
            .nodename()
            .to_str()
            .unwrap_or("localhost")
            .to_owned(),
        paths,
        missing_roots,
    })
}

fn start_error(path: &AbsolutePath, source: io::Error) -> ProbeError {
    ProbeError::Start {
        path: path.as_path().to_path_buf(),
        source,
    }
}

/// Records a place that a command starts from; returns it without symlinks.
fn learn_start(
    paths: &mut BTreeMap<AbsolutePath, PathFacts>,
    path: &AbsolutePath,
    policy: &FilesystemPolicy,
) -> Result<AbsolutePath, ProbeError> {
    let found = unless_out_of_reach(learn(paths, path), policy, path);
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

/// Records what is at a path, and at the place that its symlinks lead to. Returns that place.
fn learn(
    paths: &mut BTreeMap<AbsolutePath, PathFacts>,
    path: &AbsolutePath,
) -> io::Result<Option<AbsolutePath>> {
    if let Some(known) = paths.get(path) {
        return Ok(Some(known.canonical.clone()));
    }
    let canonical = match fs::canonicalize(path.as_path()) {
        Ok(canonical) => canonical,
        Err(error) => return absent(error).map(|()| None),
    };
    let metadata = match fs::metadata(&canonical) {
        Ok(metadata) => metadata,
        Err(error) => return absent(error).map(|()| None),
    };
    let canonical = AbsolutePath::new(&canonical).map_err(io::Error::other)?;
    let kind = if metadata.is_dir() {
        PathKind::Directory
    } else {
        PathKind::File
    };
    let identity = FileIdentity {
        device: metadata.dev(),
        inode: metadata.ino(),
    };
    let found = PathFacts {
        canonical: canonical.clone(),
        kind,
        identity,
    };
    paths.insert(canonical.clone(), found.clone());
    paths.insert(path.clone(), found);
    Ok(Some(canonical))
}

/// Records the directories between a write root and a path in it: they will be pinned.
fn learn_above(
    paths: &mut BTreeMap<AbsolutePath, PathFacts>,
    path: &AbsolutePath,
    policy: &FilesystemPolicy,
) -> io::Result<()> {
    let Some(found) = paths.get(path) else {
        return Ok(());
    };
    let places = [path.clone(), found.canonical.clone()];
    let is_inside = |path: &AbsolutePath| {
        policy
            .allow_write
            .iter()
            .any(|root| root.rule.pattern.opens(path).is_some())
    };
    // A write root's own place is known by now, also if a symlink leads to it.
    let roots: Vec<_> = policy
        .allow_write
        .iter()
        .filter_map(|root| match &root.rule.pattern {
            PathPattern::Subtree(root) => paths.get(root).map(|found| found.canonical.clone()),
            PathPattern::Glob(_) => None,
        })
        .collect();
    for place in &places {
        for above in place.ancestors().skip(1) {
            if is_inside(&above) || roots.iter().any(|root| above.is_within(root)) {
                learn(paths, &above)?;
            }
        }
    }
    Ok(())
}

/// What does not exist has no facts; any other error is one.
fn absent(error: io::Error) -> io::Result<()> {
    let is_absence = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    );
    if is_absence { Ok(()) } else { Err(error) }
}

/// Whether a place lies where the command may change modes: what the caller can't look at now, the
/// command could make visible. Places count, not spellings: either may lead through symlinks.
fn is_writable_place(policy: &FilesystemPolicy, path: &AbsolutePath) -> bool {
    let real = |path: &AbsolutePath| {
        let mut above = path.ancestors();
        above.find_map(|above| AbsolutePath::new(fs::canonicalize(above.as_path()).ok()?).ok())
    };
    let place = real(path);
    policy.allow_write.iter().any(|root| {
        let lands = match &root.rule.pattern {
            PathPattern::Subtree(root) => real(root)
                .zip(place.as_ref())
                .is_some_and(|(root, place)| place.is_within(&root)),
            PathPattern::Glob(_) => true,
        };
        lands || root.rule.pattern.opens(path).is_some()
    })
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

/// Where the write roots would be that do not exist. A dangling symlink is no place.
fn missing_roots(
    paths: &BTreeMap<AbsolutePath, PathFacts>,
    policy: &FilesystemPolicy,
) -> BTreeMap<AbsolutePath, MissingPath> {
    let roots = policy.allow_write.iter().map(|root| &root.rule.pattern);
    let missing = roots.filter_map(|pattern| match pattern {
        PathPattern::Subtree(path) if !paths.contains_key(path) => Some(path),
        PathPattern::Subtree(_) | PathPattern::Glob(_) => None,
    });
    let placed = missing.filter_map(|path| {
        let is_link = fs::symlink_metadata(path.as_path()).is_ok();
        (!is_link).then(|| Some((path.clone(), place_of_missing(path)?)))?
    });
    placed.collect()
}

fn place_of_missing(path: &AbsolutePath) -> Option<MissingPath> {
    let mut above = path.ancestors().skip(1);
    let (written, place) = above.find_map(|above| {
        let place = fs::canonicalize(above.as_path()).ok()?;
        Some((above, AbsolutePath::new(place).ok()?))
    })?;
    let metadata = fs::metadata(place.as_path()).ok()?;
    let rest = path.as_path().strip_prefix(written.as_path()).ok()?;
    let canonical = AbsolutePath::new(place.as_path().join(rest)).ok()?;
    metadata.is_dir().then_some(MissingPath {
        canonical,
        above: place,
        identity: FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
        },
    })
}
