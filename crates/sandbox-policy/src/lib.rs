//! What a sandboxed command may do: pure values and total functions.
//!
//! # Terminology
//!
//! A [`Policy`] is a platform-neutral value. A *rule* names a path or a host, and says from where
//! it came ([`Origin`]). *To judge* is to ask a policy about one object: the answer is a verdict,
//! *allow* (with a [`Permit`] for network targets) or *deny* (a [`Denial`]), and it names the rule
//! that decided. A verdict never depends on anything but the policy and the question: this crate
//! performs no I/O, so two equal policies judge every input equally.
//!
//! A [`Permit`] can be created only by [`NetworkPolicy::judge`] or by an answered [`Question`],
//! and a [`ResolvedTarget`] only from a permit whose addresses were judged: a proxy that dials
//! nothing but resolved targets can't reach what was not judged.
#![forbid(unsafe_code)]
#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "a new field or variant of a policy must break every literal and match on purpose: \
              whoever does not know it would not enforce it"
)]

mod address;
mod bytes;
mod device;
mod domain;
mod environment;
mod filesystem;
mod host;
mod network;
mod operation;
mod origin;
mod parent_proxy;
mod path;
mod pattern;
mod policy;
mod ports;
mod preset;
mod protected;
mod text;
mod unix_socket;
mod verdict;
mod way;

pub use address::{AddressClass, AddressRule, OwnAddresses};
pub use device::{DeviceRule, GPU_DEVICES, gpu};
pub use domain::{DomainPattern, DomainPatternError, HostPattern};
pub use environment::{
    BASIC_VARIABLES, EnvironmentPolicy, ProxyPorts, SECRET_VARIABLES, STARTUP_VARIABLES,
    TableVariable, VariableAllow, VariableDeny, VariablePattern, VariablePatternError,
    VariableRule, VariableValue, VariableVerdict, environment,
};
pub use filesystem::{
    FileJudge, FileVerdict, FilesystemPolicy, Firmness, LayerId, PathRule, ReadAllow, ReadDeny,
    RuleList,
};
pub use host::{Host, HostError, HostName, Port, Target};
pub use network::{DomainRule, LookupVerdict, NetworkPolicy};
pub use operation::Operation;
pub use origin::Origin;
pub use parent_proxy::{
    ParentChoice, ParentProtocol, ParentProxies, ParentProxy, ParentProxyError, ProxyBypass,
    ProxyLogin,
};
pub use path::{AbsolutePath, PathError};
pub use pattern::{Glob, GlobSet, GlobToken, PathBase, PathPattern, PatternError, PatternSyntax};
pub use policy::{Policy, ProcMount, ProcessPolicy, PtracePolicy, StrictReads, UserNamespaces};
pub use ports::{HostPort, PortConflict, PortMapping, PortMappingError, PublishedPort};
pub use preset::{
    PresetPath, SECRET_PATHS, WORKSPACE_HOME, WORKSPACE_SECRETS, WORKSPACE_SYSTEM,
    clean_environment, secret_paths, secret_variables, workspace,
};
pub use protected::{
    DEPENDENCY_STORES, PROTECTED_PATHS, ProtectedGroup, ProtectedPath, Protection, is_alias,
    is_in_store,
};
pub use text::{deceives, is_exact, shell_word, shown, visible, without_logins};
pub use unix_socket::{POWERFUL_SOCKETS, PowerfulSocket, UnixSocketPolicy, powerful_socket};
pub use verdict::{Denial, DenialReason, Permit, Question, ResolvedTarget, Verdict};
pub use way::{LINK_LIMIT, Step, Steps, Way};

#[cfg(test)]
mod tests;
