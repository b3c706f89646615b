//! From what a command was refused to the smallest settings that would let it pass.
//!
//! Nothing is proposed that a rule of somebody's closes, that would weaken the sandbox as a whole, or
//! that is worth more to others than to the command: the home directory, the system's directories,
//! secrets, protected places, sockets that are as good as no sandbox. A directory stands for files in
//! it only if several of them were asked for.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::ErrorKind,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use sandbox_policy::{
    AbsolutePath, AddressClass, DenialReason, Operation, OwnAddresses, PathPattern, SECRET_PATHS,
    WORKSPACE_SECRETS, powerful_socket,
};
use sandbox_settings::Addition;

use crate::{
    host,
    permissive::{SECRET, is_global},
    violation::{Subscription, Violation, ViolationStore, is_protected},
};

/// Listens to what a sandbox's commands are refused.
#[derive(Debug)]
pub struct Learner {
    seen: Arc<Mutex<Seen>>,
    store: ViolationStore,
    _subscription: Subscription,
}

#[derive(Debug, Default)]
struct Seen {
    kinds: HashSet<(Operation, String)>,
    violations: Vec<Arc<Violation>>,
    /// Refusals for which there was no room.
    unrecorded: u64,
}

/// What could be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// Entries that would have let the command go on.
    pub additions: Vec<Addition>,
    /// What was refused and should stay so, with the reason.
    pub kept: Vec<(String, &'static str)>,
    /// How many refusals are in neither, as they came too fast or were too many to be recorded. The
    /// proposal may lack what they would have called for.
    pub unrecorded: u64,
}

/// Distinct refusals that are remembered.
const MOST: usize = 10_000;
/// Files of one directory that speak for the directory.
const EVIDENCE: usize = 3;

impl Learner {
    /// Listens from now on.
    #[must_use]
    pub fn new(store: &ViolationStore) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let told = Arc::clone(&seen);
        let subscription = store.subscribe(move |violation| {
            // It is whole at every point where a panic could have left it.
            let mut seen = told.lock().unwrap_or_else(PoisonError::into_inner);
            let kind = (violation.operation, violation.object.clone());
            if seen.violations.len() >= MOST {
                let is_new = !seen.kinds.contains(&kind);
                seen.unrecorded += u64::from(is_new);
            } else if seen.kinds.insert(kind) {
                seen.violations.push(Arc::clone(violation));
            }
        });
        Self {
            seen,
            store: store.clone(),
            _subscription: subscription,
        }
    }

    /// What follows from what was heard so far. `own` are files that decide about later runs.
    #[must_use]
    pub fn proposal(&self, home: Option<&AbsolutePath>, own: &[AbsolutePath]) -> Proposal {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let homes = host::homes(home);
        // Without them every address may be one.
        let addresses = host::own_addresses().ok().map(|OwnAddresses(found)| found);
        let guard = Guard {
            homes: &homes,
            own,
            addresses: addresses.as_deref(),
        };
        Proposal {
            unrecorded: seen.unrecorded + self.store.untold().others,
            ..propose(&seen.violations, &guard)
        }
    }
}

fn propose(violations: &[Arc<Violation>], guard: &Guard<'_>) -> Proposal {
    let mut entries: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    let mut kept = Vec::new();
    for violation in violations {
        match wanted(violation, guard) {
            Ok((key, value)) => drop(entries.entry(key).or_default().insert(value)),
            Err(reason) => kept.push((violation.object.clone(), reason)),
        }
    }
    let mut additions = Vec::new();
    for (key, values) in entries {
        let values = match key {
            WRITE | READ => directories(values, guard),
            HOSTS => hosts(values),
            _ => values,
        };
        additions.extend(values.into_iter().map(|value| Addition { key, value }));
    }
    kept.sort();
    kept.dedup();
    Proposal {
        additions,
        kept,
        unrecorded: 0,
    }
}

const WRITE: &str = "filesystem.allowWrite";
const READ: &str = "filesystem.allowRead";
const HOSTS: &str = "network.allowedDomains";

