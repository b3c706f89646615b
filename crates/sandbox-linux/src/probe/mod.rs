//! Fills the facts: it only reads the host and changes nothing.

mod copies;
mod devices;
mod landed;
mod listing;
mod lookup;
mod roots;
mod sockets;

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use rustix::thread::CapabilitySet;
use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, PathPattern, PathRule, Policy, ReadAllow, ReadDeny,
    UnixSocketPolicy,
};

pub use self::copies::copied_places;
use self::lookup::{Found, Lookup};
pub(crate) use self::{
    landed::{landed_reads, landed_writes},
    listing::open_to_list,
};
use crate::{
    facts::{DeniedLinks, FileIdentity, HostFacts, KnownPaths, MissingPath, PathFacts},
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
    let mut denied = Denied::new(policy, lookup);
    let write_links = if deny_write.len() > EXAMINED_WRITE_DENIES {
        denied.learn_directories(deny_write.iter())?;
        DeniedLinks::LeftToSupervisor
    } else {
        denied.learn(deny_write.iter(), MOUNTED_WRITE_DENIES)?;
        DeniedLinks::Known
    };
    // What a deny closes decides about a listed socket before the start.
    let lists_sockets = matches!(whole.unix_sockets, UnixSocketPolicy::Listed(_));
    let (leaves_reads_open, read_links) = denied.learn_reads(deny_read, lists_sockets)?;
    let Denied {
        mut lookup,
        landings,
        ..
    } = denied;
    // Where a symlink leads from a rule could be between two roots.
    if lookup.has_moved() || !landings.is_empty() {
        let looked_at = std::mem::take(&mut inner_roots);
        let rules = looked_at.iter().filter_map(|index| allow_write.get(*index));
        for ReadAllow { rule, .. } in rules {
            learn_allowed(&mut lookup, policy, rule)?;
        }
    }
    let missing_roots = missing_roots(&lookup.paths, policy, &inner_roots);
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
    let listed = sockets::listed(&whole.unix_sockets);
    Ok(HostFacts {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        maps_all_ids: maps_all_ids()?,
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
        inner_roots,
        landings,
        datagram_sockets: listed.datagrams,
        known_sockets: listed.known,
        sockets: listed.landings,
        socket_links: listed.links,
        leaves_reads_open,
        read_links,
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

    /// Looks read denies up until more of them exist than get a mount each. From then on every open is
    /// judged by its name, and who judges looks for symlinks among the rest: that takes as long as half a
    /// start. Returns whether it came to that, and whether symlinks were left.
    fn learn_reads(
        &mut self,
        denies: &'p [ReadDeny],
        looks_at_all: bool,
    ) -> Result<(bool, DeniedLinks), ProbeError> {
        let mut rules = denies.iter().map(|deny| &deny.rule);
        let most = if looks_at_all {
            usize::MAX
        } else {
            MOUNTED_READ_DENIES
        };
        let is_long = self.learn_some(&mut rules, MOUNTED_READ_DENIES, most)?;
        if rules.len() == 0 {
            return Ok((is_long, DeniedLinks::Known));
        }
        self.learn_directories(rules)?;
        Ok((is_long, DeniedLinks::LeftToSupervisor))
    }

    /// Looks a list up. Returns whether more of it than `limit` exists: then only is recorded where
    /// symlinks lead elsewhere.
    fn learn(
        &mut self,
        mut rules: impl Iterator<Item = &'p PathRule>,
        limit: usize,
    ) -> Result<bool, ProbeError> {
        self.learn_some(&mut rules, limit, usize::MAX)
    }

    /// The same for the first of a list, until more than `most` were found.
    fn learn_some(
        &mut self,
        rules: &mut impl Iterator<Item = &'p PathRule>,
        limit: usize,
        most: usize,
    ) -> Result<bool, ProbeError> {
        let mut existing = Vec::new();
        let mut straight = 0_usize;
        let mut latest = None;
        while straight <= most
            && let Some(rule) = rules.next()
        {
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
    inner: &[usize],
) -> BTreeMap<AbsolutePath, MissingPath> {
    let roots = policy.allow_write.iter().enumerate();
    let roots = roots.filter(|(index, _)| inner.binary_search(index).is_err());
    let missing = roots.filter_map(|(_, root)| match &root.rule.pattern {
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
