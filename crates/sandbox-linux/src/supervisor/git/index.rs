//! Reads an index as git does (gitformat-index(5)), to see what it would check out.
//!
//! What git takes from such a file without looking is looked at here. What git itself would not write is refused,
//! above all what two readers could take for different things.

use std::io::{self, Read};

use super::index_names::Names;

/// The length of a repository's object names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(super) const fn length(self) -> u64 {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// Why an index is refused.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is no index, or one that git would not write.
    Malformed,
    /// It names something that git must not write.
    Path,
}

impl From<io::Error> for Flaw {
    fn from(_unreadable: io::Error) -> Self {
        Self::Malformed
    }
}

/// Where an index ends, and what its last extension says about its entries: what git's threads go by.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub(super) size: u64,
    /// The end of the entries, by the extension `EOIE`.
    pub(super) end_of_entries: Option<u64>,
    /// Where threads begin to read, and after how many entries, by the extension `IEOT`; at last where and after
    /// how many they end.
    pub(super) blocks: Vec<(u64, u64)>,
}

/// Vets an index of a repository with such object names.
pub(super) fn vet(input: impl Read, hash: Hash, tail: &Tail) -> Result<(), Flaw> {
    let mut entries = Entries::begin(input, hash)?;
    let mut blocks = tail.blocks.iter().copied().peekable();
    for number in 0..u64::from(entries.count) {
        let is_block = blocks.next_if_eq(&(entries.input.position, number));
        let entry = entries.next()?;
        // A thread does not know the name before.
        if is_block.is_some() && entry.shared != 0 {
            return Err(Flaw::Malformed);
        }
        entries.has_empty |= entries.name.is_empty();
        if !entries.is_harmless(entry) {
            return Err(Flaw::Path);
        }
    }
    let end = entries.input.position;
    blocks.next_if_eq(&(end, u64::from(entries.count)));
    if blocks.next().is_some() || tail.end_of_entries.is_some_and(|told| told != end) {
        return Err(Flaw::Malformed);
    }
    entries.extensions(tail.size)
}

/// Whether git could read something dangerous from the same bytes if object names had another length. That it reads
/// anything at all is most unlikely, unless somebody has made them so.
pub(super) fn misleads(input: impl Read, hash: Hash) -> bool {
    let Ok(mut entries) = Entries::begin(input, hash) else {
        return false;
    };
    entries.is_strict = false;
    for _ in 0..entries.count {
        let Ok(entry) = entries.next() else {
            return false;
        };
        if !entries.is_harmless(entry) {
            return true;
        }
    }
    false
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    mode: u32,
    /// How much of the name was that of the one before.
    shared: usize,
}

struct Entries<R> {
    input: Input<R>,
    hash: Hash,
    version: u32,
    count: u32,
    name: Vec<u8>,
    names: Names,
    has_empty: bool,
    is_strict: bool,
}

impl<R: Read> Entries<R> {
    fn begin(input: R, hash: Hash) -> Result<Self, Flaw> {
        let mut input = Input::new(input);
        let signature = input.take::<4>()?;
        let version = input.number()?;
        let count = input.number()?;
        if signature != *b"DIRC" || !(2..=4).contains(&version) {
            return Err(Flaw::Malformed);
        }
        Ok(Self {
            input,
            hash,
            version,
            count,
            name: Vec::new(),
            names: Names::default(),
            has_empty: false,
            is_strict: true,
        })
    }

    /// Reads an entry; its name is in `self.name`.
    fn next(&mut self) -> Result<Entry, Flaw> {
        let start = self.input.position;
        // Times, device, inode; then the mode; then owner, group, size.
        self.input.skip(24)?;
        let mode = self.input.number()?;
        self.input.skip(12)?;
        self.input.skip(self.hash.length())?;
        let flags = u16::from_be_bytes(self.input.take()?);
        if flags & EXTENDED != 0 {
            let more = u16::from_be_bytes(self.input.take()?);
            if more & !KNOWN_FLAGS != 0 || (self.is_strict && self.version < 3) {
                return Err(Flaw::Malformed);
            }
        }
        let length = usize::from(flags & LENGTH);
        let is_long = length == usize::from(LENGTH);
        let shared = if self.version == 4 {
            let removed = self.input.variable()?;
            let kept = u64::try_from(self.name.len()).unwrap_or(u64::MAX);
            let kept = kept.checked_sub(removed).ok_or(Flaw::Malformed)?;
            usize::try_from(kept).map_err(|_large| Flaw::Malformed)?
        } else {
            0
        };
        self.name.truncate(shared);
        if is_long || self.is_strict {
            self.input.text(&mut self.name)?;
            let is_told = if is_long {
                self.name.len() >= length
            } else {
                self.name.len() == length
            };
            if !is_told {
                return Err(Flaw::Malformed);
            }
        } else {
            let rest = length.checked_sub(shared).ok_or(Flaw::Malformed)?;
            self.input.some(&mut self.name, rest)?;
            self.input.skip(1)?;
        }
        if self.version < 4 {
            // The entry ends with one to eight zeros, the first of which was read.
            let length = self.input.position - start;
            for _ in 0..(length.next_multiple_of(8) - length) {
                let [byte] = self.input.take()?;
                if byte != 0 && self.is_strict {
                    return Err(Flaw::Malformed);
                }
            }
        }
        Ok(Entry { mode, shared })
    }

