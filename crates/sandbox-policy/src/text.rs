//! Texts from people who may wish the reader no good: names of files and hosts, and what programs
//! call themselves.

use std::borrow::Cow;

/// Whether a character does something else than to be seen in its place: control characters, and what
/// changes the look of a line without being seen (soft hyphen, joiners, direction marks and isolates,
/// line separators, variation selectors, tags; Unicode's `Default_Ignorable_Code_Point`).
#[must_use]
pub fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A text in which nothing is hidden, moved or reordered, on one line: what deceives is written as
/// `\u{1b}`.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if deceives(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A path, or another name of the system's, as text. It is what it was, so that it can be written into
/// settings, but for bytes that are no UTF-8: they are written as `\xff`. Nothing is made visible.
#[must_use]
pub fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}

/// Whether a text that [`shown`] gave, once made [`visible`], still is the name that it is about: no
/// character of it deceives, and no byte was no UTF-8. A name that looks like such a byte counts as one.
#[must_use]
pub fn is_exact(shown: &str) -> bool {
    let is_byte = |code: &str| {
        let mut digits = code.bytes();
        matches!(digits.next(), Some(b'8'..=b'9' | b'a'..=b'f'))
            && digits.next().is_some_and(|digit| digit.is_ascii_hexdigit())
    };
    !shown.chars().any(deceives) && !shown.split(r"\x").skip(1).any(is_byte)
}

/// A text as one word of a POSIX shell, in quotes where it needs them.
#[must_use]
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+,=-~".contains(&byte);
    // A tilde in front is the home directory.
    if !text.is_empty() && !text.starts_with('~') && text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

/// The text with every login in a URL covered, each byte by a `*`: what is quoted of a file or of an
/// argument must not tell a password. The text keeps its length, so that positions in it stay.
///
/// Each string and line is looked at by itself. In doubt more is covered: passwords hold anything.
#[must_use]
pub fn without_logins(text: &str) -> String {
    let mut covered = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(end_of_part(rest));
        let at = part.rfind('@').unwrap_or(0);
        let before = part.get(..at).unwrap_or_default();
        // JSON may write a slash as `\/`.
        let after_scheme = |mark: &str| before.find(mark).map(|place| place + mark.len());
        let start = after_scheme("://").or_else(|| after_scheme(r":\/\/"));
        // Without a scheme it is a login only with a password.
        let start = start
            .or_else(|| before.contains(':').then_some(0))
            .unwrap_or(at);
        covered.push_str(part.get(..start).unwrap_or_default());
        covered.extend(std::iter::repeat_n('*', at.saturating_sub(start)));
        covered.push_str(part.get(at..).unwrap_or_default());
        rest = after;
    }
    covered
}

/// Where a string or a line ends, its end included.
fn end_of_part(text: &str) -> usize {
    let mut is_escaped = false;
    for (place, character) in text.char_indices() {
        let ends = matches!(character, '\n' | '\r') || (character == '"' && !is_escaped);
        if ends {
            return place + 1;
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    text.len()
}
