//! Adding an allowed host to the user's own settings file, whose other bytes stay as they are.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use jsonc_parser::{
    ParseOptions,
    cst::{CstArray, CstInputValue, CstObject, CstRootNode},
};
use sandbox_policy::{AbsolutePath, DomainPattern, DomainPatternError, PathBase, Target};

use crate::{
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
    let changed = with_entry(&text, format, &entry).ok_or_else(unsuitable)?;
    let source = Source::new(Arc::from(path.as_path()), changed.as_str());
    parse_file(&source, layer, settings.base()).map_err(|_findings| unsuitable())?;
    if changed != text {
        replace(&path, &changed).map_err(|source| RememberError::Write {
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

/// The text with an entry more in its list of allowed hosts; `None` where it has no room for one.
fn with_entry(text: &str, format: Format, entry: &str) -> Option<String> {
    let root = CstRootNode::parse(text, &ParseOptions::default()).ok()?;
    let mut section = root.object_value_or_create()?;
    let names: &[&str] = match format {
        Format::Flat => &["network"],
        Format::Claude => &["sandbox", "network"],
    };
    for name in names {
        section = inner(&section, name)?;
    }
    let hosts: CstArray = section.array_value_or_create("allowedDomains")?;
    let is_there = hosts.elements().iter().any(|element| {
        let text = element.as_string_lit().map(|text| text.decoded_value());
        matches!(text, Some(Ok(text)) if text == entry)
    });
    if !is_there {
        hosts.append(CstInputValue::String(entry.to_owned()));
    }
    Some(root.to_string())
}

fn inner(section: &CstObject, name: &str) -> Option<CstObject> {
    section.object_value_or_create(name)
}

/// Puts a file in another's place at once, so that nobody ever finds half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(directory)?;
    let mode = match fs::metadata(path) {
        Ok(found) => found.permissions().mode() & 0o7777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0o600,
        Err(error) => return Err(error),
    };
    let new = directory.join(format!(".srt-settings-{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What is left of it, if anything, is no settings file.
        fs::remove_file(&new).unwrap_or(());
    }
    written
}

impl Settings {
    fn base(&self) -> &PathBase {
        self.live.base()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_entry_is_new() {
        let flat = "{\n\t\"network\": {\n\t\t\"allowedDomains\": [\n\t\t\t\"a.test\",\n\t\t\t\"b.test:22\"\n\t\t],\n\t\t\"deniedDomains\": [   ]\n\t},\n\n\t\"filesystem\" : {}}";
        let changed = with_entry(flat, Format::Flat, "c.test:443").unwrap();
        assert_eq!(
            changed,
            flat.replace("\"b.test:22\"\n", "\"b.test:22\",\n\t\t\t\"c.test:443\"\n")
        );
        assert_eq!(
            with_entry(&changed, Format::Flat, "c.test:443").unwrap(),
            changed
        );
        let one_line = r#"{ "permissions": {"allow": []}, "sandbox": {"network": {"allowedDomains": ["a.test"]}} }"#;
        assert_eq!(
            with_entry(one_line, Format::Claude, "c.test:1").unwrap(),
            one_line.replace(r#"["a.test"]"#, r#"["a.test", "c.test:1"]"#)
        );
    }

    #[test]
    fn missing_sections_are_made_and_others_are_not_overwritten() {
        for text in ["{}", "{\n  \"model\": \"x\" // chosen\n}\n"] {
            let changed = with_entry(text, Format::Claude, "c.test:443").unwrap();
            assert!(changed.contains("\"c.test:443\""), "{changed}");
            assert!(
                !text.contains("chosen") || changed.contains("\"x\", // chosen"),
                "{changed}"
            );
        }
        for text in [
            "[]",
            "7",
            "{\"network\": 1}",
            "{\"network\": {\"allowedDomains\": \"x\"}}",
            "{",
        ] {
            assert_eq!(with_entry(text, Format::Flat, "c.test:443"), None, "{text}");
        }
    }
}
