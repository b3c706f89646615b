//! Names that a file system may take for the same as a protected one.
//!
//! A directory that folds names (ext4 and f2fs with `casefold`, APFS) normalises them (NFD), folds
//! case and drops code points that are not shown. The protected names are ASCII, so that what can
//! become one of them is a short list: ASCII letters of both cases, the Kelvin sign and the long s,
//! the Latin ligatures, and default-ignorable code points anywhere between.

/// No name of the table is longer (a test measures them).
pub(crate) const LONGEST_NAME: usize = 32;

/// A name folded into a buffer of its own; no longer than the longest name of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldedName {
    bytes: [u8; LONGEST_NAME],
    length: usize,
}

impl FoldedName {
    /// The name.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.length)? = byte.to_ascii_lowercase();
        self.length += 1;
        Some(())
    }
}

/// Folds a name; `None` where it is longer than every protected name or can't become one.
pub(crate) fn fold_into(name: &[u8]) -> Option<FoldedName> {
    let mut folded = FoldedName {
        bytes: [0; LONGEST_NAME],
        length: 0,
    };
    if name.is_ascii() {
        for byte in name {
            folded.push(*byte)?;
        }
        return Some(folded);
    }
    // A name that is not UTF-8 is compared byte by byte even by a directory that folds.
    for character in std::str::from_utf8(name).ok()?.chars() {
        if character.is_ascii() {
            folded.push(u8::try_from(character).ok()?)?;
        } else if !is_ignorable(character) {
            for letter in ascii_letters(character)?.bytes() {
                folded.push(letter)?;
            }
        }
    }
    Some(folded)
}

/// Whether a directory that folds names may take a name for this ASCII one, which is no longer than
/// those of the table.
#[must_use]
pub fn is_alias(name: &[u8], protected: &str) -> bool {
    fold_into(name)
        .is_some_and(|folded| folded.as_bytes().eq_ignore_ascii_case(protected.as_bytes()))
}

/// What else folds to ASCII letters.
fn ascii_letters(character: char) -> Option<&'static str> {
    Some(match character {
        '\u{212a}' => "k",
        '\u{17f}' => "s",
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' | '\u{fb06}' => "st",
        _ => return None,
    })
}

/// Unicode's `Default_Ignorable_Code_Point`.
fn is_ignorable(character: char) -> bool {
    matches!(
        character,
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
