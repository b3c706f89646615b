//! `srt <program>`: runs a command and stands between it and the world until it has ended.

use std::{ffi::OsStr, io, path::Path, process::ExitCode, sync::Arc, time::Instant};

use sandbox_core::{
    DescriptorLimit, Origin, Sandbox, SandboxBuilder, SpawnError,
    settings::{Choice, Settings},
    terminal::{Signals, TerminalModes},
};

use super::{
    supervise,
    unsandboxed::{self, Placement},
};
use crate::{
    ask::Asker,
    control::Channel,
    env::Environment,
    exit_code,
    invocation::{self, CommandWords, Options},
    load, message, render,
    violations::{self, Writer},
};

pub(crate) fn run(
    options: &Options,
    command: &CommandWords,
    environment: &Environment,
) -> ExitCode {
    let nobody = Observer {
        needs_sandbox: None,
        prepare: |builder| builder,
        begin: |_: &Sandbox| (),
        end: |()| None,
    };
    observed(options, command, environment, nobody)
}

/// Who looks on.
pub(super) struct Observer<P, B, E> {
    /// What makes no sense without a sandbox, and so must not be run outside.
    pub(super) needs_sandbox: Option<&'static str>,
    /// Has a say in how the sandbox is built.
    pub(super) prepare: P,
    /// Called before anything runs.
    pub(super) begin: B,
    /// Called with what `begin` returned when nothing runs any more; may have an exit code of its own.
    pub(super) end: E,
}

