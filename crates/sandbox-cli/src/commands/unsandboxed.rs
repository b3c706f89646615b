//! Commands that the settings take out of the sandbox.

use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    process::ExitCode,
};

use sandbox_core::{Origin, settings::Settings};

use crate::{
    exit_code,
    invocation::{CommandWords, Options},
    message,
};

/// Whether a command runs in the sandbox.
#[derive(Debug)]
pub(crate) enum Placement<'a> {
    /// It does.
    Inside,
    /// It does not, because of a setting.
    Outside {
        key: &'static str,
        origin: &'a Origin,
    },
}

/// Settings that contradict each other about a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlacementError {
    /// Excluded, and nothing may run outside.
    #[error(
        "`{entry}` of `excludedCommands` ({excluded}) names this command, but `allowUnsandboxedCommands` is off ({off})"
    )]
    ExcludedButNotAllowed {
        /// The entry.
        entry: String,
        /// Where it is.
        excluded: Origin,
        /// Where unsandboxed commands are switched off.
        off: Origin,
    },
    /// A run that changes nothing, which would change the host.
    #[error("`{what}` needs a sandbox, but `{key}` ({origin}) runs this command without one")]
    NeedsSandbox {
        /// What was asked for.
        what: &'static str,
        /// The setting.
        key: &'static str,
        /// Where it is.
        origin: Origin,
    },
    /// Rules for a sandbox that there would not be.
    #[error(
        "rules on the command line need a sandbox, but `{key}` ({origin}) runs this command without one"
    )]
    RulesWithoutSandbox {
        /// The setting.
        key: &'static str,
        /// Where it is.
        origin: Origin,
    },
}

/// Where the settings want a command to run. All layers of the sandbox go together. `needs_sandbox` names
/// what must not run outside.
pub(crate) fn placement<'a>(
    settings: &'a Settings,
    options: &Options,
    command: &CommandWords,
    needs_sandbox: Option<&'static str>,
) -> Result<Placement<'a>, PlacementError> {
    let execution = &settings.execution;
    let (key, origin) = if !execution.enabled.value {
        ("enabled", &execution.enabled.origin)
    } else if let Some(entry) = execution
        .excluded_commands
        .iter()
        .find(|entry| names(&entry.value, command))
    {
        let permission = &execution.allow_unsandboxed_commands;
        if !permission.value {
            return Err(PlacementError::ExcludedButNotAllowed {
                entry: entry.value.clone(),
                excluded: entry.origin.clone(),
                off: permission.origin.clone(),
            });
        }
        ("excludedCommands", &entry.origin)
    } else {
        return Ok(Placement::Inside);
    };
    if let Some(what) = needs_sandbox {
        return Err(PlacementError::NeedsSandbox {
            what,
            key,
            origin: origin.clone(),
        });
    }
    let none = sandbox_core::settings::Overrides::none();
    if options.overrides == none && options.control_fd.is_none() {
        Ok(Placement::Outside { key, origin })
    } else {
        Err(PlacementError::RulesWithoutSandbox {
            key,
            origin: origin.clone(),
        })
    }
}

/// Runs the command in the place of this process, without a sandbox. Returns only if it can't.
#[expect(
    clippy::disallowed_methods,
    reason = "the settings take this command out of the sandbox"
)]
pub(crate) fn execute(command: &CommandWords) -> ExitCode {
    let mut process = std::process::Command::new(&command.program);
    if let Some(name) = &command.name {
        process.arg0(name);
    }
    let error = process.args(&command.arguments).exec();
    not_started(
        &command.program,
        error.kind() == io::ErrorKind::NotFound,
        &error,
    )
}

/// Says that a program was not started, as shells do.
pub(crate) fn not_started(program: &OsStr, not_found: bool, error: &io::Error) -> ExitCode {
    let name = program.display().to_string();
    if !not_found {
        message::command_line_error(&name, &message::visible(&error.to_string()));
        return ExitCode::from(exit_code::NOT_EXECUTABLE);
    }
    let is_path = program.as_bytes().contains(&b'/');
    let text = if is_path {
        "No such file or directory"
    } else {
        "command not found"
    };
    message::command_line_error(&name, text);
    ExitCode::from(exit_code::NOT_FOUND)
}

/// Whether an entry of `excludedCommands` names the command: by its first word, as written. A path
/// is another word than a name, so that a file put into the project does not pass for a program of
/// the system; and a line that could run a second command is not named by its first.
fn names(entry: &str, command: &CommandWords) -> bool {
    let entry = entry
        .trim()
        .trim_end_matches('*')
        .trim_end_matches([' ', ':']);
    let word = match &command.line {
        None => command.program.as_bytes(),
        Some(line) => {
            let line = line.as_bytes().trim_ascii();
            if line.iter().any(|byte| b";&|<>`$()\n\\".contains(byte)) {
                return false;
            }
            line.split(u8::is_ascii_whitespace).next().unwrap_or(line)
        }
    };
    !entry.is_empty() && entry.as_bytes() == word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(program: &str) -> CommandWords {
        CommandWords {
            program: program.into(),
            name: None,
            arguments: vec!["argument".into()],
            line: None,
        }
    }

    fn line(line: &str) -> CommandWords {
        CommandWords {
            line: Some(line.into()),
            ..words("/bin/sh")
        }
    }

    #[test]
    fn an_entry_names_commands_by_their_first_word() {
        for entry in ["docker", " docker ", "docker *", "docker:*"] {
            assert!(names(entry, &words("docker")), "{entry}");
            assert!(names(entry, &line("docker ps -a")), "{entry}");
            assert!(!names(entry, &words("docker-compose")), "{entry}");
            assert!(!names(entry, &line("dockerd")), "{entry}");
        }
        assert!(names("/usr/bin/docker", &words("/usr/bin/docker")));
        assert!(!names("*", &words("docker")));
        assert!(!names("", &words("")));
    }

    #[test]
    fn a_planted_program_is_not_named() {
        assert!(!names("docker", &words("./docker")));
        assert!(!names("docker", &words("/somewhere/docker")));
    }

    #[test]
    fn a_line_of_several_commands_is_not_named() {
        for text in [
            "docker ps; id",
            "docker ps && id",
            "docker ps | id",
            "docker $(id)",
            "docker `id`",
            "docker ps\nid",
            "docker ps > file",
            "(docker ps)",
        ] {
            assert!(!names("docker", &line(text)), "{text}");
        }
    }
}
