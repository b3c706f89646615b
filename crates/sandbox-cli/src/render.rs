//! Mistakes in settings, as the user sees them: the line, an underline, the code, advice.

use std::{
    error::Error,
    fmt,
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};
use sandbox_core::settings::{SettingsError, SettingsErrors};

use crate::{env, exit_code, message};

/// Prints all of them; nothing runs.
pub(crate) fn settings_errors(errors: &SettingsErrors) -> ExitCode {
    let handler = handler();
    for (index, error) in errors.0.iter().enumerate() {
        if index > 0 {
            message::say(format_args!(""));
        }
        let shown = Shown::new(error);
        let mut text = String::new();
        match handler.render_report(&mut text, &shown) {
            Ok(()) => message::say(format_args!("{}", text.trim_end())),
            Err(fmt::Error) => message::say(format_args!("error: {shown}")),
        }
    }
    ExitCode::from(exit_code::SET_UP)
}

fn handler() -> GraphicalReportHandler {
    let terminal = io::stderr().is_terminal();
    let theme = if terminal && !env::no_color() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    // Programs that read messages are not helped by line breaks in paths.
    GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(WIDTH)
        .with_wrap_lines(terminal)
        .with_break_words(false)
        .without_syntax_highlighting()
}

/// A mistake with everything that is drawn.
#[derive(Debug)]
struct Shown<'a> {
    error: &'a SettingsError,
    message: String,
    help: Option<String>,
    source: Option<NamedSource<String>>,
}

impl<'a> Shown<'a> {
    fn new(error: &'a SettingsError) -> Self {
        let file = message::visible(&error.file.display().to_string());
        let text = clean(&error.source_text);
        let is_drawn = !text.trim().is_empty()
            && error.span.end <= text.len()
            && longest_line_around(&text, error.span.start) <= LINE_LIMIT;
        // Where no line is drawn, the message itself says where.
        let message = match (is_drawn, error.source_text.is_empty()) {
            (true, _) => error.kind.to_string(),
            (false, true) => format!("{file}: {}", error.kind),
            (false, false) => format!("{file}:{}:{}: {}", error.line, error.column, error.kind),
        };
        Self {
            error,
            message: message::visible(&message),
            help: error.help.as_deref().map(message::visible),
            source: is_drawn.then(|| NamedSource::new(file, text)),
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Shown<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!(
            "sandbox::settings::{}",
            self.error.kind.code()
        )))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display + 'a>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref()?;
        let span = self.error.span.clone();
        Some(Box::new([LabeledSpan::underline(span)].into_iter()))
    }
}

/// The text with every character that could deceive replaced by one of the same length, so that
/// byte ranges still hold.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let ends_line = character == '\r' && characters.peek() == Some(&'\n');
        let kept = ends_line || matches!(character, '\n' | '\t') || !message::deceives(character);
        cleaned.push(match character.len_utf8() {
            _ if kept => character,
            1 => '?',
            2 => '\u{bf}',
            _ => '\u{fffd}',
        });
    }
    cleaned
}

/// Bytes of the longest of the lines that would be drawn: the mistake's own and its neighbours.
fn longest_line_around(text: &str, offset: usize) -> usize {
    let mut start = 0;
    let mut lengths = text.split_inclusive('\n').map(|line| {
        let first = start;
        start += line.len();
        (first, line.len())
    });
    let mut before = 0;
    let mut found = 0;
    for (first, length) in lengths.by_ref() {
        if first + length > offset {
            found = before.max(length);
            break;
        }
        before = length;
    }
    found.max(lengths.next().map_or(0, |(_, length)| length))
}

/// Columns that a message is wrapped to on a terminal.
const WIDTH: usize = 100;

/// Bytes of a line that is still worth drawing.
const LINE_LIMIT: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceiving_characters_are_replaced_in_their_length() {
        let text = "a\u{1b}[2Jb\u{202e}c\u{9b}d\re\r\nf\tg";
        let cleaned = clean(text);
        assert_eq!(cleaned, "a?[2Jb\u{fffd}c\u{bf}d?e\r\nf\tg");
        assert_eq!(cleaned.len(), text.len());
    }

    #[test]
    fn the_drawn_lines_are_measured() {
        let text = "1\n22\n333\n4444\n55555";
        assert_eq!(longest_line_around(text, 0), 3);
        assert_eq!(longest_line_around(text, 5), 5);
        assert_eq!(longest_line_around(text, text.len() - 1), 5);
        assert_eq!(longest_line_around(text, text.len()), 0);
    }
}
