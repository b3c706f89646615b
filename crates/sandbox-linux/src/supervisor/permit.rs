//! Asks the policy about places, and says through which mount a permitted call is performed.

use std::{
    ffi::{CString, OsStr},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use sandbox_policy::{AbsolutePath, Denial, DenialReason, FilesystemPolicy};

use super::{
    Answering,
    caller::PLACE,
    git::{self, Change, Content, GitVerdict},
    opener::depends_on_opener,
    resolve::{INIT, Object, Place, open_place},
    rules::{MissingRoot, Rules, is_repository_name, is_within},
};
use crate::{plan::NestedNamespaces, sys::Errno};

/// What is asked of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    Remove,
    /// The creation of a directory, which may lead to a write root that does not exist yet.
    MakeDirectory,
}

/// A permitted change.
#[derive(Debug)]
pub(super) struct Permitted {
    pub(super) through: Through,
    /// What a file is vetted as that is renamed: settings are read and copied in place of that.
    pub(super) vets: Option<Content>,
    /// What the caller gets for a file that it creates or opens.
    pub(super) new_file: NewFile,
}

/// What the caller of open(2) gets for a file that it creates or opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewFile {
    /// The file, for what it was asked.
    Given,
    /// A file of the memory in its place, which stays as it is: it is settings, a lock of such, or an index.
    StandIn,
}

/// Where a permitted call is performed.
#[derive(Debug)]
pub(super) enum Through {
    /// The directory as it was found.
    Sandbox,
    /// The same directory through the host's mount.
    Host(OwnedFd),
}

impl Through {
    /// The directory itself, if the place's own is given.
    pub(super) fn into_directory(self, own: OwnedFd) -> OwnedFd {
        match self {
            Self::Sandbox => own,
            Self::Host(directory) => directory,
        }
    }

    pub(super) fn directory<'p>(&'p self, place: &'p Place) -> BorrowedFd<'p> {
        match self {
            Self::Sandbox => place.directory.as_fd(),
            Self::Host(directory) => directory.as_fd(),
        }
    }
}

/// Files of a process's own directory in `/proc` that it may write: what they change is checked
/// against the writer, or harmless (proc(5)). Not `autogroup`: that is the priority of the session outside.
const OWN_PROCESS_FILES: [&[u8]; 7] = [
    b"comm",
    b"oom_score_adj",
    b"oom_adj",
    b"coredump_filter",
    b"timerslack_ns",
    b"clear_refs",
    b"mem",
];
/// Those of other processes of the sandbox.
const OTHER_PROCESS_FILES: [&[u8]; 2] = [b"oom_score_adj", b"oom_adj"];
/// Debuggers write breakpoints there.
const MEMORY_FILE: &[u8] = b"mem";
/// What user_namespaces(7) needs to be written.
pub(super) const NAMESPACE_FILES: [&[u8]; 3] = [b"uid_map", b"gid_map", b"setgroups"];
/// Files of any process that everybody may read.
const PUBLIC_FILES: [&[u8]; 10] = [
    b"stat",
    b"statm",
    b"status",
    b"cmdline",
    b"comm",
    b"cgroup",
    b"task",
    b"oom_score",
    b"oom_score_adj",
    b"schedstat",
];

