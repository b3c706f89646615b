//! What a command could leave on the host, counted before and after.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sandbox_tests::{
    Bed, Tree, carriers, mounts, namespaces, processes_below, timeout, tree_hash, wait_until,
};

static ALONE: Mutex<()> = Mutex::new(());

/// The state of the host that a run must not change. Cases that take one run one at a time.
pub(crate) struct Traces<'b> {
    bed: &'b Bed,
    tree: Tree,
    mounts: BTreeSet<String>,
    namespaces: Vec<(&'static str, BTreeSet<String>)>,
    sockets: BTreeSet<String>,
    scratch: Vec<Tree>,
    _alone: MutexGuard<'static, ()>,
}

impl<'b> Traces<'b> {
    pub(crate) fn take(bed: &'b Bed) -> Self {
        // Another case's failure says nothing about this one.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            bed,
            tree: bed.tree(),
            mounts: mounts(),
            namespaces: kinds(),
            sockets: unix_sockets(),
            scratch: scratch(),
            _alone: alone,
        }
    }

    /// Asserts that nothing is left, after a moment for the kernel to take namespaces down.
    #[track_caller]
    pub(crate) fn assert_none(&self, what: &str) {
        let gone = wait_until(timeout(10.0), || self.left(false).is_empty());
        assert!(gone, "{what} left: {:#?}", self.left(false));
        assert!(
            self.left(true).is_empty(),
            "{what} left: {:#?}",
            self.left(true)
        );
    }

    fn left(&self, files: bool) -> Vec<String> {
        let mut left = carriers(self.bed.marker());
        left.extend(processes_below(self.bed.root()));
        left.extend(
            mounts()
                .difference(&self.mounts)
                .map(|line| format!("mount {line}")),
        );
        for ((kind, before), (_, now)) in self.namespaces.iter().zip(kinds()) {
            left.extend(
                now.difference(before)
                    .filter(|_| own_machine())
                    .map(|name| format!("{kind} namespace {name}")),
            );
        }
        left.extend(
            unix_sockets()
                .difference(&self.sockets)
                .filter(|name| ours(name))
                .map(|name| format!("socket {name}")),
        );
        if files {
            left.extend(self.tree.changes(&self.bed.tree()));
            for (before, now) in self.scratch.iter().zip(scratch()) {
                left.extend(
                    before
                        .changes(&now)
                        .into_iter()
                        .filter(|change| ours(change)),
                );
            }
        }
        left
    }
}

/// On a machine with other users of namespaces their coming and going is not ours to judge.
fn own_machine() -> bool {
    std::env::args().any(|word| word == "--test-threads=1")
}

fn ours(name: &str) -> bool {
    ["srt", "sandbox", "claude"]
        .iter()
        .any(|part| name.contains(part))
        && !name.contains("srt-bed-")
}

fn kinds() -> Vec<(&'static str, BTreeSet<String>)> {
    ["net", "mnt", "pid", "user"]
        .into_iter()
        .map(|kind| (kind, namespaces(kind)))
        .collect()
}

fn unix_sockets() -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_else(|_| String::new());
    table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7).map(str::to_owned))
        .collect()
}

/// The names directly in the directories that programs leave things in.
fn scratch() -> Vec<Tree> {
    ["/tmp", "/var/tmp", "/dev/shm", "/run"]
        .iter()
        .map(|directory| shallow(Path::new(directory)))
        .collect()
}

fn shallow(directory: &Path) -> Tree {
    let empty = tempfile::tempdir().unwrap();
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        // A directory of marks with the same names: only names are compared, not other people's files.
        std::fs::write(empty.path().join(entry.file_name()), b"").ok();
    }
    tree_hash(empty.path())
}
