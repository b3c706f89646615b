//! Starting a program under a profile: `/usr/bin/sandbox-exec`, by its absolute path, argv only.
//!
//! `sandbox-exec` applies the profile to itself and executes the program, so that no process runs
//! outside the sandbox and the program has the identity, terminal and descriptors of its parent.
//! Two things happen on the way: the system removes `DYLD_…` variables, and a program without `/`
//! in its name is searched for in `PATH`, from inside the sandbox. Nested use fails, as a process
//! can't take a second profile.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};
#[cfg(target_os = "macos")]
use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus},
};

use crate::profile::SeatbeltProfile;

/// Everything that a launch needs: built anywhere, started on macOS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchSpec {
    profile: SeatbeltProfile,
    program: OsString,
    arguments: Vec<OsString>,
    working_directory: PathBuf,
    environment: Vec<(OsString, OsString)>,
    process_group: ProcessGroup,
}

/// Which process group the program runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProcessGroup {
    Callers,
    Own,
}

impl LaunchSpec {
    /// The program with no arguments, in `working_directory`. `environment` is the
    /// whole of its variables.
    #[must_use]
    pub fn new(
        profile: SeatbeltProfile,
        program: impl Into<OsString>,
        working_directory: impl Into<PathBuf>,
        environment: Vec<(OsString, OsString)>,
    ) -> Self {
        Self {
            profile,
            program: program.into(),
            arguments: Vec::new(),
            working_directory: working_directory.into(),
            environment,
            process_group: ProcessGroup::Callers,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Runs the program in a process group of its own. Without it the program stays in the
    /// caller's: the terminal's foreground, where job control works.
    #[must_use]
    pub fn own_process_group(mut self) -> Self {
        self.process_group = ProcessGroup::Own;
        self
    }

    /// The whole argument vector, the launcher's own path first.
    #[must_use]
    pub fn argv(&self) -> Vec<OsString> {
        let mut argv = vec![OsString::from(SANDBOX_EXEC)];
        for parameter in self.profile.parameters() {
            let mut definition = OsString::from(parameter.name());
            definition.push("=");
            definition.push(parameter.value());
            argv.extend([OsString::from("-D"), definition]);
        }
        argv.extend([OsString::from("-p"), OsString::from(self.profile.text())]);
        // A program whose name begins with `-` is not an option.
        argv.extend([OsString::from("--"), self.program.clone()]);
        argv.extend(self.arguments.iter().cloned());
        argv
    }

    /// Where the program starts.
    #[must_use]
    pub fn working_directory(&self) -> &Path {
        &self.working_directory
    }

    /// The program's variables.
    #[must_use]
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }

    /// The program as it was given.
    #[must_use]
    pub fn program(&self) -> &OsStr {
        &self.program
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &SeatbeltProfile {
        &self.profile
    }
}

/// Why a program could not be started.
#[cfg(target_os = "macos")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The launcher itself did not start.
    #[error("cannot start `{SANDBOX_EXEC}`")]
    Spawn {
        /// What the system said.
        source: io::Error,
    },
}

/// A started program. It is killed when this value is dropped before the program was waited for;
/// its descendants end by themselves, as with any process, but keep their profile.
#[cfg(target_os = "macos")]
#[derive(Debug)]
pub struct Running {
    child: Child,
}

/// The program as a command that has not been started: standard streams can still be set.
#[cfg(target_os = "macos")]
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the launcher is the one place that starts programs"
)]
pub fn command(spec: &LaunchSpec) -> Command {
    let mut command = Command::new(SANDBOX_EXEC);
    command
        .args(spec.argv().into_iter().skip(1))
        .current_dir(&spec.working_directory)
        .env_clear()
        .envs(spec.environment.iter().map(|(name, value)| (name, value)));
    match spec.process_group {
        ProcessGroup::Callers => {}
        ProcessGroup::Own => {
            command.process_group(0);
        }
    }
    command
}

/// Starts the program with the caller's standard streams.
#[cfg(target_os = "macos")]
pub fn launch(spec: &LaunchSpec) -> Result<Running, LaunchError> {
    let child = command(spec)
        .spawn()
        .map_err(|source| LaunchError::Spawn { source })?;
    Ok(Running { child })
}

#[cfg(target_os = "macos")]
impl Running {
    /// The process id of the program: `sandbox-exec` becomes it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program's end.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// The status of a program that has ended; `None` while it runs.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills the program.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }
}

#[cfg(target_os = "macos")]
impl Drop for Running {
    fn drop(&mut self) {
        // A program that has ended can't be killed, and one that was killed must be reaped: neither
        // failure leaves anything to do here.
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}

/// The only program of the system that is used, never searched for in `PATH`.
const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";