/// As [`run`], with an observer.
pub(super) fn observed<O>(
    options: &Options,
    command: &CommandWords,
    environment: &Environment,
    observer: Observer<
        impl FnOnce(SandboxBuilder) -> SandboxBuilder,
        impl FnOnce(&Sandbox) -> O,
        impl FnOnce(O) -> Option<ExitCode>,
    >,
) -> ExitCode {
    let Observer {
        needs_sandbox,
        prepare,
        begin,
        end,
    } = observer;
    let started = Instant::now();
    log_command(command);
    let mut settings = match settings(options, environment) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    tracing::debug!("settings loaded after {:?}", started.elapsed());
    if let Err(code) = place(&settings, options, command, needs_sandbox) {
        return code;
    }
    let log = options.violations.as_ref().map(|destination| {
        let base = &environment.working_directory;
        destination.open(base, &settings.policy.filesystem)
    });
    let log = match log.transpose() {
        Ok(log) => log,
        Err(error) => return message::set_up_error(&error, None),
    };
    let channel = match options.control_fd.map(Channel::open).transpose() {
        Ok(channel) => channel,
        Err(error) => return message::set_up_error(&error, None),
    };
    // Only from here on: a question to the user before can still be interrupted. Threads, which
    // must inherit the changed mask, are started later.
    let signals = match Signals::take_over() {
        Ok(signals) => signals,
        Err(error) => return message::set_up_error(&error, None),
    };
    let modes = TerminalModes::save();
    // Most runs need the settings only once.
    let live = channel.map(|channel| (channel, settings.clone()));
    if let Some(log) = &log {
        log.guard(&mut settings.policy.filesystem);
    }
    let sandbox = match build(settings, options, environment, prepare) {
        Ok(sandbox) => sandbox,
        Err(code) => return code,
    };
    tracing::debug!("sandbox prepared after {:?}", started.elapsed());
    log_plan(&sandbox);
    if let Some((channel, settings)) = live
        && let Err(error) = channel.follow(settings, sandbox.network_control())
    {
        return message::set_up_error(&error, None);
    }
    let known = sandbox.report().notices;
    if !options.quiet {
        known.iter().for_each(|text| message::notice(text));
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return error.report(command, environment),
    };
    let observer = begin(&sandbox);
    let writer = log.map(|log| Writer::start(log, sandbox.violations()));
    let writer = match writer.transpose() {
        Ok(writer) => writer,
        Err(error) => return message::set_up_error(&error, None),
    };
    let outcome = runtime.block_on(supervise::supervise(&sandbox, command, signals));
    modes.restore();
    tracing::debug!("ended after {:?}", started.elapsed());
    if let Some(text) = writer.and_then(Writer::finish) {
        // Whoever asked for the lines must know, notices or not.
        message::notice(&text);
    }
    say_what_was_refused(options, command, environment, &sandbox, &known);
    let code = end(observer);
    match outcome {
        Ok(ended) => {
            let ended = ended.leave(runtime, sandbox);
            code.unwrap_or_else(|| exit_code::of(ended))
        }
        Err(error) => error.report(command, environment),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    // It panics where it can't have a descriptor for signals.
    let limit = DescriptorLimit::current();
    limit.require_room().map_err(RunError::Descriptors)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(RunError::Runtime)
}

/// What is said at the end. `known` are notices that were said at the start.
fn say_what_was_refused(
    options: &Options,
    command: &CommandWords,
    environment: &Environment,
    sandbox: &Sandbox,
    known: &[String],
) {
    let report = sandbox.report();
    if !options.quiet {
        // Some things are known of a kernel only when a command has been launched on it.
        let news = report.notices.iter().filter(|text| !known.contains(text));
        news.for_each(|text| message::notice(text));
    }
    if environment.violations_block {
        violations::print_block(sandbox.violations(), &command.display());
    } else if !options.quiet {
        violations::print_summary(&report);
    }
}

/// Runs the command outside where the settings say so; then its exit code is the error.
fn place(
    settings: &Settings,
    options: &Options,
    command: &CommandWords,
    needs_sandbox: Option<&'static str>,
) -> Result<(), ExitCode> {
    match unsandboxed::placement(settings, options, command, needs_sandbox) {
        Ok(Placement::Inside) => Ok(()),
        Ok(Placement::Outside { key, origin }) => {
            message::notice(&format!(
                "running without a sandbox, because of `{key}` ({origin})"
            ));
            Err(unsandboxed::execute(command))
        }
        Err(error) => Err(message::set_up_error(&error, None)),
    }
}

fn build(
    settings: Settings,
    options: &Options,
    environment: &Environment,
    prepare: impl FnOnce(SandboxBuilder) -> SandboxBuilder,
) -> Result<Sandbox, ExitCode> {
    let asked = options.ask.map(|limit| (limit, settings.clone()));
    let tells_reads = options.violations.is_some() && !declines(&settings.strict_reads);
    let descriptors = DescriptorLimit::current();
    let mut builder =
        load::builder(settings, environment).max_connections(descriptors.connections_when_raised());
    if let Some((limit, settings)) = asked {
        let asker = Asker::start(settings, environment.home.clone());
        let asker = asker.map_err(|error| message::set_up_error(&error, None))?;
        builder = builder.decider(Arc::new(asker)).decision_timeout(limit);
    }
    if tells_reads {
        builder = builder.tell_refused_reads();
    }
    prepare(builder)
        .build()
        .map_err(|error| message::set_up_error(&error, None))
}

/// Whether somebody wrote that it be off.
fn declines(switch: &Choice<bool>) -> bool {
    !switch.value && !matches!(switch.origin, Origin::BuiltIn(_))
}

/// Why there is no exit status.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("cannot open enough files; `ulimit -n` has the limit")]
    Descriptors(#[source] io::Error),
    #[error("cannot start the event loop")]
    Runtime(#[source] io::Error),
    #[error("cannot receive signals")]
    Signals(#[source] io::Error),
    #[error("cannot wait for the command")]
    Wait(#[source] io::Error),
    #[error("interrupted before the command was started")]
    Interrupted(i32),
    #[error(transparent)]
    Spawn(SpawnError),
}

impl RunError {
    fn report(&self, command: &CommandWords, environment: &Environment) -> ExitCode {
        match self {
            Self::Spawn(SpawnError::NotFound) => {
                let outside = invocation::program_outside(&command.program, environment);
                if let Some(outside) = outside {
                    return not_seen(&command.program, &outside);
                }
                let error = io::Error::from(io::ErrorKind::NotFound);
                unsandboxed::not_started(&command.program, true, &error)
            }
            Self::Spawn(SpawnError::NotExecutable { source }) => {
                unsandboxed::not_started(&command.program, false, source)
            }
            Self::Spawn(error) => message::set_up_error(error, error.hint()),
            Self::Interrupted(signal) => exit_code::interrupted(*signal),
            Self::Descriptors(_) | Self::Runtime(_) | Self::Signals(_) | Self::Wait(_) => {
                message::set_up_error(self, None)
            }
        }
    }
}

/// Says that a program is there outside alone: in a private directory, or where reading is denied.
fn not_seen(program: &OsStr, outside: &Path) -> ExitCode {
    let outside = outside.display();
    let text = format!(
        "not found inside, though the host has it: `srt explain read {outside}` says why, if asked with the same options"
    );
    message::command_line_error(&program.display().to_string(), &message::visible(&text));
    ExitCode::from(exit_code::NOT_FOUND)
}

/// The settings, after the user has been asked about the project's.
fn settings(options: &Options, environment: &Environment) -> Result<Settings, ExitCode> {
    let load =
        || load::load(options, environment).map_err(|errors| render::settings_errors(&errors));
    let settings = load()?;
    if settings.held_back.is_empty() {
        return Ok(settings);
    }
    match load::offer_trust(options, environment, &settings) {
        Ok(false) => Ok(settings),
        Ok(true) => load(),
        Err(error) => Err(message::set_up_error(&error, None)),
    }
}

fn log_command(command: &CommandWords) {
    if command.line.is_some() {
        tracing::debug!(
            "Command string mode: {}",
            message::visible(&command.display())
        );
    }
    tracing::debug!("Original command: {}", message::visible(&command.display()));
}

fn log_plan(sandbox: &Sandbox) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        for line in sandbox.plan().lines() {
            tracing::debug!("plan: {}", message::visible(line));
        }
    }
}
