//! A file's text, and where in it a byte stands.

use std::{
    cell::Cell,
    ops::Range,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use sandbox_policy::{Origin, without_logins};

/// The text that spans and origins refer to.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) file: Arc<PathBuf>,
    pub(crate) text: String,
    /// The text for messages, which most files never need.
    quotable: OnceLock<Arc<str>>,
    marks: Vec<Mark>,
    /// The mark before the latest position: mostly the next one lies near.
    latest: Cell<usize>,
    /// Whether bytes are characters, as in most files: then the lines' starts are marks enough.
    is_ascii: bool,
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
    pub(crate) fn new(file: Arc<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        let is_ascii = text.is_ascii();
        let marks = if is_ascii {
            Mark::of_lines(&text)
        } else {
            Mark::of_characters(&text)
        };
        Self {
            file,
            text,
            quotable: OnceLock::new(),
            marks,
            latest: Cell::new(0),
            is_ascii,
        }
    }

    /// The text as it may be quoted: a line with a mistake may have a password in it.
    pub(crate) fn quotable(&self) -> Arc<str> {
        let covered = || without_logins(&self.text).into();
        Arc::clone(self.quotable.get_or_init(covered))
    }

    /// Line and column (in characters) of a byte offset, both from 1.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let mark = self.mark_before(offset);
        if self.is_ascii {
            let beyond = offset.min(self.text.len()).saturating_sub(mark.offset);
            let beyond = u32::try_from(beyond).unwrap_or(u32::MAX);
            return (mark.line, mark.column.saturating_add(beyond));
        }
        let Mark { line, column, .. } = mark.advanced(&self.text, offset);
        (line, column)
    }

    fn mark_before(&self, offset: usize) -> Mark {
        let starts = |at: usize| self.marks.get(at).is_some_and(|mark| mark.offset <= offset);
        let latest = self.latest.get();
        let near = [latest, latest.saturating_add(1)].into_iter();
        let mut near = near.filter(|at| starts(*at) && !starts(at.saturating_add(1)));
        let at = near.next().unwrap_or_else(|| {
            let after = self.marks.partition_point(|mark| mark.offset <= offset);
            after.saturating_sub(1)
        });
        self.latest.set(at);
        self.marks.get(at).copied().unwrap_or(Mark::START)
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

    /// The starts of the lines.
    fn of_lines(text: &str) -> Vec<Self> {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let below = ends.zip(2_u32..).map(|(end, line)| Self {
            offset: end.saturating_add(1),
            line,
            column: 1,
        });
        std::iter::once(Self::START).chain(below).collect()
    }

    /// The starts of the lines, and places in long ones.
    fn of_characters(text: &str) -> Vec<Self> {
        let mut marks = vec![Self::START];
        let mut last = Self::START;
        for (offset, character) in text.char_indices() {
            if offset >= last.offset.saturating_add(MARK_DISTANCE) {
                last = last.advanced(text, offset);
                marks.push(last);
            }
            // A line's start is a mark that costs nothing.
            if character == '\n' {
                last = last.advanced(text, offset.saturating_add(1));
                marks.push(last);
            }
        }
        marks
    }

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

#[cfg(test)]
mod tests {
    use super::{MARK_DISTANCE, Source};
    use std::sync::Arc;

    #[test]
    fn positions_are_those_of_counting_from_the_beginning() {
        let pieces = ["", "a", "\n", "\r\n", "é", "日本", "\u{1f600}"];
        let mut texts = vec![String::new()];
        for one in pieces {
            for other in pieces {
                for length in [1, MARK_DISTANCE - 1, MARK_DISTANCE, MARK_DISTANCE + 1] {
                    let filler = "x".repeat(length);
                    texts.push([one, &filler, other, one, &filler, "\n", &filler, other].concat());
                }
                texts.push([one, other, "\"", one].concat().repeat(100));
            }
        }
        for text in texts {
            let source = Source::new(Arc::new("settings.json".into()), text.as_str());
            let (mut line, mut column) = (1, 1);
            for (offset, character) in text.char_indices() {
                assert_eq!(
                    source.position(offset),
                    (line, column),
                    "{offset} of {text:?}"
                );
                if character == '\n' {
                    (line, column) = (line + 1, 1);
                } else {
                    column += 1;
                }
            }
            assert_eq!(
                source.position(text.len()),
                (line, column),
                "the end of {text:?}"
            );
        }
    }
}
