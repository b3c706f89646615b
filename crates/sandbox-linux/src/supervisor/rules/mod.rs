//! What the supervisor judges by.

mod landings;

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use sandbox_policy::{
    AbsolutePath, Denial, FileJudge, FilesystemPolicy, Origin, PROTECTED_PATHS, PathPattern,
    PathRule, ProtectedGroup, ProtectedPath,
};

use super::{
    bound::BoundSockets,
    early,
    git::Protected,
    landings::Landing,
    named::Nearby,
    permit::{Access, denial},
};
use crate::{
    facts::WriteLinks,
    plan::{FilterSpec, LinuxPlan, NestedNamespaces, SocketGuard, Supervision, Tracing},
    probe::{self, LandedWrites},
    sys::Errno,
};

/// The file policy, made ready for questions; one value serves every launch of a sandbox.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Answers yes or no. Made on the supervisor's thread, so that no launch waits for it: for the
    /// first question, or while there is none.
    judge: OnceLock<FileJudge>,
    /// Where protected names lead that are symlinks before the command's first change, and the links on the ways there
    /// and to what write denies name; made there too, for that change at the latest.
    landings: OnceLock<Vec<Arc<Landing>>>,
    /// What settings of repositories further down name.
    nearby: Mutex<Nearby>,
    /// The policy as the plan has it.
    planned: Arc<FilesystemPolicy>,
    /// What symlinks among the write denies come to; made there as well.
    completed: OnceLock<Completed>,
    /// Held by whoever looks for those.
    completing: Mutex<()>,
    /// What a permissive run would be refused.
    observed: Option<Observed>,
    /// The user's home and the working directory, whose protected names are often links.
    starts: Vec<AbsolutePath>,
    config_home: Option<AbsolutePath>,
    write_links: WriteLinks,
    /// What tells a read deny before everything is compiled.
    ends: OnceLock<early::Ends>,
    /// How many reads were judged before that.
    early: AtomicUsize,
    is_compiling: AtomicBool,
    supervision: Supervision,
    /// Write roots that did not exist.
    pub(crate) missing_roots: Vec<MissingRoot>,
    /// Whether `/proc` is the sandbox's own.
    pub(crate) fresh_proc: bool,
    /// Whether processes inside may make user namespaces, and so write id maps.
    pub(crate) nested_namespaces: NestedNamespaces,
    /// Whether they may trace each other.
    pub(crate) tracing: Tracing,
    /// Who keeps sockets of the host's out of reach.
    pub(crate) sockets: SocketGuard,
    /// Sockets that were bound inside, by all commands of a sandbox.
    pub(crate) bound: BoundSockets,
    /// Which calls are refused whatever the file policy says.
    pub(crate) filter: FilterSpec,
}

/// What symlinks among the write denies come to.
#[derive(Debug)]
struct Completed {
    /// The policy with the places that they lead to, where that differs from the planned one.
    policy: Option<FilesystemPolicy>,
    links: Vec<(AbsolutePath, PathRule)>,
}

/// A policy by which nothing is decided.
#[derive(Debug)]
struct Observed {
    policy: Arc<FilesystemPolicy>,
    judge: OnceLock<FileJudge>,
}

/// A write root that the command may create.
#[derive(Debug)]
pub(crate) struct MissingRoot {
    /// Its path.
    pub(crate) path: Vec<u8>,
    /// The nearest directory above that existed.
    pub(crate) above: Vec<u8>,
    /// The host's handle to that, which others of the same directory share.
    pub(crate) anchor: Arc<OwnedFd>,
}

/// What the table calls the places that it protects in a repository.
pub(super) const GIT_PLACES: [(&str, Protected); 9] = [
    (".git/hooks", Protected::Hooks),
    (".git/config", Protected::Config),
    (".git/config.worktree", Protected::WorktreeConfig),
    (".git/info/attributes", Protected::Attributes),
    (".git/objects/info/alternates", Protected::Alternates),
    (".git/remotes", Protected::Remotes),
    (".git/branches", Protected::Branches),
    (".gitmodules", Protected::Modules),
    (".gitconfig", Protected::UserConfig),
];

/// Rules that are compiled before anybody could notice.
const SOON_COMPILED: usize = 256;

