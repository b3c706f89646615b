//! Which devices settings can open.

use sandbox_policy::{DeviceRule, Origin, Policy};

use super::{Host, path};
use crate::{
    facts::{DeviceFacts, DeviceKind, FileIdentity},
    plan::{PlanError, PlanNotice},
};

/// The outcome of opening a device that the host has, under a name that leads there.
fn opened(name: &str, canonical: &str, kind: DeviceKind) -> Result<Vec<String>, PlanError> {
    let mut host = Host::new(&[]);
    let identity = FileIdentity {
        device: 5,
        inode: 7,
    };
    let facts = DeviceFacts {
        canonical: path(canonical),
        kind,
        identity,
    };
    host.facts.devices.insert(path(name), facts);
    let mut policy = Policy::restrictive();
    policy.process.devices.push(DeviceRule {
        path: path(name),
        optional: false,
        origin: Origin::Program,
    });
    host.plan(&policy)?;
    Ok(host.mounts(&policy))
}

#[test]
fn disks_and_memory_are_refused_by_kind_by_name_and_by_where_a_link_leads() {
    use DeviceKind::{Block, Character, Directory, HoldsBlock};
    for (name, canonical, kind) in [
        ("/dev/sda", "/dev/sda", Block),
        ("/dev/loop0", "/dev/loop0", Block),
        ("/dev/mine", "/dev/sda1", Block),
        ("/dev/things", "/dev/things", HoldsBlock),
        ("/dev/disk", "/dev/disk", Directory),
        ("/dev/mapper/control", "/dev/mapper/control", Character),
        ("/dev/sg0", "/dev/sg0", Character),
        ("/dev/nvme0", "/dev/nvme0", Character),
        ("/dev/ng0n1", "/dev/ng0n1", Character),
        ("/dev/st0", "/dev/st0", Character),
        ("/dev/mem", "/dev/mem", Character),
        ("/dev/port", "/dev/port", Character),
        ("/dev/innocent", "/dev/sg0", Character),
    ] {
        let refused = opened(name, canonical, kind);
        assert!(
            matches!(refused, Err(PlanError::Device { .. })),
            "{name}: {refused:?}"
        );
    }
    for name in ["/dev/kvm", "/dev/snd", "/dev/sgx_enclave", "/dev/stlink"] {
        let mounts = opened(name, name, Character).unwrap();
        assert!(mounts.contains(&format!("device {name}")), "{mounts:?}");
    }
}

#[test]
fn a_write_root_in_an_own_tree_is_told_where_it_opens_nothing() {
    let host = Host::new(&[
        "/dev/kvm",
        "/dev/tty",
        "/dev/shm/",
        "/proc/self/",
        "/proc/sys/",
        "/home/u/mine -> /dev/kvm",
        "/dev/log -> /run/systemd/journal/dev-log",
        "/dev/stdout -> /home/u/out",
    ]);
    let told = |root: &str| {
        let policy = Policy::restrictive().allow_write(root).unwrap();
        let notices = host.plan(&policy).unwrap().notices;
        let is_told = |notice: &_| matches!(notice, PlanNotice::NotInOwnTree { .. });
        notices.iter().any(is_told)
    };
    for root in ["/dev", "/dev/kvm", "/proc/sys", "/home/u/mine"] {
        assert!(told(root), "{root}");
    }
    for root in [
        "/",
        "/dev/tty",
        "/dev/shm",
        "/dev/log",
        "/dev/stdout",
        "/proc/self",
        "/home/u/ws",
    ] {
        assert!(!told(root), "{root}");
    }
    // No command plants links in the host's `/dev` by way of the sandbox's own.
    let policy = Policy::restrictive().allow_write("/dev").unwrap();
    host.plan(&policy.allow_write("/dev/stdout").unwrap())
        .unwrap();
}
