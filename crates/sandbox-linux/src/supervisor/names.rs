//! Calls that make, move and remove names.

use std::{
    ffi::CString,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::fs::{AtFlags, FileType, Mode, RenameFlags, StatxFlags};

use super::{
    Answering, Outcome,
    attributes::without_set_id,
    git::{self, Change, Content, Unfit},
    paths::handle_path,
    permit::{Access, Through, is_there},
    removable::{Identity, names_repository},
    request::PathArgument,
    resolve::{Ending, Object, Place, is_link, mount_and_inode},
    rules::Rules,
};
use crate::sys::Errno;

impl Answering<'_> {
    pub(super) fn make_directory(
        &mut self,
        path: PathArgument,
        mode: Mode,
    ) -> Result<Outcome, Errno> {
        let place = self.view.place(path)?;
        let change = Change::MakeDirectory;
        let through = self.permit_creation(&place, Access::MakeDirectory, &change)?;
        self.adopt_umask()?;
        let directory = through.directory(&place);
        rustix::fs::mkdirat(directory, place.name.as_c_str(), mode)?;
        let session = &mut self.state.git;
        session.note_created(directory, place.parent_path(), &place.name);
        Ok(Outcome::Done)
    }

    pub(super) fn make_node(
        &mut self,
        path: PathArgument,
        mode: u32,
        device: u64,
    ) -> Result<Outcome, Errno> {
        let place = self.view.place(path)?;
        let through = self.permit_creation(&place, Access::Write, &Change::MakeNode)?;
        self.refuse_as_root(&place)?;
        // mknod(2): a type of 0 is a regular file.
        let kind = match mode & libc::S_IFMT {
            0 => FileType::RegularFile,
            _ => FileType::from_raw_mode(mode),
        };
        self.permit_special_at(&place, kind)?;
        self.adopt_umask()?;
        let permissions = without_set_id(Mode::from_bits_retain(mode & 0o7777));
        let directory = through.directory(&place);
        let made = rustix::fs::mknodat(directory, name(&place)?, kind, permissions, device);
        if made == Err(Errno::PERM) && (kind.is_block_device() || kind.is_char_device()) {
            self.report(&Rules::device(&place.path));
        }
        made?;
        Ok(Outcome::Done)
    }

    pub(super) fn symlink(&mut self, text: u64, path: PathArgument) -> Result<Outcome, Errno> {
        let text = self.view.caller.text(text)?;
        let text = CString::new(text).map_err(|_nul| Errno::INVAL)?;
        let place = self.view.place(path)?;
        let through = self.permit_creation(&place, Access::Write, &Change::SymlinkOnto)?;
        self.permit_link_at(&place, text.as_bytes())?;
        rustix::fs::symlinkat(text.as_c_str(), through.directory(&place), name(&place)?)?;
        Ok(Outcome::Done)
    }

    pub(super) fn link(
        &mut self,
        from: PathArgument,
        to: PathArgument,
        flags: AtFlags,
    ) -> Result<Outcome, Errno> {
        if !(AtFlags::SYMLINK_FOLLOW | AtFlags::EMPTY_PATH).contains(flags) {
            return Err(Errno::INVAL);
        }
        let is_descriptor =
            flags.contains(AtFlags::EMPTY_PATH) && self.view.caller.text(from.address)?.is_empty();
        let source = if is_descriptor {
            // Who opened it may name it (since Linux 6.10); by way of /proc anybody may who has it.
            Object::of_descriptor(self.view.caller.base(from.directory)?)
        } else {
            let follows = flags.contains(AtFlags::SYMLINK_FOLLOW);
            self.view.object(from, follows)?
        };
        let place = self.view.place(to)?;
        let through = self.permit_creation(&place, Access::Write, &Change::LinkOnto)?;
        let handle = source.handle.as_fd();
        if is_elsewhere((handle, mount_and_inode(handle)?.0), &place)? {
            return Err(Errno::XDEV);
        }
        let status = rustix::fs::fstat(&source.handle)?;
        if is_link(&status) {
            let text = rustix::fs::readlinkat(&source.handle, c"", Vec::new())?;
            self.permit_link_at(&place, text.as_bytes())?;
        }
        self.permit_special_at(&place, FileType::from_raw_mode(status.st_mode))?;
        self.permit_socket_name(source.handle.as_fd(), &place)?;
        // A second name must not make a closed file writable. One without any name is the caller's.
        let source = self.permit_object(source, Access::Write, &Change::LinkAway)?;
        self.note_named(source.as_fd(), &place)?;
        rustix::fs::linkat(
            &self.world.proc,
            handle_path(source.as_fd())?.as_c_str(),
            through.directory(&place),
            name(&place)?,
            AtFlags::SYMLINK_FOLLOW,
        )?;
        Ok(Outcome::Done)
    }

    pub(super) fn remove(&mut self, path: PathArgument, flags: AtFlags) -> Result<Outcome, Errno> {
        if !AtFlags::REMOVEDIR.contains(flags) {
            return Err(Errno::INVAL);
        }
        let place = self.view.place(path)?;
        match place.ending {
            Ending::Name => {}
            _ if flags.is_empty() => return Err(Errno::ISDIR),
            Ending::Root => return Err(Errno::BUSY),
            Ending::Dot => return Err(Errno::INVAL),
            Ending::DotDot => return Err(Errno::NOTEMPTY),
        }
        // Whatever keeps the caller from looking there is told.
        is_directory(&place)?.ok_or(Errno::NOENT)?;
        if place.slash && !flags.contains(AtFlags::REMOVEDIR) {
            return Err(if is_directory(&place)?.unwrap_or(false) {
                Errno::ISDIR
            } else {
                Errno::NOTDIR
            });
        }
        let permitted = self.permit_change(&place, Access::Remove, &Change::Remove)?;
        require_no_mount(&place)?;
        let through = permitted.through;
        // Nothing is planted by it, and who writes to the file can keep it waiting.
        self.state.git_turn = None;
        let is_repository =
            names_repository(&place) && self.had_repository(place.directory.as_fd())?;
        rustix::fs::unlinkat(through.directory(&place), place.name.as_c_str(), flags)?;
        if is_repository {
            self.note_former_repository(&place)?;
        }
        if flags.contains(AtFlags::REMOVEDIR) {
            self.world.rules.note_removed(&place.path);
        }
        Ok(Outcome::Done)
    }

    pub(super) fn rename(
        &mut self,
        from: PathArgument,
        to: PathArgument,
        flags: RenameFlags,
    ) -> Result<Outcome, Errno> {
        let (from, to) = (self.view.place(from)?, self.view.place(to)?);
        if from.ending != Ending::Name || to.ending != Ending::Name {
            return Err(Errno::BUSY);
        }
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        let brings_directory = is_directory(&from)?.ok_or(Errno::NOENT)?;
        let takes_directory = exchange && is_directory(&to)?.unwrap_or(false);
        let moves_directory = brings_directory || takes_directory;
        let old = self.permit_change(&from, Access::Write, &Change::RenameAway)?;
        let new = self.permit_change(&to, Access::Write, &onto(&from, brings_directory))?;
        let mut vets_old = None;
        if exchange {
            self.permit_change(&to, Access::Write, &Change::RenameAway)?;
            let change = onto(&to, takes_directory);
            vets_old = self.permit_change(&from, Access::Write, &change)?.vets;
        }
        require_no_mount(&from)?;
        require_no_mount(&to)?;
        if (from.slash || to.slash) && !moves_directory {
            return Err(Errno::NOTDIR);
        }
        self.permit_moved_link(&from, &to)?;
        self.permit_moved_socket(&from, &to)?;
        if exchange {
            self.permit_moved_link(&to, &from)?;
            self.permit_moved_socket(&to, &from)?;
        }
        let carried = if moves_directory {
            self.permit_moved_directory(&from, &to, exchange)?
        } else {
            [None, None]
        };
        let (old_directory, new_directory) =
            (old.through.directory(&from), new.through.directory(&to));
        if [new.vets, vets_old].contains(&Some(Content::Settings)) {
            return self.rename_to_settings((&from, old_directory), (&to, new_directory), flags);
        }
        self.require_no_stand_in(old_directory, &from)?;
        if exchange {
            self.require_no_stand_in(new_directory, &to)?;
        }
        let (old_end, new_end) = ((&from, old_directory), (&to, new_directory));
        // An index makes no git directory, and a large one takes its time.
        if new.vets.is_some() || vets_old.is_some() {
            self.state.git_turn = None;
        }
        let _new_index = self.vet_index(new.vets, old_end, new_end)?;
        let _old_index = self.vet_index(vets_old, new_end, old_end)?;
        self.note_moved(&from, &to)?;
        if exchange {
            self.note_moved(&to, &from)?;
        }
        rustix::fs::renameat_with(
            old_directory,
            from.name.as_c_str(),
            new_directory,
            to.name.as_c_str(),
            flags,
        )?;
        if moves_directory {
            let rules = &self.world.rules;
            rules.note_moved(&from.path, &to.path, exchange);
            self.note_carried(carried);
        }
        Ok(Outcome::Done)
    }

    /// What lies in a directory moves with it: no rule may mean something else there. Returns those that are
    /// carried into a repository.
    fn permit_moved_directory(
        &mut self,
        from: &Place,
        to: &Place,
        exchange: bool,
    ) -> Result<[Option<Identity>; 2], Errno> {
        // Who moves a directory to another file system copies it then.
        if is_elsewhere((from.directory.as_fd(), from.mount()?), to)? {
            return Err(Errno::XDEV);
        }
        if !self.world.rules.may_move(&from.path, &to.path)? {
            return Err(self.refuse_move(from, to));
        }
        self.permit_moved_tree(from, to)?;
        let brought = self.carried(from, to)?;
        let mut taken = None;
        if exchange {
            self.permit_moved_tree(to, from)?;
            taken = self.carried(to, from)?;
        }
        Ok([brought, taken])
    }

    /// What was written to a file that another one stands in for would be lost.
    fn require_no_stand_in(&self, directory: BorrowedFd<'_>, place: &Place) -> Result<(), Errno> {
        let may_be_one = git::may_be_stood_in_for(&place.name);
        if may_be_one && self.state.git.stands_in_at(directory, &place.name) {
            self.report_settings(place, None);
            return Err(Errno::ACCESS);
        }
        Ok(())
    }

    /// What is moved onto settings is copied there instead, once it is vetted.
    fn rename_to_settings(
        &mut self,
        (from, from_directory): (&Place, BorrowedFd<'_>),
        (to, to_directory): (&Place, BorrowedFd<'_>),
        flags: RenameFlags,
    ) -> Result<Outcome, Errno> {
        if !RenameFlags::NOREPLACE.contains(flags) {
            self.report_settings(to, None);
            return Err(Errno::ACCESS);
        }
        if !flags.is_empty() && is_there(to_directory, to) {
            return Err(Errno::EXIST);
        }
        if is_elsewhere((from.directory.as_fd(), from.mount()?), to)? {
            return Err(Errno::XDEV);
        }
        let (source, target) = (
            (from_directory, &*from.name),
            (to_directory, to.parent_path()),
        );
        let installed = git::install_config(&self.state.git, source, target, &to.name);
        match &installed {
            Ok(()) => {}
            Err(Unfit::Flaw(flaw)) => self.report_settings(to, Some(flaw)),
            Err(Unfit::Error(Errno::ACCESS)) => self.report_settings(to, None),
            Err(Unfit::Error(_)) => {}
        }
        installed?;
        Ok(Outcome::Done)
    }

    /// Vets what becomes an index. The answer is kept until the rename is done.
    fn vet_index(
        &self,
        vets: Option<Content>,
        (from, from_directory): (&Place, BorrowedFd<'_>),
        (to, to_directory): (&Place, BorrowedFd<'_>),
    ) -> Result<Option<git::Unheld>, Errno> {
        if vets != Some(Content::Index) {
            return Ok(None);
        }
        let vetted = git::vet_index(from_directory, &from.name, to_directory);
        if vetted.as_ref().err() == Some(&Errno::ACCESS) {
            self.report_index(to);
        }
        vetted.map(Some)
    }

    /// Permission to make a name. One that exists is said to exist, whatever the policy says of it.
    fn permit_creation(
        &mut self,
        place: &Place,
        access: Access,
        change: &Change<'_>,
    ) -> Result<Through, Errno> {
        if place.ending != Ending::Name || is_there(place.directory.as_fd(), place) {
            return Err(Errno::EXIST);
        }
        let permitted = self.permit_change(place, access, change)?;
        Ok(permitted.through)
    }

    /// A write root that the command creates is a directory or a regular file.
    fn refuse_as_root(&self, place: &Place) -> Result<(), Errno> {
        let mut roots = self.world.rules.missing_roots.iter();
        if roots.any(|root| root.path == place.path) {
            self.report(&Rules::no_root(&place.path));
            return Err(Errno::ACCESS);
        }
        Ok(())
    }

    /// Reports that a directory may not be moved.
    fn refuse_move(&self, from: &Place, to: &Place) -> Errno {
        let rule = self.world.rules.moved_rule(&from.path, &to.path);
        self.report(&rule);
        Errno::ACCESS
    }
}

/// Whether a name is a directory; none where there is nothing.
fn is_directory(place: &Place) -> Result<Option<bool>, Errno> {
    let name = place.name.as_c_str();
    match rustix::fs::statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => Ok(Some(FileType::from_raw_mode(status.st_mode).is_dir())),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Whether nothing could be linked or moved between the two outside either. Of files in an overlayfs the device alone
/// does not tell, and two mounts of one device are two to the sandbox alone.
fn is_elsewhere(
    (source, source_mount): (BorrowedFd<'_>, u64),
    target: &Place,
) -> Result<bool, Errno> {
    let device = |file| rustix::fs::fstat(file).map(|status| status.st_dev);
    Ok(source_mount != target.mount()? && device(source)? != device(target.directory.as_fd())?)
}

/// A mount of the sandbox's own at a name. The kernel would keep the name of one for who shares it (rename(2),
/// `EBUSY`), but this process does not: for it the mount is gone with the name.
fn require_no_mount(place: &Place) -> Result<(), Errno> {
    let name = place.name.as_c_str();
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match rustix::fs::statx(&place.directory, name, flags, StatxFlags::MNT_ID) {
        Ok(found) if found.stx_mnt_id != place.mount()? => Err(Errno::BUSY),
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn onto(from: &Place, source_is_directory: bool) -> Change<'_> {
    Change::RenameOnto {
        source_is_directory,
        from_parent: from.directory.as_fd(),
        from_name: &from.name,
    }
}

/// The name to make. A trailing slash stays, as only directories may be named so.
fn name(place: &Place) -> Result<CString, Errno> {
    if !place.slash {
        return Ok(place.name.clone());
    }
    let mut name = place.name.clone().into_bytes();
    name.push(b'/');
    CString::new(name).map_err(|_nul| Errno::INVAL)
}
