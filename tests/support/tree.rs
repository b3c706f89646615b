//! The state of a directory tree, to compare before and after.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Each path of a tree with its kind, mode, owner and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<PathBuf, String>,
}

impl Tree {
    /// What differs from `later`, one line an entry; empty when nothing does.
    #[must_use]
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, state) in &self.entries {
            match later.entries.get(path) {
                None => lines.push(format!("removed {}", path.display())),
                Some(other) if other != state => {
                    lines.push(format!("changed {}: {state} → {other}", path.display()))
                }
                Some(_) => {}
            }
        }
        let new = later
            .entries
            .keys()
            .filter(|path| !self.entries.contains_key(*path));
        lines.extend(new.map(|path| format!("appeared {}", path.display())));
        lines
    }
}

/// Reads the state of everything below `root`, following no link.
#[must_use]
pub fn tree_hash(root: &Path) -> Tree {
    let mut entries = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        entries.insert(path.clone(), state(&path));
        let is_directory = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if let (true, Ok(children)) = (is_directory, path.read_dir()) {
            pending.extend(children.filter_map(|child| child.ok().map(|found| found.path())));
        }
    }
    Tree { entries }
}

fn state(path: &Path) -> String {
    let Ok(found) = path.symlink_metadata() else {
        return "gone".to_owned();
    };
    let mut hasher = DefaultHasher::new();
    if found.is_file() {
        std::fs::read(path)
            .unwrap_or_else(|error| error.to_string().into_bytes())
            .hash(&mut hasher);
    } else if found.is_symlink() {
        std::fs::read_link(path).ok().hash(&mut hasher);
    }
    format!(
        "{:o} {}:{} {:x}",
        found.mode(),
        found.uid(),
        found.gid(),
        hasher.finish()
    )
}
