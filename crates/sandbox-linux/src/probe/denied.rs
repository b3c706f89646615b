//! What the deny rules name: what of it is there, and what gets a mount.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, io,
};

use foldhash::fast::RandomState;
use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, Firmness, PathPattern, PathRule, ReadAllow, ReadDeny,
};

use super::{
    ProbeError,
    lookup::{self, Found, Lookup},
    named, start_error, unexaminable, unless_out_of_reach,
    way::walk,
};
use crate::facts::{KnownPaths, PathFacts};

/// How many existing paths that are closed for writing get a mount each. Mounts take time at every
/// start, so more are left to the supervisor, which keeps every one of their names.
pub(super) const MOUNTED_WRITE_DENIES: usize = 64;

/// How many paths that are closed for writing are looked at before a start. Of a longer list the
/// supervisor looks for symlinks when it begins, before anything inside can change a name.
pub(super) const EXAMINED_WRITE_DENIES: usize = 512;

/// How many regular files that one author closes for reading get a mount each. Beyond this the supervisor is
/// asked about every open, which costs the running command something, so mounts may take longer first.
const MOUNTED_READ_DENIES: usize = 256;

/// What the deny rules name.
pub(super) struct Denied<'p> {
    policy: &'p FilesystemPolicy,
    inner: &'p [usize],
    pub(super) lookup: Lookup,
    pub(super) landings: BTreeMap<AbsolutePath, AbsolutePath>,
    pub(super) ways: Ways,
    roots: OnceCell<WriteRoots<'p>>,
    /// The directories above which everything is recorded: most rules of a list name neighbours.
    climbed: HashSet<Vec<u8>, RandomState>,
}

impl<'p> Denied<'p> {
    /// `inner` are the places in the list of the write roots that lie in others.
    pub(super) fn new(policy: &'p FilesystemPolicy, lookup: Lookup, inner: &'p [usize]) -> Self {
        Self {
            policy,
            inner,
            lookup,
            landings: BTreeMap::new(),
            ways: Ways::default(),
            roots: OnceCell::new(),
            climbed: HashSet::default(),
        }
    }

    /// Looks at the directories that a list's paths lie in. What they are themselves is seen only where
    /// symlinks lead there, and of one in each directory, which tells whether it can be looked into.
    pub(super) fn learn_directories(
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
        self.learn(rules.into_iter(), 0)
    }

    /// Looks the read denies up, those of each author by themselves: whoever writes thousands must not cost
    /// others their mounts. Returns whether opens have to be judged by their names.
    pub(super) fn learn_reads(&mut self, denies: &'p [ReadDeny]) -> Result<bool, ProbeError> {
        let mut lists: Vec<(Firmness, Vec<&PathRule>)> = Vec::new();
        for ReadDeny { rule, firmness } in denies {
            // Neighbours mostly have one author.
            match lists.iter_mut().rev().find(|(known, _)| known == firmness) {
                Some((_, list)) => list.push(rule),
                None => lists.push((*firmness, vec![rule])),
            }
        }
        let mut is_long = false;
        for (_, list) in lists {
            is_long |= self.learn_read_list(&list)?;
        }
        Ok(is_long)
    }

