//! Names that mean something inside of a git directory, found in a path without looking at it.

use sandbox_policy::is_alias;

use super::{directory::Piece, session::Protected};

/// What a path is inside of a git directory, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A directory in which nothing may be planted.
    Directory(Closed),
    /// Anything below such a directory.
    Below {
        /// Which one.
        of: Closed,
        /// Whether it lies in that directory itself.
        direct: bool,
    },
    Config,
    WorktreeConfig,
    /// The lock file of one of these, which git renames to it.
    Lock(Protected),
    /// The lock file of a protected file of any directory, which needs no git directory.
    PlainLock(Protected),
    /// `info`.
    Information,
    /// `info/attributes`.
    Attributes,
    /// `objects/info`.
    ObjectInformation,
    /// `objects/info/alternates`.
    Alternates,
    CommonDirectory,
    Head,
    Objects,
    References,
    /// `index`, or `sharedindex.…`, which an `index` may say it goes on in.
    Index,
}

/// Directories of a git directory that stay empty, but for what is known to be harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Hooks,
    /// `remotes`, an old place of where to send.
    Remotes,
    /// `branches`, an even older one.
    Branches,
}

impl Closed {
    pub(super) const ALL: [(&str, Self); 3] = [
        ("hooks", Self::Hooks),
        ("remotes", Self::Remotes),
        ("branches", Self::Branches),
    ];

    pub(super) const fn protected(self) -> Protected {
        match self {
            Self::Hooks => Protected::Hooks,
            Self::Remotes => Protected::Remotes,
            Self::Branches => Protected::Branches,
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        find(&Self::ALL, name)
    }
}

/// A part, and how many directories above the parent the git directory would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) part: Part,
    pub(super) above: usize,
}

impl Part {
    /// The protected place that it belongs to.
    pub(super) const fn protected(self) -> Option<Protected> {
        Some(match self {
            Self::Directory(closed) | Self::Below { of: closed, .. } => closed.protected(),
            Self::Lock(place) | Self::PlainLock(place) => place,
            Self::Config => Protected::Config,
            Self::WorktreeConfig => Protected::WorktreeConfig,
            Self::Information | Self::Attributes => Protected::Attributes,
            Self::ObjectInformation | Self::Alternates => Protected::Alternates,
            Self::CommonDirectory | Self::Head | Self::Objects | Self::References | Self::Index => {
                return None;
            }
        })
    }

    /// What makes a directory a git directory.
    pub(super) const fn piece(self) -> Option<Piece> {
        Some(match self {
            Self::Head => Piece::Head,
            Self::Objects => Piece::Objects,
            Self::References => Piece::References,
            Self::CommonDirectory => Piece::CommonDirectory,
            Self::Directory(_)
            | Self::Below { .. }
            | Self::Config
            | Self::WorktreeConfig
            | Self::Lock(_)
            | Self::PlainLock(_)
            | Self::Information
            | Self::Attributes
            | Self::ObjectInformation
            | Self::Alternates
            | Self::Index => return None,
        })
    }
}

/// Whether a path has any name that [`sites`] looks for.
pub(super) fn is_concerned(parent_path: &[u8], name: &[u8]) -> bool {
    meaning(name).is_some() || components(parent_path).any(|name| Closed::of(name).is_some())
}

/// Whether a name is that of a lock file of something protected.
pub(super) fn is_lock(name: &[u8]) -> bool {
    let meaning = meaning(name);
    matches!(
        meaning,
        Some(Meaning::Part(Part::Lock(_) | Part::PlainLock(_)))
    )
}

/// Whether a name is one of an index.
pub(super) fn is_index(name: &[u8]) -> bool {
    matches!(meaning(name), Some(Meaning::Part(Part::Index)))
}

/// Whether a name is one of settings.
pub(super) fn is_settings(name: &[u8]) -> bool {
    let meaning = meaning(name);
    matches!(
        meaning,
        Some(Meaning::Part(Part::Config | Part::WorktreeConfig))
    )
}

/// The parts that a path may be.
pub(super) fn sites<'p>(
    parent_path: &'p [u8],
    name: &[u8],
) -> impl Iterator<Item = Site> + use<'p> {
    let mut above = components(parent_path).rev();
    let (last, before) = (above.next(), above.next());
    let in_info = last.is_some_and(|last| is_named(last, "info"));
    let in_objects = |name: Option<&[u8]>| name.is_some_and(|name| is_named(name, "objects"));
    let site = |part, above| Some(Site { part, above });
    let (first, second) = match meaning(name) {
        None => (None, None),
        Some(Meaning::Attributes) => (site(Part::Attributes, 1).filter(|_| in_info), None),
        Some(Meaning::Alternates) => {
            let is_place = in_info && in_objects(before);
            (site(Part::Alternates, 2).filter(|_| is_place), None)
        }
        Some(Meaning::Information) => {
            let second = site(Part::ObjectInformation, 1).filter(|_| in_objects(last));
            (site(Part::Information, 0), second)
        }
        Some(Meaning::Part(part)) => (site(part, 0), None),
    };
    let below = (components(parent_path).rev().enumerate()).filter_map(|(index, component)| {
        let direct = index == 0;
        let part = Closed::of(component).map(|of| Part::Below { of, direct })?;
        let above = index + 1;
        Some(Site { part, above })
    });
    first.into_iter().chain(second).chain(below)
}

