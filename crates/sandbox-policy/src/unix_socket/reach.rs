//! Whether an entry reaches a place of the table: a path that is such a place or lies above one, or a
//! glob that can match one.

use crate::path::AbsolutePath;
use crate::pattern::{Glob, GlobToken, PathPattern, Unit, tokens_of, units};

/// Where homes are whose path is not known here.
const HOMES: [&str; 3] = ["/home/*", "/root", "/Users/*"];

/// Other names of directories that the table names: of Linux's `/run`, and of macOS's `/tmp`.
const SPELLINGS: [Spelling; 3] = [
    (&[b"var", b"run"], b"run"),
    (&[b"private", b"var", b"run"], b"run"),
    (&[b"private", b"tmp"], b"tmp"),
];

/// The names of a directory, and the usual name below the root.
type Spelling = (&'static [&'static [u8]], &'static [u8]);

/// A place of the table.
enum Place<'t> {
    /// A path from the root.
    Anchored(&'t str),
    /// A path in any user's home.
    InHome(&'t str),
    /// The last names of a path anywhere. Every directory could hold it, so none is said to.
    Anywhere(&'t str),
}

/// Whether an entry names a place of the table or something that the place lies in.
pub(super) fn reaches(pattern: &PathPattern, place: &'static str) -> bool {
    let place = if place.starts_with('/') {
        Place::Anchored(place)
    } else if let Some(rest) = place.strip_prefix("~/") {
        Place::InHome(rest)
    } else {
        Place::Anywhere(place)
    };
    match pattern {
        PathPattern::Subtree(path) => {
            let names = usual_names(path);
            place.is_at_or_below(&names)
        }
        PathPattern::Glob(glob) => {
            let usual = usual_glob(glob);
            place.can_match(usual.as_ref().unwrap_or(glob))
        }
    }
}

/// The names of a path, with the usual one of several spellings.
fn usual_names(path: &AbsolutePath) -> Vec<&[u8]> {
    let names: Vec<&[u8]> = path.names().collect();
    for (spelling, usual) in SPELLINGS {
        if let Some(rest) = names.strip_prefix(spelling) {
            return [&[usual][..], rest].concat();
        }
    }
    names
}

fn usual_glob(glob: &Glob) -> Option<Glob> {
    let usual = usual_names(glob.static_prefix());
    let text = [&b"/"[..], &usual.join(&b'/')].concat();
    let usual = AbsolutePath::from_clean_bytes(&text);
    (usual != *glob.static_prefix()).then(|| glob.moved(&usual))
}

impl Place<'_> {
    fn is_at_or_below(&self, names: &[&[u8]]) -> bool {
        match self {
            Self::Anchored(place) => lies_along(names, &[place]),
            Self::InHome(rest) => {
                let mut homes = HOMES.iter();
                let mut tails = (0..names.len()).filter_map(|start| names.get(start..));
                homes.any(|home| lies_along(names, &[home, rest]))
                    || tails.any(|tail| lies_along(tail, &[rest]))
            }
            Self::Anywhere(place) => {
                let count = components(place).count();
                let start = names.len().checked_sub(count);
                start
                    .and_then(|start| names.get(start..))
                    .is_some_and(|tail| lies_along(tail, &[place]))
            }
        }
    }

    fn can_match(&self, glob: &Glob) -> bool {
        let tokens = glob.tokens();
        let entry = atoms(&tokens);
        let meets = |text: &str| {
            let tokens = tokens_of(text.as_bytes());
            meet(&entry, &atoms(&tokens))
        };
        match self {
            Self::Anchored(place) => meets(place),
            Self::InHome(rest) => {
                let mut homes = HOMES.iter();
                homes.any(|home| meets(&format!("{home}/{rest}"))) || in_its_home(glob, rest)
            }
            // A name of wildcards, but for its ending, means no service in particular.
            Self::Anywhere(place) => says_a_name(glob) && meets(&format!("/**/{place}")),
        }
    }
}

/// Whether a glob can match a place in the home that its fixed part seems to be in: what is before the
/// place's first names.
fn in_its_home(glob: &Glob, rest: &str) -> bool {
    let prefix: Vec<&[u8]> = glob.static_prefix().names().collect();
    let starts = (0..prefix.len()).filter(|start| {
        let tail = prefix.get(*start..).unwrap_or_default();
        lies_along(tail, &[rest])
    });
    let tokens = glob.tokens();
    let entry = atoms(&tokens);
    let mut homes = starts.filter_map(|start| prefix.get(..start));
    homes.any(|home| {
        let mut text: Vec<u8> = home
            .iter()
            .flat_map(|name| [&b"/"[..], name].concat())
            .collect();
        text.push(b'/');
        let mut tokens = vec![GlobToken::Literal(text.into())];
        tokens.extend(tokens_of(rest.as_bytes()));
        meet(&entry, &atoms(&tokens))
    })
}

fn says_a_name(glob: &Glob) -> bool {
    let text = glob.literal().as_bytes();
    let name = text.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let plain: Vec<u8> = name
        .iter()
        .copied()
        .filter(|byte| !b"*?".contains(byte))
        .collect();
    let stem = plain
        .strip_suffix(b".sock")
        .or_else(|| plain.strip_suffix(b".socket"));
    let stem = stem.unwrap_or(&plain);
    stem.iter().any(u8::is_ascii_alphanumeric) && ![&b"sock"[..], b"socket"].contains(&stem)
}

fn components(place: &str) -> impl Iterator<Item = &[u8]> {
    place
        .split('/')
        .filter(|name| !name.is_empty())
        .map(str::as_bytes)
}

/// Whether a path is a place or one above it; `**` at a place's end stands for all that is below.
fn lies_along(names: &[&[u8]], parts: &[&str]) -> bool {
    let mut place = parts.iter().flat_map(|part| components(part));
    for name in names {
        match place.next() {
            Some(b"**") => return true,
            Some(pattern) if matches_name(pattern, name) => {}
            Some(_) | None => return false,
        }
    }
    true
}

/// Whether a name matches a pattern whose only special character is `*`.
fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let found = (0..=rest.len()).find_map(|at| rest.get(at..)?.strip_prefix(part));
        let Some(after) = found else { return false };
        rest = after;
    }
    true
}

