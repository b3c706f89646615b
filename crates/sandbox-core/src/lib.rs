//! Runs commands under a policy: files, hosts and sockets that it names, and nothing else.
//!
//! ```no_run
//! use sandbox_core::{Policy, Sandbox};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::restrictive()
//!     .allow_write("/home/me/project")?
//!     .deny_read("/home/me/.ssh")?
//!     .allow_domain("registry.npmjs.org")?;
//! let sandbox = Sandbox::new(policy)?;
//! let status = sandbox.command("npm").arg("install").spawn()?.wait().await?;
//! assert!(status.success());
//! println!("{}", sandbox.report());
//! # Ok(())
//! # }
//! ```
//!
//! Each command gets namespaces, listeners and an end of its own; the policy, the proxy's rules and
//! the report belong to the [`Sandbox`]. Sandboxes share nothing, so a program can hold many, with
//! different policies, at the same time.
//!
//! What can't be enforced is an error before anything runs.
#![forbid(unsafe_code)]

mod builder;
mod child;
mod command;
mod control;
mod descriptors;
mod doctor;
mod error;
mod explain;
mod host;
mod learn;
mod permissive;
mod plain_file;
mod platform;
mod report;
mod sandbox;
mod stdio;
pub mod terminal;
mod violation;

pub use builder::SandboxBuilder;
pub use child::{Child, ExitStatus, StateChange};
pub use command::{Command, Output};
pub use control::{Inherited, NetworkControl};
pub use descriptors::DescriptorLimit;
pub use doctor::{Diagnosis, DiagnosisError, Seen, Visibility};
pub use error::{BuildError, SpawnError};
pub use explain::{AllowReason, Attempt, ExplainedReason, Explanation, RefusalReason};
pub use host::inherited_descriptor;
pub use learn::{Learner, Proposal};
pub use plain_file::{Appended, append_to};
pub use platform::PlatformError;
pub use report::{Enforcement, LayerReport, Report};
pub use sandbox::Sandbox;
pub use stdio::Stdio;
pub use violation::{
    Remedy, SettingEntry, Subscription, Untold, Violation, ViolationStore, ViolationStream,
};

pub use sandbox_policy::{
    AbsolutePath, Denial, DenialReason, DeviceRule, DomainPattern, DomainPatternError, DomainRule,
    EnvironmentPolicy, FileVerdict, FilesystemPolicy, Firmness, Host, HostError, HostName,
    HostPort, LayerId, NetworkPolicy, Operation, Origin, ParentChoice, ParentProtocol,
    ParentProxies, ParentProxy, ParentProxyError, PathBase, PathError, PathPattern, PathRule,
    PatternError, PatternSyntax, Policy, Port, PortConflict, PortMapping, PortMappingError,
    ProcMount, ProcessPolicy, ProxyBypass, ProxyLogin, PtracePolicy, PublishedPort, ReadAllow,
    ReadDeny, StrictReads, Target, UnixSocketPolicy, UserNamespaces, VariableAllow, VariableDeny,
    VariablePattern, VariablePatternError, VariableRule, VariableValue, VariableVerdict, Verdict,
    clean_environment, deceives, gpu, powerful_socket, secret_paths, secret_variables, shell_word,
    visible, without_logins, workspace,
};
pub use sandbox_proxy::{BoxFuture, Decide, Decision, ExternalProxies, Resolve, SystemResolver};

/// Settings files: where a policy comes from.
pub use sandbox_settings as settings;