impl Answering<'_> {
    /// Asks about a place. The answer to a refusal is the error that the caller gets.
    pub(super) fn permit(&mut self, place: &Place, access: Access) -> Result<Through, Errno> {
        self.permit_unless(place, access, false)
    }

    /// Asks about a change of a name, in a repository too.
    pub(super) fn permit_change(
        &mut self,
        place: &Place,
        access: Access,
        change: &Change<'_>,
    ) -> Result<Permitted, Errno> {
        let verdict = self.git_verdict(place, change)?;
        let through = match verdict {
            GitVerdict::Pass | GitVerdict::VetIndex | GitVerdict::StandIn => {
                self.permit(place, access)?
            }
            GitVerdict::Permit | GitVerdict::PermitStandIn | GitVerdict::VetConfig => {
                self.permit_unless(place, access, true)?
            }
            GitVerdict::Assemble => {
                let through = self.permit(place, access)?;
                let (session, parent) = (&mut self.state.git, place.parent_path());
                let assembled = git::assemble(session, through.directory(place), parent);
                assembled.map_err(|unfit| self.refuse_assembly(place, unfit))?;
                through
            }
            GitVerdict::Refuse => {
                self.report_in_repository(place, change);
                return Err(Errno::ACCESS);
            }
        };
        let (vets, new_file) = match verdict {
            GitVerdict::VetConfig => (Some(Content::Settings), NewFile::Given),
            GitVerdict::VetIndex => (Some(Content::Index), NewFile::Given),
            GitVerdict::StandIn | GitVerdict::PermitStandIn => (None, NewFile::StandIn),
            GitVerdict::Pass | GitVerdict::Permit | GitVerdict::Assemble | GitVerdict::Refuse => {
                (None, NewFile::Given)
            }
        };
        Ok(Permitted {
            through,
            vets,
            new_file,
        })
    }

    fn git_verdict(&mut self, place: &Place, change: &Change<'_>) -> Result<GitVerdict, Errno> {
        let parent = place.parent_path();
        if !git::is_concerned(parent, &place.name)
            || !self.world.rules.guards_repositories(&place.path)
        {
            return Ok(GitVerdict::Pass);
        }
        if self.state.git_turn.is_none() {
            let turn = git::Turn::take();
            self.state.git_turn = Some(turn.map_err(|_errno| self.refuse_without_turn(place))?);
        }
        let directory = place.directory.as_fd();
        let session = &mut self.state.git;
        Ok(git::judge(session, directory, parent, &place.name, change))
    }

    /// Another sandbox has the turn, and does not give it back.
    pub(super) fn refuse_without_turn(&self, place: &Place) -> Errno {
        self.report(&Rules::turn_of_another(&place.path));
        Errno::ACCESS
    }

    /// `excused`: rows of the table that are about repositories do not count.
    fn permit_unless(
        &mut self,
        place: &Place,
        access: Access,
        excused: bool,
    ) -> Result<Through, Errno> {
        self.is_still_waiting()?;
        self.require_inside(place, access)?;
        let path = place.path.as_slice();
        if let Some(below) = below(path, b"/proc") {
            return match self.permit_proc(below, access) {
                Ok(()) => Ok(Through::Sandbox),
                Err(errno @ (Errno::ACCESS | Errno::ROFS | Errno::PERM)) => {
                    // The kernel refuses to read it too, without a word, and no entry changes that.
                    if access != Access::Read {
                        self.report(&Rules::process_file(path, true));
                    }
                    Err(errno)
                }
                Err(errno) => Err(errno),
            };
        }
        let is_excused = || -> Result<bool, Errno> {
            let denial = denial(self.world.rules.policy()?, path, access);
            denial.map_or(Ok(false), |denial| match access {
                _ if excused => Ok(Rules::is_about_git(&denial)),
                Access::Remove if Rules::is_protection(&denial) => {
                    self.is_in_nested_repository(place)
                }
                Access::Read | Access::Write | Access::Remove | Access::MakeDirectory => Ok(false),
            })
        };
        let landing = match access {
            Access::Read => None,
            Access::Remove => self.world.rules.first_landing(path)?,
            Access::Write | Access::MakeDirectory => self.world.rules.landing(path)?,
        };
        if let Some(landing) = landing {
            self.report(&Rules::behind_link(path, &landing));
            return Err(Errno::ACCESS);
        }
        if self.is_permitted(path, access)? || is_excused()? {
            self.observe(path, access);
            // From now on, as the change itself comes before the next question.
            if access != Access::Read && is_repository_name(place.name.as_bytes()) {
                self.world.rules.forget_nearby(path);
            }
            return self.through(place, access);
        }
        require_linked(place)?;
        Err(self.refuse(path, access))
    }

    /// What a permitted call is performed through.
    fn through(&self, place: &Place, access: Access) -> Result<Through, Errno> {
        let root = (self.world.rules.missing_roots.iter())
            .find(|root| access != Access::Read && root.concerns(&place.path));
        root.map_or(Ok(Through::Sandbox), |root| through_host(root, place))
    }

    /// As [`Self::permit`] for what [`Self::would_permit`] has answered: the policy is asked once.
    pub(super) fn grant(&mut self, place: &Place, access: Access) -> Result<Through, Errno> {
        self.is_still_waiting()?;
        self.require_inside(place, access)?;
        self.observe(&place.path, access);
        self.through(place, access)
    }

    /// Whether the answer would be yes; nothing is reported.
    pub(super) fn would_permit(&mut self, place: &Place, access: Access) -> Result<bool, Errno> {
        let path = place.path.as_slice();
        match below(path, b"/proc") {
            Some(below) => match self.permit_proc(below, access) {
                Ok(()) => Ok(true),
                Err(Errno::ACCESS | Errno::ROFS) => Ok(false),
                Err(errno) => Err(errno),
            },
            None => {
                let is_landing = access != Access::Read && self.world.rules.is_landing(path)?;
                Ok(!is_landing && self.is_permitted(path, access)?)
            }
        }
    }

    /// The same for something that exists; returns a handle to work on.
    pub(super) fn permit_object(
        &mut self,
        object: Object,
        access: Access,
        change: &Change<'_>,
    ) -> Result<OwnedFd, Errno> {
        let permitted = self.permit_found(object, access, change);
        // What is done with the handle plants nothing, and who writes to a file can keep it waiting.
        if !matches!(change, Change::LinkAway) {
            self.state.git_turn = None;
        }
        permitted
    }

    fn permit_found(
        &mut self,
        object: Object,
        access: Access,
        change: &Change<'_>,
    ) -> Result<OwnedFd, Errno> {
        let Object {
            handle,
            place,
            link,
        } = object;
        let is_changed_device = change.is_of_attributes() && is_device(handle.as_fd())?;
        let place = match place {
            Some(place) => place,
            // The host's other programs have it too, by a mount that is not the sandbox's.
            None if is_changed_device => {
                let place = self.view.place_of(handle.as_fd()).ok().flatten();
                place.ok_or(Errno::ROFS)?
            }
            None if self.is_nameless(handle.as_fd())? => {
                return self.permit_unplaced(handle, access, link.as_deref());
            }
            None => match self.view.place_of(handle.as_fd()) {
                Ok(Some(place)) => place,
                Ok(None) => return Ok(handle),
                // A standard stream from a place that is not shown inside: it is open for reading, and
                // nothing could be found there by a name.
                Err(Errno::NOENT | Errno::NOTDIR) if access == Access::Read => {
                    return self.permit_unplaced(handle, access, link.as_deref());
                }
                Err(Errno::NOENT) => return self.permit_former(handle, access, change),
                Err(errno) => return Err(errno),
            },
        };
        let Permitted {
            through, new_file, ..
        } = self.permit_change(&place, access, change)?;
        // Behind what stands in, the file stays empty: only an open by name gets that.
        if new_file == NewFile::StandIn {
            self.report_in_repository(&place, change);
            return Err(Errno::ACCESS);
        }
        self.require_no_tree(handle.as_fd(), &place.path, access)?;
        match through {
            Through::Sandbox if is_changed_device => {
                open_place(place.directory.as_fd(), &place.name)
            }
            Through::Sandbox => Ok(handle),
            Through::Host(directory) => open_place(directory.as_fd(), &place.name),
        }
    }

    fn is_permitted(&self, path: &[u8], access: Access) -> Result<bool, Errno> {
        let rules = &self.world.rules;
        // The private devices; the kernel decides about each.
        if is_within(path, b"/dev") && access != Access::Read {
            return Ok(true);
        }
        Ok(match access {
            Access::Read => rules.may_read(path),
            Access::Write => rules.judge()?.may_write(path),
            Access::Remove => rules.judge()?.may_remove(path),
            Access::MakeDirectory => {
                rules.judge()?.may_write(path)
                    || (rules.may_read(path)
                        && rules.missing_roots.iter().any(|root| root.leads_to(path)))
                    || rules.leads_to_opened(path)?
            }
        })
    }

    /// Reports a refusal; returns the error for the caller.
    pub(super) fn refuse(&self, path: &[u8], access: Access) -> Errno {
        let Some(denial) = self.denial(path, access) else {
            return Errno::ACCESS;
        };
        // As the read-only mount would say it.
        let errno = if denial.reason == DenialReason::WriteNotAllowed {
            Errno::ROFS
        } else {
            Errno::ACCESS
        };
        self.report(&denial);
        errno
    }

    pub(super) fn denial(&self, path: &[u8], access: Access) -> Option<Denial> {
        denial(self.world.rules.known_policy(), path, access)
    }

    /// Tells what the strict policy would have refused, in a permissive run.
    fn observe(&self, path: &[u8], access: Access) {
        let strict = self.world.rules.strict_for(path, access);
        if let Some(denial) = strict.and_then(|strict| denial(strict, path, access)) {
            self.observed(&denial);
        }
    }

    /// `/proc` judges by who opens a file, and this process could open more than the caller.
    fn permit_proc(&self, below: &[u8], access: Access) -> Result<(), Errno> {
        let mut components = below.split(|byte| *byte == b'/');
        let process = components.next().unwrap_or_default();
        let file = components.next_back().unwrap_or_default();
        let number = str::from_utf8(process)
            .ok()
            .and_then(|digits| digits.parse::<u32>().ok());
        let Some(number) = number else {
            // Nothing of the kernel's own settings may be changed; reading tells nothing secret.
            return match access {
                Access::Read if depends_on_opener(below) => Err(Errno::ACCESS),
                Access::Read => Ok(()),
                Access::Write | Access::Remove | Access::MakeDirectory => Err(Errno::ROFS),
            };
        };
        let is_own = self.view.is_own(number)?;
        let is_visible = self.view.rules.fresh_proc && number != INIT;
        let makes_namespaces = self.world.rules.nested_namespaces == NestedNamespaces::Allowed;
        let maps = makes_namespaces && is_own && NAMESPACE_FILES.contains(&file);
        let permitted = match access {
            Access::Read => is_own || is_visible || file.is_empty() || PUBLIC_FILES.contains(&file),
            Access::Write if is_own => maps || OWN_PROCESS_FILES.contains(&file),
            Access::Write => {
                is_visible
                    && (OTHER_PROCESS_FILES.contains(&file)
                        || (file == MEMORY_FILE && self.view.is_traced(number)?))
            }
            Access::Remove | Access::MakeDirectory => false,
        };
        match access {
            _ if permitted => Ok(()),
            // As proc(5) itself has it.
            Access::Remove => Err(Errno::PERM),
            Access::Read | Access::Write | Access::MakeDirectory => Err(Errno::ACCESS),
        }
    }
}