/// One step of an automaton that reads a path.
#[derive(Clone, Copy)]
enum Atom<'g> {
    Token(&'g GlobToken),
    Exactly(Unit),
    /// Directories may follow, or none.
    Enter,
    /// Within such directories: up to a slash.
    Within,
}

fn atoms(tokens: &[GlobToken]) -> Vec<Atom<'_>> {
    let each = tokens.iter().flat_map(|token| match token {
        GlobToken::Literal(bytes) => units(bytes).map(Atom::Exactly).collect(),
        GlobToken::Directories => vec![Atom::Enter, Atom::Within],
        GlobToken::AnyCharacter | GlobToken::Run | GlobToken::Anything | GlobToken::Set(_) => {
            vec![Atom::Token(token)]
        }
    });
    each.collect()
}

/// Whether there is a path that both match: a walk over the pairs of their positions.
fn meet(left: &[Atom<'_>], right: &[Atom<'_>]) -> bool {
    let width = right.len() + 1;
    let mut seen = vec![false; (left.len() + 1) * width];
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        match seen.get_mut(i * width + j) {
            Some(seen) if !*seen => *seen = true,
            Some(_) | None => continue,
        }
        let (a, b) = (left.get(i), right.get(j));
        if a.is_none() && b.is_none() {
            return true;
        }
        let ahead = |atom: Option<&Atom<'_>>| atom.map_or(&[][..], Atom::free);
        open.extend(ahead(a).iter().map(|step| (i + step, j)));
        open.extend(ahead(b).iter().map(|step| (i, j + step)));
        let (Some(a), Some(b)) = (a, b) else { continue };
        for slash in [false, true] {
            if a.shares(*b, slash) {
                let after = |atom: &Atom<'_>| atom.consuming(slash);
                let pairs = after(a)
                    .iter()
                    .flat_map(|x| after(b).iter().map(move |y| (i + x, j + y)));
                open.extend(pairs);
            }
        }
    }
    false
}

impl Atom<'_> {
    /// How far one may go on without a character.
    const fn free(&self) -> &'static [usize] {
        match self {
            Self::Token(GlobToken::Run | GlobToken::Anything) => &[1],
            Self::Enter => &[1, 2],
            Self::Token(_) | Self::Exactly(_) | Self::Within => &[],
        }
    }

    /// How far one may go on with a character, a slash or another one.
    const fn consuming(&self, slash: bool) -> &'static [usize] {
        match self {
            Self::Token(GlobToken::Run | GlobToken::Anything) => &[0],
            Self::Within if slash => &[0, 1],
            Self::Within => &[0],
            Self::Token(_) | Self::Exactly(_) => &[1],
            Self::Enter => &[],
        }
    }

    /// Whether both read some same character: the slash, or one that is none.
    fn shares(self, other: Self, slash: bool) -> bool {
        match (self, other) {
            (Self::Exactly(unit), atom) | (atom, Self::Exactly(unit)) => {
                (unit == Unit::SLASH) == slash && atom.reads(unit)
            }
            (Self::Token(GlobToken::Set(a)), Self::Token(GlobToken::Set(b))) => {
                !slash && a.overlaps(b)
            }
            (a, b) => !slash || (a.reads(Unit::SLASH) && b.reads(Unit::SLASH)),
        }
    }

    fn reads(self, unit: Unit) -> bool {
        match self {
            Self::Exactly(own) => own == unit,
            Self::Token(GlobToken::AnyCharacter | GlobToken::Run) => unit != Unit::SLASH,
            Self::Token(GlobToken::Set(set)) => set.contains_unit(unit),
            Self::Token(_) | Self::Within => true,
            Self::Enter => false,
        }
    }
}
