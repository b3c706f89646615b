//! Files and Unix sockets.

use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use sandbox_policy::{
    AbsolutePath, Denial, DenialReason, FileVerdict, FilesystemPolicy, PROTECTED_PATHS,
    PathPattern, PathRule, ProtectedGroup, powerful_socket, shown,
};

use super::{
    AllowReason, Explanation, RefusalReason,
    walk::{Ground, Obstacle, Presence, Way, walk},
};
use crate::{
    platform::{Shown, SocketVerdict},
    sandbox::Sandbox,
};

/// What every question about a path needs.
struct Question<'s> {
    sandbox: &'s Sandbox,
    policy: &'s FilesystemPolicy,
    operation: &'static str,
    /// The path as it was asked about.
    object: String,
}

pub(super) fn read(sandbox: &Sandbox, path: &Path) -> Explanation {
    let question = Question::new(sandbox, "read", path);
    question.answer(path, Question::judge_read)
}

pub(super) fn write(sandbox: &Sandbox, path: &Path) -> Explanation {
    let question = Question::new(sandbox, "write", path);
    question.answer(path, |question, way| {
        let answer = question.judge_write(way);
        question.with_link_remark(answer, way)
    })
}

pub(super) fn socket(sandbox: &Sandbox, path: &Path) -> Explanation {
    let question = Question::new(sandbox, "socket", path);
    question.answer(path, Question::judge_socket)
}

impl<'s> Question<'s> {
    fn new(sandbox: &'s Sandbox, operation: &'static str, path: &Path) -> Self {
        let directory = sandbox.working_directory();
        // What is no path can't be resolved; it is shown as it was given.
        let object = AbsolutePath::resolve(directory, path).map_or_else(
            |_no_path| path.display().to_string(),
            |path| shown(path.as_bytes()),
        );
        Self {
            sandbox,
            policy: sandbox.backend().filesystem(),
            operation,
            object,
        }
    }

    fn answer(&self, path: &Path, judge: impl Fn(&Self, &Way) -> Explanation) -> Explanation {
        let ground = Ground {
            policy: self.policy,
            show: &|path| self.sandbox.backend().shown(path),
            closes_links: self.operation == "write" && self.sandbox.backend().closes_links(),
        };
        match walk(&ground, self.sandbox.working_directory(), path) {
            Ok(way) => {
                let mut answer = judge(self, &way);
                let landing = shown(way.landing.as_bytes());
                answer.leads_to = (landing != self.object).then_some(landing);
                match &way.presence {
                    Presence::There | Presence::NotYet => answer,
                    Presence::Missing(place) => {
                        answer.remark(format!("`{}` does not exist", shown(place.as_bytes())))
                    }
                    Presence::Unknown(place, error) => answer.remark(format!(
                        "`{}` can't be looked at, so the rest is taken as it is written: {error}",
                        shown(place.as_bytes())
                    )),
                }
            }
            Err(Obstacle::Hidden(link, denial)) => {
                let answer = Explanation::refused_by(self.operation, self.object.clone(), *denial);
                let link = shown(link.as_bytes());
                if link == self.object {
                    answer
                } else {
                    answer.remark(format!("`{link}` on the way is closed"))
                }
            }
            Err(Obstacle::Loop) => self.refused(RefusalReason::LinkLoop),
        }
    }

    fn judge_read(&self, way: &Way) -> Explanation {
        let place = &way.landing;
        let verdict = self.policy.judge_read(place);
        let backend = self.sandbox.backend();
        match (backend.shown(place), verdict) {
            (Shown::Proc, _) => self.in_proc(),
            (Shown::NoDevice, _) => self.refused(RefusalReason::OwnTree),
            // A supervisor that sees every open judges devices by name as well.
            (Shown::Device, FileVerdict::Deny(denial)) if backend.judges_every_open() => {
                Explanation::refused_by(self.operation, self.object.clone(), denial)
            }
            (Shown::Device, _) => self.allowed(AllowReason::OwnTree),
            (Shown::Private, FileVerdict::Deny(_))
                if is_in_dev(place) && !backend.judges_every_open() =>
            {
                self.in_private(None)
            }
            (shown, FileVerdict::Deny(denial)) => {
                let answer = self.closed(place, denial);
                let is_closed =
                    matches!(shown, Shown::Mask | Shown::Nothing) || backend.judges_every_open();
                if matches!(way.presence, Presence::Missing(_)) && !is_closed {
                    answer.remark(OPEN_ONCE_THERE)
                } else {
                    answer
                }
            }
            (Shown::Private, FileVerdict::Allow(rule)) => self.in_private(rule),
            (Shown::Replaced, FileVerdict::Allow(_)) => self
                .allowed(AllowReason::ReadsOpen)
                .remark("the sandbox has a file of its own in this place"),
            (_, FileVerdict::Allow(Some(rule))) => self.allowed(AllowReason::Rule).with_rule(rule),
            (_, FileVerdict::Allow(None)) => self.allowed(AllowReason::ReadsOpen),
        }
    }

