//! Where write roots would be that do not exist.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::MetadataExt as _,
};

use sandbox_policy::{AbsolutePath, FilesystemPolicy, PathPattern};

use super::lookup::Lookup;
use crate::facts::{FileIdentity, MissingPath, PathKind};

/// The write roots of a policy that are not there, but for the `inner` ones, which lie in others. A dangling
/// symlink is no place.
pub(super) fn roots(
    policy: &FilesystemPolicy,
    lookup: &mut Lookup,
    inner: &[usize],
) -> BTreeMap<AbsolutePath, MissingPath> {
    let mut missing = BTreeMap::new();
    let mut nearest: HashMap<AbsolutePath, Option<Nearest>> = HashMap::new();
    for (index, root) in policy.allow_write.iter().enumerate() {
        let PathPattern::Subtree(path) = &root.rule.pattern else {
            continue;
        };
        if lookup.paths.contains_key(path) || inner.binary_search(&index).is_ok() {
            continue;
        }
        let Some(parent) = path.parent() else {
            continue;
        };
        if !lookup.is_no_link(path) && fs::symlink_metadata(path.as_path()).is_ok() {
            continue;
        }
        let nearest = nearest.entry(parent).or_insert_with_key(Nearest::above);
        if let Some(place) = nearest.as_ref().and_then(|nearest| nearest.place(path)) {
            missing.insert(path.clone(), place);
        }
    }
    missing
}

/// The nearest directory above something that does not exist.
struct Nearest {
    /// As it is written.
    written: AbsolutePath,
    /// Without symlinks.
    place: AbsolutePath,
    kind: PathKind,
    identity: FileIdentity,
}

impl Nearest {
    /// From this directory upwards.
    fn above(directory: &AbsolutePath) -> Option<Self> {
        let mut above = directory.ancestors();
        let (written, place) = above.find_map(|above| {
            let place = fs::canonicalize(above.as_path()).ok()?;
            Some((above, AbsolutePath::new(place).ok()?))
        })?;
        let metadata = fs::metadata(place.as_path()).ok()?;
        let kind = if metadata.is_dir() {
            PathKind::Directory
        } else {
            PathKind::File
        };
        Some(Self {
            written,
            place,
            kind,
            identity: FileIdentity {
                device: metadata.dev(),
                inode: metadata.ino(),
            },
        })
    }

    /// Where a path would be.
    fn place(&self, path: &AbsolutePath) -> Option<MissingPath> {
        let rest = path.as_path().strip_prefix(self.written.as_path()).ok()?;
        Some(MissingPath {
            canonical: AbsolutePath::new(self.place.as_path().join(rest)).ok()?,
            above: self.place.clone(),
            kind: self.kind,
            identity: self.identity,
        })
    }
}
