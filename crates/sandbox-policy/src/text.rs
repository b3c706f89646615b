//! Texts from people who may wish the reader no good: names of files and hosts, and what programs
//! call themselves.

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

/// The text with every login in a URL covered, each byte by a `*`: what is quoted of a file or of an
/// argument must not tell a password. The text keeps its length, so that positions in it stay.
#[must_use]
pub fn without_logins(text: &str) -> String {
    let mut covered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + "://".len());
        covered.push_str(before);
        let is_end = |character: char| {
            character.is_whitespace() || matches!(character, '"' | '\'' | '`' | '<' | '>')
        };
        let url = after.find(is_end).unwrap_or(after.len());
        // Further URLs of the same word are covered on their own.
        let url = after
            .get(..url)
            .and_then(|word| word.find("://"))
            .unwrap_or(url);
        let (word, beyond) = after.split_at(url);
        match word.rfind('@') {
            Some(at) => {
                covered.extend(std::iter::repeat_n('*', at));
                covered.push_str(word.get(at..).unwrap_or_default());
            }
            None => covered.push_str(word),
        }
        rest = beyond;
    }
    covered.push_str(rest);
    covered
}
