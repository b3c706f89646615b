//! Names that mean something inside of a git directory, found in a path without looking at it.

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

/// Whether a directory that folds names (casefold of ext4 and f2fs, macOS) may take a name for this
/// lower-case ASCII one: letters of either case, what folds to ASCII, ignorable code points between.
fn is_alias(name: &[u8], word: &str) -> bool {
    if name.is_ascii() {
        return name.eq_ignore_ascii_case(word.as_bytes());
    }
    // A name that is not UTF-8 is never folded.
    str::from_utf8(name).is_ok_and(|name| folded(name).eq(word.bytes()))
}

/// The ASCII bytes that a name folds to; a letter that folds to none becomes 0.
fn folded(name: &str) -> impl Iterator<Item = u8> {
    name.chars()
        .filter(|letter| !is_ignorable(*letter))
        .flat_map(|letter| {
            let letters: &[u8] = match letter {
                '\u{17f}' => b"s",
                '\u{212a}' => b"k",
                '\u{fb00}' => b"ff",
                '\u{fb01}' => b"fi",
                '\u{fb02}' => b"fl",
                '\u{fb03}' => b"ffi",
                '\u{fb04}' => b"ffl",
                '\u{fb05}' | '\u{fb06}' => b"st",
                _ => &[],
            };
            let own = u8::try_from(letter).ok().filter(u8::is_ascii);
            let own = own.map(|byte| byte.to_ascii_lowercase());
            let alone = letters.is_empty().then(|| own.unwrap_or(0));
            letters.iter().copied().chain(alone)
        })
}

/// Unicode's `Default_Ignorable_Code_Point`.
const fn is_ignorable(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}
