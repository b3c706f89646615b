//! A plan made flat: C strings, programs and descriptors, so that nothing is left to decide or to
//! allocate after the clone. One value serves every launch of a sandbox.

use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::CString,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::PathBuf,
    sync::Arc,
};

use rustix::{
    fs::{MemfdFlags, Mode, OFlags, SealFlags},
    process::Resource,
};
use sandbox_policy::{AbsolutePath, Denial, FilesystemPolicy};

use crate::{
    facts::{FileIdentity, MissingPath},
    filter::{self, FilterError},
    netlink::{self, Conversation},
    plan::{BindAccess, LinuxPlan, MountKind, MountOp, RuleAnchor, Supervision},
    supervisor::{MissingRoot, Rules},
    sys::{Errno, seccomp::Instruction},
};

/// The program that becomes pid 1, as build.rs made it.
const INIT_IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/srt-init"));

/// Why a plan can't be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The filter does not compile.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The directory that a write root is to be made in can't be opened, or is another one by now.
    #[error("cannot open `{}`, where a write root is to be created", path.display())]
    MissingRoot {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The memory file with the init image can't be made.
    #[error("cannot create the init image in memory{}", limit_text(source))]
    InitImageCall {
        /// The reason.
        source: io::Error,
    },
}

/// Everything that the stages need of a plan.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) plan: LinuxPlan,
    pub(crate) mounts: Vec<PreparedMount>,
    pub(crate) filter: Vec<Instruction>,
    pub(crate) init_image: OwnedFd,
    pub(crate) network: NetworkMessages,
    /// What the supervisor judges by.
    pub(crate) rules: Arc<Rules>,
}

/// What is said to the kernel to set the network namespace up.
#[derive(Debug)]
pub(crate) struct NetworkMessages {
    pub(crate) interface_v4: Conversation,
    pub(crate) interface_v6: Conversation,
    pub(crate) redirection: Conversation,
}

/// A mount operation over C strings.
#[derive(Debug)]
pub(crate) struct PreparedMount {
    pub(crate) target: CString,
    /// Directories to make before the target, outermost first; then the target itself is made.
    pub(crate) created_parents: Vec<CString>,
    pub(crate) creates_target: bool,
    pub(crate) kind: MountKind,
    /// The text of a symlink.
    pub(crate) link: Option<CString>,
    /// The Landlock grant that hangs on this mount.
    pub(crate) grant: Option<BindAccess>,
}

impl Prepared {
    /// Prepares a plan.
    pub fn new(plan: LinuxPlan) -> Result<Self, PrepareError> {
        let rules = Arc::new(rules(&plan)?);
        rules.make_ready();
        let filter = filter::compile(&plan.filter)?;
        let grants = Grants::of(&plan);
        let operations = plan.mounts.operations().iter().enumerate();
        let mounts = operations
            .map(|(index, op)| mount(op, grants.on(index, op)))
            .collect();
        let init_image = init_image().map_err(|errno| PrepareError::InitImageCall {
            source: errno.into(),
        })?;
        let network = NetworkMessages {
            interface_v4: netlink::interface_v4(),
            interface_v6: netlink::interface_v6(),
            redirection: netlink::redirection(),
        };
        Ok(Self {
            plan,
            mounts,
            filter,
            init_image,
            network,
            rules,
        })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &LinuxPlan {
        &self.plan
    }

    /// The file policy as it is enforced. If its symlinks can't be followed now, what they lead to is left out
    /// here, while the supervisor refuses everything.
    #[must_use]
    pub fn filesystem(&self) -> &FilesystemPolicy {
        self.rules.known_policy()
    }

    /// Whether the supervisor refuses to change a path because git takes programs or settings from it, in a repository
    /// of whatever name that is there now.
    #[must_use]
    pub fn is_of_repository(&self, path: &AbsolutePath) -> bool {
        self.plan.supervision != Supervision::Off && self.rules.is_of_repository(path)
    }

    /// Why the supervisor refuses to change a path that no rule names, if a closed or protected name leads there, or to
    /// a directory above it.
    #[must_use]
    pub fn closed_elsewhere(&self, path: &AbsolutePath) -> Option<Denial> {
        let is_asked = self.plan.supervision != Supervision::Off;
        is_asked.then(|| self.rules.closed_elsewhere(path.as_bytes()))?
    }
}

fn rules(plan: &LinuxPlan) -> Result<Rules, PrepareError> {
    let is_proc = |op: &MountOp| matches!(op.kind, MountKind::Proc { .. });
    Ok(Rules::new(
        plan,
        missing_roots(&plan.missing_roots)?,
        plan.mounts.operations().iter().any(is_proc),
    ))
}

/// One descriptor serves all roots that are missing in the same directory.
fn missing_roots(roots: &[MissingPath]) -> Result<Vec<MissingRoot>, PrepareError> {
    let mut anchors: HashMap<(&AbsolutePath, FileIdentity), Arc<OwnedFd>> = HashMap::new();
    let roots = roots.iter().map(|root| {
        let anchor = match anchors.entry((&root.above, root.identity)) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(unknown) => Arc::clone(unknown.insert(Arc::new(anchor(root)?))),
        };
        Ok(MissingRoot {
            path: root.canonical.as_bytes().to_vec(),
            above: root.above.as_bytes().to_vec(),
            anchor,
        })
    });
    roots.collect()
}

