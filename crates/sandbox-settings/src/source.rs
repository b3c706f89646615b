//! A file's text, and where in it a byte stands.

use std::{ops::Range, path::Path, sync::Arc};

use sandbox_policy::Origin;

/// The text that spans and origins refer to.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) file: Arc<Path>,
    pub(crate) text: Arc<str>,
    marks: Vec<Mark>,
}

/// A known position. They make finding others cheap however long a file's lines are: the author of
/// a project's file chooses its shape.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: usize,
    line: u32,
    column: u32,
}

impl Source {
    pub(crate) fn new(file: Arc<Path>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let mut marks = vec![Mark::START];
        let mut last = Mark::START;
        for (offset, character) in text.char_indices() {
            if offset >= last.offset.saturating_add(MARK_DISTANCE) {
                last = last.advanced(&text, offset);
                marks.push(last);
            }
            // A line's start is a mark that costs nothing.
            if character == '\n' {
                last = last.advanced(&text, offset.saturating_add(1));
                marks.push(last);
            }
        }
        Self { file, text, marks }
    }

    /// Line and column (in characters) of a byte offset, both from 1.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        let mark = after
            .checked_sub(1)
            .and_then(|index| self.marks.get(index))
            .copied();
        let Mark { line, column, .. } = mark.unwrap_or(Mark::START).advanced(&self.text, offset);
        (line, column)
    }

    pub(crate) fn origin(&self, span: &Range<usize>) -> Origin {
        let (line, column) = self.position(span.start);
        Origin::File {
            path: Arc::clone(&self.file),
            line,
            column,
        }
    }
}

impl Mark {
    const START: Self = Self {
        offset: 0,
        line: 1,
        column: 1,
    };

    /// The position of a later offset.
    fn advanced(self, text: &str, offset: usize) -> Self {
        let between = text.get(self.offset..offset).unwrap_or("");
        let mut moved = Self { offset, ..self };
        if let Ok(length) = u32::try_from(between.len())
            && between.bytes().all(|byte| byte.is_ascii() && byte != b'\n')
        {
            moved.column = moved.column.saturating_add(length);
            return moved;
        }
        for character in between.chars() {
            if character == '\n' {
                moved.line = moved.line.saturating_add(1);
                moved.column = 1;
            } else {
                moved.column = moved.column.saturating_add(1);
            }
        }
        moved
    }
}

const MARK_DISTANCE: usize = 64;
