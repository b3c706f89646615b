//! What `srt` does: runs a command, or is a tool of its own. One file each.

mod doctor;
mod explain;
mod learn;
mod plan;
mod run;
mod settings;
mod supervise;
mod trust;
mod unsandboxed;

use std::process::ExitCode;

use crate::{
    args::Tool,
    env::Environment,
    invocation::{Action, CommandWords, Invocation},
    message,
};

/// Does what the invocation says.
pub(crate) fn execute(invocation: Invocation, environment: &Environment) -> ExitCode {
    let Invocation { options, action } = invocation;
    match action {
        Action::Run(command) => run::run(&options, &command, environment),
        Action::Tool(Tool::Settings { json }) => settings::print(&options, environment, json),
        Action::Tool(Tool::Schema) => schema(),
        Action::Tool(Tool::Trust { dry_run }) => trust::trust(&options, environment, dry_run),
        Action::Tool(Tool::Doctor { json }) => doctor::print(json),
        Action::Tool(Tool::Learn {
            write,
            permissive,
            words,
        }) => learn::learn(
            &options,
            &CommandWords::new(words, environment),
            environment,
            learn::Choices { write, permissive },
        ),
        Action::Tool(Tool::Plan) => plan::print(&options, environment),
        Action::Tool(Tool::Explain {
            operation,
            object,
            json,
        }) => explain::print(&options, environment, operation, &object, json),
    }
}

fn schema() -> ExitCode {
    print_json(&sandbox_core::settings::schema())
}

fn print_json(value: &serde_json::Value) -> ExitCode {
    message::print(&format!("{value:#}\n"))
}
