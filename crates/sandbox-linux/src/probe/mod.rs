//! Fills the facts: it only reads the host and changes nothing.

mod copies;
mod devices;
mod listing;
mod lookup;
mod sockets;

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use rustix::thread::CapabilitySet;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, PathPattern, PathRule, Policy};

pub use self::copies::copied_places;
use self::lookup::{Found, Lookup};
use crate::{
    facts::{FileIdentity, HostFacts, KnownPaths, MissingPath, PathFacts, WriteLinks},
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
    let allows = (allow_read.iter().chain(allow_write)).map(|allow| &allow.rule);
    for rule in allows.chain(scratch) {
        let path = named(rule);
        unless_out_of_reach(lookup.learn(path), policy, path)
            .map_err(|source| unexaminable(path, rule, source))?;
    }
    let mut denied = Denied::new(policy, lookup);
    let write_links = if deny_write.len() > EXAMINED_WRITE_DENIES {
        denied.learn_directories(deny_write.iter())?;
        WriteLinks::LeftToSupervisor
    } else {
        denied.learn(deny_write.iter(), MOUNTED_WRITE_DENIES)?;
        WriteLinks::Known
    };
    let reads = deny_read.iter().map(|deny| &deny.rule);
    let leaves_reads_open = denied.learn(reads, MOUNTED_READ_DENIES)?;
    let Denied {
        mut lookup,
        landings,
        ..
    } = denied;
    let missing_roots = missing_roots(&lookup.paths, policy);
    let working_directory = learn_start(&mut lookup, working_directory, policy)?;
    let home = home
        .map(|home| learn_start(&mut lookup, home, policy))
        .transpose()?;
    for name in ["/dev", "/proc", HOSTS] {
        let path = AbsolutePath::new(name).map_err(|source| ProbeError::Start {
            path: name.into(),
            source: io::Error::other(source),
        })?;
        lookup
            .learn(&path)
            .map_err(|source| start_error(&path, source))?;
    }
    let maps_all_ids = maps_all_ids()?;
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
        paths: lookup.paths,
        missing_roots,
        landings,
        datagram_sockets: sockets::datagram_sockets(&whole.unix_sockets),
        sockets: sockets::landings(&whole.unix_sockets),
        socket_links: sockets::links(&whole.unix_sockets),
        leaves_reads_open,
        write_links,
        devices: devices::devices(&whole.process.devices),
    })
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

/// How many existing paths that are closed for writing get a mount each. Mounts take time at every
/// start, so more are left to the supervisor, which keeps every one of their names.
const MOUNTED_WRITE_DENIES: usize = 64;

/// How many paths that are closed for writing are looked at before a start. Of a longer list the
/// supervisor looks for symlinks when it begins, before anything inside can change a name.
const EXAMINED_WRITE_DENIES: usize = 512;

/// As above, for paths that are closed for reading. Beyond this the supervisor is asked about every
/// open, which costs the running command something, so mounts may take longer first.
const MOUNTED_READ_DENIES: usize = 256;

/// What the deny rules name.
struct Denied<'p> {
    policy: &'p FilesystemPolicy,
    lookup: Lookup,
    landings: BTreeMap<AbsolutePath, AbsolutePath>,
    roots: OnceCell<WriteRoots<'p>>,
}

impl<'p> Denied<'p> {
    fn new(policy: &'p FilesystemPolicy, lookup: Lookup) -> Self {
        Self {
            policy,
            lookup,
            landings: BTreeMap::new(),
            roots: OnceCell::new(),
        }
    }

    /// Looks at the directories that a list's paths lie in. What they are themselves is seen only where
    /// symlinks lead there, and of one in each directory, which tells whether it can be looked into.
    fn learn_directories(
        &mut self,
        rules: impl Iterator<Item = &'p PathRule>,
    ) -> Result<(), ProbeError> {
        let mut latest: Option<(&[u8], bool)> = None;
        let mut seen = HashSet::new();
        let rules = rules.filter(|rule| {
            let PathPattern::Subtree(path) = &rule.pattern else {
                return true;
            };
            let directory = lookup::directory(path);
            if let Some((known, is_behind_link)) = latest
                && known == directory
            {
                return is_behind_link;
            }
            let is_behind_link = self.lookup.is_behind_link(directory);
            latest = Some((directory, is_behind_link));
            seen.insert(directory) || is_behind_link
        });
        let rules: Vec<_> = rules.collect();
        self.learn(rules.into_iter(), 0).map(drop)
    }

