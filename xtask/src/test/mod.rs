//! `cargo xtask test`: the one test command. On a fresh Debian or Ubuntu with a Rust toolchain it installs what it needs
//! and runs everything: style, unit tests, the black-box suites as root and as an ordinary user, and a virtual machine.

mod accounts;
mod deny;
mod packages;

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

use self::accounts::Account;
use crate::{
    shell::{CommandExt as _, cargo, is_root, say},
    steps::Steps,
    suites::{Linking, Suites},
    tally::{Skips, Tally},
    tidy, vm, workspace,
};

/// What to leave out.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Args {
    /// For the developer's loop: no packages are installed, no cargo-deny, no virtual machine.
    #[arg(long)]
    quick: bool,
    /// The black-box suites on this machine only.
    #[arg(long)]
    suites: bool,
    /// Everything but the suites in a virtual machine.
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
    let machine = prepare(args, steps)?;
    if args.suites {
        steps.leave_out("everything but the suites", "--suites");
        return black_box(machine, steps);
    }
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
    black_box(machine, steps)?;
    if args.quick {
        steps.leave_out("cargo-deny", "--quick");
        steps.leave_out("suites in a virtual machine", "--quick");
        return Ok(());
    }
    steps.run("licences, bans and sources", |_| deny::check_rules())?;
    steps.run("advisories", |_| deny::report_advisories())?;
    if args.no_vm {
        steps.leave_out("suites in a virtual machine", "--no-vm");
        return Ok(());
    }
    steps.run("suites in a virtual machine", |tally| {
        vm::test(&vm::Args::fast_lane(VM_KERNEL), tally)
    })
}

/// The kernel of the current Debian stable.
const VM_KERNEL: &str = "6.12";

/// What this machine and we on it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    /// We are root and have installed every package: a test that skips is a failure.
    Complete,
    /// We are root, but packages may be missing.
    Root,
    /// We are an ordinary user, and packages may be missing.
    Ordinary,
}

/// Installs packages and makes the ordinary user as far as we can.
fn prepare(args: &Args, steps: &mut Steps) -> Result<Machine> {
    let machine = match (is_root()?, args.quick) {
        (true, false) => Machine::Complete,
        (true, true) => Machine::Root,
        (false, _) => Machine::Ordinary,
    };
    match machine {
        Machine::Complete => steps.run("packages", |_| packages::ensure())?,
        Machine::Root => steps.leave_out("packages", "--quick: what is missing makes tests skip"),
        Machine::Ordinary => steps.leave_out(
            "packages",
            "we are not root: what is missing makes tests skip",
        ),
    }
    if machine != Machine::Ordinary {
        steps.run("ordinary user", |_| accounts::ensure_tester())?;
    }
    Ok(machine)
}

/// Builds binary and suites, and runs the suites as each user that we can be.
fn black_box(machine: Machine, steps: &mut Steps) -> Result<()> {
    let root = machine != Machine::Ordinary;
    // Not below /tmp, which the sandbox replaces by its own, not in the checkout, which another user may be unable to
    // enter, and not in a place of the system's, of which `srt learn` proposes nothing.
    let base = if root {
        let base = PathBuf::from("/srv");
        std::fs::create_dir_all(&base)?;
        base
    } else {
        workspace::target_directory()?
    };
    let dir = tempfile::Builder::new()
        .prefix("srt-test-")
        .tempdir_in(base)?;
    let mut suites = None;
    steps.run("release binary and suites", |_| {
        suites = Some(Suites::build(Linking::Dynamic, dir.path())?);
        Ok(())
    })?;
    let suites = suites.context("nothing was built")?;
    if !root {
        steps.leave_out("suites as root and as a second user", "we are not root");
        return steps.run("suites as ourselves", |tally| {
            run_suites(&suites, Account::Ourselves, machine, tally)
        });
    }
    steps.run("toolchain for the ordinary user", |_| {
        accounts::share_toolchain(&suites.dir)
    })?;
    // Which of the two fails says much about the cause: both run.
    let as_root = steps.run("suites as root", |tally| {
        run_suites(&suites, Account::Ourselves, machine, tally)
    });
    let as_tester = steps.run("suites as an ordinary user", |tally| {
        run_suites(&suites, Account::Tester, machine, tally)
    });
    as_root.and(as_tester)
}

fn run_suites(
    suites: &Suites,
    account: Account,
    machine: Machine,
    tally: &mut Tally,
) -> Result<()> {
    let mut found = Tally::default();
    let mut broken = Vec::new();
    for executable in &suites.executables {
        let name = executable
            .file_name()
            .unwrap_or_else(|| OsStr::new("?"))
            .display();
        say(format!("--- {name}"));
        let before = found.clone();
        // Skips are reported on stderr, results on stdout: one stream keeps their order.
        let mut suite = account.shell("exec \"$0\" 2>&1", &suites.dir);
        suite
            .env("SRT_UNDER_TEST", &suites.srt)
            .env("RUST_BACKTRACE", "0")
            .arg(executable);
        let skips = if machine == Machine::Complete {
            Skips::Fail
        } else {
            Skips::Count
        };
        if skips == Skips::Fail {
            suite.env("SRT_EXPECT_ALL", "1");
        }
        let succeeded = suite.for_each_line(&mut |line| {
            found.read(line, skips);
            say(line);
        })?;
        // A suite that dies without a result has tested nothing that can be counted.
        if found.executables != before.executables + 1
            || (!succeeded && found.failed == before.failed)
        {
            broken.push(name.to_string());
        }
    }
    *tally += &found;
    if !broken.is_empty() {
        bail!("no result from {}; otherwise {found}", broken.join(", "));
    }
    fail_if_any_failed(&found, "the suites")
}

fn read_tests(tests: &mut Command, what: &str, tally: &mut Tally) -> Result<()> {
    let mut found = Tally::default();
    let succeeded = tests.for_each_line(&mut |line| {
        found.read(line, Skips::Count);
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
