//! The way of a path through the host's symlinks, and which errors on it mean something.

use std::{fs, io, path::Path};

use rustix::io::Errno;
use sandbox_policy::{AbsolutePath, Way};

/// Walks a path, and on as it is written from what is missing or may not be looked at: the command could make it, or
/// unlock it.
pub(crate) fn walk(path: &Path) -> io::Result<Way> {
    Way::walk(path, |place: &AbsolutePath| {
        match fs::read_link(place.as_path()) {
            Ok(text) => Ok(Some(text)),
            // It is no symlink (readlink(2), `EINVAL`), nothing, or out of sight.
            Err(error) if ends_there(&error) => Ok(None),
            Err(error) => Err(error),
        }
    })
}

/// As [`walk`]; none where no way can be walked at all. Any other error may pass: who takes it for the absence of a
/// way would forget one.
pub(crate) fn reachable_way(path: &Path) -> Result<Option<Way>, Errno> {
    match walk(path) {
        Ok(way) => Ok(Some(way)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(errno) if is_out_of_reach(errno) => Ok(None),
            Some(errno) => Err(errno),
            None => Err(Errno::IO),
        },
    }
}

/// Whether an error says something of a path: there is nothing, it is closed, or what it lies in is dead. Any other
/// one is a shortage of this process, and says nothing.
pub(crate) fn is_out_of_reach(errno: Errno) -> bool {
    !matches!(
        errno,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS | Errno::INTR | Errno::AGAIN
    )
}

fn ends_there(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(is_out_of_reach)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_way_goes_on_where_something_is_missing() {
        let directory = TempDir::new().unwrap();
        let at = directory.path().canonicalize().unwrap();
        fs::create_dir(at.join("real")).unwrap();
        for (to, link) in [
            ("gone", "one"),
            ("one", "two"),
            ("real/gone", "in-real"),
            ("real", "linked"),
            ("linked/gone", "behind"),
            ("missing/../linked/x", "up"),
            ("circle", "circle"),
            ("deep/er/file", "deep"),
            ("missing/a/b", "far"),
        ] {
            symlink(to, at.join(link)).unwrap();
        }
        let places = |names: &[&str]| -> Vec<_> {
            let place = |name: &&str| AbsolutePath::new(at.join(name)).unwrap();
            names.iter().map(place).collect()
        };
        for (path, links, end) in [
            ("one", &["one"][..], "gone"),
            ("two", &["two", "one"], "gone"),
            ("in-real", &["in-real"], "real/gone"),
            ("behind", &["behind", "linked"], "real/gone"),
            ("up", &["up", "linked"], "real/x"),
            ("far", &["far"], "missing/a/b"),
            ("far/c", &["far"], "missing/a/b/c"),
            ("linked/../real", &["linked"], "real"),
            ("real", &[], "real"),
        ] {
            let found = walk(&at.join(path)).unwrap();
            assert_eq!(found.links, places(links), "{path}");
            assert_eq!(found.end, places(&[end]).pop(), "{path}");
        }
        for path in ["circle", "deep"] {
            assert_eq!(walk(&at.join(path)).unwrap().end, None, "{path}");
        }
    }
}
