//! A home directory and a project that last for one test, and runs of the binary in them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// A place with a `home` and a `project`; removed at the end.
pub(crate) struct Place {
    root: PathBuf,
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        for directory in ["home", "project"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        Self { root }
    }

    /// Writes a file, with the directories that lead to it.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    /// Runs the binary in the project.
    pub(crate) fn srt<const N: usize>(&self, words: [&str; N]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_srt"))
            .args(words)
            .current_dir(self.root.join("project"))
            .env_clear()
            .env("HOME", self.root.join("home"))
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let text = |bytes| {
            String::from_utf8(bytes)
                .expect("UTF-8")
                .replace(self.root.to_str().expect("UTF-8"), "ROOT")
        };
        Run {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.root).expect("nothing else was here");
    }
}
