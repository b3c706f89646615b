//! Paths of a caller → places of the sandbox.
//!
//! A path is looked up as the caller sees it, through the sandbox's own mounts: the kernel does it in
//! one step where no symlink is on the way. Otherwise it is walked here, because a symlink starts at
//! the sandbox's root, not at this process's, and those of `/proc` are the caller's.

use std::{
    cell::OnceCell,
    collections::VecDeque,
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags};

use super::{
    caller::{Caller, PATH_MAX, PLACE},
    followed::require_followable,
    paths::path_of,
    request::PathArgument,
    rules::{Rules, is_within},
};
use crate::{probe::is_out_of_reach, sys::Errno};

/// Symlinks on one way; more are a loop (path_resolution(7)).
pub(super) const LINK_LIMIT: u32 = 40;

/// A name in a directory.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory.
    pub(super) directory: OwnedFd,
    /// The name; `.` where the path ends in the directory itself.
    pub(super) name: CString,
    /// The path of the name without symlinks.
    pub(super) path: Vec<u8>,
    /// Whether the path said that it is a directory.
    pub(super) slash: bool,
    /// How the path ended.
    pub(super) ending: Ending,
    /// The mount that the directory was found in: a descriptor stays in its own.
    mount: OnceCell<u64>,
}

/// The end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Name,
    /// `/` alone.
    Root,
    Dot,
    DotDot,
}

impl Place {
    /// The mount that the directory belongs to.
    pub(super) fn mount(&self) -> Result<u64, Errno> {
        if let Some(mount) = self.mount.get() {
            return Ok(*mount);
        }
        let (mount, _) = mount_and_inode(self.directory.as_fd())?;
        Ok(*self.mount.get_or_init(|| mount))
    }

    /// The path of the directory.
    pub(super) fn parent_path(&self) -> &[u8] {
        if self.name.as_bytes() == b"." {
            return &self.path;
        }
        match self.path.iter().rposition(|byte| *byte == b'/') {
            None | Some(0) => b"/",
            Some(end) => self.path.get(..end).unwrap_or_default(),
        }
    }
}

/// Something that exists.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) handle: OwnedFd,
    /// Its place; none if it was found through a process's descriptor (`/proc/self/fd/1`).
    pub(super) place: Option<Place>,
    /// The path of the link below `/proc` that led here, if one did.
    pub(super) link: Option<Vec<u8>>,
}

impl Object {
    /// What a descriptor of the caller refers to.
    pub(super) fn of_descriptor(handle: OwnedFd) -> Self {
        Self {
            handle,
            place: None,
            link: None,
        }
    }
}

/// What a symlink at the end of a path leads to.
#[derive(Debug)]
pub(super) enum Landing {
    Place(Place),
    Object(Object),
}

/// The sandbox's tree as a caller sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'s> {
    pub(super) root: BorrowedFd<'s>,
    pub(super) caller: Caller<'s>,
    pub(super) rules: &'s Rules,
    /// Whether something is to be changed.
    pub(super) changes: bool,
}

