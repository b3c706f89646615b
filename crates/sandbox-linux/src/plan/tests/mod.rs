//! Plans for invented hosts: no kernel is asked.

mod devices;
mod environment;
mod mounts;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};

use sandbox_policy::{AbsolutePath, Policy};

use super::{LinuxPlan, PlanError, lower};
use crate::facts::{Endpoints, FileIdentity, HostFacts, PathFacts, PathKind, WriteLinks};

/// A host with the given paths: `/x/` is a directory, `/x` a file, `/x -> /y` a symlink.
struct Host {
    facts: HostFacts,
}

fn path(text: &str) -> AbsolutePath {
    AbsolutePath::new(text).unwrap()
}

impl Host {
    fn new(entries: &[&str]) -> Self {
        let mut paths = crate::facts::KnownPaths::default();
        let base = [
            "/dev/",
            "/proc/",
            "/tmp/",
            "/var/tmp/",
            "/etc/hosts",
            "/home/u/",
            "/home/u/ws/",
        ];
        for (inode, entry) in (1..).zip(base.iter().chain(entries)) {
            let identity = FileIdentity { device: 1, inode };
            let (name, target) = entry.split_once(" -> ").unwrap_or((entry, entry));
            let kind = if target.ends_with('/') {
                PathKind::Directory
            } else {
                PathKind::File
            };
            let found = PathFacts {
                canonical: path(target),
                kind,
                identity,
            };
            paths.insert(path(target), found.clone());
            paths.insert(path(name), found);
        }
        let facts = HostFacts {
            uid: 1000,
            gid: 1000,
            maps_all_ids: false,
            landlock_abi: 7,
            working_directory: path("/home/u/ws"),
            home: Some(path("/home/u")),
            config_home: None,
            host_name: "box".into(),
            paths,
            missing_roots: BTreeMap::new(),
            inner_roots: Vec::new(),
            folding_roots: Vec::new(),
            landings: BTreeMap::new(),
            deny_links: BTreeSet::new(),
            datagram_sockets: BTreeSet::new(),
            known_sockets: BTreeSet::new(),
            socket_links: BTreeMap::new(),
            sockets: BTreeMap::new(),
            leaves_reads_open: false,
            write_links: WriteLinks::Known,
            devices: BTreeMap::new(),
        };
        Self { facts }
    }

    fn plan(&self, policy: &Policy) -> Result<LinuxPlan, PlanError> {
        lower(policy, &self.facts, Endpoints::standard())
    }

    /// The mount lines of the plan's description.
    fn mounts(&self, policy: &Policy) -> Vec<String> {
        let text = self.plan(policy).unwrap().to_string();
        let lines = text
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with("landlock"));
        lines.map(str::to_owned).collect()
    }
}