    /// Where there are more regular files than get a mount each they get none: opens of them are judged. All
    /// else has its mount, for what is done in a closed directory or with a closed socket is not all opens.
    /// Returns whether it came to that.
    fn learn_read_list(&mut self, rules: &[&'p PathRule]) -> Result<bool, ProbeError> {
        let mut files = Vec::new();
        let mut count = 0_usize;
        for rule in to_look_at(rules.iter().copied()) {
            let path = named(rule);
            let is_pattern = matches!(rule.pattern, PathPattern::Glob(_));
            if !is_pattern && count > MOUNTED_READ_DENIES && self.lookup.is_plain(path) {
                continue;
            }
            let found = unless_out_of_reach(self.lookup.find(path), self.policy, path);
            match found.map_err(|source| unexaminable(path, rule, source))? {
                Some(Found::There(found)) if found.canonical != *path => {
                    self.keep(rule, found, false)?;
                }
                // Where a glob begins matters only if symlinks lead there.
                Some(Found::There(_)) if is_pattern => {}
                Some(Found::There(found)) if self.lookup.found_regular_file() => {
                    count += 1;
                    if count <= MOUNTED_READ_DENIES {
                        files.push((rule, found));
                    }
                }
                Some(Found::There(found)) => self.keep(rule, found, false)?,
                Some(Found::Missing(Some(elsewhere))) => {
                    self.ways.add(path);
                    self.landings.insert(path.clone(), elsewhere);
                }
                Some(Found::Missing(None)) | None => {}
            }
        }
        let is_long = count > MOUNTED_READ_DENIES;
        if !is_long {
            for (rule, found) in files {
                self.keep(rule, found, false)?;
            }
        }
        Ok(is_long)
    }

    /// Looks a list up. If more of it than `limit` exists, only is recorded where symlinks lead elsewhere.
    pub(super) fn learn(
        &mut self,
        rules: impl Iterator<Item = &'p PathRule>,
        limit: usize,
    ) -> Result<(), ProbeError> {
        let mut existing = Vec::new();
        let mut straight = 0_usize;
        for rule in to_look_at(rules) {
            let path = named(rule);
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
                    self.ways.add(path);
                    self.landings.insert(path.clone(), elsewhere);
                }
                Some(Found::Missing(None)) | None => {}
            }
        }
        let is_long = straight > limit || existing.len() > limit;
        for (rule, found) in existing {
            self.keep(rule, found, is_long)?;
        }
        Ok(())
    }

    /// Records the directories between write roots and others in them: a deny of theirs may pin them.
    pub(super) fn learn_between_roots(&mut self) -> Result<(), ProbeError> {
        let paths = &self.lookup.paths;
        let roots = (self.roots).get_or_init(|| WriteRoots::new(self.policy, self.inner, paths));
        for ReadAllow { rule, .. } in &self.policy.allow_write {
            let path = named(rule);
            let Some(found) = self.lookup.paths.get(path) else {
                continue;
            };
            let places = [path, &found.canonical.clone()];
            learn_above(&mut self.lookup, &mut self.climbed, places, roots)
                .map_err(|source| start_error(path, source))?;
        }
        Ok(())
    }

    fn keep(&mut self, rule: &PathRule, found: PathFacts, is_long: bool) -> Result<(), ProbeError> {
        let path = named(rule);
        let canonical = found.canonical.clone();
        if canonical != *path {
            self.ways.add(path);
        }
        match &rule.pattern {
            PathPattern::Subtree(_) if !is_long => self.lookup.record(path, found),
            PathPattern::Subtree(_) if canonical == *path => return Ok(()),
            PathPattern::Subtree(_) | PathPattern::Glob(_) => {
                self.landings.insert(path.clone(), canonical.clone());
            }
        }
        let paths = &self.lookup.paths;
        let roots = (self.roots).get_or_init(|| WriteRoots::new(self.policy, self.inner, paths));
        let places = [path, &canonical];
        learn_above(&mut self.lookup, &mut self.climbed, places, roots)
            .map_err(|source| start_error(path, source))
    }
}

/// The symlinks that rules lead through.
#[derive(Default)]
pub(super) struct Ways {
    pub(super) links: BTreeSet<AbsolutePath>,
    directories: HashSet<AbsolutePath>,
}

impl Ways {
    /// Adds those of a path that leads elsewhere. What can't be walked is out of the command's sight as well.
    fn add(&mut self, path: &AbsolutePath) {
        let walked = |path: &AbsolutePath| walk(path.as_path()).map(|way| way.links);
        if let Some(directory) = path.parent()
            && self.directories.insert(directory.clone())
        {
            self.links.extend(walked(&directory).into_iter().flatten());
        }
        if fs::read_link(path.as_path()).is_ok() {
            self.links.extend(walked(path).into_iter().flatten());
        }
    }
}

/// The rules without the patterns that begin where the one before them does, as most of a list do.
fn to_look_at<'p>(rules: impl Iterator<Item = &'p PathRule>) -> impl Iterator<Item = &'p PathRule> {
    let mut latest = None;
    rules.filter(move |rule| match &rule.pattern {
        PathPattern::Subtree(_) => true,
        PathPattern::Glob(glob) => {
            let start = glob.static_prefix();
            latest.replace(start) != Some(start)
        }
    })
}

/// Records the directories between a write root and paths in it: they will be pinned.
fn learn_above(
    lookup: &mut Lookup,
    climbed: &mut HashSet<Vec<u8>, RandomState>,
    places: [&AbsolutePath; 2],
    roots: &WriteRoots<'_>,
) -> io::Result<()> {
    for place in places {
        let Some(directory) = place.byte_ancestors().nth(1) else {
            continue;
        };
        if climbed.contains(directory) {
            continue;
        }
        climbed.insert(directory.to_vec());
        for above in place.ancestors().skip(1) {
            if roots.hold(&above) {
                lookup.learn(&above)?;
            }
        }
    }
    Ok(())
}

/// The write roots, as written and where they are, but for those in others: what these hold, the outer ones do.
struct WriteRoots<'p> {
    places: HashSet<AbsolutePath, RandomState>,
    patterns: Vec<&'p PathPattern>,
}

impl<'p> WriteRoots<'p> {
    /// A write root's own place is known by now, also if a symlink leads to it.
    fn new(policy: &'p FilesystemPolicy, inner: &[usize], known: &KnownPaths) -> Self {
        let mut roots = Self {
            places: HashSet::default(),
            patterns: Vec::new(),
        };
        let mut inner = inner.iter().peekable();
        for (index, allow) in policy.allow_write.iter().enumerate() {
            if inner.next_if_eq(&&index).is_some() {
                continue;
            }
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
