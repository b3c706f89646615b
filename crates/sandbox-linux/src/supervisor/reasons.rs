//! Why a change is refused, in words: each names the rule that the settings can change.

use std::os::fd::AsFd as _;

use sandbox_policy::{
    Denial, DenialReason, FilesystemPolicy, Origin, PROTECTED_PATHS, PathPattern, PathRule,
    ProtectedPath, is_alias, is_in_store, shown,
};

use super::{
    Answering,
    git::{self, Change, Content, Flaw, Pending, Protected, Unfit},
    landings::Landing,
    permit::{self, Access},
    resolve::Place,
    rules::{GIT_PLACES, Rules, is_within},
};
use crate::sys::Errno;

impl Rules {
    /// Why a file is refused that a closed name leads to.
    pub(super) fn behind_link(path: &[u8], landing: &Landing) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        denial.rule = Some(landing.rule.clone());
        denial.note = Some(landing.note());
        denial
    }

    /// The same, if one leads to a path. What can't be told is refused.
    pub(crate) fn closed_elsewhere(&self, path: &[u8]) -> Option<Denial> {
        match self.landing(path) {
            Ok(landing) => landing.map(|landing| Self::behind_link(path, &landing)),
            Err(_untold) => Some(Denial::by_default(DenialReason::WriteDenied, shown(path))),
        }
    }

    /// Why a file of a tree is refused that the kernel shows its settings in.
    pub(super) fn kernel_tree(path: &[u8]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        let note = "it is the kernel's own: only a write root that lies in this tree opens it";
        denial.note = Some(note.to_owned());
        denial
    }

    /// Why something in a repository is refused: by the row of the table that names the path, or else by
    /// the one for the same part of a repository of the usual name. Both are opened by that name.
    pub(super) fn planted(&self, path: &[u8], part: Option<Protected>) -> Denial {
        let by_table = permit::denial(self.known_policy(), path, Access::Write);
        if let Some(denial) = by_table.filter(|denial| denial.rule.is_some()) {
            return denial;
        }
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        denial.rule = part.and_then(row_of_part).map(rule_of);
        denial.note = Some("git runs or obeys it, in this repository or when it is one".to_owned());
        denial
    }

    /// Why a file does not become a repository's settings.
    fn harmful_settings(&self, path: &[u8], part: Option<Protected>, flaw: &Flaw) -> Denial {
        let mut denial = self.planted(path, part);
        denial.note = Some(flaw.to_string());
        denial
    }

    /// Why what was written by its own name did not get its place.
    pub(super) fn unfit(&self, pending: &Pending, unfit: &Unfit) -> Denial {
        let path = pending.path();
        let part = git::named_part(pending.parent_path(), &pending.name);
        match (pending.content, unfit) {
            (_, Unfit::Error(Errno::BUSY)) => {
                let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(&path));
                let note = "what was written to it is lost: until the command's end its lock was there, or it was open";
                denial.note = Some(note.to_owned());
                denial
            }
            (_, Unfit::Error(errno)) if *errno != Errno::ACCESS => {
                let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(&path));
                let why = errno.to_string();
                denial.note = Some(format!(
                    "what was written to it is lost, it can't be put in place: {why}"
                ));
                denial
            }
            (_, Unfit::Flaw(flaw)) => self.harmful_settings(&path, part, flaw),
            (Content::Index, Unfit::Error(_)) => Self::harmful_index(&path),
            (Content::Settings, Unfit::Error(_)) => self.planted(&path, part),
        }
    }

    /// Why an index is not written to, or linked.
    fn index_itself(path: &[u8]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        let note =
            "it is git's index, or in the place of one: git writes a new file and renames it";
        denial.note = Some(note.to_owned());
        denial
    }

    /// Why an index does not get its name.
    fn harmful_index(path: &[u8]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        let note = "it is no index as git writes it, or one that names paths outside of the working tree or in a git \
                    directory";
        denial.note = Some(note.to_owned());
        denial
    }

    /// Why a lock file is refused that was not made inside, or something that would take its name.
    fn lock_of_another(&self, path: &[u8], part: Option<Protected>) -> Denial {
        let mut denial = self.planted(path, part);
        let note = "it is the lock of what git obeys: a command makes it as a new file, and changes, removes and \
                    links none but its own";
        denial.note = Some(note.to_owned());
        denial
    }

    /// Why a directory may not be moved from one place to another. No setting opens this alone: each rule
    /// in it would have to go.
    pub(super) fn moved_rule(&self, from: &[u8], to: &[u8]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(from));
        let policy = self.known_policy();
        let found = [from, to].into_iter().find_map(|place| {
            let rule = rule_inside(policy, place)?;
            Some((shown(place), rule))
        });
        denial.note = Some(match found {
            Some((place, (rule, origin))) => format!(
                "the rule `{rule}` of {origin} closes something in `{place}`: moving the directory would undo it"
            ),
            None => match self.landing_in_move(from, to).unwrap_or(None) {
                Some(landing) => format!(
                    "{} (`{}`): moving the directory would lead it elsewhere",
                    landing.note(),
                    shown(&landing.place)
                ),
                None => other_reason(policy, from, to),
            },
        });
        denial
    }

    /// Why a symlink is refused.
    pub(super) fn misleading_link(&self, path: &[u8]) -> Denial {
        let object = shown(path);
        let mut denial = Denial::by_default(DenialReason::WriteDenied, object);
        denial.note = Some(match rule_inside(self.known_policy(), path) {
            Some((rule, origin)) => format!(
                "a symlink here would stand for paths that the rule `{rule}` of {origin} names"
            ),
            None => "a symlink here would stand for paths that a rule names".to_owned(),
        });
        denial
    }

    /// Why a symlink is refused on the way of a closed name.
    pub(super) fn on_closed_way(path: &[u8], landing: &Landing) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        denial.note = Some(format!(
            "it is on the way to `{}`: a symlink would lead elsewhere ({})",
            shown(&landing.place),
            landing.note()
        ));
        denial
    }

    /// Why neither symlinks nor FIFOs are made in a git directory.
    pub(super) fn special_in_repository(path: &[u8]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        let note = "git writes to what it finds in its own directory: a symlink there would lead it elsewhere, and a \
                    FIFO would keep it waiting";
        denial.note = Some(note.to_owned());
        denial
    }

    /// Why what could become a piece of a git directory is not made now.
    pub(super) fn turn_of_another(path: &[u8]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        let note = "pieces of git directories, symlinks and directories are put in place by one sandbox at a time, and \
                    another one (perhaps a stopped one, or another user's) has had the turn for two seconds: try again \
                    when it goes on";
        denial.note = Some(note.to_owned());
        denial
    }

    /// Why a symlink to a store of packages is refused.
    pub(super) fn shows_store(path: &[u8]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        let note = "it would show a directory of installed packages, where less is protected, outside of them";
        denial.note = Some(note.to_owned());
        denial
    }

    /// Why a file of `/proc` is refused.
    pub(super) fn process_file(path: &[u8], writes: bool) -> Denial {
        let reason = if writes {
            DenialReason::WriteDenied
        } else {
            DenialReason::ReadDenied
        };
        let mut denial = Denial::by_default(reason, shown(path));
        denial.note = Some("it is the kernel's, or another process's".to_owned());
        denial
    }

    /// Why something else than a directory or a regular file is not made where a write root is missing.
    pub(super) fn no_root(path: &[u8]) -> Denial {
        let object = shown(path);
        let mut denial = Denial::by_default(DenialReason::WriteDenied, object);
        denial.note = Some("a write root is a directory or a regular file".to_owned());
        denial
    }

    /// Why a device is not made, by the kernel's own rule (mknod(2), `EPERM`).
    pub(super) fn device(path: &[u8]) -> Denial {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(path));
        denial.note = Some("no command makes devices".to_owned());
        denial
    }
}

