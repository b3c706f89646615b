//! Mistakes before their file is attached, and texts of files in messages.

use std::{ops::Range, sync::Arc};

use sandbox_policy::{visible, without_logins};

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
            source_text: source.quotable(),
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
    let text = without_logins(text);
    let mut shown: String = visible(&text).chars().take(SHOWN_LIMIT).collect();
    if shown.chars().count() == SHOWN_LIMIT {
        shown.push('…');
    }
    shown
}

/// Enough to recognise an entry by.
const SHOWN_LIMIT: usize = 200;