    /// A refusal by a rule for reading, with what is still to be seen of a directory.
    fn closed(&self, place: &AbsolutePath, denial: Denial) -> Explanation {
        let is_read = denial.reason == DenialReason::ReadDenied;
        let answer = Explanation::refused_by(self.operation, self.object.clone(), denial);
        let allows = self
            .policy
            .allow_read
            .iter()
            .chain(&self.policy.allow_write);
        let mut inside = allows.filter(|allow| {
            let pattern = &allow.rule.pattern;
            matches!(pattern, PathPattern::Subtree(path) if path.is_within(place))
        });
        match inside.next() {
            Some(_) if is_read => {
                answer.remark("names of what other rules open inside of it can be seen")
            }
            Some(_) | None => answer,
        }
    }

    fn judge_write(&self, way: &Way) -> Explanation {
        let place = &way.landing;
        let backend = self.sandbox.backend();
        let shown = backend.shown(place);
        match shown {
            Shown::Proc if !is_about_a_process(place) => {
                return self.refused(RefusalReason::OwnTree);
            }
            Shown::Proc => return self.in_proc(),
            Shown::NoDevice => return self.refused(RefusalReason::OwnTree),
            Shown::Device if place.as_bytes() == b"/dev" => {
                return self.refused(RefusalReason::OwnTree);
            }
            Shown::Device => return self.allowed(AllowReason::OwnTree),
            // As all of the sandbox's own `/dev`: rules are about the host's.
            Shown::Private if is_in_dev(place) => return self.in_private(None),
            Shown::ReadOnly
            | Shown::Writable
            | Shown::Private
            | Shown::Nothing
            | Shown::Mask
            | Shown::Link(_)
            | Shown::Replaced => {}
        }
        let rule = match self.policy.judge_write(place) {
            FileVerdict::Deny(denial) => {
                let answer = Explanation::refused_by(self.operation, self.object.clone(), denial);
                return with_git_remark(answer);
            }
            FileVerdict::Allow(rule) => rule,
        };
        let answer = match rule {
            Some(rule) => self.allowed(AllowReason::Rule).with_rule(rule),
            None => self.allowed(AllowReason::Rule),
        };
        if let Some(denial) = backend.closed_elsewhere(place) {
            let mut answer = self.refused(RefusalReason::BehindProtectedLink);
            answer.rule = denial.rule;
            answer.note = denial.note;
            return answer;
        }
        if shown == Shown::Writable && backend.is_of_repository(place) {
            return self.refused(RefusalReason::InRepository).remark(GIT_ITSELF);
        }
        if shown == Shown::Private {
            return self.in_private(rule);
        }
        if shown == Shown::Writable || backend.may_become_a_root(place) {
            return if is_mounted_read_only(place) {
                answer.remark(READ_ONLY_OUTSIDE)
            } else {
                answer
            };
        }
        // The private directory's rule does not reach what of the host's is shown in it.
        let is_private = |rule: &PathRule| self.policy.scratch.contains(rule);
        if shown == Shown::ReadOnly && rule.is_some_and(is_private) {
            let denial = Denial::by_default(DenialReason::WriteNotAllowed, self.object.clone());
            return Explanation::refused_by(self.operation, self.object.clone(), denial);
        }
        Explanation {
            reason: RefusalReason::NotShared.into(),
            ..answer
        }
    }

    /// A symlink is itself something that can be replaced, whatever it leads to.
    fn with_link_remark(&self, answer: Explanation, way: &Way) -> Explanation {
        if way.own == way.landing {
            return answer;
        }
        let link = Way {
            own: way.own.clone(),
            landing: way.own.clone(),
            presence: Presence::There,
        };
        let about_link = self.judge_write(&link);
        let own = shown(way.own.as_bytes());
        answer.remark(if about_link.is_allowed() {
            format!("the symlink `{own}` itself may be replaced or removed")
        } else {
            format!("the symlink `{own}` itself may not be replaced or removed")
        })
    }