/// Why a policy refuses an access.
pub(super) fn denial(policy: &FilesystemPolicy, path: &[u8], access: Access) -> Option<Denial> {
    let path = AbsolutePath::new(Path::new(OsStr::from_bytes(path))).ok()?;
    let verdict = match access {
        Access::Read => policy.judge_read(&path),
        Access::Write | Access::MakeDirectory => policy.judge_write(&path),
        Access::Remove => policy.judge_remove(&path),
    };
    verdict.into_denial()
}

/// The rest of a path below a directory, without the slash.
fn below<'p>(path: &'p [u8], directory: &[u8]) -> Option<&'p [u8]> {
    let rest = path.strip_prefix(directory)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix(b"/")
}

/// The directory of a place as the host's mount shows it, if it is the same one.
fn through_host(root: &MissingRoot, place: &Place) -> Result<Through, Errno> {
    let relative = below(place.parent_path(), &root.above).ok_or(Errno::ACCESS)?;
    let relative = CString::new(relative).map_err(|_nul| Errno::INVAL)?;
    let relative = if relative.is_empty() {
        c"."
    } else {
        relative.as_c_str()
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = PLACE | OFlags::DIRECTORY;
    let host = rustix::fs::openat2(&*root.anchor, relative, flags, Mode::empty(), resolve)?;
    let (own, theirs) = (
        rustix::fs::fstat(&host)?,
        rustix::fs::fstat(&place.directory)?,
    );
    if (own.st_dev, own.st_ino) == (theirs.st_dev, theirs.st_ino) {
        Ok(Through::Host(host))
    } else {
        Err(Errno::ACCESS)
    }
}

/// In a directory that is gone nothing can be made (open(2), `ENOENT`), and no rule is about it.
fn require_linked(place: &Place) -> Result<(), Errno> {
    let looks_gone = place.parent_path().ends_with(b" (deleted)");
    if looks_gone && rustix::fs::fstat(&place.directory)?.st_nlink == 0 {
        return Err(Errno::NOENT);
    }
    Ok(())
}

fn is_device(handle: BorrowedFd<'_>) -> Result<bool, Errno> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(handle)?.st_mode);
    Ok(kind.is_char_device() || kind.is_block_device())
}

/// Whether a name is there, be it a dangling symlink.
pub(super) fn is_there(directory: BorrowedFd<'_>, place: &Place) -> bool {
    let name = place.name.as_c_str();
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}