impl View<'_> {
    /// The place that a path argument names. A symlink there is not followed.
    pub(super) fn place(&self, argument: PathArgument) -> Result<Place, Errno> {
        let text = self.caller.text(argument.address)?;
        self.place_of_text(argument.directory, &text)
    }

    /// The same for a path that is known already.
    pub(super) fn place_of_text(&self, directory: i32, text: &[u8]) -> Result<Place, Errno> {
        if text.is_empty() {
            return Err(Errno::NOENT);
        }
        self.require_own_root()?;
        let mut links = 0;
        if text.starts_with(b"/") {
            return self.place_from(self.root, text, &mut links);
        }
        let base = self.caller.base(directory)?;
        if text.contains(&b'/') || matches!(text, b"." | b"..") {
            return self.place_from(base.as_fd(), text, &mut links);
        }
        // The commonest case: a name in the directory itself.
        let name = CString::new(text).map_err(|_nul| Errno::INVAL)?;
        let path = path_in(self.path_of(base.as_fd())?, &name);
        Ok(Place {
            directory: base,
            name,
            path,
            slash: false,
            ending: Ending::Name,
            mount: OnceCell::new(),
        })
    }

    /// What a path argument names.
    pub(super) fn object(&self, argument: PathArgument, follow: bool) -> Result<Object, Errno> {
        self.object_from(self.place(argument)?, follow)
    }

    /// What a path names that is known already, symlinks followed.
    pub(super) fn object_at(&self, text: &[u8]) -> Result<Object, Errno> {
        self.object_from(self.place_of_text(libc::AT_FDCWD, text)?, true)
    }

    fn object_from(&self, mut place: Place, follow: bool) -> Result<Object, Errno> {
        let mut links = 0;
        loop {
            let handle = open_place(place.directory.as_fd(), &place.name)?;
            let status = rustix::fs::fstat(&handle)?;
            if !is_link(&status) || !(follow || place.slash) {
                let is_directory = FileType::from_raw_mode(status.st_mode).is_dir();
                if place.slash && !is_directory {
                    return Err(Errno::NOTDIR);
                }
                return Ok(Object {
                    handle,
                    place: Some(place),
                    link: None,
                });
            }
            place = match self.follow(&place, handle.as_fd(), &mut links)? {
                Landing::Place(next) => next,
                Landing::Object(object) => return Ok(object),
            };
        }
    }

    /// Where the symlink at a place leads.
    pub(super) fn follow(
        &self,
        place: &Place,
        link: BorrowedFd<'_>,
        links: &mut u32,
    ) -> Result<Landing, Errno> {
        *links += 1;
        if *links > LINK_LIMIT {
            return Err(Errno::LOOP);
        }
        self.permit_link(&place.path)?;
        self.require_own_link(place, link)?;
        match self.target(place.directory.as_fd(), &place.name, link)? {
            Target::Jump(handle) => Ok(Landing::Object(Object {
                handle,
                place: None,
                link: Some(place.path.clone()),
            })),
            Target::Text(text) => {
                let start = if text.starts_with(b"/") {
                    self.root
                } else {
                    place.directory.as_fd()
                };
                let mut next = self.place_from(start, &text, links)?;
                next.slash |= place.slash;
                Ok(Landing::Place(next))
            }
        }
    }

    /// The place that a symlink with this text at a place would lead to; none if there is no way yet.
    pub(super) fn target_place(&self, link: &Place, text: &[u8]) -> Result<Option<Place>, Errno> {
        let start = if text.starts_with(b"/") {
            self.root
        } else {
            link.directory.as_fd()
        };
        match self.place_from(start, text, &mut 0) {
            Ok(place) => Ok(Some(place)),
            Err(errno) if is_out_of_reach(errno) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The place of an object that was found through a descriptor, if it has one in the sandbox.
    pub(super) fn place_of(&self, handle: BorrowedFd<'_>) -> Result<Option<Place>, Errno> {
        let path = self.path_of(handle)?;
        if !path.starts_with(b"/") {
            return Ok(None);
        }
        let place = self.place_from(self.root, &path, &mut 0)?;
        let name = place.name.as_c_str();
        let found = rustix::fs::statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let own = rustix::fs::fstat(handle)?;
        if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino) {
            Ok(Some(place))
        } else {
            Err(Errno::ACCESS)
        }
    }

    fn place_from(
        &self,
        start: BorrowedFd<'_>,
        text: &[u8],
        links: &mut u32,
    ) -> Result<Place, Errno> {
        let trimmed = text.trim_ascii_end_slashes();
        let slash = trimmed.len() < text.len();
        let (above, name) = match trimmed.iter().rposition(|byte| *byte == b'/') {
            Some(at) => trimmed.split_at(at + 1),
            None => (&[][..], trimmed),
        };
        // `x/..` and `x/.` are directories, whose own place their name does not tell.
        let (above, name, ending) = match name {
            b"" => (trimmed, &b"."[..], Ending::Root),
            b"." => (trimmed, &b"."[..], Ending::Dot),
            b".." => (trimmed, &b"."[..], Ending::DotDot),
            _ => (above, name, Ending::Name),
        };
        let directory = self.directory(start, above, links)?;
        let name = CString::new(name).map_err(|_nul| Errno::INVAL)?;
        let around = self.path_of(directory.as_fd())?;
        let path = match ending {
            Ending::Name => path_in(around, &name),
            Ending::Root | Ending::Dot | Ending::DotDot => around,
        };
        Ok(Place {
            directory,
            name,
            path,
            slash,
            ending,
            mount: OnceCell::new(),
        })
    }

    /// Opens a directory by its path from a start.
    fn directory(
        &self,
        start: BorrowedFd<'_>,
        path: &[u8],
        links: &mut u32,
    ) -> Result<OwnedFd, Errno> {
        let relative = path.trim_start_slashes();
        if relative.is_empty() {
            return rustix::io::fcntl_dupfd_cloexec(start, 0);
        }
        let text = CString::new(relative).map_err(|_nul| Errno::INVAL)?;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = PLACE | OFlags::DIRECTORY;
        match rustix::fs::openat2(start, text.as_c_str(), flags, Mode::empty(), resolve) {
            // A symlink on the way, or a directory that was renamed just now.
            Err(Errno::LOOP | Errno::AGAIN | Errno::XDEV) => self.walk(start, relative, links),
            other => other,
        }
    }

    fn walk(&self, start: BorrowedFd<'_>, path: &[u8], links: &mut u32) -> Result<OwnedFd, Errno> {
        let mut current = rustix::io::fcntl_dupfd_cloexec(start, 0)?;
        let mut waiting: VecDeque<Vec<u8>> = components(path).collect();
        while let Some(component) = waiting.pop_front() {
            let name = CString::new(component).map_err(|_nul| Errno::INVAL)?;
            let next = open_place(current.as_fd(), &name)?;
            let status = rustix::fs::fstat(&next)?;
            if !is_link(&status) {
                current = next;
                continue;
            }
            *links += 1;
            if *links > LINK_LIMIT {
                return Err(Errno::LOOP);
            }
            let path = path_in(self.path_of(current.as_fd())?, &name);
            self.permit_link(&path)?;
            match self.target(current.as_fd(), &name, next.as_fd())? {
                Target::Jump(handle) => current = handle,
                Target::Text(text) => {
                    if text.starts_with(b"/") {
                        current = rustix::io::fcntl_dupfd_cloexec(self.root, 0)?;
                    }
                    for component in components(&text).collect::<Vec<_>>().into_iter().rev() {
                        waiting.push_front(component);
                    }
                }
            }
        }
        let status = rustix::fs::fstat(&current)?;
        if FileType::from_raw_mode(status.st_mode).is_dir() {
            Ok(current)
        } else {
            Err(Errno::NOTDIR)
        }
    }

    /// A rule that names a symlink closes the way through it.
    pub(super) fn permit_link(&self, path: &[u8]) -> Result<(), Errno> {
        let is_open = || -> Result<bool, Errno> {
            Ok(self.rules.may_read(path)
                && (!self.changes || self.rules.judge()?.may_write_through(path)))
        };
        if is_ours(path) || is_open()? {
            Ok(())
        } else {
            Err(Errno::ACCESS)
        }
    }

    /// What a symlink says. Those of `/proc` have no text, or one that depends on who reads it.
    pub(super) fn target(
        &self,
        directory: BorrowedFd<'_>,
        name: &CString,
        link: BorrowedFd<'_>,
    ) -> Result<Target, Errno> {
        let kind = require_followable(directory)?;
        if kind != PROC_SUPER_MAGIC {
            let text = rustix::fs::readlinkat(link, c"", Vec::with_capacity(PATH_MAX))?;
            return Ok(Target::Text(text.into_bytes()));
        }
        let around = self.path_of(directory)?;
        let process = around.strip_prefix(b"/proc/");
        let Some(process) = process else {
            let text = match name.as_bytes() {
                b"self" => self.ids()?.0.to_string(),
                b"thread-self" => {
                    let (process, thread) = self.ids()?;
                    format!("{process}/task/{thread}")
                }
                _ => {
                    let text = rustix::fs::readlinkat(link, c"", Vec::with_capacity(PATH_MAX))?;
                    return Ok(Target::Text(text.into_bytes()));
                }
            };
            return Ok(Target::Text(text.into_bytes()));
        };
        if !self.may_look_into(process)? {
            return Err(Errno::ACCESS);
        }
        rustix::fs::openat(directory, name.as_c_str(), PLACE, Mode::empty()).map(Target::Jump)
    }

    /// Whether the caller could look into the process of a path below `/proc` itself. This process
    /// could look into all of them, as the sandbox's user namespace is its own.
    pub(super) fn may_look_into(&self, below_proc: &[u8]) -> Result<bool, Errno> {
        let first = below_proc.split(|byte| *byte == b'/').next();
        let number = first.and_then(|digits| str::from_utf8(digits).ok()?.parse::<u32>().ok());
        let Some(number) = number else {
            return Ok(true);
        };
        Ok(self.is_own(number)? || (self.rules.fresh_proc && number != INIT))
    }

    /// The caller's ids as its `/proc` numbers them.
    pub(super) fn ids(&self) -> Result<(u32, u32), Errno> {
        self.caller.ids(usize::from(self.rules.fresh_proc))
    }

    /// The path of an object, without symlinks.
    pub(super) fn path_of(&self, handle: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
        path_of(self.caller.proc, handle)
    }

    /// Whether a directory belongs to the sandbox's own mounts: one that came over a socket may not.
    pub(super) fn is_inside(&self, directory: BorrowedFd<'_>, path: &[u8]) -> Result<bool, Errno> {
        let own = mount_and_inode(directory)?;
        let text = CString::new(path.trim_start_slashes()).map_err(|_nul| Errno::INVAL)?;
        let text = if text.is_empty() {
            c"."
        } else {
            text.as_c_str()
        };
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let again = rustix::fs::openat2(self.root, text, PLACE, Mode::empty(), resolve);
        match again {
            Ok(again) => Ok(mount_and_inode(again.as_fd())? == own),
            Err(_gone) => Ok(false),
        }
    }
}