/// A program that has asked so often goes on asking.
const EARLY: usize = 8;

impl Rules {
    /// Rules of a plan, whose symlinks are resolved.
    pub(crate) fn new(plan: &LinuxPlan, missing_roots: Vec<MissingRoot>, fresh_proc: bool) -> Self {
        Self {
            judge: OnceLock::new(),
            landings: OnceLock::new(),
            nearby: Mutex::default(),
            planned: Arc::clone(&plan.filesystem),
            completed: OnceLock::new(),
            completing: Mutex::new(()),
            observed: plan.observed.as_ref().map(|policy| Observed {
                policy: Arc::clone(policy),
                judge: OnceLock::new(),
            }),
            starts: plan.starts.clone(),
            config_home: plan.config_home.clone(),
            write_links: plan.write_links,
            ends: OnceLock::new(),
            early: AtomicUsize::new(0),
            is_compiling: AtomicBool::new(false),
            supervision: plan.supervision,
            missing_roots,
            fresh_proc,
            nested_namespaces: plan.user_namespaces,
            sockets: plan.sockets.clone(),
            bound: BoundSockets::default(),
            filter: plan.filter.clone(),
            tracing: plan.tracing,
        }
    }

    /// Whether every open is judged by its name.
    pub(super) fn judges_opens(&self) -> bool {
        self.supervision == Supervision::Opens
    }

    /// # Errors
    /// The policy is not complete, and can't be completed now.
    pub(crate) fn judge(&self) -> Result<&FileJudge, Errno> {
        if let Some(judge) = self.judge.get() {
            return Ok(judge);
        }
        let policy = self.policy()?;
        Ok(self.judge.get_or_init(|| FileJudge::new(policy)))
    }

    /// The policy that would refuse an access if this were not a permissive run.
    pub(super) fn strict_for(&self, path: &[u8], access: Access) -> Option<&FilesystemPolicy> {
        let Observed { policy, judge } = self.observed.as_ref()?;
        let judge = judge.get_or_init(|| FileJudge::new(policy));
        let permits = match access {
            Access::Read => judge.may_read(path),
            Access::Write | Access::MakeDirectory => judge.may_write(path),
            Access::Remove => judge.may_remove(path),
        };
        (!permits && !is_within(path, b"/dev")).then_some(policy)
    }

    /// Makes ready for questions, unless that takes long and none may ever come.
    pub(super) fn begin(&self) {
        let rules = self.planned.deny_read.len() + self.planned.deny_write.len();
        let is_short = rules.max(self.planned.allow_write.len()) <= SOON_COMPILED;
        let is_asked = self.judges_opens() && !self.can_search();
        if is_asked || (is_short && !self.judges_opens()) {
            // What can't be found out now is looked for when it is asked for.
            self.judge().map(drop).unwrap_or(());
            self.landings().map(drop).unwrap_or(());
        }
    }

    /// Whether a path may be read. A program's first opens do not wait until all rules are compiled: the
    /// few that say something about the path are searched for. What can't be told may not.
    pub(super) fn may_read(&self, path: &[u8]) -> bool {
        match self.judge.get() {
            None if self.can_search() => {
                self.early.fetch_add(1, Ordering::Relaxed);
                // What completes the policy are write denies.
                let policy = self.policy();
                policy.is_ok_and(|policy| early::may_read(policy, self.ends(), path))
            }
            Some(_) | None => self.judge().is_ok_and(|judge| judge.may_read(path)),
        }
    }

    /// Makes ready for the first opens, which come as soon as the command is loaded.
    pub(super) fn begin_opens(&self) {
        if self.can_search() {
            self.ends();
        }
    }

    fn ends(&self) -> &early::Ends {
        self.ends.get_or_init(|| early::Ends::new(&self.planned))
    }

    /// Whether a question about reading is answered from the rules as they are: where a program waits for the
    /// answer to its first open, or there are more denies than are compiled before anybody could notice. Other
    /// long lists can't be searched as soon.
    fn can_search(&self) -> bool {
        let planned = &self.planned;
        let denies = planned.deny_read.len().max(planned.deny_write.len());
        let allows = planned.allow_read.len().max(planned.allow_write.len());
        (self.judges_opens() || denies > SOON_COMPILED) && allows <= early::FEW
    }

