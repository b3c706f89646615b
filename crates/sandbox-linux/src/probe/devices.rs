//! What the devices are that settings name.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use sandbox_policy::{AbsolutePath, DeviceRule};

use crate::facts::{DeviceFacts, DeviceKind, FileIdentity};

/// The devices that exist. One that can't be looked at is one that can't be opened either.
pub(super) fn devices(rules: &[DeviceRule]) -> BTreeMap<AbsolutePath, DeviceFacts> {
    let found = rules.iter().filter_map(|rule| {
        let facts = examine(&rule.path).ok()?;
        Some((rule.path.clone(), facts))
    });
    found.collect()
}

fn examine(path: &AbsolutePath) -> io::Result<DeviceFacts> {
    let canonical =
        AbsolutePath::new(fs::canonicalize(path.as_path())?).map_err(io::Error::other)?;
    let metadata = fs::metadata(canonical.as_path())?;
    let kind = metadata.file_type();
    let kind = if !canonical.as_path().starts_with("/dev") {
        DeviceKind::Other
    } else if kind.is_char_device() {
        DeviceKind::Character
    } else if kind.is_block_device() {
        DeviceKind::Block
    } else if !kind.is_dir() {
        DeviceKind::Other
    } else if holds_block_devices(canonical.as_path(), DEPTH) {
        DeviceKind::HoldsBlock
    } else {
        DeviceKind::Directory
    };
    Ok(DeviceFacts {
        canonical,
        kind,
        identity: FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
        },
    })
}

/// Deeper than devices lie.
const DEPTH: u32 = 4;

/// What can't be looked at counts as one.
fn holds_block_devices(directory: &Path, depth: u32) -> bool {
    let Ok(entries) = fs::read_dir(directory) else {
        return true;
    };
    entries.into_iter().any(|entry| {
        let kind = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
        match kind {
            Err(_unreadable) => true,
            Ok((_, kind)) if kind.is_block_device() => true,
            Ok((path, kind)) if kind.is_dir() => {
                depth == 0 || holds_block_devices(&path, depth - 1)
            }
            Ok(_) => false,
        }
    })
}
