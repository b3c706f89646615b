//! A private apt root: finds and downloads packages of other Debian releases without touching the machine's own apt.
//!
//! apt verifies the archive's signature and each package's checksum as usual.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::mirror::Mirror;
use crate::shell::{CommandExt as _, command, is_present};

/// One apt root for a few suites.
#[derive(Debug)]
pub(crate) struct Archive {
    root: PathBuf,
}

impl Archive {
    /// Sets the root up below `dir` and fetches the package lists of `suites`.
    pub(crate) fn open(dir: &Path, mirror: &Mirror, suites: &[&str]) -> Result<Self> {
        let root = dir.join(suites.join("+"));
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/trusted.gpg.d",
            "etc/apt/preferences.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("status"), "")?;
        fs::write(root.join("etc/apt/sources.list"), sources(mirror, suites)?)?;
        let mut settings = vec![
            format!("Dir \"{}\";", root.display()),
            "Dir::Etc \"etc/apt\";".to_owned(),
            "Dir::State \"state\";".to_owned(),
            format!("Dir::State::status \"{}\";", root.join("status").display()),
            "Dir::Cache \"cache\";".to_owned(),
            "APT::Architecture \"amd64\";".to_owned(),
            "APT::Architectures { \"amd64\"; };".to_owned(),
            "APT::Sandbox::User \"root\";".to_owned(),
            "Acquire::Languages \"none\";".to_owned(),
            "Acquire::Retries \"3\";".to_owned(),
            // The lists of old releases are frozen and have expired; their signatures are checked all the same.
            "Acquire::Check-Valid-Until \"false\";".to_owned(),
        ];
        settings.extend(mirror.settings.iter().cloned());
        fs::write(root.join("apt.conf"), settings.join("\n") + "\n")?;
        let archive = Self { root };
        archive
            .apt("apt-get")
            .args(["-qq", "update"])
            .run_quietly()
            .context("cannot fetch Debian's package lists")?;
        Ok(archive)
    }

    /// The names of all packages that begin with `start`.
    pub(crate) fn package_names(&self, start: &str) -> Result<Vec<String>> {
        let text = self
            .apt("apt-cache")
            .args(["pkgnames", start])
            .stdout_text()?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The names a package depends on, versions and alternatives left out.
    pub(crate) fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let text = self
            .apt("apt-cache")
            .args(["show", "--no-all-versions", package])
            .stdout_text()?;
        let depends = text
            .lines()
            .filter_map(|line| line.strip_prefix("Depends: "));
        let names = depends
            .flat_map(|line| line.split([',', '|']))
            .filter_map(|entry| entry.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }

    /// Downloads a package and unpacks it below `to`. Nothing is installed, no script of the package runs.
    pub(crate) fn unpack(&self, package: &str, to: &Path) -> Result<()> {
        let download = tempfile::tempdir_in(&self.root)?;
        self.apt("apt-get")
            .args(["-qq", "download", package])
            .current_dir(download.path())
            .run_quietly()?;
        let entry = fs::read_dir(download.path())?.next();
        let file = entry
            .with_context(|| format!("apt did not download `{package}`"))??
            .path();
        command("dpkg").arg("-x").arg(file).arg(to).run_quietly()
    }

    fn apt(&self, program: &str) -> Command {
        let mut apt = command(program);
        apt.env("APT_CONFIG", self.root.join("apt.conf"));
        apt
    }
}

/// `sources.list` for the suites; those that end in `-security` live in an archive of their own.
fn sources(mirror: &Mirror, suites: &[&str]) -> Result<String> {
    let keyring = debian_keyring()?;
    let mut lines = String::new();
    for suite in suites {
        let archive = if suite.ends_with("-security") {
            &mirror.security
        } else {
            &mirror.archive
        };
        let Some(archive) = archive else {
            bail!("no Debian mirror is known for `{suite}`: name one with --mirror");
        };
        lines.push_str(&format!(
            "deb [arch=amd64 signed-by={}] {archive} {suite} main\n",
            keyring.display()
        ));
    }
    Ok(lines)
}

/// The keys that Debian signs its archive with.
fn debian_keyring() -> Result<PathBuf> {
    let keyring = PathBuf::from(OsString::from(
        "/usr/share/keyrings/debian-archive-keyring.gpg",
    ));
    if !is_present(&keyring)? {
        bail!(
            "`{}` is missing: install debian-archive-keyring",
            keyring.display()
        );
    }
    Ok(keyring)
}
