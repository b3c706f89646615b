//! What the supervisor would answer, for explanations before anything runs.

use std::ffi::CString;

use sandbox_policy::AbsolutePath;

use super::{git, rules::Rules};

impl Rules {
    /// Whether a file that no rule closes is one that git gets programs or settings from, in a repository of
    /// whatever name that is there now.
    pub(crate) fn is_of_repository(&self, place: &AbsolutePath) -> bool {
        let (Some(parent), Some(name)) = (place.parent(), place.as_path().file_name()) else {
            return false;
        };
        let session = git::Session::new(self.open_git_places());
        self.guards_repositories(place.as_bytes())
            && CString::new(name.as_encoded_bytes())
                .is_ok_and(|name| git::closes(&session, parent.as_bytes(), &name))
    }
}
