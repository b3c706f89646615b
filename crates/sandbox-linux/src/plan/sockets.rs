//! Unix sockets of the host: who keeps a command from connecting to them.

use sandbox_policy::{
    AbsolutePath, FileVerdict, FilesystemPolicy, Origin, PathPattern, PathRule, Policy,
    PowerfulSocket, UnixSocketPolicy, powerful_socket, shown,
};

use super::{PlanError, PlanNotice, mounts};
use crate::facts::HostFacts;

/// Who keeps Unix sockets of the host's out of reach. Those that are made inside are always within it;
/// abstract ones belong to the network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketGuard {
    /// Nobody: the settings allow all of them.
    Nobody,
    /// Landlock, which knows the sockets that were made in its domain.
    Landlock,
    /// The supervisor, which knows them too: it connects on the caller's behalf.
    Supervisor {
        /// The sockets of the host's that may be connected to.
        listed: Vec<ListedSocket>,
        /// Whether Landlock keeps the others closed as well: it sees datagrams, too.
        with_landlock: bool,
        /// Whether one of them takes datagrams: then the supervisor sends what has an address.
        datagrams: bool,
    },
}

/// A socket of the host's, or a directory of them, that the settings list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSocket {
    /// The entry.
    pub rule: PathRule,
    /// Where its path leads; the path itself where nothing exists yet. None for a pattern.
    pub landing: Option<AbsolutePath>,
    /// Whether the sandbox has something of its own in this place: then only the name leads there.
    pub is_hidden: bool,
    /// What it gives away, if a known service is reached by it.
    pub gives_away: Option<GivenAway>,
}

/// A service with more rights than the sandbox that an entry reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenAway {
    /// What whoever connects can do.
    pub consequence: &'static str,
    /// Where it is, if the entry's own words don't tell.
    pub reached: Option<AbsolutePath>,
}

/// The first Landlock ABI that knows Unix sockets by path (Linux 7.1).
pub(super) const RESOLVES_SOCKETS: u32 = 9;

impl SocketGuard {
    pub(super) fn new(
        policy: &Policy,
        filesystem: &FilesystemPolicy,
        facts: &HostFacts,
    ) -> Result<Self, PlanError> {
        let with_landlock = facts.landlock_abi >= RESOLVES_SOCKETS;
        let listed = match &policy.unix_sockets {
            UnixSocketPolicy::Unrestricted(_) => return Ok(Self::Nobody),
            UnixSocketPolicy::Blocked if with_landlock => return Ok(Self::Landlock),
            UnixSocketPolicy::Blocked => Vec::new(),
            UnixSocketPolicy::Listed(rules) => {
                let judged = &mounts::Regions::new(filesystem);
                for rule in rules {
                    require_no_planted_link(rule, judged, facts)?;
                }
                let listed = rules
                    .iter()
                    .map(|rule| listed(rule, filesystem, judged, facts));
                listed.collect()
            }
        };
        let datagrams = listed.iter().any(|it| it.takes_datagrams(facts));
        Ok(Self::Supervisor {
            listed,
            with_landlock,
            datagrams,
        })
    }

    /// The sockets of the host's that the supervisor connects to.
    #[must_use]
    pub fn listed(&self) -> &[ListedSocket] {
        match self {
            Self::Supervisor { listed, .. } => listed,
            Self::Nobody | Self::Landlock => &[],
        }
    }

    /// Whether the supervisor sends what has an address.
    #[must_use]
    pub fn sends_datagrams(&self) -> bool {
        match self {
            Self::Supervisor { datagrams, .. } => *datagrams,
            Self::Nobody | Self::Landlock => false,
        }
    }

    /// Whether the supervisor connects.
    #[must_use]
    pub fn is_supervisor(&self) -> bool {
        matches!(self, Self::Supervisor { .. })
    }
}

/// Services that take datagrams, by the last names of their sockets; they may start later.
const DATAGRAM_SERVICES: [&str; 4] = [
    "dev/log",
    "systemd/notify",
    "systemd/journal/dev-log",
    "systemd/journal/socket",
];

impl ListedSocket {
    /// Whether a server for datagrams listens there, or is known to.
    fn takes_datagrams(&self, facts: &HostFacts) -> bool {
        let is_known = |path: &AbsolutePath| {
            let mut services = DATAGRAM_SERVICES.iter();
            services.any(|name| path.as_path().ends_with(name))
        };
        let written = match &self.rule.pattern {
            PathPattern::Subtree(path) => is_known(path),
            PathPattern::Glob(_) => false,
        };
        let mut there = facts.datagram_sockets.iter();
        written || self.landing.as_ref().is_some_and(is_known) || there.any(|it| self.names(it))
    }

    /// Whether a path without symlinks is listed.
    #[must_use]
    pub fn names(&self, path: &AbsolutePath) -> bool {
        match &self.landing {
            Some(landing) => path.is_within(landing),
            None => self.rule.pattern.opens(path).is_some(),
        }
    }