impl Answering<'_> {
    /// Reports a change of a name that would plant something in a repository.
    pub(super) fn report_in_repository(&mut self, place: &Place, change: &Change<'_>) {
        let (parent, directory) = (place.parent_path(), place.directory.as_fd());
        let session = &mut self.state.git;
        let part = git::refused_part(session, directory, parent, &place.name, change);
        let rules = &self.world.rules;
        let denial = if git::is_index(&place.name) {
            Rules::index_itself(&place.path)
        } else if git::is_lock(&place.name) {
            rules.lock_of_another(&place.path, part)
        } else {
            rules.planted(&place.path, part)
        };
        self.report(&denial);
    }

    /// Reports that a directory does not become a git directory for what is in it; returns the error for the caller.
    pub(super) fn refuse_assembly(&self, place: &Place, unfit: Unfit) -> Errno {
        let mut denial = Denial::by_default(DenialReason::WriteDenied, shown(&place.path));
        let directory = "it would make a git directory of the one that it lies in";
        denial.note = Some(match &unfit {
            Unfit::Flaw(flaw) => format!("{directory}, in whose settings {flaw}"),
            Unfit::Error(_) => {
                format!(
                    "{directory}, which holds something that git obeys, writes through or waits for, or too much to look at"
                )
            }
        });
        let errno = unfit.into();
        if errno == Errno::ACCESS {
            self.report(&denial);
        }
        errno
    }

    /// Reports an index that was refused for what it names.
    pub(super) fn report_index(&self, place: &Place) {
        self.report(&Rules::harmful_index(&place.path));
    }

    /// Reports a refused change of a repository's settings.
    pub(super) fn report_settings(&self, place: &Place, flaw: Option<&Flaw>) {
        let part = git::named_part(place.parent_path(), &place.name);
        let (rules, path) = (&self.world.rules, place.path.as_slice());
        let denial = match flaw {
            Some(flaw) => rules.harmful_settings(path, part, flaw),
            None => rules.planted(path, part),
        };
        self.report(&denial);
    }
}