    /// Looks a list up. Returns whether more of it than `limit` exists: then only is recorded where
    /// symlinks lead elsewhere.
    fn learn(
        &mut self,
        rules: impl Iterator<Item = &'p PathRule>,
        limit: usize,
    ) -> Result<bool, ProbeError> {
        let mut existing = Vec::new();
        let mut straight = 0_usize;
        let mut latest = None;
        for rule in rules {
            let path = named(rule);
            // Patterns mostly begin where their neighbours do.
            let is_pattern = matches!(rule.pattern, PathPattern::Glob(_));
            if is_pattern && latest.replace(path) == Some(path) {
                continue;
            }
            // Of the rest only matters where symlinks lead.
            if straight > limit && self.lookup.is_no_link(path) {
                continue;
            }
            let found = unless_out_of_reach(self.lookup.find(path), self.policy, path);
            match found.map_err(|source| unexaminable(path, rule, source))? {
                Some(Found::There(found)) if found.canonical != *path => {
                    existing.push((rule, found));
                }
                Some(Found::There(found)) => {
                    // Where a glob begins matters only if symlinks lead there.
                    if let PathPattern::Subtree(_) = &rule.pattern {
                        straight = straight.saturating_add(1);
                        if straight <= limit {
                            existing.push((rule, found));
                        }
                    }
                }
                Some(Found::Missing(Some(elsewhere))) => {
                    self.landings.insert(path.clone(), elsewhere);
                }
                Some(Found::Missing(None)) | None => {}
            }
        }
        let is_long = straight > limit || existing.len() > limit;
        for (rule, found) in existing {
            self.keep(rule, found, is_long)?;
        }
        Ok(is_long)
    }

    fn keep(&mut self, rule: &PathRule, found: PathFacts, is_long: bool) -> Result<(), ProbeError> {
        let path = named(rule);
        let canonical = found.canonical.clone();
        match &rule.pattern {
            PathPattern::Subtree(_) if !is_long => self.lookup.record(path, found),
            PathPattern::Subtree(_) if canonical == *path => return Ok(()),
            PathPattern::Subtree(_) | PathPattern::Glob(_) => {
                self.landings.insert(path.clone(), canonical.clone());
            }
        }
        let paths = &self.lookup.paths;
        let roots = (self.roots).get_or_init(|| WriteRoots::new(self.policy, paths));
        learn_above(&mut self.lookup, path, &canonical, roots)
            .map_err(|source| start_error(path, source))
    }
}

/// Records the directories between a write root and a path in it: they will be pinned.
fn learn_above(
    lookup: &mut Lookup,
    path: &AbsolutePath,
    canonical: &AbsolutePath,
    roots: &WriteRoots<'_>,
) -> io::Result<()> {
    for place in [path, canonical] {
        for above in place.ancestors().skip(1) {
            if roots.hold(&above) {
                lookup.learn(&above)?;
            }
        }
    }
    Ok(())
}

/// The write roots, as written and where they are.
struct WriteRoots<'p> {
    places: HashSet<AbsolutePath>,
    patterns: Vec<&'p PathPattern>,
}

impl<'p> WriteRoots<'p> {
    /// A write root's own place is known by now, also if a symlink leads to it.
    fn new(policy: &'p FilesystemPolicy, known: &KnownPaths) -> Self {
        let mut roots = Self {
            places: HashSet::new(),
            patterns: Vec::new(),
        };
        for allow in &policy.allow_write {
            match &allow.rule.pattern {
                PathPattern::Subtree(root) => {
                    let found = known.get(root).map(|found| found.canonical.clone());
                    roots.places.extend(found);
                    roots.places.insert(root.clone());
                }
                pattern @ PathPattern::Glob(_) => roots.patterns.push(pattern),
            }
        }
        roots
    }

    fn hold(&self, path: &AbsolutePath) -> bool {
        path.ancestors().any(|above| self.places.contains(&above))
            || self.patterns.iter().any(|root| root.opens(path).is_some())
    }
}

/// The rules for the places that symlinks among a policy's write denies lead to. What can't be looked at
/// is passed over: nothing inside has more rights than who asks, so it does not get there either.
pub(crate) fn landed_write_denies(policy: &FilesystemPolicy) -> Vec<PathRule> {
    let mut lookup = Lookup::default();
    let mut landed = Vec::new();
    for rule in &policy.deny_write {
        let PathPattern::Subtree(path) = &rule.pattern else {
            continue;
        };
        let place = match lookup.find(path) {
            Ok(Found::There(found)) => Some(found.canonical).filter(|place| place != path),
            Ok(Found::Missing(elsewhere)) => elsewhere,
            Err(_unknown) => None,
        };
        landed.extend(place.map(|place| PathRule {
            pattern: PathPattern::Subtree(place),
            origin: rule.origin.clone(),
        }));
    }
    landed
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
    paths: &KnownPaths,
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

#[cfg(test)]
mod tests;
