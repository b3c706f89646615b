//! Reads settings files and the trust store: the only file access of this crate.
//!
//! A file is read once. What is parsed, what is hashed and what messages quote are the same bytes.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use sandbox_policy::{AbsolutePath, PathBase};
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Finding, SettingsError, SettingsErrorKind, SettingsErrors, TrustError},
    layer::Layer,
    overrides::Overrides,
    parse::parse_file,
    resolve::{Entry, Layers, resolve},
    settings::{FileTrust, LoadedFile, Settings},
    source::Source,
};

/// Where settings are looked for.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a caller decides about every source"
)]
pub struct Sources {
    /// The user's home directory, if it is known.
    pub home: Option<AbsolutePath>,
    /// Where the command will run.
    pub working_directory: AbsolutePath,
    /// The managed settings file: see [`MANAGED_SETTINGS`].
    pub managed: PathBuf,
    /// The file that `--settings` names.
    pub settings: Option<PathBuf>,
    /// Rules from the command line.
    pub overrides: Overrides,
    /// Whether the project's files may widen.
    pub trust: ProjectTrust,
    /// Where trust is recorded. Sandboxed commands can't write there.
    pub trust_store: Option<AbsolutePath>,
}

/// Whether the project's files may widen what a command may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller decides among these")]
pub enum ProjectTrust {
    /// If their very content was recorded in the trust store.
    Recorded,
    /// Yes, for this run (`--trust-project`).
    Granted,
    /// No.
    Withheld,
}

/// Where an administrator's settings are.
pub const MANAGED_SETTINGS: &str = if cfg!(target_os = "macos") {
    "/Library/Application Support/ClaudeCode/managed-settings.json"
} else {
    "/etc/claude-code/managed-settings.json"
};

/// Reads and combines all settings.
///
/// # Errors
/// Everything that is wrong in any of the files. A missing file is an error only if `--settings`
/// names it; a file that is there and can't be read always is.
pub fn load(sources: &Sources) -> Result<Settings, SettingsErrors> {
    let base = PathBase {
        working_directory: sources.working_directory.clone(),
        home: sources.home.clone(),
    };
    let mut errors = Vec::new();
    let mut layers = Layers {
        files: Vec::new(),
        entries: Vec::new(),
        ignored: Vec::new(),
    };
    let mut candidates = candidates(sources);
    candidates.sort_by_key(|candidate| candidate.layer);
    let mut command_line = Some(sources.overrides.statements(&base, &mut errors));
    for candidate in &candidates {
        if candidate.layer > Layer::CommandLine {
            add_command_line(&mut layers, command_line.take());
        }
        match read_layer(candidate, sources, &base) {
            Ok(Some(loaded)) => loaded.add_to(&mut layers),
            Ok(None) => {}
            Err(mut found) => errors.append(&mut found),
        }
    }
    add_command_line(&mut layers, command_line);
    if !errors.is_empty() {
        return Err(SettingsErrors(errors));
    }
    Ok(resolve(layers, &base, &guarded(sources, &candidates)))
}

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
    for file in files {
        let record = directory.join(&file.digest);
        write_record(&record, &file.path).map_err(|source| TrustError::WriteRecord {
            path: record.into(),
            source,
        })?;
    }
    Ok(())
}

/// A file that may hold settings.
struct Candidate {
    layer: Layer,
    path: PathBuf,
    /// Whether it is an error that there is no such file.
    required: bool,
}

fn candidates(sources: &Sources) -> Vec<Candidate> {
    let optional = |layer, path| Candidate {
        layer,
        path,
        required: false,
    };
    let project_directory = sources.working_directory.as_path().join(".claude");
    let user = sources
        .home
        .as_ref()
        .map(|home| home.as_path().join(".claude").join("settings.json"));
    let project = project_directory.join("settings.json");
    let mut candidates = vec![
        optional(Layer::Local, project_directory.join("settings.local.json")),
        optional(Layer::Managed, sources.managed.clone()),
    ];
    // In the home directory the project's file is the user's own.
    if user.as_ref() != Some(&project) {
        candidates.push(optional(Layer::Project, project));
    }
    candidates.extend(user.map(|path| optional(Layer::User, path)));
    match (&sources.settings, &sources.home) {
        (Some(path), _) => candidates.push(Candidate {
            layer: Layer::Flag,
            path: sources.working_directory.as_path().join(path),
            required: true,
        }),
        (None, Some(home)) => candidates.push(optional(
            Layer::Home,
            home.as_path().join(".srt-settings.json"),
        )),
        (None, None) => {}
    }
    candidates
}

