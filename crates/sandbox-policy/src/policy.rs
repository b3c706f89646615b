//! The whole policy.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::device::DeviceRule;
use crate::domain::{DomainPattern, DomainPatternError};
use crate::environment::{
    EnvironmentPolicy, VariableAllow, VariableDeny, VariablePattern, VariablePatternError,
    VariableRule, VariableValue,
};
use crate::filesystem::{
    FilesystemPolicy, Firmness, LayerId, PathRule, ReadAllow, ReadDeny, RuleList,
};
use crate::host::Port;
use crate::network::{DomainRule, NetworkPolicy};
use crate::origin::Origin;
use crate::path::{AbsolutePath, PathError};
use crate::pattern::PathPattern;
use crate::ports::{PortMapping, PublishedPort};
use crate::protected::Protection;
use crate::unix_socket::UnixSocketPolicy;

/// Everything a sandboxed command may do. There is no `Default`: an author decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Files.
    pub filesystem: FilesystemPolicy,
    /// Hosts.
    pub network: NetworkPolicy,
    /// Servers inside that appear on the host's loopback.
    pub published_ports: Vec<PublishedPort>,
    /// Unix sockets of the host.
    pub unix_sockets: UnixSocketPolicy,
    /// Variables.
    pub environment: EnvironmentPolicy,
    /// Processes and the kernel surface.
    pub process: ProcessPolicy,
}

/// Which `/proc` the command sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcMount {
    /// A fresh one of its own pid namespace.
    Fresh,
    /// The one outside (`enableWeakerNestedSandbox`): for containers that forbid the mount.
    Inherited(Origin),
}

/// Whether the command may create user namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserNamespaces {
    /// No.
    Refused,
    /// Yes (`allowNestedUserNamespaces`).
    Allowed(Origin),
}

/// Whether every file is judged by its name when it is opened for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StrictReads {
    /// Where nothing else can close it: what is closed by a mount is closed as an object.
    Off,
    /// Always, if anything is closed for reading (`strictReads`).
    On(Origin),
}

/// Whether the command may look into its own processes with a debugger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PtracePolicy {
    /// No.
    Refused,
    /// Yes (`allowPtrace`).
    Allowed(Origin),
}

/// Process-level limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessPolicy {
    /// The `/proc`.
    pub proc_mount: ProcMount,
    /// Nested user namespaces.
    pub user_namespaces: UserNamespaces,
    /// How reads are judged.
    pub strict_reads: StrictReads,
    /// ptrace(2) and its kin.
    pub ptrace: PtracePolicy,
    /// Devices besides those that every sandbox has.
    pub devices: Vec<DeviceRule>,
}

impl Policy {
    /// The strictest usable policy: reads open, nothing writable but private scratch
    /// (`/tmp`, `/var/tmp`, `/dev/shm`), no network, no host sockets.
    #[must_use]
    pub fn restrictive() -> Self {
        let scratch = |(path, reason): (&'static str, &'static str)| PathRule {
            pattern: PathPattern::Subtree(AbsolutePath::from_clean(path)),
            origin: Origin::BuiltIn(reason),
        };
        Self {
            filesystem: FilesystemPolicy {
                deny_read: RuleList::default(),
                allow_read: Vec::new(),
                allow_write: Vec::new(),
                deny_write: RuleList::default(),
                scratch: SCRATCH.into_iter().map(scratch).collect(),
                protected: Protection::all(),
            },
            network: NetworkPolicy::blocked(),
            published_ports: Vec::new(),
            unix_sockets: UnixSocketPolicy::Blocked,
            environment: EnvironmentPolicy::inherited(),
            process: ProcessPolicy {
                proc_mount: ProcMount::Fresh,
                user_namespaces: UserNamespaces::Refused,
                strict_reads: StrictReads::Off,
                ptrace: PtracePolicy::Refused,
                devices: Vec::new(),
            },
        }
    }

    /// The same policy with no network at all, in neither direction.
    #[must_use]
    pub fn without_network(self) -> Self {
        Self {
            network: NetworkPolicy::blocked(),
            published_ports: Vec::new(),
            ..self
        }
    }

    /// Opens a path (absolute; nothing in it is special) and what lies below for reading and writing.
    pub fn allow_write(mut self, path: impl AsRef<Path>) -> Result<Self, PathError> {
        self.filesystem.allow_write.push(program_allow(path)?);
        Ok(self)
    }

