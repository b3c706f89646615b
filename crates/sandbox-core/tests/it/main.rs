//! The facade as a host program uses it: on a real kernel, with real commands.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't set itself up has failed"
)]
#![cfg(target_os = "linux")]

mod errors;
mod files;
mod life;
mod network;
mod settings;
mod streams;
mod violations;

use std::path::Path;

use sandbox_core::{AbsolutePath, Policy, Sandbox};

/// A directory that disappears with the test, outside the directories that are private inside.
fn workspace() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A sandbox in `directory` with a policy made of the strictest one.
fn sandbox(directory: &Path, change: impl FnOnce(Policy) -> Policy) -> Sandbox {
    let directory = AbsolutePath::new(directory.canonicalize().unwrap()).unwrap();
    Sandbox::builder(change(Policy::restrictive()))
        .working_directory(directory)
        .build()
        .unwrap()
}
