//! Names of system calls → their numbers on each architecture.

mod table;

use seccompiler::TargetArch;

use self::table::TABLE;

/// A call with its numbers on x86-64, aarch64 and riscv64.
type Row = (&'static str, [u32; 3]);

/// The architecture lacks the call.
const NONE: u32 = u32::MAX;

/// The number of a call; none where the architecture lacks it.
pub(crate) fn number_on(architecture: TargetArch, name: &str) -> Option<i64> {
    let found = TABLE.binary_search_by_key(&name, |(known, _)| known);
    let (_, numbers) = found.ok().and_then(|index| TABLE.get(index))?;
    let [x86_64, aarch64, riscv64] = *numbers;
    let number = match architecture {
        TargetArch::x86_64 => x86_64,
        TargetArch::aarch64 => aarch64,
        TargetArch::riscv64 => riscv64,
    };
    (number != NONE).then(|| i64::from(number))
}

/// The architecture that this is compiled for, if there is a table for it.
pub(super) const HERE: Option<TargetArch> = if cfg!(target_arch = "x86_64") {
    Some(TargetArch::x86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(TargetArch::aarch64)
} else if cfg!(target_arch = "riscv64") {
    Some(TargetArch::riscv64)
} else {
    None
};

/// The number of a call on this machine.
pub(crate) fn number(name: &str) -> Option<i64> {
    number_on(HERE?, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        FilterSpec, NestedNamespaces, SUPERVISED_CALLS, SocketGuard, Supervision, Tracing,
    };

    const ALL: [TargetArch; 3] = [TargetArch::x86_64, TargetArch::aarch64, TargetArch::riscv64];

    #[test]
    fn the_table_is_sorted_and_is_this_machines() {
        assert!(TABLE.is_sorted_by_key(|(name, _)| name));
        for (name, expected) in [
            ("read", libc::SYS_read),
            ("openat", libc::SYS_openat),
            ("clone3", libc::SYS_clone3),
            ("ptrace", libc::SYS_ptrace),
            ("mount_setattr", libc::SYS_mount_setattr),
        ] {
            assert_eq!(number(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn no_architecture_uses_a_number_twice() {
        for architecture in ALL {
            let mut seen = std::collections::HashMap::new();
            for (name, _) in TABLE {
                let Some(number) = number_on(architecture, name) else {
                    continue;
                };
                assert_eq!(seen.insert(number, name), None, "{architecture:?} {name}");
            }
        }
    }

    /// Calls that x86-64 alone has: older forms that aarch64 and riscv64 never had, and hardware ports.
    const ONLY_X86: [&str; 21] = [
        "_sysctl",
        "chmod",
        "chown",
        "creat",
        "futimesat",
        "ioperm",
        "iopl",
        "lchown",
        "link",
        "mkdir",
        "mknod",
        "open",
        "rename",
        "rmdir",
        "symlink",
        "sysfs",
        "unlink",
        "uselib",
        "ustat",
        "utime",
        "utimes",
    ];

    #[test]
    fn every_call_of_the_filter_has_a_number_on_every_architecture() {
        let sockets = SocketGuard::Supervisor {
            listed: Vec::new(),
            with_landlock: false,
            datagrams: true,
        };
        let (nested, tracing) = (NestedNamespaces::Refused, Tracing::Refused);
        let filter = FilterSpec::new(&sockets, nested, tracing, Supervision::Opens);
        let mut names: Vec<_> = filter.rules().iter().map(|rule| rule.name).collect();
        names.extend(SUPERVISED_CALLS.map(|(name, _)| name));
        for name in names {
            assert!(number_on(TargetArch::x86_64, name).is_some(), "{name}");
            for architecture in [TargetArch::aarch64, TargetArch::riscv64] {
                let is_there = number_on(architecture, name).is_some();
                // riscv64 came after renameat2(2).
                let may_lack = ONLY_X86.contains(&name)
                    || (name == "renameat" && architecture == TargetArch::riscv64);
                assert_ne!(is_there, may_lack, "{architecture:?} {name}");
            }
        }
    }
}
