//! Glob → anchored Seatbelt regular expression: the only place that escapes one.
//!
//! Seatbelt's dialect is documented nowhere. What is written here keeps to what its users share:
//! anchors, `.*`, groups with `?` and `|`, classes of letters. A special character is never put into
//! a class, where dialects differ, but escaped beside it.

use sandbox_policy::{Glob, GlobSet, GlobToken};

use super::{
    ProfileError,
    fold::{self, Case},
    sbpl::Regex,
};

/// Which paths an expression stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// The matches.
    Matches,
    /// The matches and everything below them.
    Regions,
}

impl Coverage {
    /// The end of an expression.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Matches => "$",
            Self::Regions => "(/.*)?$",
        }
    }
}

/// An expression for `tokens`, which were derived from `glob`.
pub(crate) fn regex(
    tokens: &[GlobToken],
    coverage: Coverage,
    case: Case,
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
                literal.chars().for_each(|character| match case {
                    Case::Exact => push_escaped(&mut text, character),
                    Case::Folded => fold::push(&mut text, character),
                });
            }
            GlobToken::AnyCharacter => text.push_str("[^/]"),
            GlobToken::Run => text.push_str("[^/]*"),
            GlobToken::Anything => text.push_str(".*"),
            GlobToken::Directories => text.push_str("(.*/)?"),
            GlobToken::Set(set) => push_set(&mut text, set, case).ok_or_else(|| {
                unsupported(if set.is_negated() {
                    "a negated set contains more than ASCII letters and digits"
                } else {
                    "a set contains a character outside printable ASCII"
                })
            })?,
        }
    }
    text.push_str(coverage.ending());
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

pub(crate) fn push_escaped(text: &mut String, character: char) {
    if r"\.+*?()[]{}^$|".contains(character) {
        text.push('\\');
    }
    text.push(character);
}

/// `[ab^]` → `(a|b|\^)`; `None` for what is not printable ASCII.
fn push_set(text: &mut String, set: &GlobSet, case: Case) -> Option<()> {
    if set.is_negated() {
        return push_negated(text, set, case);
    }
    let mut alternatives = Vec::new();
    for &(low, high) in set.ranges() {
        if !(' '..='~').contains(&low) || !(' '..='~').contains(&high) {
            return None;
        }
        for character in low..=high {
            let mut alternative = String::new();
            match case {
                Case::Exact => push_escaped(&mut alternative, character),
                Case::Folded => fold::push(&mut alternative, character),
            }
            if !alternatives.contains(&alternative) {
                alternatives.push(alternative);
            }
        }
    }
    text.push('(');
    text.push_str(&alternatives.join("|"));
    text.push(')');
    Some(())
}

/// All but `a` and `b` → `[^/ab]`; `None` for what dialects read differently in a class.
fn push_negated(text: &mut String, set: &GlobSet, case: Case) -> Option<()> {
    text.push_str("[^/");
    // Another spelling of each may be in the set: more is closed, never less.
    let exact = set.ranges().iter().filter(|_| case == Case::Exact);
    for &(low, high) in exact {
        for character in (low..=high).filter(|character| *character != '/') {
            if !character.is_ascii_alphanumeric() {
                return None;
            }
            text.push(character);
        }
    }
    text.push(']');
    Some(())
}

/// `sandbox-exec` rejects a profile with a longer expression.
pub(crate) const REGEX_LIMIT: usize = 1025;
