//! What a change means to one directory above the name, by whose git directory that is.

use std::{ffi::CString, os::fd::BorrowedFd};

use rustix::io::Errno;

use super::{
    Change, Session,
    directory::{self, Ascent, Identity, Layout},
    parts::{self, Closed, Part, Site},
};

/// What one git directory above the name makes of it. A later one outweighs an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// It says nothing.
    Nothing,
    Permit,
    PermitStandIn,
    Assemble,
    VetConfig,
    /// The table must decide, whatever another directory would permit.
    Table,
    VetIndex,
    StandIn,
    Refuse,
}

/// Whose directory it is: see the module's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Ordinary,
    Draft,
    Own,
    Foreign,
}

/// One end of a change.
pub(super) struct Question<'q> {
    pub(super) parent: BorrowedFd<'q>,
    pub(super) parent_path: &'q [u8],
    pub(super) name: &'q [u8],
    pub(super) change: &'q Change<'q>,
}

impl Question<'_> {
    /// What the git directory that a site names, if it is one, makes of the change.
    pub(super) fn judge_site(
        &self,
        session: &mut Session,
        ascent: &mut Ascent<'_>,
        site: Site,
    ) -> Result<Answer, Errno> {
        let Site { part, above } = site;
        if part.protected().is_some_and(|row| session.leaves_open(row)) {
            return Ok(Answer::Nothing);
        }
        if let Part::PlainLock(_) = part {
            // Nothing but a rename by the table's leave follows, which needs the file itself.
            let answer = self.judge_lock(session)?;
            return Ok(if answer == Answer::StandIn {
                Answer::Nothing
            } else {
                answer
            });
        }
        let directory = ascent.at(above)?;
        let layout = Layout::read(directory)?;
        let identity = Identity::of(directory)?;
        let standing = match (layout.is_git_directory(), session.knows(identity)) {
            (true, true) => Standing::Own,
            (true, false) => Standing::Foreign,
            (false, true) => Standing::Draft,
            (false, false) => Standing::Ordinary,
        };
        if let Part::Lock(_) = part {
            let is_place =
                standing != Standing::Ordinary || parts::is_place_of_repository(self.parent_path);
            return if is_place {
                self.judge_lock(session)
            } else {
                Ok(Answer::Nothing)
            };
        }
        if let Some(piece) = part.piece() {
            if !layout.is_git_directory() {
                return Ok(self.judge_assembly(session, identity, layout.with(piece)));
            }
            if standing == Standing::Foreign
                && matches!(self.change, Change::Remove | Change::RenameAway)
            {
                session.note_taken_apart(identity);
            }
        }
        if part == Part::Index {
            return match standing {
                Standing::Own | Standing::Foreign => Ok(self.judge_index()),
                // It is vetted when the directory becomes a git directory.
                Standing::Draft | Standing::Ordinary => Ok(Answer::Nothing),
            };
        }
        Ok(match standing {
            Standing::Ordinary => self.ordinary(part, above),
            Standing::Draft => self.relaxed(part, standing).unwrap_or(Answer::Table),
            Standing::Own | Standing::Foreign => self.inside(part, standing),
        })
    }

    /// Whoever makes a lock file renames it, or what has its name by then, to what is protected. So only
    /// who made it may change it or take it away, and nothing comes in its place.
    fn judge_lock(&self, session: &Session) -> Result<Answer, Errno> {
        let is_permitted = match self.change {
            Change::CreateFile => return Ok(Answer::StandIn),
            Change::MakeDirectory
            | Change::RenameOnto { .. }
            | Change::LinkOnto
            | Change::SymlinkOnto
            | Change::MakeNode => false,
            Change::OpenExistingForWrite
            | Change::RenameAway
            | Change::LinkAway
            | Change::Remove
            | Change::Metadata
            | Change::TryExecution => {
                let name = CString::new(self.name).map_err(|_nul| Errno::INVAL)?;
                let identity = Identity::at(self.parent, &name)?;
                let stays_empty = session.content_of(identity).is_some();
                if stays_empty && matches!(self.change, Change::OpenExistingForWrite) {
                    return Ok(Answer::StandIn);
                }
                let is_open = !stays_empty || !matches!(self.change, Change::LinkAway);
                session.has_made(identity) && is_open
            }
        };
        Ok(if is_permitted {
            Answer::Nothing
        } else {
            Answer::Refuse
        })
    }

    /// git checks out what an index names without a look at the names, so that they are vetted when it gets its own,
    /// and nobody has it open for writing from then on.
    fn judge_index(&self) -> Answer {
        match self.change {
            Change::CreateFile | Change::OpenExistingForWrite => Answer::StandIn,
            Change::RenameOnto {
                source_is_directory: false,
                ..
            } => Answer::VetIndex,
            Change::LinkOnto | Change::LinkAway | Change::SymlinkOnto | Change::MakeNode => {
                Answer::Refuse
            }
            // git reads no directory.
            Change::RenameOnto { .. }
            | Change::MakeDirectory
            | Change::RenameAway
            | Change::Remove
            | Change::Metadata
            | Change::TryExecution => Answer::Nothing,
        }
    }

    /// A piece of a directory that is not a git directory: whether it becomes one.
    fn judge_assembly(&self, session: &Session, identity: Identity, with: Layout) -> Answer {
        let creates = match self.change {
            Change::CreateFile
            | Change::MakeDirectory
            | Change::RenameOnto { .. }
            | Change::LinkOnto
            | Change::SymlinkOnto
            | Change::MakeNode => true,
            Change::OpenExistingForWrite
            | Change::RenameAway
            | Change::LinkAway
            | Change::Remove
            | Change::Metadata
            | Change::TryExecution => false,
        };
        if !creates || !with.is_git_directory() {
            Answer::Nothing
        } else if session.was_taken_apart(identity) {
            Answer::Refuse
        } else {
            Answer::Assemble
        }
    }

    /// Below `.git/hooks` the table decides about a repository in it too; `src/hooks` means nothing.
    fn ordinary(&self, part: Part, above: usize) -> Answer {
        let is_below = matches!(part, Part::Below { .. });
        let path = parts::strip_components(self.parent_path, above);
        if is_below && parts::is_conventional(path) && !matches!(self.change, Change::Remove) {
            Answer::Table
        } else {
            Answer::Nothing
        }
    }

    /// A part of a git directory.
    fn inside(&self, part: Part, standing: Standing) -> Answer {
        let replaces = matches!(
            self.change,
            Change::RenameOnto { .. } | Change::SymlinkOnto | Change::LinkOnto
        );
        match part {
            // References are data; HEAD may be a symlink, and is always replaced by renames.
            Part::Head | Part::References | Part::Lock(_) | Part::PlainLock(_) | Part::Index => {
                Answer::Nothing
            }
            Part::ObjectInformation if standing == Standing::Own => Answer::Nothing,
            // What comes as a whole may bring anything along.
            Part::Objects | Part::Information | Part::ObjectInformation => {
                if replaces {
                    Answer::Refuse
                } else {
                    Answer::Nothing
                }
            }
            Part::Directory(_)
            | Part::Below { .. }
            | Part::Config
            | Part::WorktreeConfig
            | Part::Attributes
            | Part::Alternates
            | Part::CommonDirectory => match (standing, self.change) {
                (Standing::Own, _) => self.relaxed(part, standing).unwrap_or(Answer::Refuse),
                // Which branch a branch follows may change: `install_config` compares.
                _ if part == Part::Config && self.renames_lock() => Answer::VetConfig,
                (_, Change::TryExecution) if part == Part::Config => Answer::Permit,
                // `rm -rf` of a nested repository: what the table names is its own affair.
                (_, Change::Remove) => Answer::Nothing,
                _ => Answer::Refuse,
            },
        }
    }

    /// What git does where it makes a repository itself.
    fn relaxed(&self, part: Part, standing: Standing) -> Option<Answer> {
        if matches!(self.change, Change::Remove) {
            return Some(Answer::Permit);
        }
        let permitted = match part {
            Part::Directory(_) => {
                self.changes_metadata() || matches!(self.change, Change::MakeDirectory)
            }
            Part::Below { of, direct } => of == Closed::Hooks && direct && self.is_sample(),
            Part::Config | Part::WorktreeConfig => {
                if standing == Standing::Own || parts::is_conventional(self.parent_path) {
                    return self.relaxed_settings();
                } else {
                    false
                }
            }
            // Names a directory of objects, which are checked by their hash: `clone --shared`.
            Part::Alternates => standing == Standing::Own && self.writes_file(),
            Part::Attributes
            | Part::CommonDirectory
            | Part::Information
            | Part::ObjectInformation
            | Part::Head
            | Part::Objects
            | Part::References
            | Part::Lock(_)
            | Part::PlainLock(_)
            | Part::Index => false,
        };
        permitted.then_some(Answer::Permit)
    }

    /// Settings that are copied, whatever name or descriptor they were written by.
    fn relaxed_settings(&self) -> Option<Answer> {
        match self.change {
            Change::RenameOnto {
                source_is_directory: false,
                ..
            } => Some(Answer::VetConfig),
            Change::CreateFile | Change::OpenExistingForWrite => Some(Answer::PermitStandIn),
            Change::Metadata | Change::TryExecution | Change::Remove => Some(Answer::Permit),
            Change::RenameOnto { .. }
            | Change::MakeDirectory
            | Change::RenameAway
            | Change::LinkOnto
            | Change::LinkAway
            | Change::SymlinkOnto
            | Change::MakeNode => None,
        }
    }

    fn changes_metadata(&self) -> bool {
        matches!(self.change, Change::Metadata | Change::TryExecution)
    }

    /// git never executes a hook of such a name.
    fn is_sample(&self) -> bool {
        self.name.is_ascii() && self.name.ends_with(b".sample") && self.writes_file()
    }

    fn writes_file(&self) -> bool {
        match self.change {
            Change::CreateFile
            | Change::OpenExistingForWrite
            | Change::RenameAway
            | Change::Metadata
            | Change::TryExecution => true,
            Change::RenameOnto {
                source_is_directory,
                ..
            } => !source_is_directory,
            Change::MakeDirectory
            | Change::LinkOnto
            | Change::LinkAway
            | Change::SymlinkOnto
            | Change::MakeNode
            | Change::Remove => false,
        }
    }

    /// How git changes settings: `config.lock` is renamed to `config` in the same directory.
    fn renames_lock(&self) -> bool {
        let Change::RenameOnto {
            source_is_directory: false,
            from_parent,
            from_name,
        } = self.change
        else {
            return false;
        };
        let base = from_name.to_bytes().strip_suffix(b".lock");
        base == Some(self.name) && directory::is_same(self.parent, *from_parent).unwrap_or(false)
    }
}
