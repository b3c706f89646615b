//! From options and files to settings, and to a sandbox.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    path::PathBuf,
};

use sandbox_core::{
    BuildError, Sandbox, SandboxBuilder,
    settings::{
        self, LoadedFile, MANAGED_SETTINGS, Settings, SettingsError, SettingsErrorKind,
        SettingsErrors, Sources, TrustError, trust_files,
    },
    terminal,
};

use crate::{env::Environment, invocation::Options, message};

/// There is no place to record trust in.
#[derive(Debug, thiserror::Error)]
#[error("the home directory is not known, so there is no place to record trust in")]
pub(crate) struct NoTrustStore;

/// The settings of all files and options.
pub(crate) fn load(
    options: &Options,
    environment: &Environment,
) -> Result<Settings, SettingsErrors> {
    settings::load(&Sources {
        home: environment.home.clone(),
        working_directory: environment.working_directory.clone(),
        managed: PathBuf::from(MANAGED_SETTINGS),
        settings: options.settings.clone(),
        overrides: options.overrides.clone(),
        proxy_variables: environment.proxies.clone(),
        trust: options.trust,
        trust_store: environment.trust_store.clone(),
    })
    .map_err(|mut errors| {
        for error in &mut errors.0 {
            blame_home(error, environment);
        }
        errors
    })
}

/// Says where an unreadable file of the home comes from: programs that change users may leave `HOME`
/// as it was.
fn blame_home(error: &mut SettingsError, environment: &Environment) {
    let SettingsErrorKind::Unreadable { source } = &error.kind else {
        return;
    };
    let Some(home) = &environment.home else {
        return;
    };
    let is_closed = source.kind() == io::ErrorKind::PermissionDenied;
    // Files are told by where they are, also where the home is named through a symlink.
    let real = std::fs::canonicalize(home.as_path()).ok();
    let is_at_home = error.file.starts_with(home.as_path())
        || real.is_some_and(|real| error.file.starts_with(real));
    if is_closed && error.help.is_none() && is_at_home {
        error.help = Some(format!(
            "`HOME` is `{}`: if that is another user's, set it to your own",
            home.as_path().display()
        ));
    }
}

/// A sandbox for the settings, with this process's working directory and home.
pub(crate) fn sandbox(
    settings: Settings,
    environment: &Environment,
) -> Result<Sandbox, BuildError> {
    builder(settings, environment).build()
}

/// A sandbox for the settings, for which further choices can be made.
pub(crate) fn builder(settings: Settings, environment: &Environment) -> SandboxBuilder {
    // The main thread runs everything and ends last.
    SandboxBuilder::from_settings(settings)
        .launch_from_callers_thread()
        .working_directory(environment.working_directory.clone())
        .home(environment.home.clone())
}

/// Says in one line what of the project's settings does not apply.
pub(crate) fn mention_held_back(options: &Options, settings: &Settings) {
    let held_back = &settings.held_back;
    if held_back.is_empty() || options.quiet {
        return;
    }
    let files: BTreeSet<_> = held_back
        .iter()
        .map(|entry| format!("`{}`", entry.file.display()))
        .collect();
    let (entries, are) = if held_back.len() == 1 {
        ("entry", "is")
    } else {
        ("entries", "are")
    };
    message::notice(&format!(
        "{} {entries} of {} {are} held back, as this project is not trusted; `srt trust` lists and trusts them",
        held_back.len(),
        files.into_iter().collect::<Vec<_>>().join(" and "),
    ));
}

/// Asks on the terminal whether the project is trusted, where there is somebody to ask; says in one
/// line what is held back where there is nobody.
pub(crate) fn offer_trust(
    options: &Options,
    environment: &Environment,
    settings: &Settings,
) -> Result<bool, TrustError> {
    let asks = terminal::is_interactive() && io::stderr().is_terminal() && !options.quiet;
    let Some(store) = environment.trust_store.as_ref().filter(|_| asks) else {
        mention_held_back(options, settings);
        return Ok(false);
    };
    let files: Vec<LoadedFile> = settings.untrusted_files().cloned().collect();
    if files.is_empty() {
        return Ok(false);
    }
    // No answer is no trust.
    if !ask(settings).unwrap_or(false) {
        mention_held_back(options, settings);
        return Ok(false);
    }
    trust_files(store, &files).map(|()| true)
}

fn ask(settings: &Settings) -> io::Result<bool> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let mut screen = &terminal;
    let mut question =
        String::from("This project's settings ask for more than they may without your trust:\n");
    for entry in settings.held_back.iter().take(SHOWN) {
        let place = format!("{}:{}: {}", entry.file.display(), entry.line, entry.what);
        question.push_str(&format!("  {}\n", message::visible(&place)));
    }
    if let Some(more) = settings
        .held_back
        .len()
        .checked_sub(SHOWN)
        .filter(|more| *more > 0)
    {
        question.push_str(&format!("  and {more} more, see `srt settings`\n"));
    }
    question.push_str("Trust this project's settings? [y/N] ");
    screen.write_all(question.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&terminal).read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

/// Entries that a question lists.
const SHOWN: usize = 10;
