//! Developer tasks: `cargo xtask <task>`. Black box on purpose: no crate of the product is linked.
#![forbid(unsafe_code)]

mod apt;
mod macos;
mod shell;
mod steps;
mod suites;
mod syscalls;
mod tally;
mod test;
mod tidy;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Tasks for developing this workspace")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check the rules of CONTRIBUTING.md that no compiler checks.
    Tidy,
    /// Run every test; needs nothing but a Rust toolchain when run as root on Debian or Ubuntu.
    Test(test::Args),
    /// Run the black-box suites on other kernels, in virtual machines.
    TestLinux(vm::Args),
    /// Type-check the workspace for Apple targets.
    CheckMacos(macos::Args),
    /// Write the table of system call numbers.
    Syscalls(syscalls::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Tidy => tidy::run(),
        Task::CheckMacos(args) => macos::run(&args),
        Task::Syscalls(args) => syscalls::run(&args),
        Task::Test(args) => return test::run(&args),
        Task::TestLinux(args) => return vm::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
