//! The black-box suites of `tests/` and the binary they try, built for running elsewhere than where they were built.

use std::{
    fs,
    io::Cursor,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::Message;

use crate::shell::{CommandExt as _, cargo, command};

/// A directory with `srt` and the suites' executables that every user of the machine may read.
#[derive(Debug)]
pub(crate) struct Suites {
    /// The directory itself.
    pub(crate) dir: PathBuf,
    /// The binary under test.
    pub(crate) srt: PathBuf,
    /// The executables of the suites, by name.
    pub(crate) executables: Vec<PathBuf>,
}

/// How programs are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linking {
    /// As users get them.
    Dynamic,
    /// Without any library of the machine that runs them.
    Static,
}

impl Suites {
    /// Builds the binary and the suites and copies them into `dir`.
    pub(crate) fn build(linking: Linking, dir: &Path) -> Result<Self> {
        let mut binary = cargo(&[
            "build",
            "--release",
            "-p",
            "sandbox-cli",
            "--message-format=json-render-diagnostics",
        ]);
        linking.apply(&mut binary)?;
        let mut suites = cargo(&[
            "test",
            "-p",
            "sandbox-tests",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ]);
        linking.apply(&mut suites)?;
        let built = executables(&mut binary, false)?;
        let [srt] = built.as_slice() else {
            bail!("one binary was expected, cargo built {built:?}")
        };
        let suites = executables(&mut suites, true)?;
        if suites.is_empty() {
            bail!("cargo built no suite");
        }
        Self::copy(srt, &suites, dir)
    }

    fn copy(srt: &Artifact, suites: &[Artifact], dir: &Path) -> Result<Self> {
        let public = fs::Permissions::from_mode(0o755);
        let folder = dir.join("suites");
        fs::create_dir(&folder)?;
        for path in [dir, &folder] {
            fs::set_permissions(path, public.clone())?;
        }
        let copy = |artifact: &Artifact, to: PathBuf| -> Result<PathBuf> {
            fs::copy(&artifact.path, &to)
                .with_context(|| format!("cannot copy to `{}`", to.display()))?;
            fs::set_permissions(&to, public.clone())?;
            Ok(to)
        };
        let executables: Result<Vec<PathBuf>> = suites
            .iter()
            .map(|suite| copy(suite, folder.join(&suite.name)))
            .collect();
        Ok(Self {
            dir: dir.to_owned(),
            srt: copy(srt, dir.join("srt"))?,
            executables: executables?,
        })
    }
}

impl Linking {
    fn apply(self, build: &mut Command) -> Result<()> {
        if self == Self::Static {
            // With an explicit target the flags stay away from build scripts and macros, which cannot be static.
            let target = host_target()?;
            build
                .args(["--target", &target])
                .env("RUSTFLAGS", "-C target-feature=+crt-static");
            // The emulated machine is far slower than what link-time optimisation gains.
            build
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        }
        Ok(())
    }
}

/// An executable that cargo built.
#[derive(Debug)]
struct Artifact {
    name: String,
    path: PathBuf,
}

/// Runs cargo and collects the executables it names.
fn executables(build: &mut Command, tests: bool) -> Result<Vec<Artifact>> {
    let text = build.stdout_text()?;
    let mut found = Vec::new();
    for message in Message::parse_stream(Cursor::new(text)) {
        let Message::CompilerArtifact(artifact) = message? else {
            continue;
        };
        if let Some(path) = artifact.executable
            && artifact.profile.test == tests
        {
            found.push(Artifact {
                name: artifact.target.name,
                path: path.into_std_path_buf(),
            });
        }
    }
    Ok(found)
}

/// The triple of the machine that we run on.
pub(crate) fn host_target() -> Result<String> {
    let text = command("rustc").arg("-vV").stdout_text()?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}