    /// Looks for the symlinks that the first question needs, on a thread of its own: meanwhile the sandbox
    /// is set up.
    pub(crate) fn make_ready(self: &Arc<Self>) {
        let rules = self.planned.deny_read.len() + self.planned.deny_write.len();
        let sees_opens = self.supervision == Supervision::Opens;
        if !sees_opens || rules <= SOON_COMPILED {
            return;
        }
        if !self.can_search() {
            self.beside(|rules| rules.judge().map(drop).unwrap_or(()));
        } else if self.completed.get().is_none() && self.leaves_links() {
            self.beside(|rules| rules.policy().map(drop).unwrap_or(()));
        }
    }

    /// Compiles a long policy once a command has asked a few times, while its questions are answered.
    pub(super) fn compile_for_more(self: &Arc<Self>) {
        let has_asked = self.early.load(Ordering::Relaxed) >= EARLY;
        let compile = |rules: &Self| rules.judge().map(drop).unwrap_or(());
        if has_asked && !self.is_compiling.swap(true, Ordering::Relaxed) && !self.beside(compile) {
            compile(self);
        }
    }

    /// Whether there is a thread for it. Without one the supervisor does it when it has to.
    fn beside(self: &Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) -> bool {
        let rules = Arc::clone(self);
        let thread = thread::Builder::new().name("sandbox-rules".into());
        thread.spawn(move || work(&rules)).is_ok()
    }

    /// The whole policy; it tells the reason of a no.
    ///
    /// # Errors
    /// Where its symlinks lead can't be told now.
    pub(crate) fn policy(&self) -> Result<&FilesystemPolicy, Errno> {
        Ok(match self.write_links {
            WriteLinks::Known => &self.planned,
            WriteLinks::LeftToSupervisor => {
                self.completed()?.policy.as_ref().unwrap_or(&self.planned)
            }
        })
    }

    /// As much of it as is known, for what is told of a refusal.
    pub(crate) fn known_policy(&self) -> &FilesystemPolicy {
        self.policy().unwrap_or(&self.planned)
    }

    /// An error is no answer, and is not kept: the next one who asks has it looked for again.
    fn completed(&self) -> Result<&Completed, Errno> {
        if let Some(completed) = self.completed.get() {
            return Ok(completed);
        }
        // Who comes meanwhile waits, as the same work would take as long. It guards nothing but that.
        let turn = self.completing.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        if let Some(completed) = self.completed.get() {
            return Ok(completed);
        }
        let completed = self.complete()?;
        Ok(self.completed.get_or_init(|| completed))
    }

    fn leaves_links(&self) -> bool {
        self.write_links == WriteLinks::LeftToSupervisor
    }

    fn complete(&self) -> Result<Completed, Errno> {
        let LandedWrites { rules, links } = probe::landed_writes(&self.planned)?;
        let is_known = self.write_links == WriteLinks::Known || rules.is_empty();
        let policy = (!is_known).then(|| {
            let mut policy = FilesystemPolicy::clone(&self.planned);
            policy.deny_write.extend(rules);
            policy
        });
        Ok(Completed { policy, links })
    }

    /// Whether a directory may be moved: no rule means something else for what lies in it, and no protected
    /// name leads there.
    pub(super) fn may_move(&self, from: &[u8], to: &[u8]) -> Result<bool, Errno> {
        Ok(self.landing_in_move(from, to)?.is_none() && self.judge()?.keeps_verdicts(from, to))
    }

    /// Whether a directory that only the table of protected paths closes leads to a write root in it, which a
    /// user has named: without the directory nobody could make that.
    pub(super) fn leads_to_opened(&self, path: &[u8]) -> Result<bool, Errno> {
        let judge = self.judge()?;
        let mut roots = self.planned.allow_write.iter();
        let leads = roots.any(|root| match &root.rule.pattern {
            PathPattern::Subtree(root) => {
                is_below(root.as_bytes(), path) && judge.may_write(root.as_bytes())
            }
            PathPattern::Glob(_) => false,
        });
        if !leads {
            return Ok(false);
        }
        let denial = denial(self.policy()?, path, Access::MakeDirectory);
        Ok(denial.is_some_and(|denial| Self::is_protection(&denial)))
    }