/// The path of a name in a directory.
pub(super) fn path_in(mut directory: Vec<u8>, name: &CString) -> Vec<u8> {
    if directory != b"/" {
        directory.push(b'/');
    }
    directory.extend_from_slice(name.as_bytes());
    directory
}

/// Whether a path lies in a tree that the sandbox has of its own, which no rule closes.
fn is_ours(path: &[u8]) -> bool {
    is_within(path, b"/proc") || is_within(path, b"/dev")
}

/// The pid of the sandbox's first process, which is none of the caller's.
pub(super) const INIT: u32 = 1;
/// linux/magic.h.
pub(super) const PROC_SUPER_MAGIC: rustix::fs::FsWord = 0x9fa0;

pub(super) enum Target {
    Text(Vec<u8>),
    Jump(OwnedFd),
}

/// A handle to what is at a name, a symlink itself.
pub(super) fn open_place(directory: BorrowedFd<'_>, name: &CString) -> Result<OwnedFd, Errno> {
    let flags = PLACE | OFlags::NOFOLLOW;
    rustix::fs::openat(directory, name.as_c_str(), flags, Mode::empty())
}

pub(super) fn is_link(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode).is_symlink()
}

pub(super) fn mount_and_inode(handle: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
    let found = rustix::fs::statx(handle, c"", AtFlags::EMPTY_PATH, wanted)?;
    Ok((found.stx_mnt_id, found.stx_ino))
}

pub(super) fn components(path: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    path.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty() && *component != b".")
        .map(<[u8]>::to_vec)
}

/// Cutting slashes off.
trait Slashes {
    fn trim_ascii_end_slashes(&self) -> &[u8];
    fn trim_start_slashes(&self) -> &[u8];
}

impl Slashes for [u8] {
    fn trim_ascii_end_slashes(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| *byte != b'/');
        self.get(..end.map_or(0, |end| end + 1)).unwrap_or_default()
    }

    fn trim_start_slashes(&self) -> &[u8] {
        let start = self.iter().position(|byte| *byte != b'/');
        self.get(start.unwrap_or(self.len())..).unwrap_or_default()
    }
}
