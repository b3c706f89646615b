//! The printer: the only place that writes parentheses or quotes.

use std::fmt::{self, Write as _};

use super::{
    Effect, Filter, Form, IpTerm, Operation, PathTerm, Regex, Rule, SocketPath, VnodeType,
};

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
            Self::All(conditions) | Self::Any(conditions) => {
                f.write_str(if matches!(self, Self::All(_)) {
                    "(require-all"
                } else {
                    "(require-any"
                })?;
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

/// An SBPL string. Control characters never arrive here: the `glob` module refuses them, and our own
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