    /// Whether the entry that was just read may have its name.
    fn is_harmless(&mut self, entry: Entry) -> bool {
        let Entry { mode, shared } = entry;
        let read = self.input.position;
        self.names.may_follow(&self.name, shared, mode, read)
    }

    /// Skips the extensions, which end where the hash begins.
    fn extensions(&mut self, size: u64) -> Result<(), Flaw> {
        let hash = self.hash.length();
        let end = size.checked_sub(hash).ok_or(Flaw::Malformed)?;
        let mut is_split = false;
        while self.input.position < end {
            let signature = self.input.take::<4>()?;
            let mut length = u64::from(self.input.number()?);
            if signature == *b"link" {
                length = length.checked_sub(hash).ok_or(Flaw::Malformed)?;
                for _ in 0..hash {
                    is_split |= self.input.take()? != [0];
                }
            }
            self.input.skip(length)?;
        }
        // Only what is in another index needs no name.
        if self.input.position != end || (self.has_empty && !is_split) {
            return Err(Flaw::Malformed);
        }
        self.input.skip(size - end)?;
        if self.input.is_at_end()? {
            Ok(())
        } else {
            Err(Flaw::Malformed)
        }
    }
}

/// Bytes that are read in pieces, and counted.
struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    position: u64,
}

impl<R: Read> Input<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            position: 0,
        }
    }

    /// What is in the buffer; nothing at the end.
    fn available(&mut self) -> io::Result<&[u8]> {
        if self.start >= self.end {
            self.start = 0;
            self.end = loop {
                match self.source.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.position += u64::try_from(count).unwrap_or(u64::MAX);
    }

    fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Flaw> {
        if let Some(found) = self.available()?.first_chunk() {
            let found = *found;
            self.consume(COUNT);
            return Ok(found);
        }
        let mut found = [0; COUNT];
        for byte in &mut found {
            *byte = *self.available()?.first().ok_or(Flaw::Malformed)?;
            self.consume(1);
        }
        Ok(found)
    }

    fn number(&mut self) -> Result<u32, Flaw> {
        self.take().map(u32::from_be_bytes)
    }

    /// A number of variable length, as packs have them.
    fn variable(&mut self) -> Result<u64, Flaw> {
        let [mut byte] = self.take()?;
        let mut value = u64::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            [byte] = self.take()?;
            value += 1;
            if value > u64::MAX >> 8 {
                return Err(Flaw::Malformed);
            }
            value = (value << 7) | u64::from(byte & 0x7f);
        }
        Ok(value)
    }

    /// Appends what comes before the next zero, which is read too.
    fn text(&mut self, to: &mut Vec<u8>) -> Result<(), Flaw> {
        loop {
            let available = self.available()?;
            if available.is_empty() || to.len() > LONGEST {
                return Err(Flaw::Malformed);
            }
            let found = available.iter().position(|byte| *byte == 0);
            let count = found.unwrap_or(available.len());
            to.extend_from_slice(available.get(..count).unwrap_or_default());
            self.consume(count);
            if found.is_some() {
                self.consume(1);
                return Ok(());
            }
        }
    }

    /// Appends so many bytes.
    fn some(&mut self, to: &mut Vec<u8>, mut count: usize) -> Result<(), Flaw> {
        while count > 0 {
            let available = self.available()?;
            let part = available
                .get(..count.min(available.len()))
                .unwrap_or_default();
            if part.is_empty() {
                return Err(Flaw::Malformed);
            }
            to.extend_from_slice(part);
            let read = part.len();
            self.consume(read);
            count -= read;
        }
        Ok(())
    }

    fn skip(&mut self, mut count: u64) -> Result<(), Flaw> {
        while count > 0 {
            let available = self.available()?.len();
            let part = usize::try_from(count).unwrap_or(usize::MAX).min(available);
            if part == 0 {
                return Err(Flaw::Malformed);
            }
            self.consume(part);
            count -= u64::try_from(part).unwrap_or(count);
        }
        Ok(())
    }

    fn is_at_end(&mut self) -> Result<bool, Flaw> {
        Ok(self.available()?.is_empty())
    }
}

const EXTENDED: u16 = 0x4000;
const LENGTH: u16 = 0x0fff;
/// Intent to add, and skipped in the working tree.
const KNOWN_FLAGS: u16 = 0x6000;
const BUFFER: usize = 64 << 10;
/// No path of a working tree is longer.
const LONGEST: usize = 64 << 10;
