//! Typed SBPL: expressions here, their text in `print`.
//!
//! The language is the small part of SBPL that the generator needs. Every filter of a rule is an
//! alternative (SBPL joins them by *or*); a rule without filters decides for every object.

mod print;

use super::parameters::ParameterName;

pub(crate) use print::print;

/// A rule, or a remark for the reader.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// `; text`
    Comment(&'static str),
    /// `(allow …)` or `(deny …)`
    Rule(Rule),
}

/// What operations on which objects are allowed or denied.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    effect: Effect,
    operations: Vec<Operation>,
    filters: Vec<Filter>,
}

#[derive(Clone, Copy, Debug)]
enum Effect {
    Allow,
    Deny,
}

/// The operations that profiles mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Default,
    DistributedNotificationPost,
    FileClone,
    FileIoctl,
    FileLink,
    FileRead,
    FileReadData,
    FileReadMetadata,
    FileWrite,
    FileWriteCreate,
    FileWriteUnlink,
    IokitGetProperties,
    IokitOpen,
    IpcPosixSem,
    IpcPosixShm,
    MachLookup,
    MachPrivTaskPort,
    NetworkBind,
    NetworkInbound,
    NetworkOutbound,
    ProcessExec,
    ProcessFork,
    ProcessInfo,
    Signal,
    SysctlRead,
    SysctlWrite,
    SystemSocket,
    UserPreferenceRead,
}

/// A condition on the object of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// This very path.
    Literal(PathTerm),
    /// This path and everything below it.
    Subpath(PathTerm),
    /// Paths that the expression matches.
    Regex(Regex),
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// The object is a file of this type.
    Vnode(VnodeType),
    /// Mach services of these names.
    GlobalName(&'static str),
    /// This kernel variable.
    SysctlName(&'static str),
    /// Kernel variables whose names start so.
    SysctlPrefix(&'static str),
    /// Drivers of this class.
    IokitClass(&'static str),
    /// Processes of the same sandbox.
    SameSandbox,
    /// Pushing characters into a terminal's input.
    TerminalInjection,
    /// Control sockets of the kernel's own (`AF_SYSTEM`, `SYSPROTO_CONTROL`).
    KernelControlSocket,
    /// Sockets of the `AF_UNIX` family.
    UnixSocketDomain,
    /// The socket's own address.
    LocalIp(IpTerm),
    /// The peer's address.
    RemoteIp(IpTerm),
    /// The socket file that is bound.
    LocalUnixSocket(SocketPath),
    /// The socket file that is connected to.
    RemoteUnixSocket(SocketPath),
}

/// A path in a filter: the host's and the policy's are parameters, fixed ones are our own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathTerm {
    Parameter(ParameterName),
    Fixed(&'static str),
}

/// The paths of Unix sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SocketPath {
    Subpath(PathTerm),
    Regex(Regex),
}

/// A regular expression, already escaped by the `glob` module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Regex(pub(crate) String);

/// The types of files that profiles tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VnodeType {
    Directory,
    CharacterDevice,
}

/// An address: Seatbelt knows no hosts but these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpTerm {
    /// This machine, one port.
    LocalhostPort(u16),
    /// This machine, any port.
    Localhost,
    /// Any address. Needed where a dual-stack socket shows itself as `::ffff:127.0.0.1`, which
    /// `localhost` does not cover.
    Any,
}

impl Rule {
    /// `(allow operations filters)`
    pub(crate) fn allow(operations: &[Operation], filters: Vec<Filter>) -> Form {
        Form::Rule(Self {
            effect: Effect::Allow,
            operations: operations.to_vec(),
            filters,
        })
    }

    /// `(deny operations filters)`
    pub(crate) fn deny(operations: &[Operation], filters: Vec<Filter>) -> Form {
        Form::Rule(Self {
            effect: Effect::Deny,
            operations: operations.to_vec(),
            filters,
        })
    }
}

impl Filter {
    /// `filter`, where none of `exceptions` holds.
    pub(crate) fn except(self, exceptions: Vec<Self>) -> Self {
        if exceptions.is_empty() {
            return self;
        }
        let mut conditions = vec![self];
        conditions.extend(
            exceptions
                .into_iter()
                .map(|exception| Self::Not(Box::new(exception))),
        );
        Self::All(conditions)
    }

    /// `filter`, for files of one type.
    pub(crate) fn of_type(self, vnode: VnodeType) -> Self {
        Self::All(vec![self, Self::Vnode(vnode)])
    }
}