/// The entry that would permit it, or why there is none.
fn wanted(
    violation: &Violation,
    guard: &Guard<'_>,
) -> Result<(&'static str, String), &'static str> {
    if violation.reason == DenialReason::DeciderRefused {
        return Err("it was refused when it was asked for");
    }
    if is_of_permissive_run(violation) {
        return Err("it is secret");
    }
    let entry = violation.remedy.as_ref().and_then(|it| it.entry.as_ref());
    let Some(entry) = entry else {
        if violation.reason == DenialReason::SocketNotListed {
            Guard::socket(&violation.object)?;
        }
        let is_about_a_name = matches!(
            violation.reason,
            DenialReason::WriteNotAllowed | DenialReason::ReadDenied
        );
        if is_about_a_name && violation.object.contains('\\') {
            return Err("its name can't be written down exactly");
        }
        let is_call = violation.reason == DenialReason::CallRefused;
        if is_call && violation.remedy.is_some() {
            return Err("it needs the socket that it talks to in `allowUnixSockets`");
        }
        return Err(if violation.rule.is_some() && !is_call {
            "a rule closes it on purpose"
        } else {
            "no entry of the settings opens it"
        });
    };
    match entry.key {
        WRITE | READ => guard.path(&entry.value)?,
        HOSTS => guard.host(&entry.value)?,
        "filesystem.unprotect" => return Err("it is protected: programs run or obey it"),
        "network.allowUnixSockets" => Guard::socket(&entry.value)?,
        _ => return Err("it would weaken the sandbox as a whole"),
    }
    Ok((entry.key, entry.value.clone()))
}

/// Whether it was closed for the permissive run alone, wherever the symlinks of its name lead.
fn is_of_permissive_run(violation: &Violation) -> bool {
    matches!(&violation.rule, Some((_, origin)) if *origin == SECRET)
}

/// What is never proposed.
struct Guard<'g> {
    /// Of everybody on this machine.
    homes: &'g [AbsolutePath],
    own: &'g [AbsolutePath],
    /// Of this machine's interfaces; none where they can't be found out.
    addresses: Option<&'g [IpAddr]>,
}

/// Directories of the system.
const SYSTEM: [&str; 17] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/spool",
    "/System",
];

/// Places of the home directory that are closed here as a whole, of which the preset knows files.
const SECRET_DIRECTORIES: [&str; 2] = [".docker", ".terraform.d"];

