//! What the host sees happen in a tree, by inotify.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify;

/// Watches of every directory and file of a tree, for everything that changes something.
#[derive(Debug)]
pub struct Watch {
    queue: OwnedFd,
    places: BTreeMap<i32, PathBuf>,
}

impl Watch {
    /// Watches what is there now.
    ///
    /// # Panics
    /// When it cannot be watched.
    #[must_use]
    pub fn on(root: &Path) -> Self {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let queue = inotify::init(flags).expect("an inotify queue");
        let changes = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::ATTRIB
            | inotify::WatchFlags::CLOSE_WRITE
            | inotify::WatchFlags::MOVE
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::DELETE
            | inotify::WatchFlags::DELETE_SELF
            | inotify::WatchFlags::MOVE_SELF
            | inotify::WatchFlags::DONT_FOLLOW;
        let mut places = BTreeMap::new();
        let mut pending = vec![root.to_owned()];
        while let Some(path) = pending.pop() {
            let watch = inotify::add_watch(&queue, &path, changes).expect("a watch");
            let is_directory = path.symlink_metadata().is_ok_and(|found| found.is_dir());
            if let (true, Ok(children)) = (is_directory, path.read_dir()) {
                pending.extend(children.filter_map(|child| child.ok().map(|found| found.path())));
            }
            places.insert(watch, path);
        }
        Self { queue, places }
    }

    /// What happened since the last time, a line for each event.
    ///
    /// # Panics
    /// When the queue cannot be read.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        let mut room = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&self.queue, &mut room);
        let mut lines = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let place = self.places.get(&event.wd());
                    let place =
                        place.map_or_else(|| "?".to_owned(), |path| path.display().to_string());
                    let name = event.file_name().map(|name| crate::show(name.to_bytes()));
                    lines.push(format!("{place} {name:?} {:?}", event.events()));
                }
                Err(rustix::io::Errno::AGAIN) => return lines,
                Err(error) => panic!("the inotify queue: {error}"),
            }
        }
    }
}
