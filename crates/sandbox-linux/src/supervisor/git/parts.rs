//! Names that mean something inside of a git directory, found in a path without looking at it.

use sandbox_policy::is_alias;

use super::{directory::Piece, session::Protected};

/// What a path is inside of a git directory, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Hooks,
    /// Anything below `hooks`.
    BelowHooks {
        /// Whether it lies in `hooks` itself.
        direct: bool,
    },
    Config,
    WorktreeConfig,
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
            Self::Hooks | Self::BelowHooks { .. } => Protected::Hooks,
            Self::Config => Protected::Config,
            Self::WorktreeConfig => Protected::WorktreeConfig,
            Self::Information | Self::Attributes => Protected::Attributes,
            Self::ObjectInformation | Self::Alternates => Protected::Alternates,
            Self::CommonDirectory | Self::Head | Self::Objects | Self::References => return None,
        })
    }

    /// What makes a directory a git directory.
    pub(super) const fn piece(self) -> Option<Piece> {
        Some(match self {
            Self::Head => Piece::Head,
            Self::Objects => Piece::Objects,
            Self::References => Piece::References,
            Self::CommonDirectory => Piece::CommonDirectory,
            Self::Hooks
            | Self::BelowHooks { .. }
            | Self::Config
            | Self::WorktreeConfig
            | Self::Information
            | Self::Attributes
            | Self::ObjectInformation
            | Self::Alternates => return None,
        })
    }
}

/// Whether a path has any name that [`sites`] looks for.
pub(super) fn is_concerned(parent_path: &[u8], name: &[u8]) -> bool {
    meaning(name).is_some() || components(parent_path).any(is_hooks)
}

/// The parts that a path may be.
pub(super) fn sites<'p>(
    parent_path: &'p [u8],
    name: &[u8],
) -> impl Iterator<Item = Site> + use<'p> {
    let mut above = components(parent_path).rev();
    let (last, before) = (above.next(), above.next());
    let in_info = last.is_some_and(|last| is_alias(last, "info"));
    let in_objects = |name: Option<&[u8]>| name.is_some_and(|name| is_alias(name, "objects"));
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
    let below_hooks = (components(parent_path).rev().enumerate())
        .filter(|(_, component)| is_hooks(component))
        .map(|(index, _)| Site {
            part: Part::BelowHooks { direct: index == 0 },
            above: index + 1,
        });
    first.into_iter().chain(second).chain(below_hooks)
}

/// Whether a path has a component `.git`: only such ones are in the table of protected paths.
pub(super) fn is_conventional(path: &[u8]) -> bool {
    components(path).any(is_dot_git)
}

/// Whether a path may be below `.git/modules`, where submodules have their repositories.
pub(super) fn is_among_modules(path: &[u8]) -> bool {
    is_conventional(path) && components(path).any(|component| is_alias(component, "modules"))
}

/// Whether a name is `.git`.
pub(super) fn is_dot_git(name: &[u8]) -> bool {
    is_alias(name, ".git")
}

/// The path of the directory that many levels above.
pub(super) fn strip_components(mut path: &[u8], above: usize) -> &[u8] {
    for _ in 0..above {
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        path = path.get(..end).unwrap_or_default();
    }
    path
}

#[derive(Clone, Copy)]
enum Meaning {
    Part(Part),
    Information,
    Attributes,
    Alternates,
}

const MEANINGS: [(&str, Meaning); 10] = [
    ("hooks", Meaning::Part(Part::Hooks)),
    ("config", Meaning::Part(Part::Config)),
    ("config.worktree", Meaning::Part(Part::WorktreeConfig)),
    ("commondir", Meaning::Part(Part::CommonDirectory)),
    ("head", Meaning::Part(Part::Head)),
    ("objects", Meaning::Part(Part::Objects)),
    ("refs", Meaning::Part(Part::References)),
    ("info", Meaning::Information),
    ("attributes", Meaning::Attributes),
    ("alternates", Meaning::Alternates),
];

fn meaning(name: &[u8]) -> Option<Meaning> {
    let found = MEANINGS.iter().find(|(word, _)| is_alias(name, word));
    found.map(|(_, meaning)| *meaning)
}

fn is_hooks(component: &[u8]) -> bool {
    is_alias(component, "hooks")
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
}
