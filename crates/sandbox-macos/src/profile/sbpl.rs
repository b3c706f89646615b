//! Typed SBPL and its printer: the only place that writes parentheses or quotes.
//!
//! The language is the small part of SBPL that the generator needs. Every filter of a rule is an
//! alternative (SBPL joins them by *or*); a rule without filters decides for every object.

use std::fmt::{self, Write as _};

use super::parameters::ParameterName;

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

/// A regular expression, already escaped by [`super::glob`].
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

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::DistributedNotificationPost => "distributed-notification-post",
            Self::FileClone => "file-clone",
            Self::FileIoctl => "file-ioctl",
            Self::FileLink => "file-link",
            Self::FileRead => "file-read*",
            Self::FileReadData => "file-read-data",
            Self::FileReadMetadata => "file-read-metadata",
            Self::FileWrite => "file-write*",
            Self::FileWriteCreate => "file-write-create",
            Self::FileWriteUnlink => "file-write-unlink",
            Self::IokitGetProperties => "iokit-get-properties",
            Self::IokitOpen => "iokit-open",
            Self::IpcPosixSem => "ipc-posix-sem",
            Self::IpcPosixShm => "ipc-posix-shm",
            Self::MachLookup => "mach-lookup",
            Self::MachPrivTaskPort => "mach-priv-task-port",
            Self::NetworkBind => "network-bind",
            Self::NetworkInbound => "network-inbound",
            Self::NetworkOutbound => "network-outbound",
            Self::ProcessExec => "process-exec",
            Self::ProcessFork => "process-fork",
            Self::ProcessInfo => "process-info*",
            Self::Signal => "signal",
            Self::SysctlRead => "sysctl-read",
            Self::SysctlWrite => "sysctl-write",
            Self::SystemSocket => "system-socket",
            Self::UserPreferenceRead => "user-preference-read",
        }
    }
}

/// Prints a whole profile, which starts with the language's version.
pub(crate) fn print(forms: &[Form]) -> String {
    let mut text = "(version 1)\n".to_owned();
    for form in forms {
        match form {
            Form::Comment(comment) => {
                text.push('\n');
                for line in comment.lines() {
                    text.push_str("; ");
                    text.push_str(line);
                    text.push('\n');
                }
            }
            Form::Rule(rule) => {
                // A `String` takes everything, so the result carries no news.
                write!(text, "{rule}").ok();
                text.push('\n');
            }
        }
    }
    text
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.effect {
            Effect::Allow => "(allow",
            Effect::Deny => "(deny",
        })?;
        for operation in &self.operations {
            write!(f, " {}", operation.as_str())?;
        }
        match self.filters.as_slice() {
            [filter] if !matches!(filter, Filter::All(_)) => write!(f, " {filter}")?,
            filters => {
                for filter in filters {
                    write!(f, "\n  {filter}")?;
                }
            }
        }
        f.write_str(")")
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(path) => write!(f, "(literal {path})"),
            Self::Subpath(path) => write!(f, "(subpath {path})"),
            Self::Regex(regex) => write!(f, "(regex {regex})"),
            Self::All(conditions) => {
                f.write_str("(require-all")?;
                for condition in conditions {
                    write!(f, "\n    {condition}")?;
                }
                f.write_str(")")
            }
            Self::Not(condition) => write!(f, "(require-not {condition})"),
            Self::Vnode(VnodeType::Directory) => f.write_str("(vnode-type DIRECTORY)"),
            Self::Vnode(VnodeType::CharacterDevice) => f.write_str("(vnode-type CHARACTER-DEVICE)"),
            Self::GlobalName(name) => write!(f, "(global-name {})", Quoted(name)),
            Self::SysctlName(name) => write!(f, "(sysctl-name {})", Quoted(name)),
            Self::SysctlPrefix(name) => write!(f, "(sysctl-name-prefix {})", Quoted(name)),
            Self::IokitClass(name) => write!(f, "(iokit-registry-entry-class {})", Quoted(name)),
            Self::SameSandbox => f.write_str("(target same-sandbox)"),
            Self::TerminalInjection => f.write_str("(ioctl-command TIOCSTI)"),
            Self::KernelControlSocket => {
                f.write_str("(require-all (socket-domain AF_SYSTEM) (socket-protocol 2))")
            }
            Self::UnixSocketDomain => f.write_str("(socket-domain AF_UNIX)"),
            Self::LocalIp(address) => write!(f, "(local ip {address})"),
            Self::RemoteIp(address) => write!(f, "(remote ip {address})"),
            Self::LocalUnixSocket(path) => write!(f, "(local unix-socket {path})"),
            Self::RemoteUnixSocket(path) => write!(f, "(remote unix-socket {path})"),
        }
    }
}

impl fmt::Display for PathTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "(param {})", Quoted(&name.to_string())),
            Self::Fixed(path) => write!(f, "{}", Quoted(path)),
        }
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subpath(path) => write!(f, "(subpath {path})"),
            Self::Regex(regex) => write!(f, "(path-regex {regex})"),
        }
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An ordinary string, not the `#"…"` form: that one has no escape for a quote.
        write!(f, "{}", Quoted(&self.0))
    }
}

impl fmt::Display for IpTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalhostPort(port) => write!(f, "{}", Quoted(&format!("localhost:{port}"))),
            Self::Localhost => write!(f, "{}", Quoted("localhost:*")),
            Self::Any => write!(f, "{}", Quoted("*:*")),
        }
    }
}

/// An SBPL string. Control characters never arrive here: [`super::glob`] refuses them, and our own
/// text has none.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        f.write_char('"')
    }
}