/// Whether a path has a component `.git`: only such ones are in the table of protected paths.
pub(super) fn is_conventional(path: &[u8]) -> bool {
    components(path).any(is_dot_git)
}

/// Whether a path may be below `.git/modules`, where submodules have their repositories.
pub(super) fn is_among_modules(path: &[u8]) -> bool {
    is_conventional(path) && components(path).any(|component| is_named(component, "modules"))
}

/// Whether a path is that of a `.git`, or may be one among modules.
pub(super) fn is_place_of_repository(path: &[u8]) -> bool {
    components(path).next_back().is_some_and(is_dot_git) || is_among_modules(path)
}

/// Whether a name is `.git`.
pub(super) fn is_dot_git(name: &[u8]) -> bool {
    is_named(name, ".git")
}

/// The path of the directory that many levels above.
pub(super) fn strip_components(mut path: &[u8], above: usize) -> &[u8] {
    for _ in 0..above {
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        path = path.get(..end).unwrap_or_default();
    }
    path
}

/// Whether git keeps something of its own in a directory of such a name in its own one.
pub(super) fn is_own_directory(name: &[u8]) -> bool {
    find(&OWN_DIRECTORIES, name).is_some()
}

const OWN_DIRECTORIES: [(&str, ()); 23] = [
    ("annex", ()),
    ("bisect", ()),
    ("branches", ()),
    ("hooks", ()),
    ("info", ()),
    ("lfs", ()),
    ("logs", ()),
    ("lost-found", ()),
    ("fsmonitor--daemon", ()),
    ("filter-repo", ()),
    ("modules", ()),
    ("notes_merge_worktree", ()),
    ("objects", ()),
    ("rebase-apply", ()),
    ("rebase-merge", ()),
    ("refs", ()),
    ("reftable", ()),
    ("remotes", ()),
    ("rr-cache", ()),
    ("sequencer", ()),
    ("svn", ()),
    ("worktrees", ()),
    ("subtree-cache", ()),
];

#[derive(Clone, Copy)]
enum Meaning {
    Part(Part),
    Information,
    Attributes,
    Alternates,
}

const MEANINGS: [(&str, Meaning); 17] = [
    ("hooks", Meaning::Part(Part::Directory(Closed::Hooks))),
    ("remotes", Meaning::Part(Part::Directory(Closed::Remotes))),
    ("branches", Meaning::Part(Part::Directory(Closed::Branches))),
    ("config", Meaning::Part(Part::Config)),
    ("config.worktree", Meaning::Part(Part::WorktreeConfig)),
    ("config.lock", Meaning::Part(Part::Lock(Protected::Config))),
    (
        "config.worktree.lock",
        Meaning::Part(Part::Lock(Protected::WorktreeConfig)),
    ),
    (
        ".gitmodules.lock",
        Meaning::Part(Part::PlainLock(Protected::Modules)),
    ),
    (
        ".gitconfig.lock",
        Meaning::Part(Part::PlainLock(Protected::UserConfig)),
    ),
    ("commondir", Meaning::Part(Part::CommonDirectory)),
    ("head", Meaning::Part(Part::Head)),
    ("objects", Meaning::Part(Part::Objects)),
    ("index", Meaning::Part(Part::Index)),
    ("refs", Meaning::Part(Part::References)),
    ("info", Meaning::Information),
    ("attributes", Meaning::Attributes),
    ("alternates", Meaning::Alternates),
];

fn meaning(name: &[u8]) -> Option<Meaning> {
    find(&MEANINGS, name).or_else(|| is_shared_index(name).then_some(Meaning::Part(Part::Index)))
}

/// git makes them as `sharedindex_…`.
fn is_shared_index(name: &[u8]) -> bool {
    let start = name.get(..SHARED_INDEX.len());
    // What is spelled otherwise holds letters that fold to these.
    if name.is_ascii() && !start.is_some_and(|start| is_named(start, SHARED_INDEX)) {
        return false;
    }
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else {
        return false;
    };
    let (Some(base), Some(hash)) = (name.get(..dot), name.get(dot + 1..)) else {
        return false;
    };
    base.len() >= SHARED_INDEX.len()
        && is_named(base, SHARED_INDEX)
        && (!hash.is_ascii() || hash.iter().all(u8::is_ascii_hexdigit))
}

/// Followed by a dot and the name of the content.
const SHARED_INDEX: &str = "sharedindex";

/// What a list of words has for a name. It is asked about every component of every path.
fn find<T: Copy>(words: &[(&str, T)], name: &[u8]) -> Option<T> {
    let found = if name.is_ascii() {
        let mut words = words.iter();
        words.find(|(word, _)| name.eq_ignore_ascii_case(word.as_bytes()))
    } else {
        words.iter().find(|(word, _)| is_alias(name, word))
    };
    found.map(|(_, meaning)| *meaning)
}

/// As [`is_alias`], which folds; most names need no folding.
fn is_named(name: &[u8], word: &str) -> bool {
    if name.is_ascii() {
        name.eq_ignore_ascii_case(word.as_bytes())
    } else {
        is_alias(name, word)
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
}
