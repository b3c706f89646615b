//! `srt learn`: runs a command as always, and proposes settings for what it was refused.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process::ExitCode,
};

use sandbox_core::{
    AbsolutePath, Learner, Proposal, SandboxBuilder,
    settings::{
        EditError, Format, Layer, LoadedFile, Settings, replace_file, trust_files, with_additions,
    },
    without_logins,
};
use similar::TextDiff;

use super::run::{self, Observer};
use crate::{
    env::Environment,
    invocation::{CommandWords, Options},
    load, message, render,
};

/// Why nothing can be proposed or written.
#[derive(Debug, thiserror::Error)]
enum LearnError {
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is a symlink, so it is not this project's own", path.display())]
    Link { path: PathBuf },
    #[error("cannot add to `{}`", path.display())]
    Edit {
        path: PathBuf,
        #[source]
        source: EditError,
    },
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The file that entries are proposed for.
struct Target {
    path: PathBuf,
    format: Format,
    /// Its text; none where there is no such file.
    text: Option<String>,
}

/// What is done besides running the command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choices {
    /// The proposal is added to the settings.
    pub(super) write: bool,
    /// The command is permitted what it would be refused.
    pub(super) permissive: bool,
}

pub(super) fn learn(
    options: &Options,
    command: &CommandWords,
    environment: &Environment,
    choices: Choices,
) -> ExitCode {
    let Choices { write, permissive } = choices;
    let end = |learner: Learner| {
        let settings = match load::load(options, environment) {
            Ok(settings) => settings,
            Err(errors) => return Some(render::settings_errors(&errors)),
        };
        let own = own_files(&settings, environment);
        let proposal = learner.proposal(environment.home.as_ref(), &own);
        let told = tell(&proposal, options, environment, &settings, write);
        told.err().map(|error| message::set_up_error(&error, None))
    };
    let begin = |sandbox: &sandbox_core::Sandbox| Learner::new(sandbox.violations());
    let prepare = |builder: SandboxBuilder| {
        if !permissive {
            return builder.tell_refused_reads();
        }
        if !options.quiet {
            message::notice(PERMISSIVE);
        }
        builder.permissive()
    };
    let observer = Observer {
        needs_sandbox: permissive.then_some("learn --permissive"),
        prepare,
        begin,
        end,
    };
    run::observed(options, command, environment, observer)
}

const PERMISSIVE: &str = "permissive run: changes of files are thrown away at the end, but every host of \
     the internet can be reached, with whatever the command can read";

/// Files that decide about later runs.
fn own_files(settings: &Settings, environment: &Environment) -> Vec<AbsolutePath> {
    let files = settings.files.iter().map(|file| file.path.to_path_buf());
    let home = environment.home.iter().flat_map(|home| {
        [".srt-settings.json", ".claude", ".local/share/srt"].map(|name| home.as_path().join(name))
    });
    let record = environment.trust_store.iter();
    let record = record.filter_map(|path| path.as_path().parent().map(Path::to_path_buf));
    let work = environment.working_directory.as_path().join(".claude");
    let all = files.chain(home).chain(record).chain([work]);
    let base = &environment.working_directory;
    let paths = all.filter_map(|path| AbsolutePath::resolve(base, path).ok());
    paths.collect()
}

fn tell(
    proposal: &Proposal,
    options: &Options,
    environment: &Environment,
    settings: &Settings,
    write: bool,
) -> Result<(), LearnError> {
    for (object, reason) in &proposal.kept {
        let text = format!("not proposed: `{object}`: {reason}");
        message::say(format_args!("srt: {}", message::visible(&text)));
    }
    if proposal.unrecorded > 0 {
        message::say(format_args!(
            "srt: the record is incomplete: {} refusals came too fast, or were too many, to be recorded one by one",
            proposal.unrecorded
        ));
    }
    if proposal.additions.is_empty() {
        message::say(format_args!("srt: there is nothing to propose"));
        return Ok(());
    }
    let target = Target::choose(environment, settings)?;
    target.require_own()?;
    let old = target.text.as_deref().unwrap_or("");
    let base = if old.trim().is_empty() { "{}\n" } else { old };
    let new = with_additions(base, target.format, &proposal.additions).map_err(|source| {
        let path = target.path.clone();
        LearnError::Edit { path, source }
    })?;
    // What is shown may stand beside the URL of a proxy.
    let (shown, shown_new) = (without_logins(old), without_logins(&new));
    let diff = TextDiff::from_lines(&shown, &shown_new);
    let name = target.path.display().to_string();
    let mut unified = diff.unified_diff();
    let text = unified.header(&name, &name).to_string();
    let lines = text.lines().map(|line| {
        let parts: Vec<_> = line.split('\t').map(message::visible).collect();
        parts.join("\t")
    });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    if message::print(&text) != ExitCode::SUCCESS {
        return Ok(());
    }
    if !write {
        message::say(format_args!(
            "srt: `srt learn --write` adds this to the settings; what comes after may be refused next time"
        ));
        return Ok(());
    }
    replace_file(&target.path, &new).map_err(|source| {
        let path = target.path.clone();
        LearnError::Write { path, source }
    })?;
    trust_again(options, environment, settings, &target.path);
    Ok(())
}

impl Target {
    /// The flat file that decides, or this project's own file for this user.
    fn choose(environment: &Environment, settings: &Settings) -> Result<Self, LearnError> {
        let by = |layer| settings.files.iter().find(|file| file.layer == layer);
        let (path, format) = match by(Layer::Flag).or_else(|| by(Layer::Home)) {
            Some(file) => (file.path.to_path_buf(), file.format),
            None => {
                let directory = environment.working_directory.as_path().join(".claude");
                (directory.join("settings.local.json"), Format::Claude)
            }
        };
        let text = read(&path)?;
        Ok(Self { path, format, text })
    }
}

impl Target {
    /// A project's file comes with the repository: a symlink in its place may lead into the settings of
    /// other projects, or of the user.
    fn require_own(&self) -> Result<(), LearnError> {
        if self.format != Format::Claude {
            return Ok(());
        }
        let places = [self.path.parent(), Some(self.path.as_path())];
        for place in places.into_iter().flatten() {
            if fs::symlink_metadata(place).is_ok_and(|found| found.is_symlink()) {
                return Err(LearnError::Link {
                    path: place.to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<String>, LearnError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LearnError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// A project's file widens nothing until its content is trusted. If all of it was before, the user has
/// just asked for the rest.
fn trust_again(options: &Options, environment: &Environment, settings: &Settings, path: &Path) {
    let Ok(changed) = load::load(options, environment) else {
        return;
    };
    let files: Vec<LoadedFile> = changed.untrusted_files().cloned().collect();
    let is_ours = |file: &LoadedFile| file.layer == Layer::Local && *file.path == *path;
    let only_ours = settings.held_back.is_empty() && files.iter().all(is_ours);
    let trusted = match &environment.trust_store {
        Some(store) if only_ours => trust_files(store, &files).is_ok(),
        Some(_) | None => false,
    };
    if !files.is_empty() && !trusted {
        message::notice("this project is not trusted: `srt trust` lists and trusts what was added");
    }
}