/// The directory above a missing root.
fn anchor(root: &MissingPath) -> Result<OwnedFd, PrepareError> {
    let failed = |errno: Errno| PrepareError::MissingRoot {
        path: root.above.as_path().to_path_buf(),
        source: errno.into(),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let anchor = rustix::fs::open(root.above.as_path(), flags, Mode::empty()).map_err(failed)?;
    let status = rustix::fs::fstat(&anchor).map_err(failed)?;
    let FileIdentity { device, inode } = root.identity;
    if (status.st_dev, status.st_ino) != (device, inode) {
        return Err(failed(Errno::STALE));
    }
    Ok(anchor)
}

fn c_path(path: &AbsolutePath) -> CString {
    let bytes = path.as_path().as_os_str().as_bytes();
    // An AbsolutePath has no NUL, so nothing is cut; an empty string would only fail to open.
    CString::new(bytes).unwrap_or_else(|_nul| CString::default())
}

/// The Landlock grants of a plan, by what they hang on.
struct Grants {
    root: Option<BindAccess>,
    operations: HashMap<usize, BindAccess>,
}

impl Grants {
    fn of(plan: &LinuxPlan) -> Self {
        let mut grants = Self {
            root: None,
            operations: HashMap::new(),
        };
        for rule in plan.landlock.iter().flat_map(|spec| &spec.rules) {
            match rule.anchor {
                RuleAnchor::Root => grants.root = Some(rule.access),
                RuleAnchor::Operation(index) => {
                    grants.operations.insert(index, rule.access);
                }
            }
        }
        grants
    }

    fn on(&self, index: usize, op: &MountOp) -> Option<BindAccess> {
        let own = self.operations.get(&index).copied();
        let is_root = matches!(op.kind, MountKind::RootReadOnly | MountKind::RootWritable);
        let root = self.root.filter(|_| is_root);
        own.or(root)
    }
}

fn mount(op: &MountOp, grant: Option<BindAccess>) -> PreparedMount {
    let mut created_parents = Vec::new();
    if op.creates_target {
        let ancestors = op.target.ancestors().skip(1);
        created_parents.extend(
            ancestors
                .filter(|path| path.depth() > 0)
                .map(|path| c_path(&path)),
        );
        created_parents.reverse();
    }
    let link = if let MountKind::Symlink { to } = &op.kind {
        Some(c_path(to))
    } else {
        None
    };
    PreparedMount {
        target: c_path(&op.target),
        created_parents,
        creates_target: op.creates_target,
        kind: op.kind.clone(),
        link,
        grant,
    }
}

fn limit_text(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::FileTooLarge {
        "; `ulimit -f` has the limit"
    } else {
        ""
    }
}

/// The init image in a sealed memory file that nobody can read: a program that can't be read is not
/// dumpable, so from its first instruction on nothing inside the sandbox can look into pid 1.
fn init_image() -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match rustix::fs::memfd_create(c"srt-init", flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 every memory file is executable and the flag unknown.
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"srt-init", flags)?,
        other => other?,
    };
    // Writing more than that ends the process by SIGXFSZ (setrlimit(2)).
    let limit = rustix::process::getrlimit(Resource::Fsize).current;
    if limit.is_some_and(|most| usize::try_from(most).is_ok_and(|most| most < INIT_IMAGE.len())) {
        return Err(Errno::FBIG);
    }
    let mut rest = INIT_IMAGE;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    rustix::fs::fchmod(&file, Mode::XUSR | Mode::XGRP | Mode::XOTH)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}
