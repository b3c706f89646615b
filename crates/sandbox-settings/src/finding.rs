//! Mistakes before their file is attached, and texts of files in messages.

use std::{ops::Range, sync::Arc};

use crate::{
    error::{SettingsError, SettingsErrorKind},
    source::Source,
};

/// A mistake before its file is attached.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) span: Range<usize>,
    pub(crate) kind: SettingsErrorKind,
    pub(crate) help: Option<String>,
}

impl Finding {
    pub(crate) fn new(span: Range<usize>, kind: SettingsErrorKind) -> Self {
        Self {
            span,
            kind,
            help: None,
        }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    pub(crate) fn in_source(self, source: &Source) -> SettingsError {
        let (line, column) = source.position(self.span.start);
        SettingsError {
            file: Arc::clone(&source.file),
            source_text: Arc::clone(&source.text),
            span: self.span,
            line,
            column,
            kind: self.kind,
            help: self.help,
        }
    }
}

/// A text of a file as part of a message: escaped, and cut if it is long.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = escaped(text).chars().take(SHOWN_LIMIT).collect();
    if shown.chars().count() == SHOWN_LIMIT {
        shown.push('…');
    }
    shown
}

/// A text in which what could move the cursor, hide or reorder text is escaped: the author of a
/// project's file is not the reader's friend.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let reorders = matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if character.is_control() || reorders {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Enough to recognise an entry by.
const SHOWN_LIMIT: usize = 200;
