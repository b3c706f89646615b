//! Closed names that lead elsewhere: asked about by the places where they end.

use std::sync::{Arc, MutexGuard, PoisonError};

use sandbox_policy::PathPattern;

use super::{Rules, is_repository_name, is_within};
use crate::{
    supervisor::{
        landings::{self, Landing},
        named::{self, Nearby, User},
    },
    sys::Errno,
};

impl Rules {
    /// Whether a path is, or lies in, what a closed or protected name leads to or through: `~/.bashrc` is often
    /// a symlink into a directory of its owner's.
    pub(in crate::supervisor) fn is_landing(&self, path: &[u8]) -> Result<bool, Errno> {
        Ok(self.landing(path)?.is_some())
    }

    /// The closed name that leads to a path, or to what it lies in.
    pub(in crate::supervisor) fn landing(
        &self,
        path: &[u8],
    ) -> Result<Option<Arc<Landing>>, Errno> {
        match self.first_landing(path)? {
            None => Ok(self
                .nearby(path)?
                .and_then(|near| near.landing(path).cloned())),
            found => Ok(found),
        }
    }

    /// The same of what was known at the start. What repositories further down name may be removed with them, and stays
    /// closed then.
    pub(in crate::supervisor) fn first_landing(
        &self,
        path: &[u8],
    ) -> Result<Option<Arc<Landing>>, Errno> {
        let landings = self.landings()?;
        let above = std::iter::successors(Some(path), |path| {
            let end = path.iter().rposition(|byte| *byte == b'/')?;
            path.get(..end).filter(|above| !above.is_empty())
        });
        let find = |place: &[u8]| {
            let found = landings.binary_search_by(|landing| (*landing.place).cmp(place));
            found.ok().and_then(|index| landings.get(index))
        };
        Ok(above.into_iter().find_map(find).cloned())
    }

    /// The same for a directory on the way there.
    pub(in crate::supervisor) fn landing_below(
        &self,
        path: &[u8],
    ) -> Result<Option<Arc<Landing>>, Errno> {
        let below = [path.strip_suffix(b"/").unwrap_or(path), b"/"].concat();
        let landings = self.landings()?;
        let next = landings.partition_point(|landing| landing.place < below);
        let next = landings.get(next);
        match next.filter(|landing| landing.place.starts_with(&below)) {
            Some(landing) => Ok(Some(Arc::clone(landing))),
            None => Ok(self
                .nearby(path)?
                .and_then(|near| near.landings_below(path).next().cloned())),
        }
    }

    /// What the settings of repositories around a path name, in the host's trees: private directories have others.
    fn nearby(&self, path: &[u8]) -> Result<Option<MutexGuard<'_, Nearby>>, Errno> {
        let is_private = self.planned.scratch.iter().any(|rule| match &rule.pattern {
            PathPattern::Subtree(scratch) => is_within(path, scratch.as_bytes()),
            PathPattern::Glob(_) => false,
        });
        let is_ours = is_within(path, b"/dev") || is_within(path, b"/proc");
        if is_ours || (is_private && !self.guards_repositories(path)) {
            return Ok(None);
        }
        let mut nearby = self.nearby.lock().unwrap_or_else(PoisonError::into_inner);
        nearby.look_around(&self.planned, self.user(), path)?;
        Ok(Some(nearby))
    }

    fn user(&self) -> User<'_> {
        User {
            starts: &self.starts,
            config_home: self.config_home.as_ref(),
        }
    }

    /// A directory is moved, or a repository comes to be or goes, by this name: what was found there is looked for
    /// again.
    pub(in crate::supervisor) fn forget_nearby(&self, path: &[u8]) {
        let mut nearby = self.nearby.lock().unwrap_or_else(PoisonError::into_inner);
        nearby.forget(path);
        let end = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = path.split_at(end.unwrap_or(0));
        if name.strip_prefix(b"/").is_some_and(is_repository_name) {
            nearby.forget(parent);
        }
    }

    /// A directory was moved, or two exchanged.
    pub(in crate::supervisor) fn note_moved(&self, from: &[u8], to: &[u8], exchanged: bool) {
        let mut nearby = self.nearby.lock().unwrap_or_else(PoisonError::into_inner);
        nearby.note_moved(from, to, exchanged);
    }

    /// A directory was removed.
    pub(in crate::supervisor) fn note_removed(&self, path: &[u8]) {
        let mut nearby = self.nearby.lock().unwrap_or_else(PoisonError::into_inner);
        nearby.note_removed(path);
    }

    /// What a closed name leads to that would be moved away from it.
    pub(in crate::supervisor) fn landing_in_move(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<Arc<Landing>>, Errno> {
        let landings = self.landings()?;
        for moved in [from, to] {
            let below = [moved.strip_suffix(b"/").unwrap_or(moved), b"/"].concat();
            let start = landings.partition_point(|landing| landing.place < below);
            let inside = landings.iter().skip(start);
            let mut inside = inside.take_while(|landing| landing.place.starts_with(&below));
            let stays = |landing: &&Arc<Landing>| !landing.moves_with(moved);
            if let Some(landing) = inside.find(stays) {
                return Ok(Some(Arc::clone(landing)));
            }
            // The directory itself is looked at too.
            if let Some(nearby) = self.nearby(&below)?
                && let Some(landing) = nearby
                    .landings_below(moved)
                    .find(stays)
                    .or_else(|| nearby.parted_from(moved))
            {
                return Ok(Some(Arc::clone(landing)));
            }
        }
        Ok(None)
    }

    /// As for the policy, an error is not kept.
    pub(super) fn landings(&self) -> Result<&[Arc<Landing>], Errno> {
        if let Some(landings) = self.landings.get() {
            return Ok(landings);
        }
        let mut landings = landings::find(&self.planned, &self.starts)?;
        landings.extend(named::find(&self.planned, self.user())?);
        let links = self.completed()?.links.iter();
        landings.extend(links.map(|(link, rule)| Landing::of_link(link, rule)));
        landings.sort_by(|one, other| one.place.cmp(&other.place));
        landings.dedup_by(|one, other| one.place == other.place);
        let landings = landings.into_iter().map(Arc::new);
        Ok(self.landings.get_or_init(|| landings.collect()))
    }
}