/// Paths that decide about later runs: the user's own files, whether or not they are there yet, and
/// the trust store. Files of a project are guarded by their content's hash.
fn guarded(sources: &Sources, candidates: &[Candidate]) -> Vec<AbsolutePath> {
    candidates
        .iter()
        .filter(|candidate| !candidate.layer.comes_with_project())
        .filter_map(|candidate| AbsolutePath::new(&candidate.path).ok())
        .chain(
            sources
                .home
                .iter()
                .filter_map(|home| home.join(".srt-settings.json").ok()),
        )
        .chain(sources.trust_store.clone())
        .collect()
}

/// A file that was read and parsed.
struct Loaded {
    file: LoadedFile,
    parsed: crate::layer::ParsedFile,
}

impl Loaded {
    fn add_to(self, layers: &mut Layers) {
        let trusted = self.file.trust != FileTrust::Untrusted;
        let layer = self.file.layer;
        layers.files.push(self.file);
        layers.ignored.extend(self.parsed.ignored);
        let entries = self.parsed.statements.into_iter().map(|statement| Entry {
            layer,
            trusted,
            statement,
        });
        layers.entries.extend(entries);
    }
}

fn add_command_line(layers: &mut Layers, statements: Option<Vec<crate::statement::Statement>>) {
    let entry = |statement| Entry {
        layer: Layer::CommandLine,
        trusted: true,
        statement,
    };
    layers
        .entries
        .extend(statements.into_iter().flatten().map(entry));
}

fn read_layer(
    candidate: &Candidate,
    sources: &Sources,
    base: &PathBase,
) -> Result<Option<Loaded>, Vec<SettingsError>> {
    let file: Arc<Path> = Arc::from(candidate.path.as_path());
    let unread = |kind| {
        let source = Source::new(Arc::clone(&file), "");
        vec![Finding::new(0..0, kind).in_source(&source)]
    };
    let (bytes, linked) = match read(&candidate.path) {
        Ok(read) => read,
        Err(ReadError::Io(error))
            if error.kind() == io::ErrorKind::NotFound && !candidate.required =>
        {
            return Ok(None);
        }
        Err(ReadError::Io(source)) => {
            return Err(unread(SettingsErrorKind::Unreadable { source }));
        }
        Err(ReadError::TooLarge) => {
            return Err(unread(SettingsErrorKind::TooLarge { limit: SIZE_LIMIT }));
        }
    };
    let digest = digest(&candidate.path, &bytes);
    let text =
        String::from_utf8(bytes).map_err(|source| unread(SettingsErrorKind::NotUtf8 { source }))?;
    let source = Source::new(Arc::clone(&file), text);
    let parsed = parse_file(&source, candidate.layer, base).map_err(|findings| {
        if linked && candidate.layer.comes_with_project() {
            return unread(SettingsErrorKind::LinkedElsewhere);
        }
        let located = findings
            .into_iter()
            .map(|finding| finding.in_source(&source));
        located.collect()
    })?;
    let trust = file_trust(candidate.layer, &digest, sources);
    let file = LoadedFile {
        path: file,
        layer: candidate.layer,
        format: parsed.format,
        trust,
        digest,
    };
    Ok(Some(Loaded { file, parsed }))
}

fn file_trust(layer: Layer, digest: &str, sources: &Sources) -> FileTrust {
    if !layer.comes_with_project() {
        return FileTrust::Own;
    }
    let trusted = match (sources.trust, &sources.trust_store) {
        (ProjectTrust::Granted, _) => true,
        (ProjectTrust::Withheld, _) | (ProjectTrust::Recorded, None) => false,
        // A record that can't be opened, for whatever reason, is no record.
        (ProjectTrust::Recorded, Some(store)) => File::open(store.as_path().join(digest)).is_ok(),
    };
    if trusted {
        FileTrust::Trusted
    } else {
        FileTrust::Untrusted
    }
}

enum ReadError {
    Io(io::Error),
    TooLarge,
}

/// A file's bytes, and whether a symbolic link led to it.
fn read(path: &Path) -> Result<(Vec<u8>, bool), ReadError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(ReadError::Io)?;
    let linked = is_linked(path, &file).map_err(ReadError::Io)?;
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
    let entry = std::fs::symlink_metadata(path)?;
    let opened = file.metadata()?;
    let directory = path.parent().map(std::fs::symlink_metadata).transpose()?;
    Ok(entry.dev() != opened.dev()
        || entry.ino() != opened.ino()
        || directory.is_some_and(|directory| directory.is_symlink()))
}

fn digest(path: &Path, bytes: &[u8]) -> String {
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
    let mut line = OsString::from(file).as_bytes().to_vec();
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

/// No settings file of people comes near this.
const SIZE_LIMIT: u64 = 4 * 1024 * 1024;
