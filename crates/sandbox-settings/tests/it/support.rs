//! A machine made of a temporary directory: a home, a project, an administrator's file.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use sandbox_policy::{AbsolutePath, FilesystemPolicy, Host, Port, Target, Verdict};
use sandbox_settings::{
    Overrides, ProjectTrust, ProxyVariables, Settings, SettingsErrors, Sources, load, trust_files,
};

/// Files that every flat file needs, and nothing else.
pub(crate) const FLAT: &str = r#"{
  "network": { "allowedDomains": [], "deniedDomains": [] },
  "filesystem": { "denyRead": [], "allowWrite": [], "denyWrite": [] }
}"#;

/// The machine.
pub(crate) struct Machine {
    root: tempfile::TempDir,
    pub(crate) sources: Sources,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_path_buf();
        for directory in ["home/.claude", "home/project/.claude", "etc"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        let absolute = |name: &str| AbsolutePath::new(path.join(name)).unwrap();
        let sources = Sources {
            home: Some(absolute("home")),
            working_directory: absolute("home/project"),
            managed: path.join("etc/managed.json"),
            settings: None,
            overrides: Overrides::none(),
            proxy_variables: ProxyVariables::default(),
            trust: ProjectTrust::Recorded,
            trust_store: Some(absolute("home/.local/share/srt/trust")),
        };
        Self { root, sources }
    }

    pub(crate) fn with(self, file: File, text: &str) -> Self {
        self.write(file, text);
        self
    }

    /// With a `--settings` file.
    pub(crate) fn with_flag(mut self, text: &str) -> Self {
        self.write(File::Flag, text);
        self.sources.settings = Some(PathBuf::from("../flag.json"));
        self
    }

    pub(crate) fn write(&self, file: File, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    pub(crate) fn path(&self, file: File) -> PathBuf {
        self.root.path().join(match file {
            File::User => "home/.claude/settings.json",
            File::Home => "home/.srt-settings.json",
            File::Project => "home/project/.claude/settings.json",
            File::Local => "home/project/.claude/settings.local.json",
            File::Managed => "etc/managed.json",
            File::Flag => "home/flag.json",
        })
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn load(&self) -> Settings {
        match load(&self.sources) {
            Ok(settings) => settings,
            Err(errors) => panic!("{errors}"),
        }
    }

    pub(crate) fn errors(&self) -> SettingsErrors {
        load(&self.sources).expect_err("the settings are wrong")
    }

    /// What `srt trust` does.
    pub(crate) fn trust(&self) {
        let settings = self.load();
        let files: Vec<_> = settings.untrusted_files().cloned().collect();
        trust_files(self.sources.trust_store.as_ref().unwrap(), &files).unwrap();
    }

    /// Whether a path (`~/…`, absolute, or relative to the working directory) may be written.
    pub(crate) fn writes(&self, settings: &Settings, path: &str) -> bool {
        host_files(settings)
            .judge_write(&self.absolute(path))
            .is_allowed()
    }

    pub(crate) fn reads(&self, settings: &Settings, path: &str) -> bool {
        host_files(settings)
            .judge_read(&self.absolute(path))
            .is_allowed()
    }

    fn absolute(&self, path: &str) -> AbsolutePath {
        let home = self.root().join("home");
        match path.strip_prefix("~/") {
            Some(rest) => AbsolutePath::new(home.join(rest)).unwrap(),
            None => AbsolutePath::new(home.join("project").join(path)).unwrap(),
        }
    }

    /// The errors as a person would see them, with the machine's directory taken out.
    pub(crate) fn show(&self, errors: &SettingsErrors) -> String {
        let mut shown = String::new();
        for error in &errors.0 {
            writeln!(shown, "{} [{}]", error, error.kind.code()).unwrap();
            let mut cause = std::error::Error::source(error);
            while let Some(source) = cause {
                writeln!(shown, "  caused by: {source}").unwrap();
                cause = source.source();
            }
            if !error.source_text.is_empty() {
                underline(&mut shown, &error.source_text, error.span.clone());
            }
            if let Some(help) = &error.help {
                writeln!(shown, "  help: {help}").unwrap();
            }
        }
        shown.replace(self.root().to_str().unwrap(), "")
    }
}

/// The rules for the host's files: this machine may stand in a directory of which a sandbox has a
/// private one.
pub(crate) fn host_files(settings: &Settings) -> FilesystemPolicy {
    FilesystemPolicy {
        scratch: Vec::new(),
        ..settings.policy.filesystem.clone()
    }
}

/// The line of a span and carets below it.
fn underline(shown: &mut String, text: &str, span: std::ops::Range<usize>) {
    let start = text[..span.start]
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or("");
    let before = text[start..span.start].chars().count();
    let carets = text[span]
        .lines()
        .next()
        .unwrap_or("")
        .chars()
        .count()
        .max(1);
    writeln!(
        shown,
        "  | {line}\n  | {}{}",
        " ".repeat(before),
        "^".repeat(carets)
    )
    .unwrap();
}

/// The settings files of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    User,
    Home,
    Project,
    Local,
    Managed,
    Flag,
}

/// Whether a host may be reached, without asking anybody.
pub(crate) fn reaches(settings: &Settings, host: &str) -> bool {
    matches!(
        settings.policy.network.judge(target(host)),
        Verdict::Allow(_)
    )
}

/// A host at port 443.
pub(crate) fn target(host: &str) -> Target {
    Target {
        host: Host::parse(host.as_bytes()).unwrap(),
        port: Port::new(443).unwrap(),
    }
}