    fn judge_socket(&self, way: &Way) -> Explanation {
        let place = &way.landing;
        let backend = self.sandbox.backend();
        let policy = &self.sandbox.policy().unix_sockets;
        let origin = match backend.judge_socket(policy, place) {
            SocketVerdict::Closed => {
                return self
                    .refused(RefusalReason::SocketsClosed)
                    .remark("sockets that the command itself makes are open to it");
            }
            SocketVerdict::Listed {
                rule,
                consequence,
                is_shown,
            } => {
                let answer = if is_shown {
                    self.allowed(AllowReason::Rule).with_rule(&rule)
                } else {
                    self.refused(RefusalReason::SocketHidden).with_rule(&rule)
                };
                let own = powerful_socket(&PathPattern::Subtree(place.clone()));
                return match own.map(|socket| socket.consequence).or(consequence) {
                    Some(consequence) => answer.remark(consequence),
                    None => answer,
                };
            }
            SocketVerdict::Unfiltered(origin) => origin,
        };
        let is_hidden = matches!(
            backend.shown(place),
            Shown::Private | Shown::Nothing | Shown::Mask | Shown::NoDevice
        );
        match self.policy.judge_read(place) {
            // What is masked can't be reached. A pattern closes files for opening, and no socket is opened.
            FileVerdict::Deny(denial) if is_hidden => {
                Explanation::refused_by(self.operation, self.object.clone(), denial)
            }
            FileVerdict::Allow(_) if is_hidden => self.refused(RefusalReason::SocketHidden),
            FileVerdict::Allow(_) | FileVerdict::Deny(_) => {
                let mut answer = self.allowed(AllowReason::SocketsOpen);
                answer.rule = Some(("allowAllUnixSockets".to_owned(), origin));
                answer
            }
        }
    }

    fn in_proc(&self) -> Explanation {
        self.allowed(AllowReason::OwnTree)
            .remark("the kernel decides about each file of a process")
    }

    fn in_private(&self, rule: Option<&PathRule>) -> Explanation {
        let answer = self.allowed(AllowReason::Private);
        let answer = match rule {
            Some(rule) => answer.with_rule(rule),
            None => answer,
        };
        answer.remark("what the host has at this path is not there")
    }

    fn allowed(&self, reason: AllowReason) -> Explanation {
        Explanation::new(self.operation, self.object.clone(), reason.into())
    }

    fn refused(&self, reason: RefusalReason) -> Explanation {
        Explanation::new(self.operation, self.object.clone(), reason.into())
    }
}

/// What mounts can't close yet.
const OPEN_ONCE_THERE: &str =
    "if the host makes it while the command runs it can be read, unless `strictReads` is set";

const GIT_ITSELF: &str =
    "git's own changes of a repository are let through where nothing is planted by them";

/// No rule of the sandbox's.
const READ_ONLY_OUTSIDE: &str = "its file system is mounted read-only on this host: nobody can";

/// Whether the host has the place, or where it would be, on a read-only mount (statvfs(3)).
fn is_mounted_read_only(place: &AbsolutePath) -> bool {
    let mut ancestors = place.ancestors();
    let status = ancestors.find_map(|place| rustix::fs::statvfs(place.as_path()).ok());
    status.is_some_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// What git does in a repository is judged by what lies in it, call by call.
fn with_git_remark(answer: Explanation) -> Explanation {
    let path = answer.protected_path();
    let row = PROTECTED_PATHS.iter().find(|row| Some(row.path) == path);
    match row.map(|row| row.group) {
        Some(ProtectedGroup::Git) => answer.remark(GIT_ITSELF),
        Some(_) | None => answer,
    }
}

/// Whether a path lies in `/dev`, which is the sandbox's own.
fn is_in_dev(path: &AbsolutePath) -> bool {
    path.as_path().starts_with("/dev")
}

/// Whether a path of `/proc` belongs to a process: the rest are the kernel's own settings and facts.
fn is_about_a_process(path: &AbsolutePath) -> bool {
    let below = path.as_path().strip_prefix("/proc").ok();
    let first = below.and_then(|below| below.components().next());
    first.is_some_and(|first| {
        let name = first.as_os_str().as_encoded_bytes();
        name == b"self" || name == b"thread-self" || name.iter().all(u8::is_ascii_digit)
    })
}
