//! What this machine can do, found out by doing it.

use sandbox_policy::{AbsolutePath, Operation, Policy};

use crate::{
    error::{BuildError, SpawnError},
    host,
    report::LayerReport,
    sandbox::Sandbox,
    stdio::Stdio,
};

/// What this machine can do, and what of a command's refusals it can see.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The kernel: its name, release and machine (uname(2)).
    pub kernel: String,
    /// The layers that stand here.
    pub layers: Vec<LayerReport>,
    /// What is not enforced exactly here, whatever the settings are.
    pub notices: Vec<String>,
    /// Whether an attempt that must be refused was refused.
    pub refuses: bool,
    /// Whether it was told.
    pub tells: bool,
    /// Classes of refusals, and whether they are seen.
    pub visibility: Vec<Visibility>,
}

/// Whether refusals of a class are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visibility {
    /// The class.
    pub what: &'static str,
    /// Whether.
    pub seen: Seen,
}

/// Whether something is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a further answer must break every match"
)]
pub enum Seen {
    /// Always.
    Always,
    /// With these settings.
    With(&'static str),
    /// Never, for this reason.
    Never(&'static str),
}

/// Why there is no diagnosis: no sandbox can be set up here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiagnosisError {
    /// There is no plan, or it can't be prepared.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It can't be set up.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl Diagnosis {
    /// Runs a command that must be refused something, under the strictest policy.
    ///
    /// Must be called in a tokio runtime with I/O and time enabled.
    pub async fn make() -> Result<Self, DiagnosisError> {
        let mut sandbox = Sandbox::builder(Policy::restrictive());
        if host::working_directory().is_err() {
            // It is removed, and the diagnosis is about no place.
            sandbox = sandbox.working_directory(AbsolutePath::root());
        }
        let sandbox = sandbox.build()?;
        let command = sandbox.command("mkdir").arg(PROBE);
        let output = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await?;
        let report = sandbox.report();
        let mut told = report.violations.iter();
        let is_probe =
            |operation, object: &str| operation == Operation::FileWrite && object == PROBE;
        Ok(Self {
            kernel: host::kernel(),
            layers: report.layers,
            notices: report.notices,
            refuses: !output.success(),
            tells: told.any(|violation| is_probe(violation.operation, &violation.object)),
            visibility: VISIBILITY.to_vec(),
        })
    }

    /// Whether everything that this machine is asked for works.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.refuses && (self.tells || cfg!(not(target_os = "linux")))
    }
}

/// A directory that no policy of ours allows to make.
const PROBE: &str = "/srt-doctor-probe";

#[cfg(target_os = "linux")]
const VISIBILITY: &[Visibility] = &[
    visible("creating, changing and removing files", Seen::Always),
    visible(
        "opening files for reading",
        Seen::With("`denyRead` has a pattern, `strictReads` is on, or violations are recorded"),
    ),
    visible(
        "looking at files without opening them, and executing them",
        Seen::Never("the kernel refuses by itself"),
    ),
    visible(
        "TCP connections to hosts, and look-ups of names",
        Seen::Always,
    ),
    visible(
        "UDP other than name service",
        Seen::Never("it leads nowhere inside"),
    ),
    visible(
        "sockets of other kinds, namespaces, mounts, tracing, keyrings, the terminal, kernel calls",
        Seen::Always,
    ),
    visible(
        "`clone3`, `io_uring` and newer variants of calls",
        Seen::Never("programs try them at every start and fall back to calls that are judged"),
    ),
    visible(
        "signals to processes outside",
        Seen::Never("the kernel refuses by itself"),
    ),
    visible(
        "connections to abstract Unix sockets of the host",
        Seen::Never("the host's names do not exist inside"),
    ),
];

#[cfg(not(target_os = "linux"))]
const VISIBILITY: &[Visibility] = &[
    visible("connections to hosts, by the proxies", Seen::Always),
    visible(
        "files, sockets and system calls",
        Seen::Never("the kernel refuses by itself; the system's log has it"),
    ),
];

const fn visible(what: &'static str, seen: Seen) -> Visibility {
    Visibility { what, seen }
}
