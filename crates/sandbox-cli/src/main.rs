//! The `srt` program: runs a command in a sandbox.
//!
//! Words become [`args`] (what was typed), those an [`invocation`] (what is meant), and that one of
//! the [`commands`]. Standard output belongs to the sandboxed command; everything that we say about
//! a run goes to standard error.
#![forbid(unsafe_code)]

mod args;
mod ask;
mod commands;
mod control;
mod env;
mod exit_code;
mod invocation;
mod load;
mod logging;
mod message;
mod render;
mod violations;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{args::Args, env::Environment, invocation::Invocation};

fn main() -> ExitCode {
    let words = env::words();
    let args = match Args::try_parse_from(&words) {
        Ok(args) => args,
        Err(error) => return message::usage(&error),
    };
    let environment = match Environment::read(invocation::is_placeless(&args, &words)) {
        Ok(environment) => environment,
        Err(error) => return message::set_up_error(&error, None),
    };
    let invocation = match Invocation::new(args, &words, &environment) {
        Ok(invocation) => invocation,
        Err(error) => return error.report(),
    };
    if invocation.options.debug {
        logging::start();
    }
    commands::execute(invocation, &environment)
}
