//! The way of a path through symlinks: whoever exchanges one decides where a later run looks.
//!
//! `sandbox-linux` walks so too, for errors that matter there; neither crate knows the other.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

use sandbox_policy::AbsolutePath;

/// Where a path leads.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The real places of the symlinks that it leads through.
    pub(super) links: Vec<AbsolutePath>,
    /// The place of what is there, or would be made there; none if the links lead round in circles.
    pub(super) end: Option<AbsolutePath>,
}

/// Walks a path as the kernel does (path_resolution(7)), and on as it is written from what is missing or out
/// of sight.
pub(super) fn walk(path: &Path) -> Way {
    let mut pending: VecDeque<Step> = steps(path).collect();
    let mut at = PathBuf::from("/");
    let mut links = Vec::new();
    while let Some(step) = pending.pop_front() {
        let next = match step {
            Step::Root => PathBuf::from("/"),
            Step::Up => at.parent().map_or_else(|| at.clone(), Path::to_path_buf),
            Step::Name(name) => at.join(name),
        };
        let Ok(text) = fs::read_link(&next) else {
            at = next;
            continue;
        };
        if links.len() == LINK_LIMIT {
            return Way { links, end: None };
        }
        links.extend(AbsolutePath::new(&next).ok());
        let inner: Vec<_> = steps(&text).collect();
        for step in inner.into_iter().rev() {
            pending.push_front(step);
        }
    }
    let end = AbsolutePath::new(&at).ok();
    Way { links, end }
}

enum Step {
    Root,
    Up,
    Name(OsString),
}

fn steps(path: &Path) -> impl Iterator<Item = Step> {
    path.components().filter_map(|component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Name(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}

/// The symlinks that the kernel follows on one way.
const LINK_LIMIT: usize = 40;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_named_where_it_is() {
        let directory = TempDir::new().unwrap();
        let at = directory.path().canonicalize().unwrap();
        fs::create_dir_all(at.join("data/me")).unwrap();
        for (to, link) in [
            ("data", "u"),
            ("u/me", "home"),
            ("gone/x", "dangling"),
            ("circle", "circle"),
            ("../u", "data/back"),
        ] {
            symlink(to, at.join(link)).unwrap();
        }
        let place = |name: &str| AbsolutePath::new(at.join(name)).unwrap();
        for (path, links, end) in [
            ("home/file", &["home", "u"][..], Some("data/me/file")),
            ("home/../x", &["home", "u"], Some("data/x")),
            (
                "data/back/back",
                &["data/back", "u", "data/back", "u"],
                Some("data"),
            ),
            ("dangling/y", &["dangling"], Some("gone/x/y")),
            ("data/me", &[], Some("data/me")),
        ] {
            let found = walk(&at.join(path));
            let links: Vec<_> = links.iter().map(|link| place(link)).collect();
            assert_eq!(found.links, links, "{path}");
            assert_eq!(found.end, end.map(place), "{path}");
        }
        assert_eq!(walk(&at.join("circle")).end, None);
    }
}
