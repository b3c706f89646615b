//! A lenient reader of git's configuration format, for the keys that name
//! files which git runs or reads as settings. Pure: text in, values out.
//!
//! Git gives up on a file at the first line that it can't read. This reader
//! goes on at the next line: to know of a place too many only closes more.

use std::iter::Peekable;

/// The keys that are of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    HooksPath,
    FsMonitor,
    AttributesFile,
    WorkTree,
    TemplateDir,
    Include,
}

/// One value of one key, in the order of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub key: Key,
    pub value: Vec<u8>,
}

/// The settings of interest in the text of a configuration file.
pub(super) fn read(text: &[u8]) -> Vec<Setting> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut bytes = Lines {
        rest: text.iter().copied().peekable(),
    };
    let mut found = Vec::new();
    let mut section = Section::default();
    while let Some(byte) = bytes.next() {
        match byte {
            b'#' | b';' => bytes.skip_line(),
            b'[' => section = bytes.section().unwrap_or_default(),
            byte if byte.is_ascii_alphabetic() => {
                let (name, value) = bytes.entry(byte);
                if let (Some(key), Some(value)) = (section.key(&name), value) {
                    found.push(Setting { key, value });
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => bytes.skip_line(),
        }
    }
    found
}

/// A section's name in lower case, and whether it has a subsection.
#[derive(Default)]
struct Section {
    name: Vec<u8>,
    has_subsection: bool,
}

impl Section {
    fn key(&self, name: &[u8]) -> Option<Key> {
        match (self.name.as_slice(), self.has_subsection, name) {
            (b"core", false, b"hookspath") => Some(Key::HooksPath),
            (b"core", false, b"fsmonitor") => Some(Key::FsMonitor),
            (b"core", false, b"attributesfile") => Some(Key::AttributesFile),
            (b"core", false, b"worktree") => Some(Key::WorkTree),
            (b"init", false, b"templatedir") => Some(Key::TemplateDir),
            (b"include", false, b"path") | (b"includeif", true, b"path") => Some(Key::Include),
            _ => None,
        }
    }
}

/// The bytes of the text, `\r\n` read as `\n`.
struct Lines<I: Iterator<Item = u8>> {
    rest: Peekable<I>,
}

impl<I: Iterator<Item = u8>> Lines<I> {
    fn next(&mut self) -> Option<u8> {
        match self.rest.next() {
            Some(b'\r') if self.rest.peek() == Some(&b'\n') => self.rest.next(),
            byte => byte,
        }
    }

    fn skip_line(&mut self) {
        while !matches!(self.next(), None | Some(b'\n')) {}
    }

    /// What follows a `[`, to its `]`. A section that can't be read is none.
    fn section(&mut self) -> Option<Section> {
        let mut section = Section::default();
        loop {
            match self.next()? {
                b']' => return Some(section),
                b'"' => {
                    section.has_subsection = true;
                    self.subsection()?;
                }
                b'\n' => return None,
                b'.' => section.has_subsection = true,
                byte if byte.is_ascii_whitespace() => {}
                byte if !section.has_subsection => section.name.push(byte.to_ascii_lowercase()),
                _ => {}
            }
        }
    }

    fn subsection(&mut self) -> Option<()> {
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => {
                    self.next()?;
                }
                b'\n' => return None,
                _ => {}
            }
        }
    }

    /// A name in lower case and its value; none for a name alone.
    fn entry(&mut self, first: u8) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut name = vec![first.to_ascii_lowercase()];
        loop {
            match self.next() {
                Some(b'=') => return (name, Some(self.value())),
                None | Some(b'\n') => return (name, None),
                Some(b'#' | b';') => {
                    self.skip_line();
                    return (name, None);
                }
                Some(byte) if byte.is_ascii_whitespace() => {}
                Some(byte) => name.push(byte.to_ascii_lowercase()),
            }
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        let mut kept = 0;
        let mut quoted = false;
        while let Some(byte) = self.next() {
            match byte {
                b'\n' => break,
                b'"' => {
                    quoted = !quoted;
                    kept = value.len();
                    continue;
                }
                b'#' | b';' if !quoted => {
                    self.skip_line();
                    break;
                }
                b'\\' => match self.next() {
                    None => break,
                    Some(b'\n') => continue,
                    Some(b't') => value.push(b'\t'),
                    Some(b'n') => value.push(b'\n'),
                    Some(b'b') => value.push(8),
                    Some(other) => value.push(other),
                },
                byte if !quoted && byte.is_ascii_whitespace() => {
                    if !value.is_empty() {
                        value.push(byte);
                    }
                    continue;
                }
                byte => value.push(byte),
            }
            kept = value.len();
        }
        value.truncate(kept);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, read};

    fn one(text: &str) -> Option<(Key, String)> {
        let mut found = read(text.as_bytes());
        assert!(found.len() < 2, "{found:?}");
        found
            .pop()
            .map(|setting| (setting.key, String::from_utf8(setting.value).unwrap()))
    }

    #[test]
    fn spellings_of_one_value() {
        for text in [
            "[core]\nhooksPath = a b\n",
            "\u{feff}[CORE]\r\n\tHOOKSPATH=a b  \r\n",
            "[core] hooksPath = \"a b\" # why",
            "[ core ]\nhookspath = a\\\n b ; why",
            "[core]\nbad line ! = x\n=\nhooksPath = a\" \"b",
        ] {
            assert_eq!(one(text), Some((Key::HooksPath, "a b".into())), "{text:?}");
        }
    }

    #[test]
    fn quotes_keep_what_is_inside() {
        let text = "[core]\nhooksPath = \" a;#\\\"\\\\ \"\n";
        assert_eq!(one(text), Some((Key::HooksPath, " a;#\"\\ ".into())));
    }

    #[test]
    fn sections_are_told_apart() {
        assert_eq!(one("[core \"x\"]\nhooksPath = a"), None);
        assert_eq!(one("# [core]\nhooksPath = a"), None);
        assert_eq!(one("[core]\nhooksPath\n"), None);
        let text = "[includeIf \"gitdir:~/a\\\"]b/\"]\npath = c";
        assert_eq!(one(text), Some((Key::Include, "c".into())));
    }
}