impl Guard<'_> {
    fn path(&self, text: &str) -> Result<(), &'static str> {
        // The text of a violation is inert, so such a name is not what it was.
        if text.contains(['\\', '\u{fffd}', '…']) {
            return Err("its name can't be written down exactly");
        }
        let path = AbsolutePath::new(text).map_err(|_relative| "it is no path")?;
        if path.depth() <= 1 {
            return Err("it is the root directory, or lies right in it");
        }
        if self.homes.iter().any(|home| home.is_within(&path)) {
            return Err("it holds the home directory");
        }
        let is_in = |place: &&str| path.as_path().starts_with(place);
        if SYSTEM.iter().any(is_in) {
            return Err("it is the system's");
        }
        if (self.own.iter()).any(|own| path.is_within(own) || own.is_within(&path)) {
            return Err("it decides what later runs may do");
        }
        if self.is_secret(&path) {
            return Err("it is secret");
        }
        if is_protected(&path) || self.is_of_programs(&path) {
            return Err("it is protected: programs run or obey it");
        }
        Self::stays(&path)?;
        Self::powerless(path)
    }

    /// Rules follow symlinks, so a name that is one on the host opens another place than it says.
    fn stays(path: &AbsolutePath) -> Result<(), &'static str> {
        if is_itself(path.as_path()) {
            Ok(())
        } else {
            Err("a symlink on this machine leads elsewhere")
        }
    }

    fn powerless(path: AbsolutePath) -> Result<(), &'static str> {
        match powerful_socket(&PathPattern::Subtree(path)) {
            Some(socket) => Err(socket.consequence),
            None => Ok(()),
        }
    }

    /// Whether programs of the user's find their settings, or themselves, in this place of the home.
    fn is_of_programs(&self, path: &AbsolutePath) -> bool {
        let mut below = self.homes.iter().filter_map(|home| {
            let rest = path.as_path().strip_prefix(home.as_path()).ok()?;
            rest.components().next()?.as_os_str().to_str()
        });
        below.any(|first| {
            (first.starts_with('.') && first != ".cache") || ["bin", "go"].contains(&first)
        })
    }

    fn is_secret(&self, path: &AbsolutePath) -> bool {
        let system = WORKSPACE_SECRETS.iter().map(|row| row.path);
        let preset = SECRET_PATHS.iter().map(|row| row.path);
        let names = system.chain(preset).chain(SECRET_DIRECTORIES);
        let root = AbsolutePath::root();
        let homes = || self.homes.iter().chain([&root]);
        let below = |name| homes().filter_map(move |home| AbsolutePath::resolve(home, name).ok());
        let mut secrets = names.flat_map(below);
        secrets.any(|secret| path.is_within(&secret) || secret.is_within(path))
    }

    fn socket(text: &str) -> Result<(), &'static str> {
        if text.contains(['*', '?', '[', '\\']) {
            return Err("its name can't be written down exactly");
        }
        let Ok(path) = AbsolutePath::new(text) else {
            return Ok(());
        };
        Self::stays(&path)?;
        Self::powerless(path)
    }

    fn host(&self, text: &str) -> Result<(), &'static str> {
        if text.contains('\\') || text.contains('*') {
            return Err("it is no host");
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
            Some(_) | None => (text, ""),
        };
        let host = host.trim_matches(['[', ']']);
        let address = host.parse::<IpAddr>().ok();
        let class = address.and_then(AddressClass::of);
        let is_loopback = class == Some(AddressClass::Loopback)
            || host == "localhost"
            || host.ends_with(".localhost");
        let is_own = |address| self.addresses.is_none_or(|own| own.contains(&address));
        let is_near = |address| is_own(address) || !is_global(address);
        let is_mighty = port.parse().is_ok_and(|port| MIGHTY_PORTS.contains(&port));
        if is_mighty && (is_loopback || address.is_some_and(is_near)) {
            return Err("whoever can talk to it needs no sandbox");
        }
        if is_loopback {
            return Ok(());
        }
        if address.is_some_and(is_own) {
            return Err("such addresses are of the machine's own services");
        }
        let is_metadata = host.ends_with(".internal") || host == "metadata";
        let is_unique_local = matches!(host.parse(), Ok(IpAddr::V6(it)) if it.is_unique_local());
        if class.is_some() || is_unique_local || is_metadata {
            return Err("such addresses are of the machine's own services");
        }
        Ok(())
    }
}

/// TCP ports of the host's at which services do whatever they are asked: a shell, containers, a
/// debugger of the browser or of a phone.
const MIGHTY_PORTS: [u16; 10] = [22, 2222, 2375, 2376, 2377, 4243, 5037, 9222, 9229, 10_250];

/// Whether no name on the way to a path is a symlink now, however much of it exists. What can't be seen
/// is taken for one.
fn is_itself(path: &Path) -> bool {
    for place in path.ancestors() {
        match place.symlink_metadata() {
            Ok(_) => return place.canonicalize().is_ok_and(|real| real == place),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Several files of one directory are the directory; what lies in another value is that one.
fn directories(values: BTreeSet<String>, guard: &Guard<'_>) -> BTreeSet<String> {
    let mut by_parent: BTreeMap<String, usize> = BTreeMap::new();
    for value in &values {
        if let Some(parent) = Path::new(value).parent().and_then(Path::to_str) {
            *by_parent.entry(parent.to_owned()).or_default() += 1;
        }
    }
    let enough = by_parent
        .into_iter()
        .filter(|(_, count)| *count >= EVIDENCE);
    let general = enough.map(|(parent, _)| parent);
    let general = general.filter(|parent| guard.path(parent).is_ok());
    let all: BTreeSet<String> = values.into_iter().chain(general).collect();
    let is_covered = |value: &String| {
        let mut above = Path::new(value).ancestors().skip(1);
        above.any(|path| path.to_str().is_some_and(|path| all.contains(path)))
    };
    all.iter()
        .filter(|value| !is_covered(value))
        .cloned()
        .collect()
}

/// A name stands for each of its ports if it was looked up, and so no port is known.
fn hosts(values: BTreeSet<String>) -> BTreeSet<String> {
    let has_name = |value: &String| {
        let name = value.rsplit_once(':').map(|(name, _)| name);
        name.is_some_and(|name| values.contains(name))
    };
    values
        .iter()
        .filter(|value| !has_name(value))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
