//! What symlinks that are made, moved or linked may show under their names, and what git directories may hold.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use rustix::fs::{AtFlags, FileType, Stat};
use sandbox_policy::{AbsolutePath, LINK_LIMIT, is_in_store};

use super::{
    Answering, git,
    moved::{self, Leading, ascends_late},
    resolve::{Place, is_link, open_place},
    rules::{Rules, is_within},
};
use crate::{probe::is_out_of_reach, sys::Errno};

impl Answering<'_> {
    /// A symlink shows one tree under another name. It must not show one where a rule means something
    /// else for what lies in it, nor decide what a write root that does not exist yet will be.
    pub(super) fn permit_link_at(&mut self, place: &Place, text: &[u8]) -> Result<(), Errno> {
        self.await_turn(place)?;
        let rules = &self.world.rules;
        let path = place.path.as_slice();
        let mut missing_roots = rules.missing_roots.iter();
        let denial = if missing_roots.any(|root| is_within(&root.path, path)) {
            Rules::no_root(path)
        } else if let Some(landing) = rules.landing_below(path)? {
            Rules::on_closed_way(path, &landing)
        } else if !rules.judge()?.may_link(path) || !self.may_show_target(place, text)? {
            rules.misleading_link(path)
        } else if self.shows_store(place, text)? {
            Rules::shows_store(path)
        } else if self.is_in_git_directory(place)? && !git::is_harmless_link(&place.name, text) {
            Rules::special_in_repository(path)
        } else {
            return Ok(());
        };
        self.report(&denial);
        Err(Errno::ACCESS)
    }

    /// Whether patterns let a symlink show what it leads to.
    fn may_show_target(&self, place: &Place, text: &[u8]) -> Result<bool, Errno> {
        self.may_show_from(&place.path, place, text)
    }

    /// The same for a link of this path whose text counts from where a place is.
    ///
    /// What it leads to now is judged, and each link on the way as it is written: below what a pattern closes all
    /// links are judged, so that none there leads to something else later. A `..` behind a name may, by a link that
    /// gets the name.
    pub(super) fn may_show_from(
        &self,
        link: &[u8],
        place: &Place,
        text: &[u8],
    ) -> Result<bool, Errno> {
        let judge = self.world.rules.judge()?;
        if !judge.closes_by_patterns() {
            return Ok(true);
        }
        let is_free = judge.may_show(link, b"/");
        let may_show_written = |place: &Place, text: &[u8]| {
            let directory = Path::new(OsStr::from_bytes(place.parent_path()));
            let written = AbsolutePath::new(directory.join(OsStr::from_bytes(text)));
            let is_shown = |written: AbsolutePath| judge.may_show(link, written.as_bytes());
            (is_free || !ascends_late(text)) && written.is_ok_and(is_shown)
        };
        if !may_show_written(place, text) {
            return Ok(false);
        }
        let mut target = self.view.target_place(place, text)?;
        for _ in 0..LINK_LIMIT {
            let Some(at) = &target else {
                return Ok(true);
            };
            let name = at.name.as_c_str();
            match rustix::fs::readlinkat(&at.directory, name, Vec::new()) {
                Ok(text) if !may_show_written(at, text.as_bytes()) => return Ok(false),
                Ok(text) => target = self.view.target_place(at, text.as_bytes())?,
                Err(errno) if is_out_of_reach(errno) => return Ok(judge.may_show(link, &at.path)),
                Err(errno) => return Err(errno),
            }
        }
        // A circle.
        Ok(true)
    }

    /// Whether a symlink would show something outside of a store of packages that lies in one: less is
    /// protected there. What is a file now may be a directory later.
    fn shows_store(&self, place: &Place, text: &[u8]) -> Result<bool, Errno> {
        if self.world.rules.write_root(&place.path).is_none() || is_in_store(&place.path) {
            return Ok(false);
        }
        let written = match text {
            [b'/', ..] => text.to_vec(),
            text => [place.parent_path(), b"/", text].concat(),
        };
        let is_written = is_in_store(&written);
        // A name in the same directory leads to what is written.
        if is_written || is_plain_name(text) {
            return Ok(is_written);
        }
        let target = self.view.target_place(place, text)?;
        Ok(target.is_some_and(|target| is_in_store(&target.path)))
    }

    /// Nobody makes a git directory of one where something is made that must not lie in it, until that is done.
    fn await_turn(&mut self, place: &Place) -> Result<(), Errno> {
        if self.state.git_turn.is_none() && self.world.rules.guards_repositories(&place.path) {
            let turn = git::Turn::take_unless_foreign();
            self.state.git_turn = turn.map_err(|_errno| self.refuse_without_turn(place))?;
        }
        Ok(())
    }

    /// Whether what is made at a place lies in a git directory that is looked after.
    fn is_in_git_directory(&self, place: &Place) -> Result<bool, Errno> {
        Ok(self.world.rules.guards_repositories(&place.path)
            && git::is_in_git_directory(place.directory.as_fd(), place.parent_path())?)
    }

    /// git would wait for a FIFO in its directory, and for a device perhaps.
    pub(super) fn permit_special_at(&mut self, place: &Place, kind: FileType) -> Result<(), Errno> {
        let is_plain = matches!(
            kind,
            FileType::RegularFile | FileType::Directory | FileType::Symlink | FileType::Socket
        );
        if is_plain {
            return Ok(());
        }
        self.await_turn(place)?;
        if self.is_in_git_directory(place)? {
            self.report(&Rules::special_in_repository(&place.path));
            return Err(Errno::ACCESS);
        }
        Ok(())
    }

    /// What a directory holds goes with it: in a git directory, or as one, it must be plain.
    pub(super) fn permit_moved_tree(&mut self, from: &Place, to: &Place) -> Result<(), Errno> {
        self.permit_moved_links(from, to)?;
        self.await_turn(to)?;
        let becomes_one = git::is_dot_git(&to.name) && !git::is_dot_git(&from.name);
        let is_guarded = self.world.rules.guards_repositories(&to.path);
        if !is_guarded || !(becomes_one || self.is_in_git_directory(to)?) {
            return Ok(());
        }
        let Some(moved) = open_moved(from)? else {
            return Ok(());
        };
        let found = git::require_plain(moved.as_fd());
        if found == Err(Errno::ACCESS) {
            self.report(&Rules::special_in_repository(&to.path));
        }
        found
    }

    /// What symlinks in a directory lead to from where it is moved, if that is not in it, they may show there.
    fn permit_moved_links(&self, from: &Place, to: &Place) -> Result<(), Errno> {
        let judge = self.world.rules.judge()?;
        if !judge.closes_by_patterns() || judge.may_show(&to.path, b"/") {
            return Ok(());
        }
        let Some(moved) = open_moved(from)? else {
            return Ok(());
        };
        for Leading { path, text } in moved::leading_out(moved.as_fd())? {
            let link = [&to.path, &b"/"[..], &path].concat();
            if !self.may_show_from(&link, to, &text)? {
                self.report(&self.world.rules.misleading_link(&link));
                return Err(Errno::ACCESS);
            }
        }
        Ok(())
    }

    /// What is asked of a new name, for an existing one that is moved or linked there.
    pub(super) fn permit_moved_link(&mut self, from: &Place, to: &Place) -> Result<(), Errno> {
        let name = from.name.as_c_str();
        match rustix::fs::statat(&from.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) if is_link(&status) => {
                let text = rustix::fs::readlinkat(&from.directory, name, Vec::new())?;
                self.permit_link_at(to, text.as_bytes())
            }
            Ok(status) => self.permit_special_at(to, FileType::from_raw_mode(status.st_mode)),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

fn is_plain_name(text: &[u8]) -> bool {
    !text.contains(&b'/') && !matches!(text, b"" | b"." | b"..")
}

/// What is moved, if it is a directory.
fn open_moved(from: &Place) -> Result<Option<OwnedFd>, Errno> {
    let moved = open_place(from.directory.as_fd(), &from.name)?;
    let is_directory = is_directory(&rustix::fs::fstat(&moved)?);
    Ok(is_directory.then_some(moved))
}

fn is_directory(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode).is_dir()
}
