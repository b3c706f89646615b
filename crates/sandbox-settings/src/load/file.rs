//! Reading one file.

use std::{
    fs::{File, symlink_metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// Why there are no bytes.
pub(super) enum ReadError {
    Io(io::Error),
    TooLarge,
}

/// A file's bytes, and whether a symbolic link led to it.
pub(super) fn read(path: &Path) -> Result<(Vec<u8>, bool), ReadError> {
    // Opening a FIFO that somebody planted would wait for ever, and reading a terminal would take
    // what is typed. Whoever exchanges the file in between gains the wait and nothing else.
    let kind = std::fs::metadata(path).map_err(ReadError::Io)?;
    if !kind.is_file() && !kind.is_dir() {
        let refusal = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(ReadError::Io(refusal));
    }
    let file = File::open(path).map_err(ReadError::Io)?;
    let linked = is_linked(path, &file).map_err(ReadError::Io)?;
    // Read in one go, most files; the byte more tells that it was the end.
    let room = kind.len().min(SIZE_LIMIT).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    // A device without an end must not fill the memory.
    let mut limited = file.take(SIZE_LIMIT.saturating_add(1));
    limited.read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= SIZE_LIMIT) {
        Ok((bytes, linked))
    } else {
        Err(ReadError::TooLarge)
    }
}

/// Whether the opened file is another one than the directory entry or lies in a linked directory.
/// Identities are compared, so exchanging link and file after the opening does not help.
fn is_linked(path: &Path, file: &File) -> io::Result<bool> {
    let entry = symlink_metadata(path)?;
    let opened = file.metadata()?;
    let directory = path.parent().map(symlink_metadata).transpose()?;
    Ok(entry.dev() != opened.dev()
        || entry.ino() != opened.ino()
        || directory.is_some_and(|directory| directory.is_symlink()))
}

/// No settings file of people comes near this.
pub(super) const SIZE_LIMIT: u64 = 4 * 1024 * 1024;