    /// Whether a name at or below a path could be listed.
    #[must_use]
    pub fn may_name_below(&self, path: &AbsolutePath) -> bool {
        match &self.landing {
            Some(landing) => landing.is_within(path) || path.is_within(landing),
            None => true,
        }
    }

    /// Where a path leads that was written as the entry is, or without symlinks.
    #[must_use]
    pub fn landing_of(&self, path: &AbsolutePath) -> Option<AbsolutePath> {
        let landing = self.landing.as_ref()?;
        let PathPattern::Subtree(written) = &self.rule.pattern else {
            return None;
        };
        let below = |above: &AbsolutePath| {
            let rest = path.as_path().strip_prefix(above.as_path()).ok()?;
            if rest.as_os_str().is_empty() {
                return Some(landing.clone());
            }
            AbsolutePath::new(landing.as_path().join(rest)).ok()
        };
        below(written).or_else(|| below(landing))
    }
}

/// Whether a rule of somebody's closes a place: what a preset leaves out an entry may name.
#[must_use]
pub fn closes(filesystem: &FilesystemPolicy, path: &AbsolutePath) -> bool {
    match filesystem.judge_read(path) {
        FileVerdict::Deny(denial) => !matches!(denial.rule, None | Some((_, Origin::BuiltIn(_)))),
        FileVerdict::Allow(_) => false,
    }
}

/// A command of an earlier run may have made any name that this one may make: by a symlink there it would
/// choose the socket.
fn require_no_planted_link(
    rule: &PathRule,
    judged: &mounts::Regions<'_>,
    facts: &HostFacts,
) -> Result<(), PlanError> {
    let PathPattern::Subtree(path) = &rule.pattern else {
        return Ok(());
    };
    let mut links = facts.socket_links.get(path).into_iter().flatten();
    let planted = |link: &AbsolutePath| {
        let below = link.is_within(&facts.working_directory) && *link != facts.working_directory;
        below || matches!(judged.of(link), mounts::Region::Writable)
    };
    if links.any(planted) {
        return Err(PlanError::PlantedLink {
            path: path.clone(),
            target: facts.sockets.get(path).unwrap_or(path).clone(),
            origin: rule.origin.to_string(),
        });
    }
    Ok(())
}

fn listed(
    rule: &PathRule,
    filesystem: &FilesystemPolicy,
    judged: &mounts::Regions<'_>,
    facts: &HostFacts,
) -> ListedSocket {
    let landing = match &rule.pattern {
        PathPattern::Subtree(path) => Some(facts.sockets.get(path).unwrap_or(path).clone()),
        PathPattern::Glob(_) => None,
    };
    let is_hidden = landing
        .as_ref()
        .is_some_and(|landing| match judged.of(landing) {
            mounts::Region::Scratch => true,
            mounts::Region::Hidden => !closes(filesystem, landing),
            mounts::Region::ReadOnly | mounts::Region::Writable => false,
        });
    // The sandbox has a `/dev` of its own.
    let is_device = match &rule.pattern {
        PathPattern::Subtree(path) => mounts::is_ours(path),
        PathPattern::Glob(_) => false,
    };
    let is_hidden = is_hidden || is_device;
    ListedSocket {
        rule: rule.clone(),
        gives_away: gives_away(rule, landing.as_ref(), facts),
        landing,
        is_hidden,
    }
}

/// The known service that an entry reaches, by its own words, by where it leads or by what is there.
fn gives_away(
    rule: &PathRule,
    landing: Option<&AbsolutePath>,
    facts: &HostFacts,
) -> Option<GivenAway> {
    let given = |socket: &PowerfulSocket, reached: Option<&AbsolutePath>| GivenAway {
        consequence: socket.consequence,
        reached: reached.cloned(),
    };
    if let Some(socket) = powerful_socket(&rule.pattern) {
        return Some(given(socket, None));
    }
    let reached = |path: &&AbsolutePath| match landing {
        Some(landing) => path.is_within(landing),
        None => rule.pattern.opens(path).is_some(),
    };
    let known = facts.known_sockets.iter().filter(reached);
    landing.into_iter().chain(known).find_map(|path| {
        let socket = powerful_socket(&PathPattern::Subtree(path.clone()))?;
        Some(given(socket, Some(path)))
    })
}

/// What listed sockets give away.
pub(super) fn warnings(guard: &SocketGuard) -> impl Iterator<Item = PlanNotice> {
    guard.listed().iter().filter_map(|listed| {
        let given = listed.gives_away.as_ref()?;
        let path = listed.rule.pattern.to_string();
        let path = match &given.reached {
            Some(reached) => format!("{path}` (with `{}`)", shown(reached.as_bytes())),
            None => format!("{path}`"),
        };
        Some(PlanNotice::PowerfulSocket {
            path,
            consequence: given.consequence,
            origin: listed.rule.origin.to_string(),
        })
    })
}
