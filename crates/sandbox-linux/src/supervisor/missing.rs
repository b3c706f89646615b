//! Where a path leads that ends in nothing: symlinks in the sandbox may name what only the host has there.

use std::{
    collections::VecDeque,
    ffi::{CString, OsStr},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
};

use sandbox_policy::AbsolutePath;

use super::resolve::{LINK_LIMIT, Target, View, components, is_link, open_place, path_in};
use crate::sys::Errno;

impl View<'_> {
    /// The path, without symlinks as far as it exists, of something that does not exist.
    pub(super) fn missing(&self, path: &[u8]) -> Result<AbsolutePath, Errno> {
        let root = || rustix::io::fcntl_dupfd_cloexec(self.root, 0);
        let mut current: OwnedFd = root()?;
        let mut waiting: VecDeque<Vec<u8>> = components(path).collect();
        let mut links = 0;
        while let Some(component) = waiting.pop_front() {
            let name = CString::new(component).map_err(|_nul| Errno::INVAL)?;
            let next = match open_place(current.as_fd(), &name) {
                Err(Errno::NOENT) => {
                    let rest: Vec<u8> = waiting
                        .into_iter()
                        .flat_map(|name| [&b"/"[..], &name].concat())
                        .collect();
                    let path = path_in(self.path_of(current.as_fd())?, &name);
                    let path = [path, rest].concat();
                    // Nothing leads out of a directory that does not exist.
                    let is_way = !path.split(|byte| *byte == b'/').any(|name| name == b"..");
                    let path = AbsolutePath::new(OsStr::from_bytes(&path));
                    return path.ok().filter(|_| is_way).ok_or(Errno::NOENT);
                }
                next => next?,
            };
            if !is_link(&rustix::fs::fstat(&next)?) {
                current = next;
                continue;
            }
            links += 1;
            if links > LINK_LIMIT {
                return Err(Errno::LOOP);
            }
            self.permit_link(&path_in(self.path_of(current.as_fd())?, &name))?;
            match self.target(current.as_fd(), &name, next.as_fd())? {
                Target::Jump(handle) => current = handle,
                Target::Text(text) => {
                    if text.starts_with(b"/") {
                        current = root()?;
                    }
                    for component in components(&text).collect::<Vec<_>>().into_iter().rev() {
                        waiting.push_front(component);
                    }
                }
            }
        }
        // It was made meanwhile.
        Err(Errno::NOENT)
    }
}
