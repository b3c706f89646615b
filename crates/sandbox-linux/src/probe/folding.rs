//! Write roots on file systems that may find a file by other spellings of its name: rules are about spellings.

use rustix::fs::FsWord;
use sandbox_policy::{AbsolutePath, FilesystemPolicy, PathPattern};

use crate::facts::KnownPaths;

/// Such file systems (linux/magic.h; exfat and ntfs3 have theirs in their own sources): vfat, exfat, ntfs,
/// ntfs3, both of CIFS, and 9p, by which Windows shows its drives to Linux.
const FOLDING: [FsWord; 7] = [
    0x4d44,
    0x2011_bab0,
    0x5346_544e,
    0x7366_746e,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
];

/// Where the write roots are that lie on one; of those in others (`inner`, by their places in the list) the outer
/// ones are looked at.
pub(super) fn roots(
    policy: &FilesystemPolicy,
    paths: &KnownPaths,
    inner: &[usize],
) -> Vec<AbsolutePath> {
    let roots = policy.allow_write.iter().enumerate();
    let roots = roots.filter(|(index, _)| inner.binary_search(index).is_err());
    let places = roots.filter_map(|(_, root)| match &root.rule.pattern {
        PathPattern::Subtree(path) => paths.get(path),
        PathPattern::Glob(_) => None,
    });
    // Neighbours mostly lie on the same one.
    let mut latest = None;
    let folding = places.filter(|place| {
        let device = place.identity.device;
        if let Some((known, folds)) = latest
            && known == device
        {
            return folds;
        }
        let found = rustix::fs::statfs(place.canonical.as_path());
        let folds = found.is_ok_and(|found| FOLDING.contains(&found.f_type));
        latest = Some((device, folds));
        folds
    });
    folding.map(|place| place.canonical.clone()).collect()
}
