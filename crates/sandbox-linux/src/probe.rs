//! Fills the facts: it only reads the host and changes nothing.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::thread::CapabilitySet;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, Glob, PathPattern, PathRule};

use crate::{
    facts::{FileIdentity, GlobMatches, HostFacts, PathFacts, PathKind},
    plan::HOSTS,
    sys::{self, Errno},
};

/// Entries that a glob's walk may visit: a start must not take as long as a search of the disk.
const WALK_LIMIT: usize = 200_000;

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
    /// A glob covers more than can be looked at.
    #[error(
        "`{pattern}` covers more than {WALK_LIMIT} entries: name a smaller directory (from {origin})"
    )]
    GlobTooLarge {
        /// The pattern.
        pattern: String,
        /// The rule's origin.
        origin: String,
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
    let mut glob_matches = Vec::new();
    let FilesystemPolicy {
        deny_read,
        allow_read,
        allow_write,
        deny_write,
        scratch,
    } = policy;
    let denies = || deny_read.iter().map(|deny| &deny.rule).chain(deny_write);
    let allows = (allow_read.iter().chain(allow_write)).map(|allow| &allow.rule);
    for rule in denies().chain(allows).chain(scratch) {
        if let PathPattern::Subtree(path) = &rule.pattern {
            unless_out_of_reach(learn(&mut paths, path), policy, path)
                .map_err(|source| unexaminable(path, rule, source))?;
        }
    }
    for rule in denies() {
        let PathPattern::Glob(glob) = &rule.pattern else {
            continue;
        };
        let found = walk(glob, rule, policy)?;
        for path in &found {
            learn(&mut paths, path).map_err(|source| unexaminable(path, rule, source))?;
        }
        glob_matches.push(GlobMatches {
            pattern: rule.pattern.clone(),
            paths: found,
        });
    }
    let literals = denies().filter_map(|rule| match &rule.pattern {
        PathPattern::Subtree(path) => Some(path),
        PathPattern::Glob(_) => None,
    });
    let matched = glob_matches
        .iter()
        .flat_map(|found: &GlobMatches| &found.paths);
    for path in literals.chain(matched) {
        learn_above(&mut paths, path, policy).map_err(|source| start_error(path, source))?;
    }
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
        glob_matches,
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

/// Symlinks to directories that a walk follows on one way; more are a loop.
const LINK_LIMIT: usize = 16;

/// The shallowest existing paths that a glob matches, by their names: symlinks to directories are
/// followed, since the command could use the same names.
fn walk(
    glob: &Glob,
    rule: &PathRule,
    policy: &FilesystemPolicy,
) -> Result<Vec<AbsolutePath>, ProbeError> {
    let mut matches = Vec::new();
    let start = [glob.static_prefix().clone(), glob.literal().clone()];
    let mut waiting: Vec<_> = start.map(|path| (path, 0)).into();
    let mut visited = 0_usize;
    while let Some((path, links)) = waiting.pop() {
        visited += 1;
        if visited > WALK_LIMIT || links > LINK_LIMIT {
            return Err(ProbeError::GlobTooLarge {
                pattern: glob.to_string(),
                origin: rule.origin.to_string(),
            });
        }
        let unexaminable = |source| unexaminable(&path, rule, source);
        let Some(found) = examine(&path, policy).map_err(unexaminable)? else {
            continue;
        };
        if glob.matches(&path) {
            matches.push(path);
        } else if found.is_directory && !is_kernel_tree(path.as_path()) {
            let links = links + usize::from(found.is_link);
            let entries = unless_out_of_reach(entries(&path), policy, &path);
            let entries = entries.map_err(unexaminable)?.into_iter().flatten();
            waiting.extend(entries.map(|entry| (entry, links)));
        }
    }
    matches.sort();
    matches.dedup();
    Ok(matches)
}

/// Whether a symlink leads back to a directory that it lies in: what is there has been seen by a
/// shorter name, and is closed by where it really is.
fn is_above(link: &AbsolutePath, landing: &fs::Metadata) -> bool {
    let same = |above: &AbsolutePath| {
        fs::metadata(above.as_path())
            .is_ok_and(|above| (above.dev(), above.ino()) == (landing.dev(), landing.ino()))
    };
    link.ancestors().skip(1).any(|above| same(&above))
}

/// What a walk needs to know of an entry.
struct Examined {
    is_link: bool,
    is_directory: bool,
}

fn examine(path: &AbsolutePath, policy: &FilesystemPolicy) -> io::Result<Option<Examined>> {
    let present = |metadata: io::Result<fs::Metadata>| match metadata {
        Ok(metadata) => Ok(Some(metadata)),
        // A symlink that leads round in circles leads nowhere.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => Ok(None),
        Err(error) => absent(error).map(|()| None),
    };
    let own = present(fs::symlink_metadata(path.as_path()));
    let Some(own) = unless_out_of_reach(own, policy, path)?.flatten() else {
        return Ok(None);
    };
    let is_link = own.is_symlink();
    let is_directory = if is_link {
        let landing = present(fs::metadata(path.as_path()));
        let landing = unless_out_of_reach(landing, policy, path)?.flatten();
        landing.is_some_and(|landing| landing.is_dir() && !is_above(path, &landing))
    } else {
        own.is_dir()
    };
    Ok(Some(Examined {
        is_link,
        is_directory,
    }))
}

/// Trees that hold no files of anybody.
fn is_kernel_tree(path: &Path) -> bool {
    ["/proc", "/sys", "/dev"]
        .iter()
        .any(|tree| path == Path::new(tree))
}

fn entries(directory: &AbsolutePath) -> io::Result<Vec<AbsolutePath>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory.as_path())? {
        let path = directory.join(entry?.file_name());
        entries.push(path.map_err(io::Error::other)?);
    }
    Ok(entries)
}
