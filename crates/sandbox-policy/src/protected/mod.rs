//! Places that stay closed for writing below every write root, at any depth, whether they exist or
//! not: what is obeyed or executed later by something that runs outside the sandbox.
//!
//! A row of [`PROTECTED_PATHS`] is a run of names. It covers every place below a write root whose
//! last names are that run, and what lies below the place. The write root itself may lie inside of
//! the run (`.git` as a write root does not open `.git/hooks`); one that names the place, or a path
//! below it, opens it.
//!
//! Names are compared without regard to case and to what file systems that fold names fold besides:
//! see [`fold`](self::fold).

mod automaton;
mod fold;
mod table;

use std::collections::BTreeSet;
use std::fmt;

pub(crate) use automaton::{Hit, ProtectedNames, RunState};
#[cfg(test)]
pub(crate) use fold::LONGEST_NAME;
pub use fold::is_alias;
use fold::{FoldedName, fold_into};
pub use table::PROTECTED_PATHS;

use crate::path::AbsolutePath;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a row of a table: what reads it has to know all of it"
)]
pub struct ProtectedPath {
    /// The names, with `/` between them; also what the row is called in settings. A name `*` is any
    /// one name, `**` is any number of them.
    pub path: &'static str,
    /// What would happen, in a sentence.
    pub reason: &'static str,
    /// Whose place it is.
    pub group: ProtectedGroup,
    /// Whether it holds inside stores of installed packages ([`DEPENDENCY_STORES`]) too: packages
    /// ship files of such names, which nobody obeys there.
    pub in_dependencies: bool,
}

/// Whose place a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtectedGroup {
    /// Read by shells and sessions at their start.
    Shell,
    /// Keys, and whom to trust.
    Identity,
    /// Inside of a git repository.
    Git,
    /// Settings of the user's tools.
    Tools,
    /// Settings of editors.
    Editor,
    /// Settings and instructions of agents.
    Agent,
    /// What runs on its own: hooks of a project, build servers.
    Automation,
    /// Settings of package managers.
    Packages,
    /// This program's own settings and records.
    Sandbox,
}

/// The rows that a policy enforces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection(Vec<&'static ProtectedPath>);

/// Directories of installed packages: rows whose `in_dependencies` is false don't hold below.
pub const DEPENDENCY_STORES: &[&str] = &[
    "node_modules",
    "site-packages",
    ".cargo/registry",
    ".cargo/git",
    "go/pkg/mod",
];

/// A place of a path that a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProtectedPlace {
    /// The row.
    pub(crate) row: &'static ProtectedPath,
    /// How many names of the path lie before the run.
    pub(crate) start: usize,
    /// How many names of the path lead to the place.
    pub(crate) depth: usize,
}

impl Protection {
    /// Every row.
    #[must_use]
    pub fn all() -> Self {
        Self(PROTECTED_PATHS.iter().collect())
    }

    /// No row.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// All but the row of this name (as it stands in the table).
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|row| row.path != name);
        self
    }

    /// The rows, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &'static ProtectedPath> + '_ {
        self.0.iter().copied()
    }

    /// Whether no row is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first place that counts below a write root of this depth.
    pub(crate) fn place(
        &self,
        path: &AbsolutePath,
        root: usize,
        counts: impl Fn(&ProtectedPlace) -> bool,
    ) -> Option<ProtectedPlace> {
        if self.0.is_empty() {
            return None;
        }
        let names: Vec<&[u8]> = path.names().collect();
        let exempt = first_store_end(&names);
        let folded = fold_all(&names);
        self.iter()
            .flat_map(|row| row.places(&folded, exempt))
            .find(|place| place.depth > root && counts(place))
    }
}

impl ProtectedPath {
    /// Whether it is a settings file of a repository: what `allowGitConfig` opens.
    #[must_use]
    pub fn is_git_config(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or(self.path);
        self.group == ProtectedGroup::Git && (name == "config" || name == "config.worktree")
    }

    /// How many places of this row lie on the way to a path, the path itself included: what has one
    /// is protected, unless a write root is at it or below. Stores of packages don't matter here.
    #[must_use]
    pub fn places_on_the_way(&'static self, path: &AbsolutePath) -> usize {
        let names: Vec<&[u8]> = path.names().collect();
        let folded = fold_all(&names);
        let ends: BTreeSet<usize> = self
            .places(&folded, None)
            .map(|place| place.depth)
            .collect();
        ends.len()
    }

    /// The places of a path that the row names. `exempt` is the number of names that lead to the
    /// outermost store of packages.
    fn places(
        &'static self,
        names: &[Option<FoldedName>],
        exempt: Option<usize>,
    ) -> impl Iterator<Item = ProtectedPlace> {
        let last_start = match exempt {
            Some(store) if !self.in_dependencies => store,
            _ => names.len(),
        };
        let mut places = Vec::new();
        // Most rows name nothing of most paths, and a launch asks about each rule's path.
        let first = self.path.split('/').next().unwrap_or_default();
        if !first.starts_with('*') && !names.iter().any(|name| is_name(name.as_ref(), first)) {
            return places.into_iter();
        }
        let row: Vec<&str> = self.path.split('/').collect();
        for start in 0..last_start {
            let rest = names.get(start..).unwrap_or_default();
            let ends = run_ends(&row, rest).into_iter();
            places.extend(ends.map(|length| ProtectedPlace {
                row: self,
                start,
                depth: start + length,
            }));
        }
        places.into_iter()
    }
}

impl ProtectedGroup {
    /// Whether what a row of this group names may be *removed* in a directory below the write root:
    /// who may remove a nested repository has to remove what is in it.
    #[must_use]
    pub const fn is_removable_when_nested(self) -> bool {
        matches!(self, Self::Git)
    }
}

impl fmt::Display for ProtectedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

fn fold_all(names: &[&[u8]]) -> Vec<Option<FoldedName>> {
    names.iter().map(|name| fold_into(name)).collect()
}

/// Whether a folded name is one of the table's.
fn is_name(folded: Option<&FoldedName>, name: &str) -> bool {
    folded.is_some_and(|folded| folded.as_bytes().eq_ignore_ascii_case(name.as_bytes()))
}

/// How many names of `rest` the row can take, from its first.
fn run_ends(row: &[&str], rest: &[Option<FoldedName>]) -> Vec<usize> {
    let Some((name, row_after)) = row.split_first() else {
        return vec![0];
    };
    if *name == "**" {
        return (0..=rest.len())
            .flat_map(|skipped| {
                let after = rest.get(skipped..).unwrap_or_default();
                run_ends(row_after, after)
                    .into_iter()
                    .map(move |length| skipped + length)
            })
            .collect();
    }
    match rest.split_first() {
        Some((first, after)) if *name == "*" || is_name(first.as_ref(), name) => {
            let ends = run_ends(row_after, after).into_iter();
            ends.map(|length| length + 1).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a path lies in a store of packages, or is one.
#[must_use]
pub fn is_in_store(path: &[u8]) -> bool {
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    first_store_end(&names).is_some()
}

/// How many names lead to the outermost store of packages. Stores are compared as they are
/// written: who installs packages writes them so, and the exemption should be no larger.
fn first_store_end(names: &[&[u8]]) -> Option<usize> {
    (1..=names.len()).find(|end| {
        let before = names.get(..*end).unwrap_or_default();
        DEPENDENCY_STORES.iter().any(|store| {
            let mut backwards = before.iter().rev();
            store
                .rsplit('/')
                .all(|name| backwards.next() == Some(&name.as_bytes()))
        })
    })
}
