//! Installing Debian and Ubuntu packages on this machine.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::shell::{CommandExt as _, command, is_installed, is_root, say};

/// Installs what is missing when we are root; otherwise the error is the line to type.
pub(crate) fn ensure(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_package_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root()? || !is_installed("apt-get") {
        bail!(
            "packages are missing, as root: apt-get install --no-install-recommends {}",
            missing.join(" ")
        );
    }
    say(format!("installing {}", missing.join(" ")));
    update_once()?;
    if install(&missing).run_quietly().is_ok() {
        return Ok(());
    }
    // A package that was installed from elsewhere in a newer version can stand in the way of its siblings from the
    // distribution (qemu-utils from backports does). Then the distribution's own version of that one is named too.
    // Removing packages is never an answer.
    let release = release_codename()?;
    let pinned = format!("qemu-utils/{release}");
    let mut words = missing.clone();
    words.push(&pinned);
    install(&words)
        .arg("--allow-downgrades")
        .run_quietly()
        .context("cannot install packages")
}

/// Fetches the package lists unless they are there from earlier today.
pub(crate) fn update_once() -> Result<()> {
    let fresh =
        "find /var/lib/apt/lists -maxdepth 1 -name '*Release' -newermt '-12 hours' | grep -q .";
    if command("sh")
        .args(["-c", fresh])
        .status()
        .is_ok_and(|status| status.success())
    {
        return Ok(());
    }
    command("apt-get")
        .args(["-qq", "-o", "DPkg::Lock::Timeout=300", "update"])
        .run()
}

/// The code name of the distribution that runs here.
fn release_codename() -> Result<String> {
    let text = fs::read_to_string(Path::new("/etc/os-release"))
        .context("cannot read `/etc/os-release`")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(line
        .context("`/etc/os-release` has no VERSION_CODENAME")?
        .trim_matches('"')
        .to_owned())
}

fn install(packages: &[&str]) -> Command {
    let mut apt = command("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        .args([
            "-o",
            "DPkg::Lock::Timeout=300",
            "install",
            "-y",
            "--no-install-recommends",
            "--no-remove",
        ])
        .args(packages);
    apt
}

fn is_package_installed(package: &str) -> bool {
    let mut query = command("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status}", package]);
    query
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}
