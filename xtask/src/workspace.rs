//! Where the workspace lies and what cargo knows about it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// The workspace's own packages, without resolving what they depend on.
pub(crate) fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cannot read the workspace with cargo")
}

/// Cargo's target directory.
pub(crate) fn target_directory() -> Result<PathBuf> {
    Ok(metadata()?.target_directory.into_std_path_buf())
}
