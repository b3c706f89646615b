//! Glob → anchored Seatbelt regular expression: the only place that escapes one.
//!
//! Seatbelt's dialect is documented nowhere. What is written here keeps to what its users share:
//! anchors, `.*`, groups with `?` and `|`, classes of ASCII letters and digits. A special
//! character is never put into a class, where dialects differ, but escaped beside it.

use sandbox_policy::{Glob, GlobSet, GlobToken};

use super::{ProfileError, sbpl::Regex};

/// Which paths an expression stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// The matches.
    Matches,
    /// The matches and everything below them.
    Regions,
}

/// An expression for `tokens`, which were derived from `glob`.
pub(crate) fn regex(
    tokens: &[GlobToken],
    coverage: Coverage,
    glob: &Glob,
) -> Result<Regex, ProfileError> {
    let unsupported = |reason| ProfileError::UnsupportedGlob {
        glob: glob.to_string(),
        reason,
    };
    let mut text = "^".to_owned();
    for token in tokens {
        match token {
            GlobToken::Literal(bytes) => {
                let literal = str::from_utf8(bytes)
                    .map_err(|_not_utf8| unsupported("it is not valid UTF-8"))?;
                if literal.chars().any(char::is_control) {
                    return Err(unsupported("it contains a control character"));
                }
                literal
                    .chars()
                    .for_each(|character| push_escaped(&mut text, character));
            }
            GlobToken::AnyCharacter => text.push_str("[^/]"),
            GlobToken::Run => text.push_str("[^/]*"),
            GlobToken::Anything => text.push_str(".*"),
            GlobToken::Directories => text.push_str("(.*/)?"),
            GlobToken::Set(set) => push_set(&mut text, set)
                .ok_or_else(|| unsupported("a set contains a character outside printable ASCII"))?,
        }
    }
    if coverage == Coverage::Regions {
        text.push_str("(/.*)?");
    }
    text.push('$');
    if text.len() > REGEX_LIMIT {
        return Err(ProfileError::GlobTooLong {
            glob: glob.to_string(),
            length: text.len(),
        });
    }
    Ok(Regex(text))
}

/// Whether the tokens alone match the text that they were read from. Every element but a set
/// matches its own spelling.
pub(crate) fn matches_own_text(glob: &Glob) -> bool {
    !glob
        .tokens()
        .iter()
        .any(|token| matches!(token, GlobToken::Set(_)))
}

fn push_escaped(text: &mut String, character: char) {
    if r"\.+*?()[]{}^$|".contains(character) {
        text.push('\\');
    }
    text.push(character);
}

/// `[ab^]` → `([ab]|\^)`; `None` for what is not printable ASCII.
fn push_set(text: &mut String, set: &GlobSet) -> Option<()> {
    let mut plain = String::new();
    let mut alternatives = Vec::new();
    for &(low, high) in set.ranges() {
        if !(' '..='~').contains(&low) || !(' '..='~').contains(&high) {
            return None;
        }
        for character in low..=high {
            if character.is_ascii_alphanumeric() {
                if !plain.contains(character) {
                    plain.push(character);
                }
            } else {
                let mut escaped = String::new();
                push_escaped(&mut escaped, character);
                if !alternatives.contains(&escaped) {
                    alternatives.push(escaped);
                }
            }
        }
    }
    if !plain.is_empty() {
        alternatives.insert(0, format!("[{plain}]"));
    }
    text.push('(');
    text.push_str(&alternatives.join("|"));
    text.push(')');
    Some(())
}

/// `sandbox-exec` rejects a profile with a longer expression.
pub(crate) const REGEX_LIMIT: usize = 1025;
