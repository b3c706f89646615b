//! The quick way to a tree: for plain files, which most are.
//!
//! It reads a part of JSON (RFC 8259) only: strings without escapes, whole numbers, objects without
//! repeated keys, bounded depth. Of anything else it says nothing, and the reader that knows all of
//! JSON, and what to say about mistakes, decides. What both read, they read alike.

use std::collections::HashSet;

use super::{List, Member, Node, Value};

/// Reads a text; `None` if it is not plain.
pub(super) fn read(text: &str) -> Option<Node<'_>> {
    let mut reader = Reader { text, at: 0 };
    let root = reader.value(DEEPEST)?;
    reader.space();
    (reader.at == text.len()).then_some(root)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.step();
        }
    }

    /// Takes this byte, or nothing.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.step())
    }

    fn value(&mut self, depth: usize) -> Option<Node<'t>> {
        self.space();
        let start = self.at;
        let value = match self.peek()? {
            b'"' => Value::String(self.string()?.into()),
            b'[' => Value::Array(self.array(depth.checked_sub(1)?)?),
            b'{' => Value::Object(self.object(depth.checked_sub(1)?)?),
            b'0'..=b'9' => Value::Number(self.number()?.into()),
            b't' => self.word("true", Value::Bool(true))?,
            b'f' => self.word("false", Value::Bool(false))?,
            b'n' => self.word("null", Value::Null)?,
            _ => return None,
        };
        Some(Node {
            span: start..self.at,
            value,
        })
    }

    /// A string's content, which is its text.
    fn string(&mut self) -> Option<&'t str> {
        self.take(b'"')?;
        let rest = self.text.as_bytes().get(self.at..)?;
        let end = self.at.checked_add(plain_length(rest)?)?;
        let content = self.text.get(self.at..end)?;
        self.at = end;
        self.take(b'"')?;
        Some(content)
    }

    fn number(&mut self) -> Option<&'t str> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.step();
        }
        let digits = self.text.get(start..self.at)?;
        let is_whole = !matches!(self.peek(), Some(b'.' | b'e' | b'E'));
        (is_whole && (digits == "0" || !digits.starts_with('0'))).then_some(digits)
    }

    fn word(&mut self, word: &str, value: Value<'t>) -> Option<Value<'t>> {
        let end = self.at.checked_add(word.len())?;
        let found = self.text.get(self.at..end)?;
        self.at = end;
        (found == word).then_some(value)
    }

    fn array(&mut self, depth: usize) -> Option<List<'t>> {
        let mut strings = Vec::new();
        self.take(b'[')?;
        self.space();
        if self.take(b']').is_some() {
            return Some(List::of_strings(self.text, strings));
        }
        while self.peek() == Some(b'"') {
            let start = self.at.checked_add(1)?;
            let length = self.string()?.len();
            let end = start.checked_add(length)?;
            strings.push((start.try_into().ok()?, end.try_into().ok()?));
            if self.ends_list()? {
                return Some(List::of_strings(self.text, strings));
            }
            self.space();
        }
        let mut nodes = List::of_strings(self.text, strings).into_nodes();
        loop {
            nodes.push(self.value(depth)?);
            if self.ends_list()? {
                return Some(List::new(nodes));
            }
        }
    }

    /// What stands behind a value of a list: its end, or what announces another.
    fn ends_list(&mut self) -> Option<bool> {
        self.space();
        if self.take(b']').is_some() {
            return Some(true);
        }
        self.take(b',').map(|()| false)
    }

    fn object(&mut self, depth: usize) -> Option<Vec<Member<'t>>> {
        let mut members = Vec::new();
        let mut known = HashSet::new();
        self.take(b'{')?;
        self.space();
        if self.take(b'}').is_some() {
            return Some(members);
        }
        loop {
            self.space();
            let start = self.at;
            let key = self.string()?;
            let key_span = start..self.at;
            self.space();
            self.take(b':')?;
            let node = self.value(depth)?;
            if !known.insert(key) {
                return None;
            }
            members.push(Member {
                key: key.into(),
                key_span,
                node,
            });
            self.space();
            if self.take(b'}').is_some() {
                return Some(members);
            }
            self.take(b',')?;
        }
    }
}

/// How many bytes there are before the first that ends a string or is none of its plain ones: a quote, a
/// backslash, a control character. Eight are looked at together.
fn plain_length(text: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    // A byte's highest bit is set where the byte is below the bound. A borrow starts only at such a byte,
    // so the lowest of these bits is right, which is the one that counts.
    let below = |word: u64, bound: u8| {
        let bounds = EACH.wrapping_mul(u64::from(bound));
        word.wrapping_sub(bounds) & !word & EACH.wrapping_mul(0x80)
    };
    let is = |word: u64, byte: u8| below(word ^ EACH.wrapping_mul(u64::from(byte)), 1);
    let (words, rest) = text.as_chunks::<8>();
    let mut length = 0_usize;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let ends = is(word, b'"') | is(word, b'\\') | below(word, b' ');
        if ends != 0 {
            let before = ends.trailing_zeros() / 8;
            return length.checked_add(usize::try_from(before).ok()?);
        }
        length = length.checked_add(8)?;
    }
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
    length.checked_add(rest.iter().position(is_end)?)
}

/// Objects and lists in each other.
const DEEPEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::plain_length;

    #[test]
    fn a_string_ends_at_the_first_byte_that_is_not_plain() {
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
        for filler in [
            b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0x9f, 0xa2, 0xdc, 0xff,
        ] {
            for end in 0..=u8::MAX {
                for length in 0..18 {
                    for after in [b'"', 0, b'!', 0xff] {
                        let mut text = vec![filler; length];
                        text.push(end);
                        text.extend([after; 9]);
                        let expected = text.iter().position(is_end);
                        assert_eq!(plain_length(&text), expected, "{text:?}");
                    }
                }
            }
        }
    }
}
