//! The way of a path through symlinks (path_resolution(7)). Whoever walks looks at the entries, and says which of
//! them are links.

use std::{
    collections::VecDeque,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

use crate::path::AbsolutePath;

/// Where a path leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The places of the symlinks that it leads through.
    pub links: Vec<AbsolutePath>,
    /// The place of what is there, or would be made there; none if the links lead round in circles.
    pub end: Option<AbsolutePath>,
}

impl Way {
    /// Walks a path from the root, and on as it is written from what is no link. `look` returns the text of a
    /// symlink at a place without others, none where there is no link; an error of it ends the walk.
    pub fn walk<E>(
        path: &Path,
        mut look: impl FnMut(&AbsolutePath) -> Result<Option<PathBuf>, E>,
    ) -> Result<Self, E> {
        let mut steps = Steps::along(path);
        let mut at = AbsolutePath::root();
        let mut links = Vec::new();
        while let Some(step) = steps.next() {
            let Some(next) = step.entry(&mut at) else {
                continue;
            };
            match look(&next)? {
                Some(_) if links.len() == LINK_LIMIT => return Ok(Self { links, end: None }),
                Some(text) => {
                    links.push(next);
                    steps.follow(&text);
                }
                None => at = next,
            }
        }
        let end = Some(at);
        Ok(Self { links, end })
    }
}

/// The symlinks that the kernel follows on one way.
pub const LINK_LIMIT: usize = 40;

/// What is still to be walked.
#[derive(Clone, Debug)]
pub struct Steps(VecDeque<Step>);

/// One step of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the root.
    Root,
    /// Out of a directory.
    Up,
    /// To an entry.
    Name(OsString),
}

impl Steps {
    /// All steps of a path.
    #[must_use]
    pub fn along(path: &Path) -> Self {
        Self(steps(path).collect())
    }

    /// Whether the latest step was the last one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Goes where a symlink's text leads before what is left.
    pub fn follow(&mut self, text: &Path) {
        for (place, step) in steps(text).enumerate() {
            self.0.insert(place, step);
        }
    }
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.0.pop_front()
    }
}

impl Step {
    /// The entry that is stepped to from a directory; none where the step has led out of it.
    pub fn entry(self, at: &mut AbsolutePath) -> Option<AbsolutePath> {
        match self {
            Self::Root => *at = AbsolutePath::root(),
            Self::Up => *at = at.parent().unwrap_or_else(AbsolutePath::root),
            // A component of a path is a name, unless there is a NUL byte in it: nothing has such a name.
            Self::Name(name) => return at.join(name).ok(),
        }
        None
    }
}

fn steps(path: &Path) -> impl Iterator<Item = Step> {
    path.components().filter_map(|component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Name(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn place(path: &str) -> AbsolutePath {
        AbsolutePath::new(path).unwrap()
    }

    #[test]
    fn a_way_leads_through_every_link_and_on_from_what_is_missing() {
        let known = [
            ("/one", "gone"),
            ("/two", "one"),
            ("/home", "u/me"),
            ("/u", "data"),
            ("/data/back", "../u"),
            ("/in-real", "real/gone"),
            ("/linked", "real"),
            ("/behind", "linked/gone"),
            ("/up", "missing/../linked/x"),
            ("/far", "missing/a/b"),
            ("/abs", "/data/./x//y/"),
            ("/circle", "circle"),
        ];
        let look = |at: &AbsolutePath| {
            let found = known.iter().find(|(link, _)| place(link) == *at);
            Ok::<_, Infallible>(found.map(|(_, text)| PathBuf::from(text)))
        };
        for (path, links, end) in [
            ("/", &[][..], "/"),
            ("/real", &[], "/real"),
            ("/../real/..", &[], "/"),
            ("/one", &["/one"], "/gone"),
            ("/two", &["/two", "/one"], "/gone"),
            ("/home/file", &["/home", "/u"], "/data/me/file"),
            ("/home/../x", &["/home", "/u"], "/data/x"),
            (
                "/data/back/back",
                &["/data/back", "/u", "/data/back", "/u"],
                "/data",
            ),
            ("/in-real", &["/in-real"], "/real/gone"),
            ("/behind", &["/behind", "/linked"], "/real/gone"),
            ("/up", &["/up", "/linked"], "/real/x"),
            ("/far/c", &["/far"], "/missing/a/b/c"),
            ("/linked/../real", &["/linked"], "/real"),
            ("/abs", &["/abs"], "/data/x/y"),
        ] {
            let Ok(way) = Way::walk(Path::new(path), look);
            let links: Vec<_> = links.iter().map(|link| place(link)).collect();
            assert_eq!(way.links, links, "{path}");
            assert_eq!(way.end, Some(place(end)), "{path}");
        }
        let Ok(way) = Way::walk(Path::new("/circle/x"), look);
        assert_eq!((way.links.len(), way.end), (LINK_LIMIT, None));
    }

    #[test]
    fn what_can_not_be_looked_at_ends_the_walk() {
        let walked = Way::walk(Path::new("/a/b/c"), |at| match at == &place("/a/b") {
            true => Err("out of sight"),
            false => Ok(None),
        });
        assert_eq!(walked, Err("out of sight"));
    }
}
