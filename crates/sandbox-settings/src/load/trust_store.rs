//! Where it is recorded which content of a project's files is trusted. Nothing that runs in a
//! sandbox can write there: see `guarded` in the parent module.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::Path,
    sync::Arc,
};

use sandbox_policy::AbsolutePath;
use sha2::{Digest as _, Sha256};

use crate::{error::TrustError, settings::LoadedFile};

/// Records that the content of these files, as it was loaded, may widen. The files are not read
/// again: what is trusted is what was shown.
///
/// # Errors
/// The store or a record can't be written.
pub fn trust_files(store: &AbsolutePath, files: &[LoadedFile]) -> Result<(), TrustError> {
    let directory = store.as_path();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| TrustError::CreateStore {
            path: Arc::from(directory),
            source,
        })?;
    let digests = files
        .iter()
        .filter_map(|file| Some((file, file.digest.as_ref()?)));
    for (file, digest) in digests {
        let record = directory.join(digest);
        write_record(&record, &file.path).map_err(|source| TrustError::WriteRecord {
            path: record.into(),
            source,
        })?;
    }
    Ok(())
}

/// Whether a content is recorded. A record that can't be opened, for whatever reason, is none.
pub(super) fn is_recorded(store: &AbsolutePath, digest: &str) -> bool {
    File::open(store.as_path().join(digest)).is_ok()
}

/// The name of a record.
pub(super) fn digest(path: &Path, bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(path.as_os_str().as_bytes());
    // No path holds a NUL, so no other path and content give the same input.
    hash.update([0]);
    hash.update(bytes);
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The record's name is what counts; its content tells people which file it is about.
fn write_record(record: &Path, file: &Path) -> io::Result<()> {
    let mut line = file.as_os_str().as_bytes().to_vec();
    line.push(b'\n');
    let mut opened = match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(record)
    {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        opened => opened?,
    };
    opened
        .write_all(&line)
        .and_then(|()| opened.sync_all())
        .or_else(|error| {
            std::fs::remove_file(record)?;
            Err(error)
        })
}
