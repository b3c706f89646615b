//! A test bed: a temporary directory with a fake home, a working directory and a place outside.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::srt::Srt;
use crate::subject::variable_os;
use crate::{Tree, tree_hash};

/// Directories for one test, removed at its end.
#[derive(Debug)]
pub struct Bed {
    root: TempDir,
    home: PathBuf,
    work: PathBuf,
    outside: PathBuf,
    marker: String,
}

impl Bed {
    /// A new bed.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let root = tempfile::Builder::new()
            .prefix("srt-bed-")
            .tempdir_in(base())
            .expect("a temporary directory");
        let real = root
            .path()
            .canonicalize()
            .expect("the real path of the bed");
        let directory = |name: &str| {
            let path = real.join(name);
            std::fs::create_dir(&path).expect("a directory of the bed");
            path
        };
        let (home, work, outside) = (directory("home"), directory("work"), directory("outside"));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let marker = format!("srt-mark-{}-{number}-{:x}", std::process::id(), unique());
        Self {
            root,
            home,
            work,
            outside,
            marker,
        }
    }

    /// The directory that holds the others.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The fake home.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The working directory.
    #[must_use]
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// A directory that is neither.
    #[must_use]
    pub fn outside(&self) -> &Path {
        &self.outside
    }

    /// A string that commands of this bed carry in their environment as `SRT_TEST_MARK`.
    #[must_use]
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// Whether the sandbox's private scratch hides the bed's own directories.
    #[must_use]
    pub fn is_in_scratch(&self) -> bool {
        ["/tmp", "/var/tmp", "/dev/shm"]
            .iter()
            .any(|scratch| self.home.starts_with(scratch))
    }

    /// Writes a file of the bed, with the directories above it, and returns its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, relative: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self
            .root
            .path()
            .canonicalize()
            .expect("the real path of the bed")
            .join(relative);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("directories of the bed");
        }
        std::fs::write(&path, content).expect("a file of the bed");
        path
    }

    /// A script in the working directory that everyone may execute.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn script(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.file(Path::new("work").join(name), content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("an executable script");
        path
    }

    /// A run of the binary under test in this bed.
    #[must_use]
    pub fn srt(&self) -> Srt<'_> {
        Srt::new(self)
    }

    /// The state of everything in the bed.
    #[must_use]
    pub fn tree(&self) -> Tree {
        tree_hash(self.root.path())
    }
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}

/// Where beds are made. Not below `/tmp` where it can be helped: the sandbox has a private
/// `/tmp`, so a home in there would be missing instead of refused.
fn base() -> PathBuf {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.ancestors().nth(2).map(|dir| dir.join("beds")));
    let home = variable_os("HOME").map(PathBuf::from);
    let candidates = [
        variable_os("SRT_TEST_TMP").map(PathBuf::from),
        beside,
        home,
        Some(PathBuf::from("/tmp")),
    ];
    let usable = |directory: &PathBuf| {
        std::fs::create_dir_all(directory).is_ok() && tempfile::tempfile_in(directory).is_ok()
    };
    let mut usable_ones: Vec<PathBuf> = candidates.into_iter().flatten().filter(usable).collect();
    usable_ones.sort_by_key(|directory| directory.starts_with("/tmp"));
    usable_ones
        .into_iter()
        .next()
        .expect("a directory for the beds; set SRT_TEST_TMP")
}

fn unique() -> u128 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}
