//! Who runs the black-box suites: root and an ordinary user when we are root, otherwise ourselves alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::shell::{CommandExt as _, command};

/// A user of this machine that runs the suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// Whoever runs this task.
    Ourselves,
    /// The ordinary user that is made for the tests.
    Tester,
}

impl Account {
    /// A shell line run by this user; arguments that are added become `$0`, `$1` and so on. The ordinary user gets a
    /// clean environment as after a login, with what is set on the command added.
    pub(super) fn shell(self, line: &str, dir: &Path) -> Command {
        match self {
            Self::Ourselves => {
                let mut direct = command("sh");
                direct.args(["-c", line]);
                direct
            }
            Self::Tester => {
                let home = PathBuf::from("/home").join(TESTER);
                let mut path = std::ffi::OsString::from("/usr/local/bin:/usr/bin:/bin:");
                path.push(toolchain(dir).join("bin"));
                let mut setpriv = command("setpriv");
                setpriv
                    .args(["--reuid", TESTER, "--regid", TESTER, "--init-groups"])
                    .args(["sh", "-c", line]);
                setpriv
                    .env_clear()
                    .current_dir(&home)
                    .env("HOME", &home)
                    .env("PATH", path);
                setpriv.envs([
                    ("USER", TESTER),
                    ("LOGNAME", TESTER),
                    ("SHELL", "/bin/sh"),
                    ("LANG", "C.UTF-8"),
                ]);
                setpriv
            }
        }
    }
}

/// Makes the ordinary user when there is none yet.
pub(super) fn ensure_tester() -> Result<()> {
    if command("id")
        .args(["-u", TESTER])
        .output()?
        .status
        .success()
    {
        return Ok(());
    }
    command("useradd")
        .args([
            "--create-home",
            "--user-group",
            "--shell",
            "/bin/sh",
            TESTER,
        ])
        .run_quietly()
}

/// Puts our compiler where the ordinary user can run it: ours may lie in a home directory that is closed to others.
pub(super) fn share_toolchain(dir: &Path) -> Result<()> {
    let sysroot = PathBuf::from(
        command("rustc")
            .args(["--print", "sysroot"])
            .stdout_text()?
            .trim(),
    );
    let to = toolchain(dir);
    let copy = |mode: &str| {
        fs::create_dir(&to)?;
        command("cp")
            .arg(mode)
            .args([sysroot.join("bin"), sysroot.join("lib")])
            .arg(&to)
            .run_quietly()
    };
    // Hard links cost nothing, but they do not cross file systems.
    if copy("-al").is_ok() {
        return Ok(());
    }
    fs::remove_dir_all(&to)?;
    copy("-a").context("cannot copy the toolchain")
}

fn toolchain(dir: &Path) -> PathBuf {
    dir.join("toolchain")
}

const TESTER: &str = "srt-tester";
