//! Denials as text that is safe to show: in status lines, header fields and logs.

use sandbox_policy::{Denial, DenialReason};

/// Makes foreign text inert: runs of control and invisible characters become one space, `<` and `>`
/// vanish (the text may land between tags), and at most 500 UTF-16 units remain.
#[must_use]
pub fn plain_text(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(MAX_UNITS));
    let mut units = 0;
    let mut in_run = false;
    for character in text.chars() {
        if matches!(character, '<' | '>') {
            continue;
        }
        let invisible = is_invisible(character);
        if invisible && in_run {
            continue;
        }
        in_run = invisible;
        let shown = if invisible { ' ' } else { character };
        units += shown.len_utf16();
        if units > MAX_UNITS {
            break;
        }
        plain.push(shown);
    }
    plain.trim().to_owned()
}

/// As [`plain_text`], for status lines and header fields: what is not ASCII becomes `?`.
pub(crate) fn header_text(text: &str) -> String {
    plain_text(text)
        .chars()
        .map(|character| if character.is_ascii() { character } else { '?' })
        .collect()
}

/// The reason of a denial in a few words: the settings author's own ones where there are any.
pub(crate) fn phrase(denial: &Denial) -> &str {
    match denial.note.as_deref() {
        Some(note) if !note.trim().is_empty() => note,
        _ => denial.reason.phrase(),
    }
}

/// Everything there is to know about a denial on one line: code, reason, object, rule and its place,
/// and what can be done about it.
pub(crate) fn full(denial: &Denial) -> String {
    let hint = match denial.reason {
        DenialReason::HostNotAllowed => "; add the host to the allowed domains to permit it",
        DenialReason::AddressDenied(_) => {
            "; add the address itself to the allowed domains to permit it"
        }
        DenialReason::HostDenied
        | DenialReason::MalformedHost
        | DenialReason::LocalhostElsewhere
        | DenialReason::DeciderRefused
        | DenialReason::ReadDenied
        | DenialReason::WriteDenied
        | DenialReason::WriteNotAllowed
        | DenialReason::SocketNotListed => "",
    };
    format!("{}: {denial}{hint}", denial.reason.code())
}

/// Control characters and what changes the look of a line without being seen: soft hyphen,
/// joiners, direction marks and isolates, line separators, variation selectors, tags.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

const MAX_UNITS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_becomes_inert() {
        for (text, plain) in [
            ("plain", "plain"),
            ("a\r\nSet-Cookie: x", "a Set-Cookie: x"),
            ("a\u{1b}[2J\u{0}\u{7}b", "a [2J b"),
            ("evil\u{202e}txt", "evil txt"),
            ("</sandbox_violations>x", "/sandbox_violationsx"),
            ("  \t\u{200b} ", ""),
        ] {
            assert_eq!(plain_text(text), plain, "{text:?}");
        }
        assert_eq!(plain_text(&"x".repeat(900)).len(), 500);
        assert_eq!(
            plain_text(&"\u{1f600}".repeat(900)).encode_utf16().count(),
            500
        );
        assert_eq!(header_text("münchen"), "m?nchen");
    }
}
