//! What a command could leave on the host, counted before and after.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sandbox_tests::{
    Bed, Tree, binary, carriers, mounts, namespaces, processes_below, running, timeout, wait_until,
};

static ALONE: Mutex<()> = Mutex::new(());

/// Makes the cases of this suite wait for each other: each looks for what others would show.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    // Another case's failure says nothing about this one.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state of the host that a run must not change.
pub(crate) struct Traces<'b> {
    bed: &'b Bed,
    tree: Tree,
    running: Vec<String>,
    mounts: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    sockets: BTreeSet<String>,
    scratch: BTreeSet<String>,
    _alone: MutexGuard<'static, ()>,
}

impl<'b> Traces<'b> {
    pub(crate) fn take(bed: &'b Bed) -> Self {
        let alone = alone();
        Self {
            bed,
            tree: bed.tree(),
            running: running(binary()),
            mounts: mounts(),
            namespaces: namespaces("net"),
            sockets: unix_sockets(),
            scratch: scratch(),
            _alone: alone,
        }
    }

    /// Asserts that nothing is left, after a moment for the kernel to take namespaces down.
    #[track_caller]
    pub(crate) fn assert_none(&self, what: &str) {
        let gone = wait_until(timeout(10.0), || self.passing().is_empty());
        assert!(gone, "{what} left: {:#?}", self.passing());
        let files = self.lasting();
        assert!(files.is_empty(), "{what} left: {files:#?}");
    }

    /// What may still be on its way out.
    fn passing(&self) -> Vec<String> {
        let mut left = carriers(self.bed.marker());
        let still = running(binary()).into_iter();
        left.extend(still.filter(|process| !self.running.contains(process)));
        left.extend(processes_below(self.bed.root()));
        left.extend(
            mounts()
                .difference(&self.mounts)
                .map(|line| format!("mount {line}")),
        );
        // Whoever else uses the machine has namespaces, too; one left by each start would show.
        let grown = namespaces("net").difference(&self.namespaces).count();
        left.extend((grown > 20).then(|| format!("{grown} network namespaces")));
        let sockets = unix_sockets();
        let new = sockets.difference(&self.sockets).filter(|name| ours(name));
        left.extend(new.map(|name| format!("socket {name}")));
        left
    }

    /// Files, which nobody will take away.
    fn lasting(&self) -> Vec<String> {
        let mut left = self.tree.changes(&self.bed.tree());
        let appeared = scratch();
        let new = appeared.difference(&self.scratch).filter(|name| ours(name));
        left.extend(new.map(|name| format!("file {name}")));
        left
    }
}

/// Whether a name looks like one of the tool's: others use the machine, too.
fn ours(path: &str) -> bool {
    let name = path
        .rsplit('/')
        .next()
        .unwrap_or(path)
        .trim_start_matches(['@', '.']);
    ["srt", "claude"].iter().any(|part| name.starts_with(part)) && !name.starts_with("srt-bed-")
}

fn unix_sockets() -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_else(|_| String::new());
    table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7).map(str::to_owned))
        .collect()
}

/// The names directly in the directories that programs leave things in.
fn scratch() -> BTreeSet<String> {
    let directories = ["/tmp", "/var/tmp", "/dev/shm", "/run"];
    let listings = directories
        .iter()
        .filter_map(|directory| Path::new(directory).read_dir().ok());
    listings
        .flatten()
        .flatten()
        .map(|entry| entry.path().display().to_string())
        .collect()
}
