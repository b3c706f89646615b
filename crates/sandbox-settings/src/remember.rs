//! Adding an allowed host to the user's own settings file, whose other bytes stay as they are.

use std::{fs, io, path::PathBuf, sync::Arc};

use sandbox_policy::{AbsolutePath, DomainPattern, DomainPatternError, PathBase, Target};

use crate::{
    edit::{Addition, replace_file, with_additions},
    layer::{Format, Layer},
    parse::parse_file,
    settings::{LoadedFile, Settings},
    source::Source,
};

/// Why a host was not added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RememberError {
    /// No entry can name the host.
    #[error("no entry of `allowedDomains` can name `{target}`")]
    Unnameable {
        /// The host and its port.
        target: String,
        /// Why.
        source: DomainPatternError,
    },
    /// There is no file of the user's, and no place for one.
    #[error("the home directory is not known, so there is no settings file to write to")]
    NoFile,
    /// The file can't be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not as it was when it was loaded: with the entry it would be no settings.
    #[error("`{}` would not hold valid settings", path.display())]
    Unsuitable {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be written. It is as it was.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Adds a host with its port to the allowed hosts of the user's own settings file that decides in
/// these settings, and returns the file. Where there is none, `.claude/settings.json` in the home directory
/// is made, which changes nothing else about what commands may do.
///
/// # Errors
/// The file is then as it was.
pub fn remember_host(
    settings: &Settings,
    home: Option<&AbsolutePath>,
    target: &Target,
) -> Result<PathBuf, RememberError> {
    let entry = target.to_string();
    DomainPattern::parse_allow(&entry).map_err(|source| RememberError::Unnameable {
        target: entry.clone(),
        source,
    })?;
    let (path, layer, format) = match deciding_file(settings) {
        Some(file) => (file.path.to_path_buf(), file.layer, file.format),
        None => {
            let home = home.ok_or(RememberError::NoFile)?;
            let path = home.as_path().join(".claude").join("settings.json");
            (path, Layer::User, Format::Claude)
        }
    };
    // A link to a file elsewhere stays a link.
    let path = fs::canonicalize(&path).unwrap_or(path);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => "{}\n".to_owned(),
        Err(source) => return Err(RememberError::Read { path, source }),
    };
    let unsuitable = || RememberError::Unsuitable { path: path.clone() };
    let addition = Addition {
        key: "network.allowedDomains",
        value: entry,
    };
    let changed = with_additions(&text, format, &[addition]).map_err(|_shape| unsuitable())?;
    let source = Source::new(Arc::new(path.clone()), changed.as_str());
    parse_file(&source, layer, settings.base()).map_err(|_findings| unsuitable())?;
    if changed != text {
        replace_file(&path, &changed).map_err(|source| RememberError::Write {
            path: path.clone(),
            source,
        })?;
    }
    Ok(path)
}

/// The most particular of the user's own files.
fn deciding_file(settings: &Settings) -> Option<&LoadedFile> {
    settings
        .files
        .iter()
        .filter(|file| matches!(file.layer, Layer::User | Layer::Home | Layer::Flag))
        .max_by_key(|file| file.layer)
}

impl Settings {
    fn base(&self) -> &PathBase {
        self.live.base()
    }
}
