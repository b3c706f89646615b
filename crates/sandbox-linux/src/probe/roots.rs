//! Write roots in others: where no rule lies between, the outer one's mount is theirs too.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, Glob, LayerId, PathPattern, PathRule};

use super::{copies::MOST, lookup::Lookup};

/// As many roots as may as well be looked at one by one. A permissive run has no more, and needs a look
/// at each of its own.
const FEW: usize = MOST;

/// So many globs are asked about each root.
const FEW_GLOBS: usize = 16;

/// The write roots that need neither a look at what is there nor a mount, by their places in the list,
/// ascending.
///
/// Such a root lies in another one of the same layer, and is named by nothing else, nor is anything between
/// the two: what reads and writes mean at the outer one, they mean at the inner one. Neither it nor
/// anything above it is a symlink. Whether it exists does not matter then: it can be made and removed
/// by way of the outer one.
pub(super) fn inner(policy: &FilesystemPolicy, lookup: &mut Lookup) -> Vec<usize> {
    let FilesystemPolicy {
        deny_read,
        allow_read,
        allow_write,
        deny_write,
        scratch,
        protected: _,
    } = policy;
    if allow_write.len() <= FEW {
        return Vec::new();
    }
    let others = (deny_read.iter().map(|deny| &deny.rule))
        .chain(allow_read.iter().map(|allow| &allow.rule))
        .chain(deny_write)
        .chain(scratch);
    let Some(others) = Others::new(others) else {
        return Vec::new();
    };
    let literals = allow_write.iter().enumerate();
    let literals =
        literals.filter_map(|(index, root)| Some((index, literal(&root.rule)?, root.layer)));
    let around = around(literals.clone().map(|(_, path, _)| path));
    let outer = literals
        .clone()
        .map(|(_, path, layer)| (path.as_bytes(), layer));
    let outer: HashMap<_, _, RandomState> =
        outer.filter(|(path, _)| around.contains(path)).collect();
    let mut above = Above::default();
    let inner = literals.filter(|(_, path, layer)| {
        !others.name(path)
            && above.layer(path, &outer, &others) == Some(*layer)
            && lookup.is_no_link(path)
    });
    inner.map(|(index, ..)| index).collect()
}

fn literal(rule: &PathRule) -> Option<&AbsolutePath> {
    match &rule.pattern {
        PathPattern::Subtree(path) => Some(path),
        PathPattern::Glob(_) => None,
    }
}

/// Everything above some paths.
fn around<'p>(paths: impl Iterator<Item = &'p AbsolutePath>) -> HashSet<&'p [u8], RandomState> {
    let mut around = HashSet::default();
    let mut latest = None;
    for path in paths {
        let mut above = path.byte_ancestors().skip(1);
        // Neighbours in a list are mostly neighbours in the tree.
        let Some(parent) = above.next().filter(|parent| Some(*parent) != latest) else {
            continue;
        };
        latest = Some(parent);
        around.extend(std::iter::once(parent).chain(above));
    }
    around
}

/// All rules but the write roots.
struct Others<'p> {
    literal: HashSet<&'p [u8], RandomState>,
    globs: Vec<&'p Glob>,
}

impl<'p> Others<'p> {
    /// Arranges them; none if there are too many globs.
    fn new(rules: impl Iterator<Item = &'p PathRule>) -> Option<Self> {
        let mut others = Self {
            literal: HashSet::default(),
            globs: Vec::new(),
        };
        for rule in rules {
            match &rule.pattern {
                PathPattern::Subtree(path) => {
                    others.literal.insert(path.as_bytes());
                }
                PathPattern::Glob(_) if others.globs.len() == FEW_GLOBS => return None,
                PathPattern::Glob(glob) => others.globs.push(glob),
            }
        }
        Some(others)
    }

    /// Whether one of them names this path; of a glob, whether it could name it or one above.
    fn name(&self, path: &AbsolutePath) -> bool {
        let may_name = |glob: &&Glob| {
            let mut above = path.byte_ancestors();
            above.any(|above| above.ends_with(glob.end()) || above == glob.literal().as_bytes())
        };
        self.literal.contains(path.as_bytes()) || self.globs.iter().any(may_name)
    }
}

/// What is above the latest path.
#[derive(Default)]
struct Above<'p> {
    latest: Option<(&'p [u8], Option<LayerId>)>,
}

impl<'p> Above<'p> {
    /// The layer of the nearest write root above a path, if no other rule lies between.
    fn layer(
        &mut self,
        path: &'p AbsolutePath,
        outer: &HashMap<&'p [u8], LayerId, RandomState>,
        others: &Others<'_>,
    ) -> Option<LayerId> {
        let mut above = path.byte_ancestors().skip(1);
        let parent = above.next()?;
        if let Some((latest, layer)) = self.latest
            && latest == parent
        {
            return layer;
        }
        let mut layer = None;
        for place in std::iter::once(parent).chain(above) {
            layer = outer.get(place).copied();
            if layer.is_some() || others.literal.contains(place) {
                break;
            }
        }
        self.latest = Some((parent, layer));
        layer
    }
}
