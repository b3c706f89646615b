//! What symlinks that are made, moved or linked may show under their names, and what git directories may hold.

use std::{
    ffi::OsStr,
    os::{fd::AsFd as _, unix::ffi::OsStrExt as _},
    path::Path,
};

use rustix::fs::{AtFlags, FileType, Stat};
use sandbox_policy::{AbsolutePath, LINK_LIMIT, is_in_store};

use super::{
    Answering, git,
    resolve::{Place, is_link, open_place},
    rules::{Rules, is_within},
};
use crate::{probe::is_out_of_reach, sys::Errno};

impl Answering<'_> {
    /// A symlink shows one tree under another name. It must not show one where a rule means something
    /// else for what lies in it, nor decide what a write root that does not exist yet will be.
    pub(super) fn permit_link_at(&self, place: &Place, text: &[u8]) -> Result<(), Errno> {
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

    /// Whether patterns let a symlink show what it leads to. What leads nowhere yet, by way of something that is
    /// missing or a circle, is judged as it is written.
    fn may_show_target(&self, place: &Place, text: &[u8]) -> Result<bool, Errno> {
        let judge = self.world.rules.judge()?;
        if !judge.closes_by_patterns() {
            return Ok(true);
        }
        let mut target = self.view.target_place(place, text)?;
        for _ in 0..LINK_LIMIT {
            let Some(at) = &target else {
                break;
            };
            let name = at.name.as_c_str();
            match rustix::fs::readlinkat(&at.directory, name, Vec::new()) {
                Ok(text) => target = self.view.target_place(at, text.as_bytes())?,
                Err(errno) if is_out_of_reach(errno) => {
                    return Ok(judge.may_show(&place.path, &at.path));
                }
                Err(errno) => return Err(errno),
            }
        }
        let directory = Path::new(OsStr::from_bytes(place.parent_path()));
        let written = AbsolutePath::new(directory.join(OsStr::from_bytes(text)));
        Ok(written.is_ok_and(|written| judge.may_show(&place.path, written.as_bytes())))
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

    /// Whether what is made at a place lies in a git directory that is looked after.
    fn is_in_git_directory(&self, place: &Place) -> Result<bool, Errno> {
        Ok(self.world.rules.guards_repositories(&place.path)
            && git::is_in_git_directory(place.directory.as_fd(), place.parent_path())?)
    }

    /// git would wait for a FIFO in its directory, and for a device perhaps.
    pub(super) fn permit_special_at(&self, place: &Place, kind: FileType) -> Result<(), Errno> {
        let is_plain = matches!(
            kind,
            FileType::RegularFile | FileType::Directory | FileType::Symlink | FileType::Socket
        );
        if !is_plain && self.is_in_git_directory(place)? {
            self.report(&Rules::special_in_repository(&place.path));
            return Err(Errno::ACCESS);
        }
        Ok(())
    }

    /// What a directory holds goes with it: in a git directory, or as one, it must be plain.
    pub(super) fn permit_moved_tree(&self, from: &Place, to: &Place) -> Result<(), Errno> {
        let becomes_one = git::is_dot_git(&to.name) && !git::is_dot_git(&from.name);
        let is_guarded = self.world.rules.guards_repositories(&to.path);
        if !is_guarded || !(becomes_one || self.is_in_git_directory(to)?) {
            return Ok(());
        }
        let moved = open_place(from.directory.as_fd(), &from.name)?;
        if !is_directory(&rustix::fs::fstat(&moved)?) {
            return Ok(());
        }
        let found = git::require_plain(moved.as_fd());
        if found == Err(Errno::ACCESS) {
            self.report(&Rules::special_in_repository(&to.path));
        }
        found
    }

    /// What is asked of a new name, for an existing one that is moved or linked there.
    pub(super) fn permit_moved_link(&self, from: &Place, to: &Place) -> Result<(), Errno> {
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

fn is_directory(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode).is_dir()
}
