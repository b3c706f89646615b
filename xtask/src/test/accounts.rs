//! Who runs the black-box suites: root and an ordinary user when we are root, otherwise ourselves alone.

use std::{ffi::OsStr, process::Command};

use anyhow::Result;

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
    /// A word for the summary.
    pub(super) fn label(self, is_root: bool) -> &'static str {
        match (self, is_root) {
            (Self::Tester, _) => TESTER,
            (Self::Ourselves, true) => "root",
            (Self::Ourselves, false) => "ourselves",
        }
    }

    /// A command that runs `program` as this user.
    pub(super) fn command(
        self,
        program: impl AsRef<OsStr>,
        variables: &[(&str, &OsStr)],
    ) -> Command {
        match self {
            Self::Ourselves => {
                let mut direct = command(program);
                direct.envs(variables.iter().copied());
                direct
            }
            Self::Tester => {
                let mut setpriv = command("setpriv");
                setpriv.args([
                    "--reuid",
                    TESTER,
                    "--regid",
                    TESTER,
                    "--init-groups",
                    "--reset-env",
                    "env",
                    "-C",
                ]);
                setpriv.arg(format!("/home/{TESTER}"));
                for (name, value) in variables {
                    let mut assignment = std::ffi::OsString::from(format!("{name}="));
                    assignment.push(value);
                    setpriv.arg(assignment);
                }
                setpriv.arg(program);
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

const TESTER: &str = "srt-tester";
