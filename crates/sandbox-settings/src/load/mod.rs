//! Reads settings files and the trust store: the only file access of this crate, but for an allowed
//! host that is added to a file (`remember`).
//!
//! A file is read once. What is parsed, what is hashed and what messages quote are the same bytes.

mod file;
mod guarded;
mod trust_store;

use std::{fs, io, path::PathBuf, sync::Arc};

use sandbox_policy::{AbsolutePath, Origin, PathBase};

use crate::{
    error::{SettingsError, SettingsErrorKind, SettingsErrors},
    finding::Finding,
    layer::{Layer, ParsedFile},
    overrides::{Overrides, Taken},
    parse::parse_file,
    resolve::{Entry, Layered, Layers, Places, resolve},
    settings::{FileTrust, LoadedFile, Settings},
    source::Source,
    statement::{HostList, PathList, Statement},
    variables::ProxyVariables,
};

use file::{ReadError, SIZE_LIMIT, read};
pub(crate) use guarded::Guarded;
pub use guarded::guard;
pub use trust_store::trust_files;

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
    /// What the environment says about proxies.
    pub proxy_variables: ProxyVariables,
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
    // Where the places really are: a home behind a symlink must not be another place than the
    // working directory in it.
    let named = sources;
    let sources = &Sources {
        working_directory: real_place(&sources.working_directory),
        home: sources.home.as_ref().map(real_place),
        trust_store: sources.trust_store.as_ref().map(real_place),
        ..sources.clone()
    };
    let base = PathBase {
        working_directory: sources.working_directory.clone(),
        home: sources.home.clone(),
    };
    let mut errors = Vec::new();
    let mut layers = Layers {
        files: Vec::new(),
        entries: environment(sources),
        paths: Vec::new(),
        hosts: Vec::new(),
        ignored: Vec::new(),
        notices: Vec::new(),
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
    let places = Places {
        guarded: Guarded::new(named, sources.home.as_ref(), &candidates),
        secretive: secretive(&layers),
    };
    Ok(resolve(layers, &base, &places))
}

/// What the environment says, below all files.
fn environment(sources: &Sources) -> Vec<Entry> {
    let entry = |statement| Entry {
        layer: Layer::BuiltIn,
        trusted: true,
        statement,
    };
    let statements = sources.proxy_variables.statements();
    statements.into_iter().map(entry).collect()
}

/// The files that hold a login, whether or not it counts.
fn secretive(layers: &Layers) -> Vec<AbsolutePath> {
    let holds = |entry: &&Entry| entry.statement.effect.has_login();
    let files = layers.entries.iter().filter(holds).filter_map(|entry| {
        let Origin::File { path, .. } = &entry.statement.origin else {
            return None;
        };
        Some(real_place(&AbsolutePath::new(&**path).ok()?))
    });
    let mut files: Vec<_> = files.collect();
    files.dedup();
    files
}

/// The place that a path leads to, as far as it exists.
fn real_place(path: &AbsolutePath) -> AbsolutePath {
    let existing = path.ancestors().find_map(|above| {
        let real = fs::canonicalize(above.as_path()).ok()?;
        let rest = path.as_path().strip_prefix(above.as_path()).ok()?;
        AbsolutePath::new(real.join(rest)).ok()
    });
    existing.unwrap_or_else(|| path.clone())
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

/// A file that was read and parsed.
struct Loaded {
    file: LoadedFile,
    parsed: ParsedFile,
}

impl Loaded {
    fn add_to(self, layers: &mut Layers) {
        let trusted = self.file.trust != FileTrust::Untrusted;
        let layer = self.file.layer;
        layers.files.push(self.file);
        layers.ignored.extend(self.parsed.ignored);
        layers.notices.extend(self.parsed.notices);
        let ParsedFile {
            statements,
            paths,
            hosts,
            ..
        } = self.parsed;
        layers.add(layer, trusted, statements, (paths, hosts));
    }
}

impl Layers {
    fn add(
        &mut self,
        layer: Layer,
        trusted: bool,
        statements: Vec<Statement>,
        (paths, hosts): (Vec<PathList>, Vec<HostList>),
    ) {
        let entry = |statement| Entry {
            layer,
            trusted,
            statement,
        };
        self.entries.extend(statements.into_iter().map(entry));
        let paths = paths.into_iter().map(|list| Layered {
            layer,
            trusted,
            list,
        });
        self.paths.extend(paths);
        let hosts = hosts.into_iter().map(|list| Layered {
            layer,
            trusted,
            list,
        });
        self.hosts.extend(hosts);
    }
}

fn add_command_line(layers: &mut Layers, said: Option<Taken>) {
    if let Some(Taken {
        statements,
        paths,
        hosts,
        notices,
    }) = said
    {
        layers.notices.extend(notices);
        layers.add(Layer::CommandLine, true, statements, (paths, hosts));
    }
}

fn read_layer(
    candidate: &Candidate,
    sources: &Sources,
    base: &PathBase,
) -> Result<Option<Loaded>, Vec<SettingsError>> {
    let file: Arc<PathBuf> = Arc::new(candidate.path.clone());
    let unread = |kind| {
        let source = Source::new(Arc::clone(&file), "");
        vec![Finding::new(0..0, kind).in_source(&source)]
    };
    let (bytes, linked) = match read(&candidate.path) {
        Ok(read) => read,
        Err(ReadError::Io(error)) if !candidate.required && is_missing(&error, base) => {
            return Ok(None);
        }
        Err(ReadError::Io(source)) => {
            return Err(unread(SettingsErrorKind::Unreadable { source }));
        }
        Err(ReadError::TooLarge) => {
            return Err(unread(SettingsErrorKind::TooLarge { limit: SIZE_LIMIT }));
        }
    };
    let digest = (candidate.layer.comes_with_project())
        .then(|| trust_store::digest(&candidate.path, &bytes));
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
    let trust = file_trust(digest.as_deref(), sources);
    let file = LoadedFile {
        path: file,
        layer: candidate.layer,
        format: parsed.format,
        trust,
        digest,
    };
    Ok(Some(Loaded { file, parsed }))
}

/// Whether there is no such file, which holds of all files of a home that is no directory
/// (`HOME=/dev/null`). Another file where a directory should be is an error: who made it meant
/// something.
fn is_missing(error: &io::Error, base: &PathBase) -> bool {
    let homeless = || {
        let home = base.home.as_ref().map(|home| fs::metadata(home.as_path()));
        matches!(home, Some(Ok(home)) if !home.is_dir())
    };
    let kind = error.kind();
    kind == io::ErrorKind::NotFound || (kind == io::ErrorKind::NotADirectory && homeless())
}

/// A file that does not come with the project has no digest.
fn file_trust(digest: Option<&str>, sources: &Sources) -> FileTrust {
    let Some(digest) = digest else {
        return FileTrust::Own;
    };
    let trusted = match (sources.trust, &sources.trust_store) {
        (ProjectTrust::Granted, _) => true,
        (ProjectTrust::Withheld, _) | (ProjectTrust::Recorded, None) => false,
        (ProjectTrust::Recorded, Some(store)) => trust_store::is_recorded(store, digest),
    };
    if trusted {
        FileTrust::Trusted
    } else {
        FileTrust::Untrusted
    }
}