    /// The places of a repository that the settings leave open.
    pub(super) fn open_git_places(&self) -> Vec<Protected> {
        let is_protected = |name: &str| self.planned.protected.iter().any(|row| row.path == name);
        let open = GIT_PLACES.iter().filter(|(name, _)| !is_protected(name));
        open.map(|(_, place)| *place).collect()
    }

    /// Whether repositories at a path are looked after: not in a private directory, which ends with the
    /// sandbox, and not below a write root that names a place in a repository itself.
    pub(crate) fn guards_repositories(&self, path: &[u8]) -> bool {
        fn literal<'r>(rule: &'r PathRule, path: &[u8]) -> Option<&'r AbsolutePath> {
            match &rule.pattern {
                PathPattern::Subtree(root) if is_within(path, root.as_bytes()) => Some(root),
                PathPattern::Subtree(_) | PathPattern::Glob(_) => None,
            }
        }
        let roots = self.planned.allow_write.iter();
        let root = roots
            .filter_map(|allow| literal(&allow.rule, path))
            .max_by_key(|root| root.depth());
        let scratch = self.planned.scratch.iter();
        let scratch = scratch.filter_map(|rule| literal(rule, path));
        let scratch = scratch.map(|root| root.depth()).max();
        root.is_some_and(|root| {
            scratch.is_none_or(|depth| depth <= root.depth()) && !self.opens_git_place(root)
        })
    }

    /// Whether a write root is, or lies in, a place of a repository that is closed elsewhere. `.git` as a whole is
    /// none: a linked worktree needs that of its repository.
    fn opens_git_place(&self, root: &AbsolutePath) -> bool {
        let mut components = root.as_bytes().split(|byte| *byte == b'/');
        let mut rows = self.planned.protected.iter();
        components.any(|name| name.eq_ignore_ascii_case(b".git"))
            && rows.any(|row| row.group == ProtectedGroup::Git && row.places_on_the_way(root) > 0)
    }

    /// Whether a refusal is by a row of the table that is about repositories.
    pub(crate) fn is_about_git(denial: &Denial) -> bool {
        row_of(denial).is_some_and(|row| row.group == ProtectedGroup::Git)
    }

    /// Whether a refusal is by a row of the table.
    pub(crate) fn is_protection(denial: &Denial) -> bool {
        row_of(denial).is_some()
    }

    /// The write root that a path lies in.
    pub(crate) fn write_root(&self, path: &[u8]) -> Option<Vec<u8>> {
        let roots = self.planned.allow_write.iter();
        let roots = roots.filter_map(|allow| match &allow.rule.pattern {
            PathPattern::Subtree(root) if is_within(path, root.as_bytes()) => Some(root),
            PathPattern::Subtree(_) | PathPattern::Glob(_) => None,
        });
        let deepest = roots.max_by_key(|root| root.depth());
        deepest.map(|root| root.as_bytes().to_vec())
    }
}

/// The row of the table that a refusal is by.
fn row_of(denial: &Denial) -> Option<&'static ProtectedPath> {
    match &denial.rule {
        Some((rule, Origin::BuiltIn(_))) => PROTECTED_PATHS.iter().find(|row| row.path == rule),
        Some(_) | None => None,
    }
}

impl MissingRoot {
    /// Whether a path is the root, in it, or one of the directories that lead to it.
    pub(crate) fn concerns(&self, path: &[u8]) -> bool {
        is_within(path, &self.path) || self.leads_to(path)
    }

    /// Whether a path is one of the missing directories above the root.
    pub(crate) fn leads_to(&self, path: &[u8]) -> bool {
        path != self.path && is_within(&self.path, path) && is_below(path, &self.above)
    }
}

/// Whether a path is another one or lies in it.
pub(crate) fn is_within(path: &[u8], ancestor: &[u8]) -> bool {
    ancestor == b"/"
        || path
            .strip_prefix(ancestor)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether a directory is that of a repository, or not, by what has this name in it.
pub(super) fn is_repository_name(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b".git") || matches!(name, b"HEAD" | b"objects")
}

fn is_below(path: &[u8], ancestor: &[u8]) -> bool {
    path != ancestor && is_within(path, ancestor)
}
