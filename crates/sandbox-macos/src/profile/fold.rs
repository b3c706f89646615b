//! Names without regard to case.
//!
//! The file systems of macOS take `.GIT` for `.git`, and Seatbelt sees a name that does not exist
//! yet as the caller spelt it. A rule for `.git/hooks` alone would let `.git/HOOKS` be created, and
//! git would run what is in it. So whatever closes a path or pins a name is said a second time, as
//! an expression that matches every spelling. On a volume that does tell cases apart this closes
//! more than was asked for, never less. What opens a path is taken as it is spelt.
//!
//! Folding covers ASCII letters and the two characters beyond ASCII that fold to one (`\u{212a}` to
//! `k`, `\u{17f}` to `s`). Other letters are left as they are spelt.

use sandbox_policy::AbsolutePath;

use super::{
    glob::{Coverage, REGEX_LIMIT, push_escaped},
    sbpl::{Filter, Regex},
};

/// Whether an expression takes names as they are spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Exact,
    Folded,
}

/// Appends an expression for every spelling of a character.
pub(crate) fn push(text: &mut String, character: char) {
    let spellings = match character {
        'k' | 'K' | '\u{212a}' => "(k|K|\u{212a})",
        's' | 'S' | '\u{17f}' => "(s|S|\u{17f})",
        letter if letter.is_ascii_alphabetic() => {
            text.push('[');
            text.push(letter.to_ascii_lowercase());
            text.push(letter.to_ascii_uppercase());
            text.push(']');
            return;
        }
        other => return push_escaped(text, other),
    };
    text.push_str(spellings);
}

/// A filter for every spelling of a path. A long one is several expressions, each for some of the
/// components, as Seatbelt limits the length of one.
pub(crate) fn filter(path: &AbsolutePath, coverage: Coverage) -> Filter {
    let mut chunks = vec!["^".to_owned()];
    for (index, name) in path
        .as_bytes()
        .split(|byte| *byte == b'/')
        .skip(1)
        .enumerate()
    {
        let name = folded_name(name);
        let is_full = chunks
            .last()
            .is_some_and(|chunk| chunk.len() + name.len() > CHUNK_LIMIT);
        if is_full && let Some(chunk) = chunks.last_mut() {
            // The next component begins here.
            chunk.push('/');
            chunks.push(format!("^{}", "/[^/]*".repeat(index)));
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.push('/');
            chunk.push_str(&name);
        }
    }
    if let Some(last) = chunks.last_mut() {
        last.push_str(coverage.ending());
    }
    let mut regexes: Vec<Filter> = chunks
        .into_iter()
        .map(|text| Filter::Regex(Regex(text)))
        .collect();
    match (regexes.pop(), regexes.is_empty()) {
        (Some(only), true) => only,
        (last, _) => Filter::All(regexes.into_iter().chain(last).collect()),
    }
}

/// An expression for one component. A name that is not UTF-8 can't exist on these file systems; it
/// is taken for any name rather than for none.
fn folded_name(name: &[u8]) -> String {
    let Ok(name) = str::from_utf8(name) else {
        return "[^/]*".to_owned();
    };
    let mut text = String::new();
    for character in name.chars() {
        // A control character has no place in a profile: any character takes its place.
        if character.is_control() {
            text.push_str("[^/]");
        } else {
            push(&mut text, character);
        }
    }
    if text.len() <= NAME_LIMIT {
        return text;
    }
    // Hundreds of letters in one name: as they are spelt, which always fits.
    let mut text = String::new();
    name.chars()
        .filter(|character| !character.is_control())
        .for_each(|character| push_escaped(&mut text, character));
    text
}

/// Room is left for the components that are skipped and for the ending.
const CHUNK_LIMIT: usize = REGEX_LIMIT - 50;

const NAME_LIMIT: usize = REGEX_LIMIT / 2;
