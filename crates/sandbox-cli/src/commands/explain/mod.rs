//! `srt explain`: whether the command could do something, which rule decides, and what would change it.
//!
//! Nothing is run. The first line is the verdict; the exit status is the verdict too.

mod hint;
mod show;

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::ExitCode,
};

use sandbox_core::{
    AllowReason, Attempt, Explanation, Port,
    settings::{Overrides, ProjectTrust, Settings},
};

use super::unsandboxed::PlacementError;
use crate::{
    args::Operation, env::Environment, exit_code, invocation::Options, load, message, render,
};

/// The answer was no.
const REFUSED: u8 = 1;

/// The port of a host that is given without one.
const HTTPS: u16 = 443;

/// What tools write with a leading `@` is no path.
const ABSTRACT: &str =
    "this is about a path: abstract sockets of the host cannot be reached, whatever the settings";

/// Something that can't be asked about.
#[derive(Debug, thiserror::Error)]
enum QuestionError {
    /// A host or a name is text.
    #[error("`{}` is not a host: it is not UTF-8", .0.display())]
    NotText(OsString),
    /// What stands behind the colon.
    #[error("`{0}` is not a port: a number from 1 to 65535")]
    NotAPort(String),
    /// More than a host and a port.
    #[error("`{0}` is a URL: give its host, and its port if it has one, such as `example.com:443`")]
    Url(String),
    /// No path.
    #[error("a path cannot be empty")]
    EmptyPath,
}

/// A question as it was understood.
struct Question {
    attempt: Attempt,
    /// What was added to it.
    assumed: Option<String>,
}

/// An answer with everything that is said about it.
struct Answer {
    explanation: Explanation,
    hint: Option<String>,
    remarks: Vec<String>,
}

pub(super) fn print(
    options: &Options,
    environment: &Environment,
    operation: Operation,
    object: &OsStr,
    json: bool,
) -> ExitCode {
    let question = match Question::new(operation, object) {
        Ok(question) => question,
        Err(error) => {
            message::say(format_args!(
                "error: {}",
                message::visible(&error.to_string())
            ));
            return ExitCode::from(exit_code::USAGE);
        }
    };
    let settings = match load::load(options, environment) {
        Ok(settings) => settings,
        Err(errors) => return render::settings_errors(&errors),
    };
    let enabled = &settings.execution.enabled;
    if !enabled.value && options.overrides != Overrides::none() {
        let error = PlacementError::RulesWithoutSandbox {
            key: "enabled",
            origin: enabled.origin.clone(),
        };
        return message::set_up_error(&error, None);
    }
    let sandbox = match load::sandbox(settings.clone(), environment) {
        Ok(sandbox) => sandbox,
        Err(error) => return message::set_up_error(&error, None),
    };
    let mut explanation = sandbox.explain(&question.attempt);
    let mut remarks: Vec<String> = question.assumed.iter().cloned().collect();
    if enabled.value {
        remarks.append(&mut explanation.remarks);
        let held_back = would_be_changed(options, environment, &settings, &question, &explanation);
        remarks.extend(held_back);
        remarks.extend(excluded(&settings));
    } else {
        explanation.reason = AllowReason::NoSandbox.into();
        explanation.rule = Some(("enabled".to_owned(), enabled.origin.clone()));
        explanation.note = None;
    }
    let answer = Answer {
        hint: hint::hint(&question.attempt, &explanation),
        explanation,
        remarks,
    };
    let printed = if json {
        super::print_json(&show::json(&answer))
    } else {
        message::print(&show::text(&answer))
    };
    if printed == ExitCode::SUCCESS && !answer.explanation.is_allowed() {
        return ExitCode::from(REFUSED);
    }
    printed
}

impl Question {
    fn new(operation: Operation, object: &OsStr) -> Result<Self, QuestionError> {
        let sure = |attempt| Self {
            attempt,
            assumed: None,
        };
        let path = || match object.is_empty() {
            true => Err(QuestionError::EmptyPath),
            false => Ok(PathBuf::from(object)),
        };
        let text = || {
            let text = object.to_str();
            text.ok_or_else(|| QuestionError::NotText(object.to_owned()))
        };
        match operation {
            Operation::Read => Ok(sure(Attempt::Read(path()?))),
            Operation::Write => Ok(sure(Attempt::Write(path()?))),
            Operation::Socket => Ok(Self {
                attempt: Attempt::Socket(path()?),
                assumed: object
                    .as_encoded_bytes()
                    .starts_with(b"@")
                    .then(|| ABSTRACT.to_owned()),
            }),
            Operation::Resolve => Ok(sure(Attempt::Resolve(text()?.to_owned()))),
            Operation::Connect => Self::connect(text()?),
        }
    }

    fn connect(text: &str) -> Result<Self, QuestionError> {
        if text.contains("://") {
            return Err(QuestionError::Url(text.to_owned()));
        }
        let (host, port) = host_and_port(text);
        let number = port.map_or(Ok(HTTPS), |port| {
            port.parse()
                .map_err(|_not_a_number| QuestionError::NotAPort(port.to_owned()))
        })?;
        let port_error = || QuestionError::NotAPort(number.to_string());
        Ok(Self {
            attempt: Attempt::Connect {
                host: host.to_owned(),
                port: Port::new(number).ok_or_else(port_error)?,
            },
            assumed: port
                .is_none()
                .then(|| format!("no port was given: this is about port {HTTPS}")),
        })
    }
}

/// `host`, `host:port`, `v6`, `[v6]`, `[v6]:port`.
fn host_and_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    }
}

/// Says so if what is held back of the project's settings would turn the verdict.
fn would_be_changed(
    options: &Options,
    environment: &Environment,
    settings: &Settings,
    question: &Question,
    explanation: &Explanation,
) -> Option<String> {
    if settings.held_back.is_empty() {
        return None;
    }
    let trusting = Options {
        settings: options.settings.clone(),
        overrides: options.overrides.clone(),
        trust: ProjectTrust::Granted,
        control_fd: None,
        ask: None,
        debug: options.debug,
        quiet: options.quiet,
        violations: None,
    };
    // What can't be enforced changes nothing.
    let settings = load::load(&trusting, environment).ok()?;
    let sandbox = load::sandbox(settings, environment).ok()?;
    let other = sandbox.explain(&question.attempt);
    if other.is_allowed() == explanation.is_allowed() {
        return None;
    }
    let by = match &other.rule {
        Some((rule, origin)) => format!(", by `{rule}` of {origin}"),
        None => String::new(),
    };
    let word = show::verdict(other.is_allowed());
    Some(format!(
        "held-back settings of this project would turn this into `{word}`{by}; `srt trust` lists and trusts them"
    ))
}

/// Commands that no verdict is about.
fn excluded(settings: &Settings) -> Option<String> {
    let execution = &settings.execution;
    let first = execution.excluded_commands.first()?;
    execution.allow_unsandboxed_commands.value.then(|| {
        format!(
            "commands that `excludedCommands` ({}) names run without a sandbox",
            first.origin
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_stands_behind_the_last_colon() {
        for (text, host, port) in [
            ("example.com", "example.com", None),
            ("example.com:22", "example.com", Some("22")),
            ("example.com:", "example.com", Some("")),
            ("::1", "::1", None),
            ("[::1]", "[::1]", None),
            ("[::1]:22", "[::1]", Some("22")),
        ] {
            assert_eq!(host_and_port(text), (host, port), "{text}");
        }
    }
}