    /// Keeps a path and what lies below closed for writing, whatever allows it.
    pub fn deny_write(mut self, path: impl AsRef<Path>) -> Result<Self, PathError> {
        self.filesystem.deny_write.push(program_rule(path)?);
        Ok(self)
    }

    /// Closes a path and what lies below for reading; a more specific [`Self::allow_read`] or
    /// [`Self::allow_write`] re-opens, rules of settings do not.
    pub fn deny_read(mut self, path: impl AsRef<Path>) -> Result<Self, PathError> {
        let firmness = Firmness::Layer(LayerId::PROGRAM);
        self.filesystem.deny_read.push(ReadDeny {
            rule: program_rule(path)?,
            firmness,
        });
        Ok(self)
    }

    /// Re-opens a path and what lies below for reading.
    pub fn allow_read(mut self, path: impl AsRef<Path>) -> Result<Self, PathError> {
        self.filesystem.allow_read.push(program_allow(path)?);
        Ok(self)
    }

    /// Allows a host: `example.com`, `*.example.com`, `example.com:443`, an address.
    pub fn allow_domain(self, pattern: &str) -> Result<Self, DomainPatternError> {
        let rule = program_domain(DomainPattern::parse_allow(pattern)?);
        Ok(Self {
            network: self.network.with_allowed(rule),
            ..self
        })
    }

    /// Lets the server at a port of the host's loopback appear at the same port of the sandbox's.
    #[must_use]
    pub fn allow_host_port(self, port: Port) -> Self {
        let rule = program_domain(DomainPattern::localhost(port));
        Self {
            network: self.network.with_allowed(rule),
            ..self
        }
    }

    /// Lets a server inside appear on the host's loopback.
    #[must_use]
    pub fn publish_port(mut self, mapping: PortMapping) -> Self {
        let origin = Origin::Program;
        self.published_ports.push(PublishedPort { mapping, origin });
        self
    }

    /// Denies a host, whatever allows it; `*` denies all.
    pub fn deny_domain(self, pattern: &str) -> Result<Self, DomainPatternError> {
        let rule = program_domain(DomainPattern::parse_deny(pattern)?);
        Ok(Self {
            network: self.network.with_denied(rule),
            ..self
        })
    }

    /// Takes a variable, or all that a pattern such as `AWS_*` names, out of the command's
    /// environment; a more specific [`Self::allow_variable`] re-opens, rules of settings do not.
    pub fn deny_variable(mut self, pattern: &str) -> Result<Self, VariablePatternError> {
        self.environment.deny.push(VariableDeny {
            rule: program_variable(pattern)?,
            firmness: Firmness::Layer(LayerId::PROGRAM),
        });
        Ok(self)
    }

    /// Lets a variable through inside what is closed. With `deny_variable("*")` before, only what is
    /// allowed is inherited.
    pub fn allow_variable(mut self, pattern: &str) -> Result<Self, VariablePatternError> {
        self.environment.allow.push(VariableAllow {
            rule: program_variable(pattern)?,
            layer: LayerId::PROGRAM,
        });
        Ok(self)
    }

    /// Gives a variable a value inside, whatever is inherited.
    pub fn set_variable(
        mut self,
        name: impl AsRef<OsStr>,
        value: impl Into<OsString>,
    ) -> Result<Self, VariablePatternError> {
        self.environment.set.push(VariableValue {
            name: VariablePattern::name(name)?,
            value: value.into(),
            origin: Origin::Program,
            layer: LayerId::PROGRAM,
        });
        Ok(self)
    }
}

fn program_variable(pattern: &str) -> Result<VariableRule, VariablePatternError> {
    Ok(VariableRule {
        pattern: VariablePattern::parse(pattern)?,
        origin: Origin::Program,
    })
}

fn program_rule(path: impl AsRef<Path>) -> Result<PathRule, PathError> {
    Ok(PathRule {
        pattern: PathPattern::Subtree(AbsolutePath::new(path)?),
        origin: Origin::Program,
    })
}

fn program_allow(path: impl AsRef<Path>) -> Result<ReadAllow, PathError> {
    Ok(ReadAllow {
        rule: program_rule(path)?,
        layer: LayerId::PROGRAM,
    })
}

fn program_domain(pattern: DomainPattern) -> DomainRule {
    DomainRule {
        pattern,
        origin: Origin::Program,
        note: None,
    }
}

/// Private directories of every policy.
const SCRATCH: [(&str, &str); 3] = [
    ("/tmp", "private directory for temporary files"),
    ("/var/tmp", "private directory for temporary files"),
    ("/dev/shm", "private directory for shared memory"),
];
