//! Names without regard to case.
//!
//! The file systems of macOS take `.GIT` for `.git`, and Seatbelt sees a name that does not exist
//! yet as the caller spelt it. A rule for `.git/hooks` alone would let `.git/HOOKS` be created, and
//! git would run what is in it. So whatever closes a path or pins a name is said a second time, as
//! an expression that matches every spelling. On a volume that does tell cases apart this closes
//! more than was asked for, never less. What opens a path is taken as it is spelt.
//!
//! Names that differ in Unicode normalisation are equal too. The expressions are kept to ASCII, and
//! take any character beyond it for any other: again more is closed, never less.

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
    match character {
        // U+212A KELVIN SIGN and U+017F LONG S fold to these two.
        'k' | 'K' => text.push_str("([kK]|[^ -~]+)"),
        's' | 'S' => text.push_str("([sS]|[^ -~]+)"),
        letter if letter.is_ascii_alphabetic() => {
            text.push('[');
            text.push(letter.to_ascii_lowercase());
            text.push(letter.to_ascii_uppercase());
            text.push(']');
        }
        ascii if ascii.is_ascii() => push_escaped(text, ascii),
        // One character, or a letter with combining marks.
        _ => text.push_str("[a-zA-Z]?[^ -~]+"),
    }
}

/// A filter for every spelling of a path. Seatbelt limits the length of an expression, so that a
/// long path is several: pieces that it must hold, the first one at its beginning, and the longest
/// ending. A path would have to hold the same hundreds of letters in another order to be closed by
/// mistake.
pub(crate) fn filter(path: &AbsolutePath, coverage: Coverage) -> Filter {
    let units = units(path);
    let length: usize = units.iter().map(String::len).sum();
    if length <= PIECE_LIMIT {
        return Filter::Regex(Regex(format!("^{}{}", units.concat(), coverage.ending())));
    }
    let mut pieces = vec!["^".to_owned()];
    for unit in &units {
        if pieces
            .last()
            .is_none_or(|piece| piece.len() + unit.len() > PIECE_LIMIT)
        {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(unit);
        }
    }
    let mut room = PIECE_LIMIT;
    let mut ending: Vec<&str> = Vec::new();
    for unit in units.iter().rev() {
        let Some(left) = room.checked_sub(unit.len()) else {
            break;
        };
        room = left;
        ending.push(unit);
    }
    ending.reverse();
    pieces.push(ending.concat() + coverage.ending());
    Filter::All(
        pieces
            .into_iter()
            .map(|text| Filter::Regex(Regex(text)))
            .collect(),
    )
}

/// Expressions for a path's characters, one by one.
fn units(path: &AbsolutePath) -> Vec<String> {
    let mut units = Vec::new();
    for chunk in path.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            let mut unit = String::new();
            if character.is_control() {
                // It has no place in a profile's text: any character takes its place.
                unit.push_str("[^/]");
            } else {
                push(&mut unit, character);
            }
            units.push(unit);
        }
        if !chunk.invalid().is_empty() {
            // Such a name can't exist on these file systems. It is taken for any name, not for none.
            units.push("[^/]*".to_owned());
        }
    }
    units
}

/// Room is left for the anchor and the ending.
const PIECE_LIMIT: usize = REGEX_LIMIT - 25;
