//! What decides about later runs: the user's own settings and the trust store, with the symlinks on the way to
//! them. Nothing that runs inside may change these.
//!
//! A later run looks by the same names, so the names count, not only what they lead to now: a home that is a
//! symlink must not be exchanged for a directory without settings.

use std::{collections::HashMap, convert::Infallible, fs, path::Path};

use sandbox_policy::{
    AbsolutePath, FilesystemPolicy, Origin, PathPattern, PathRule, ReadAllow, Way,
};

use super::{Candidate, Sources, real_place};

/// Paths that commands must leave alone.
#[derive(Debug)]
pub(crate) struct Guarded {
    /// Files and directories, by their names and where they are, whether or not they are there yet.
    places: Vec<AbsolutePath>,
    /// The symlinks on the way. What else these lead to is open.
    links: Vec<AbsolutePath>,
}

impl Guarded {
    /// `named` has the places as the user and the environment name them, `candidates` are below the real ones.
    /// Files of a project are guarded by their content's hash.
    pub(super) fn new(
        named: &Sources,
        home: Option<&AbsolutePath>,
        candidates: &[Candidate],
    ) -> Self {
        let mut guarded = Self {
            places: Vec::new(),
            links: Vec::new(),
        };
        for candidate in candidates {
            if !candidate.layer.comes_with_project() {
                guarded.add(&candidate.path);
            }
        }
        let flat = home.and_then(|home| home.join(".srt-settings.json").ok());
        for path in flat.iter().chain(&named.trust_store) {
            guarded.add(path.as_path());
        }
        // The files above were looked for in the real home.
        if let Some(named) = &named.home
            && home != Some(named)
        {
            guarded.add_links(walk(named.as_path()).links);
        }
        guarded
    }

    /// The name, by its real place, and what it leads to: replacing either changes what a later run reads.
    fn add(&mut self, path: &Path) {
        let above = path.parent().map(walk).unwrap_or_default();
        let name = above.end.zip(path.file_name());
        let name = name.and_then(|(above, name)| above.join(name).ok());
        match name {
            Some(name) if fs::read_link(name.as_path()).is_err() => {
                self.add_place(name);
                self.add_links(above.links);
            }
            name => {
                let way = walk(path);
                way.end
                    .into_iter()
                    .chain(name)
                    .for_each(|place| self.add_place(place));
                self.add_links(way.links);
            }
        }
    }

    fn add_place(&mut self, place: AbsolutePath) {
        // Each is asked about with all rules, so none is twice.
        if !self.places.contains(&place) {
            self.places.push(place);
        }
    }

    fn add_links(&mut self, links: Vec<AbsolutePath>) {
        for link in links {
            if !self.links.contains(&link) && !is_of_system(&link) {
                self.links.push(link);
            }
        }
    }

    /// Adds the rules to those of the settings.
    pub(crate) fn close(&self, rules: &mut FilesystemPolicy) {
        let leaves_places = guard_in_many(rules, &self.places, &DECIDES);
        if !leaves_places && self.links.is_empty() {
            return;
        }
        in_real_roots(rules, |rules| {
            if leaves_places {
                for place in &self.places {
                    rules.guard(place, DECIDES);
                }
            }
            for link in &self.links {
                let origin =
                    Origin::BuiltIn("this symlink leads to what decides what later runs may do");
                rules.guard_link(link, origin);
            }
        });
    }
}

/// Where a path leads; what is out of sight counts as no link.
fn walk(path: &Path) -> Way {
    let look = |place: &AbsolutePath| Ok::<_, Infallible>(fs::read_link(place.as_path()).ok());
    let Ok(way) = Way::walk(path, look);
    way
}

/// Whether nobody can replace a link: the root directory of macOS is on a sealed volume, and its `/tmp`, `/var`
/// and `/etc` are known to be links.
fn is_of_system(link: &AbsolutePath) -> bool {
    cfg!(target_os = "macos") && link.depth() == 1
}

/// Denies writing a real path where a write root would permit it, by its own name or behind a symlink.
pub fn guard(rules: &mut FilesystemPolicy, path: &AbsolutePath, origin: Origin) {
    if guard_in_many(rules, std::slice::from_ref(path), &origin) {
        in_real_roots(rules, |rules| rules.guard(path, origin));
    }
}

const DECIDES: Origin = Origin::BuiltIn("it decides what later runs may do");

/// Where the write roots are many, denies writing the places without a look at where each root leads. Returns
/// whether that is left to be done.
fn guard_in_many(rules: &mut FilesystemPolicy, places: &[AbsolutePath], origin: &Origin) -> bool {
    let is_many = rules.allow_write.len() > LOOKED_AT;
    if is_many {
        for place in places {
            rules.guard_anyway(place, origin.clone());
        }
    }
    !is_many
}

/// So many write roots are looked at.
const LOOKED_AT: usize = 64;

/// Does something while the write roots are also where their symlinks lead.
fn in_real_roots(rules: &mut FilesystemPolicy, work: impl FnOnce(&mut FilesystemPolicy)) {
    let written = rules.allow_write.len();
    let landed = landed(&rules.allow_write);
    rules.allow_write.extend(landed);
    work(rules);
    rules.allow_write.truncate(written);
}

/// The write roots that symlinks lead elsewhere, there.
fn landed(roots: &[ReadAllow]) -> Vec<ReadAllow> {
    let mut directories: HashMap<AbsolutePath, AbsolutePath> = HashMap::new();
    let moved = roots.iter().filter_map(|ReadAllow { rule, layer }| {
        let PathPattern::Subtree(path) = &rule.pattern else {
            return None;
        };
        let parent = path.parent()?;
        let name = path.as_path().file_name()?;
        let parent = directories.entry(parent).or_insert_with_key(real_place);
        let mut place = parent.join(name).ok()?;
        if fs::read_link(place.as_path()).is_ok() {
            place = real_place(&place);
        }
        (place != *path).then(|| ReadAllow {
            rule: PathRule {
                pattern: PathPattern::Subtree(place),
                origin: rule.origin.clone(),
            },
            layer: *layer,
        })
    });
    moved.collect()
}