fn rule_of(row: &ProtectedPath) -> (String, Origin) {
    (row.path.to_owned(), Origin::BuiltIn(row.reason))
}

fn row_of_part(part: Protected) -> Option<&'static ProtectedPath> {
    let (name, _) = GIT_PLACES.iter().find(|(_, place)| *place == part)?;
    PROTECTED_PATHS.iter().find(|row| row.path == *name)
}

/// Why a directory means something else at another place where nothing is closed.
fn other_reason(policy: &FilesystemPolicy, from: &[u8], to: &[u8]) -> String {
    let mut allows = policy.allow_write.iter().chain(&policy.allow_read);
    let opened = allows.find(|allow| match &allow.rule.pattern {
        PathPattern::Subtree(path) => {
            is_within(path.as_bytes(), from) || is_within(path.as_bytes(), to)
        }
        PathPattern::Glob(_) => false,
    });
    if let Some(allow) = opened {
        let (rule, origin) = (&allow.rule.pattern, &allow.rule.origin);
        return format!("the rule `{rule}` of {origin} opens it, or something in it, by this name");
    }
    let holds_packages = |directory: &[u8]| is_in_store(&[directory, b"/package"].concat());
    if holds_packages(from) != holds_packages(to) {
        return format!(
            "less is protected in a directory of packages than in others: copy it to `{}`, and remove it then",
            shown(to)
        );
    }
    format!(
        "not every rule means the same in this directory and in `{}`",
        shown(to)
    )
}

/// A rule about something below a directory.
fn rule_inside(policy: &FilesystemPolicy, directory: &[u8]) -> Option<(String, Origin)> {
    let is_inside = |rule: &&PathRule| {
        let place = match &rule.pattern {
            PathPattern::Subtree(root) => root,
            PathPattern::Glob(glob) => glob.static_prefix(),
        };
        is_within(place.as_bytes(), directory)
    };
    let reads = policy.deny_read.iter().map(|deny| &deny.rule);
    let mut rules = policy.deny_write.iter().chain(reads);
    if let Some(rule) = rules.find(is_inside) {
        return Some((rule.pattern.to_string(), rule.origin.clone()));
    }
    let mut rows = policy.protected.iter();
    rows.find(|row| begins_with(row, directory)).map(rule_of)
}

/// Whether a row names something below every directory of such a name: `.git/hooks` below `.git`.
fn begins_with(row: &ProtectedPath, directory: &[u8]) -> bool {
    let names: Vec<&str> = row.path.split('/').collect();
    let path: Vec<&[u8]> = directory.split(|byte| *byte == b'/').collect();
    (1..names.len()).any(|length| {
        let (Some(first), Some(start)) = (names.get(..length), path.len().checked_sub(length))
        else {
            return false;
        };
        let last = path.get(start..).unwrap_or_default();
        let mut pairs = first.iter().zip(last);
        pairs.all(|(name, own)| *name == "*" || is_alias(own, name))
    })
}
