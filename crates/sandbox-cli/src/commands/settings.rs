//! `srt settings`: the effective settings with the place that each value comes from.

use std::process::ExitCode;

use sandbox_core::settings::{describe, describe_lines};

use crate::{env::Environment, invocation::Options, load, message, render};

pub(crate) fn print(options: &Options, environment: &Environment, json: bool) -> ExitCode {
    let settings = match load::load(options, environment) {
        Ok(settings) => settings,
        Err(errors) => return render::settings_errors(&errors),
    };
    if json {
        return super::print_json(&describe(&settings));
    }
    let lines = describe_lines(&settings);
    message::print(
        &lines
            .iter()
            .map(|line| format!("{}\n", message::visible(line)))
            .collect::<String>(),
    )
}
