//! Errors of a launch, and what a user can do about them.

use std::{ffi::OsString, io, path::PathBuf};

use crate::{
    prepare::Prepared,
    stage::{StageFailure, Step},
    sys::Errno,
};

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The launch's thread can't be started.
    #[error("cannot start the launch thread")]
    ThreadCall {
        /// The reason.
        source: io::Error,
    },
    /// The launch's thread ended without an outcome.
    #[error("the launch thread ended without an outcome")]
    ThreadGone,
    /// A call before the clone.
    #[error("cannot prepare the launch: `{name}` failed")]
    PrepareCall {
        /// The call.
        name: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The Landlock ruleset can't be made.
    #[error("cannot create the Landlock ruleset")]
    Ruleset(#[source] landlock::RulesetError),
    /// A word of the command holds a NUL byte, which no program can receive.
    #[error("`{}` contains a NUL byte", word.display())]
    Nul {
        /// The word.
        word: OsString,
    },
    /// What was to become the command ended without a word.
    #[error("what sets the sandbox up was killed")]
    Killed,
    /// `/proc` was mounted in another pid namespace.
    #[error(
        "`/proc` belongs to another pid namespace: mount a new one (`unshare --mount-proc` does)"
    )]
    ForeignProc,
    /// The supervisor's thread can't be started.
    #[error("cannot start the supervisor's thread")]
    SupervisorCall {
        /// The reason.
        source: io::Error,
    },
    /// A standard stream that would open everything below it.
    #[error(
        "standard stream {number} is a directory, through which files outside could be reached"
    )]
    DirectoryStream {
        /// 0 for input, 1 for output, 2 for errors.
        number: i32,
    },
    /// No such program.
    #[error("command not found")]
    NotFound,
    /// The program is there and can't be executed.
    #[error("command cannot be executed")]
    NotExecutable {
        /// The reason.
        source: io::Error,
    },
    /// Setting the sandbox up failed.
    #[error("cannot {}{}", step_text(*step), path.as_ref().map(|path| format!(" at `{}`", path.display())).unwrap_or_default())]
    Stage {
        /// The step that failed.
        step: Step,
        /// The path that it was about.
        path: Option<PathBuf>,
        /// The reason.
        source: io::Error,
    },
}

impl LaunchError {
    pub(crate) fn stage(failure: StageFailure, prepared: &Prepared) -> Self {
        let StageFailure {
            step,
            errno,
            operation,
        } = failure;
        match (step, errno) {
            (Step::Execute, Errno::NOENT | Errno::NOTDIR) => return Self::NotFound,
            (Step::Execute, _) => {
                return Self::NotExecutable {
                    source: errno.into(),
                };
            }
            _ => {}
        }
        let operations = prepared.plan.mounts.operations();
        let operation = operation.and_then(|index| operations.get(index));
        let path = operation.map(|operation| operation.target.as_path().to_path_buf());
        Self::Stage {
            step,
            path,
            source: errno.into(),
        }
    }

    /// Advice, where the error has a usual cause.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Stage { step, source, .. } => hint(*step, Errno::from_io_error(source)?),
            Self::Killed => Some(
                "the kernel kills where memory runs out: its log (`dmesg`) and the cgroup's `memory.events` tell",
            ),
            Self::ThreadCall { .. }
            | Self::ThreadGone
            | Self::PrepareCall { .. }
            | Self::Ruleset(_)
            | Self::Nul { .. }
            | Self::ForeignProc
            | Self::SupervisorCall { .. }
            | Self::DirectoryStream { .. }
            | Self::NotFound
            | Self::NotExecutable { .. } => None,
        }
    }
}

fn step_text(step: Step) -> &'static str {
    match step {
        Step::Descriptors => "close the host program's descriptors",
        Step::Namespaces => "create the namespaces",
        Step::IdMap => "write the id maps of the user namespace",
        Step::NamespaceLimit => "forbid nested user namespaces",
        Step::MountSource => "open the tree to be mounted",
        Step::MountIdentity => "mount a tree that was replaced since it was judged",
        Step::CopyLayers => "make a private place for what the command changes",
        Step::Copy => "show a copy",
        Step::Mount => "mount",
        Step::Grant => "add a Landlock rule",
        Step::Network => "set up the network namespace",
        Step::InnerStage => "start the inner stage",
        Step::StandardStreams => "place the standard streams",
        Step::WorkingDirectory => "enter the working directory",
        Step::Privileges => "drop privileges",
        Step::Landlock => "enforce the Landlock ruleset",
        Step::Filter => "install the system call filter",
        Step::Supervisor => "hand the system call filter's notifications over",
        Step::Execute => "execute the command",
        Step::InitImage => "execute the init image",
    }
}

fn hint(step: Step, errno: Errno) -> Option<&'static str> {
    match (step, errno) {
        (Step::Namespaces, Errno::NOSPC) => Some(
            "the limit of user namespaces is reached: raise `user.max_user_namespaces` (sysctl), or \
             leave the sandbox that this runs in",
        ),
        (Step::Namespaces, Errno::PERM) => Some(
            "user namespaces are switched off here, or this runs in a sandbox already (srt does not run \
             inside of srt): `sysctl kernel.unprivileged_userns_clone=1` \
             (Debian), or allow them in the container's seccomp profile",
        ),
        (Step::Namespaces, Errno::INVAL) => {
            Some("the kernel lacks a namespace type: it was built without CONFIG_USER_NS or so")
        }
        (Step::IdMap | Step::Mount | Step::Network, Errno::PERM | Errno::ACCESS) => Some(
            "this may run in a sandbox already (srt does not run inside of srt); AppArmor may restrict unprivileged user namespaces (Ubuntu 23.10 and later): add a \
             profile for srt that allows `userns`, or \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; a container may have parts of \
             /proc covered: then `enableWeakerNestedSandbox` helps; root without CAP_SETFCAP can't \
             map its id",
        ),
        (Step::Filter, Errno::BUSY) => Some(
            "a program outside supervises this one already (seccomp_unotify(2)), and the kernel \
             permits one supervisor: another sandbox, perhaps srt itself?",
        ),
        (Step::CopyLayers, Errno::OPNOTSUPP) => Some(
            "a tmpfs of this kernel has no extended attributes, which overlayfs needs: Linux 6.6 has them",
        ),
        (Step::Copy, Errno::NODEV) => {
            Some("the kernel has no overlayfs: load its module (`modprobe overlay`)")
        }
        (Step::Copy, Errno::PERM | Errno::ACCESS) => Some(
            "users may mount an overlayfs from Linux 5.11 on, where no security module forbids it",
        ),
        (Step::Copy, Errno::INVAL | Errno::LOOP) => Some(
            "overlayfs can't lie on this directory: its file system is remote, folds case or is itself an \
             overlay on an overlay, or something was mounted inside of it meanwhile",
        ),
        (Step::Mount, Errno::NOSYS) => Some("the kernel is older than Linux 5.12"),
        (Step::WorkingDirectory, Errno::NOENT | Errno::ACCESS) => {
            Some("the working directory is not visible inside: is it closed by a rule?")
        }
        _ => None,
    }
}
