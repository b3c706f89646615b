//! `srt plan`: how the settings would be enforced here. Nothing is run.

use std::process::ExitCode;

use crate::{env::Environment, invocation::Options, load, message, render};

pub(crate) fn print(options: &Options, environment: &Environment) -> ExitCode {
    let settings = match load::load(options, environment) {
        Ok(settings) => settings,
        Err(errors) => return render::settings_errors(&errors),
    };
    load::mention_held_back(options, &settings);
    match load::sandbox(settings, environment) {
        Ok(sandbox) => message::print(&format!(
            "{}\n{}",
            sandbox.plan().trim_end(),
            sandbox.report()
        )),
        Err(error) => message::set_up_error(&error, None),
    }
}
