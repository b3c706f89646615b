//! `cargo xtask test`: the one test command. On a fresh Debian or Ubuntu with a Rust toolchain it installs what it needs
//! and runs everything: style, unit tests, the black-box suites as root and as an ordinary user, and a virtual machine.

mod accounts;
mod deny;
mod packages;

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

use self::accounts::Account;
use crate::{
    apt,
    shell::{CommandExt as _, cargo, is_root, say},
    steps::Steps,
    suites::{Linking, Suites},
    tally::Tally,
    tidy, vm,
};

/// What to leave out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For the developer's loop: no packages are installed, no cargo-deny, no virtual machine.
    #[arg(long)]
    quick: bool,
    /// No virtual machine.
    #[arg(long)]
    no_vm: bool,
}

/// Runs all steps; the last line of the output is the sum of the tests, whatever happened.
pub(crate) fn run(args: &Args) -> ExitCode {
    let mut steps = Steps::default();
    let result = all(args, &mut steps);
    if let Err(error) = &result {
        say(format!("\nerror: {error:#}"));
    }
    steps.summarise();
    if result.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn all(args: &Args, steps: &mut Steps) -> Result<()> {
    let root = is_root()?;
    prepare(args, root, steps)?;
    steps.run("formatting", |_| cargo(&["fmt", "--all", "--check"]).run())?;
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    steps.run("clippy", |_| cargo(&clippy).run())?;
    steps.run("tidy", |_| tidy::run())?;
    steps.run("documentation", |_| {
        cargo(&["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()
    })?;
    steps.run("unit and integration tests", |tally| {
        let tests = [
            "test",
            "--workspace",
            "--exclude",
            "sandbox-tests",
            "--no-fail-fast",
        ];
        read_tests(&mut cargo(&tests), "the tests", tally)
    })?;
    black_box(root, steps)?;
    if args.quick {
        steps.leave_out("cargo-deny", "--quick");
    } else {
        steps.run("licences, bans and sources", |_| deny::check_rules())?;
        steps.run("advisories", |_| deny::report_advisories())?;
    }
    match (args.quick, args.no_vm) {
        (true, _) => steps.leave_out("suites in a virtual machine", "--quick"),
        (_, true) => steps.leave_out("suites in a virtual machine", "--no-vm"),
        _ => steps.run("suites in a virtual machine", |tally| {
            vm::test(&vm::Args::one_kernel(VM_KERNEL), tally)
        })?,
    }
    Ok(())
}

/// The kernel of the current Debian stable.
const VM_KERNEL: &str = "6.12";

fn prepare(args: &Args, root: bool, steps: &mut Steps) -> Result<()> {
    if args.quick {
        steps.leave_out("packages", "--quick: what is missing makes suites skip");
    } else if root {
        steps.run("packages", |_| {
            let missing: Vec<&str> = packages::PACKAGES
                .iter()
                .map(|(package, _)| *package)
                .collect();
            apt::ensure(&missing)
        })?;
    } else {
        steps.leave_out(
            "packages",
            "we are not root: what is missing makes suites skip",
        );
    }
    if root {
        steps.run("ordinary user", |_| accounts::ensure_tester())?;
    }
    Ok(())
}

/// Builds binary and suites, and runs the suites as each user that we can be.
fn black_box(root: bool, steps: &mut Steps) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("srt-test-").tempdir()?;
    let mut suites = None;
    steps.run("release binary and suites", |_| {
        suites = Some(Suites::build(Linking::Dynamic, dir.path())?);
        Ok(())
    })?;
    let suites = suites.context("nothing was built")?;
    let accounts: &[Account] = if root {
        &[Account::Ourselves, Account::Tester]
    } else {
        &[Account::Ourselves]
    };
    for account in accounts {
        let label = account.label(root);
        steps.run(&format!("suites as {label}"), |tally| {
            run_suites(&suites, *account, root, tally)
        })?;
    }
    if !root {
        steps.leave_out("suites as root and as another user", "we are not root");
    }
    Ok(())
}

fn run_suites(suites: &Suites, account: Account, root: bool, tally: &mut Tally) -> Result<()> {
    let mut found = Tally::default();
    let mut broken = Vec::new();
    for executable in &suites.executables {
        let name = executable.file_name().unwrap_or_else(|| OsStr::new("?"));
        say(format!("--- {} as {}", name.display(), account.label(root)));
        let before = found.executables;
        let mut run = suite_command(executable, &suites.srt, account, root);
        let succeeded = run.for_each_line(&mut |line| {
            found.read(line);
            say(line);
        })?;
        // A suite that dies without a result has tested nothing that can be counted.
        if found.executables != before + 1 || (!succeeded && found.failed == 0) {
            broken.push(name.display().to_string());
        }
    }
    *tally += &found;
    if !broken.is_empty() {
        bail!("no result from {}", broken.join(", "));
    }
    fail_if_any_failed(&found, "the suites")
}

/// A root run has installed everything, so there a skip is a failure.
fn suite_command(executable: &Path, srt: &Path, account: Account, root: bool) -> Command {
    let mut variables = vec![("SRT_UNDER_TEST", srt.as_os_str())];
    if root {
        variables.push(("SRT_EXPECT_ALL", OsStr::new("1")));
    }
    // Skips are reported on stderr, results on stdout: one stream keeps their order.
    let mut run = account.command("sh", &variables);
    run.args(["-c", "exec \"$0\" 2>&1"]).arg(executable);
    run
}

fn read_tests(tests: &mut Command, what: &str, tally: &mut Tally) -> Result<()> {
    let mut found = Tally::default();
    let succeeded = tests.for_each_line(&mut |line| {
        found.read(line);
        say(line);
    })?;
    *tally += &found;
    fail_if_any_failed(&found, what)?;
    if !succeeded {
        bail!("{what} could not be run");
    }
    Ok(())
}

fn fail_if_any_failed(found: &Tally, what: &str) -> Result<()> {
    if found.failed > 0 {
        bail!("{what}: {found}");
    }
    Ok(())
}
