//! A plan as text: stable, for explanations and snapshots.

use std::fmt;

use super::{
    ArgumentTest, BindAccess, FilterAction, IdMap, LinuxPlan, MountKind, NestedNamespaces,
};

impl fmt::Display for LinuxPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ids {
            IdMap::Own { uid, gid } => writeln!(f, "ids {uid}:{gid} only")?,
            IdMap::Identity => writeln!(f, "ids all, to themselves")?,
        }
        for operation in self.mounts.operations() {
            let target = operation.target.as_path().display();
            match &operation.kind {
                MountKind::RootReadOnly => writeln!(f, "read-only {target}")?,
                MountKind::RootWritable => writeln!(f, "writable {target}")?,
                MountKind::RootEmpty => writeln!(f, "empty {target}")?,
                MountKind::Proc { guards_sysctls } => {
                    let guards = if *guards_sysctls {
                        ", sysctls read-only"
                    } else {
                        ""
                    };
                    writeln!(f, "proc {target}{guards}")?;
                }
                MountKind::Devices => writeln!(f, "devices {target}")?,
                MountKind::Device { .. } => writeln!(f, "device {target}")?,
                MountKind::Scratch => writeln!(f, "scratch {target}")?,
                MountKind::Bind {
                    access: BindAccess::Copied,
                    ..
                } => writeln!(f, "copy {target}")?,
                MountKind::Bind { access, .. } => writeln!(f, "bind {target} {access:?}")?,
                MountKind::Symlink { to } => {
                    writeln!(f, "symlink {target} -> {}", to.as_path().display())?
                }
                MountKind::MaskDirectory {
                    holds_mount_points: true,
                } => writeln!(f, "mask {target} around mounts")?,
                MountKind::MaskDirectory { .. } | MountKind::MaskFile => {
                    writeln!(f, "mask {target}")?
                }
                MountKind::File { .. } => writeln!(f, "file {target}")?,
                MountKind::Seal => writeln!(f, "seal {target}")?,
            }
        }
        match &self.landlock {
            Some(spec) => writeln!(f, "landlock abi {}, {} rules", spec.abi, spec.rules.len())?,
            None => writeln!(f, "landlock none")?,
        }
        for rule in self.filter.rules() {
            let verb = match rule.action {
                FilterAction::Supervised => "supervise",
                FilterAction::NotPermitted
                | FilterAction::NotImplemented
                | FilterAction::NoAddressFamily => "refuse",
            };
            write!(f, "{verb} {}", rule.name)?;
            for test in &rule.tests {
                write!(f, " {test}")?;
            }
            writeln!(f, " ({})", rule.reason)?;
        }
        for host in &self.ports.host_ports {
            writeln!(f, "host port {}", host.port)?;
        }
        for mapping in &self.ports.published {
            writeln!(f, "publish {mapping}")?;
        }
        match self.user_namespaces {
            NestedNamespaces::Refused => writeln!(f, "user namespaces 0"),
            NestedNamespaces::Allowed => Ok(()),
        }
    }
}

impl fmt::Display for ArgumentTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(argument, value) => write!(f, "arg{argument}={value:#x}"),
            Self::IsNot(argument, value) => write!(f, "arg{argument}!={value:#x}"),
            Self::Masked(argument, mask, value) => {
                write!(f, "arg{argument}&{mask:#x}={value:#x}")
            }
        }
    }
}
