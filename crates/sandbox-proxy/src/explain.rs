//! Denials as text that is safe to show: in status lines, header fields and logs.

use sandbox_policy::{Denial, DenialReason, deceives};

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
        let invisible = deceives(character);
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
        | DenialReason::SocketNotListed
        | DenialReason::CallRefused => "",
    };
    format!("{}: {denial}{hint}", denial.reason.code())
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
