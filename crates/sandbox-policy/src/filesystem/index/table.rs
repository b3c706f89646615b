//! Texts with what globs of the same directories do: of thousands of rules in a row.
//!
//! Nothing is allocated for a single rule.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::patterns::Effects;

/// Effects by a text and the directory that they begin in.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    texts: Vec<u8>,
    /// The latest entry of each place; `NONE` where there is none. As many as a power of two.
    heads: Vec<u32>,
    entries: Vec<Entry>,
    hasher: RandomState,
}

#[derive(Clone, Debug)]
struct Entry {
    hash: u64,
    start: usize,
    length: u32,
    /// The one before in the same place.
    next: u32,
    directory: u32,
    effects: Effects,
}

const NONE: u32 = u32::MAX;

/// The table is full: it has four thousand million texts.
#[derive(Debug)]
pub(super) struct Full;

impl Table {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds what happens at a text below a directory, which is known by its number.
    pub(super) fn add(
        &mut self,
        text: &[u8],
        directory: u32,
        effects: Effects,
    ) -> Result<(), Full> {
        if self.entries.len() >= self.heads.len() / 2 {
            self.grow();
        }
        let hash = self.hasher.hash_one(text);
        let index = u32::try_from(self.entries.len()).map_err(|_many| Full)?;
        let length = u32::try_from(text.len()).map_err(|_long| Full)?;
        if index == NONE {
            return Err(Full);
        }
        let head = self.head(hash).ok_or(Full)?;
        let next = std::mem::replace(head, index);
        self.entries.push(Entry {
            hash,
            start: self.texts.len(),
            length,
            next,
            directory,
            effects,
        });
        self.texts.extend_from_slice(text);
        Ok(())
    }

    /// What happens at a text, with the number of the directory; the latest first.
    pub(super) fn get(&self, text: &[u8]) -> impl Iterator<Item = (u32, Effects)> {
        let hash = self.hasher.hash_one(text);
        let at = |index: u32| self.entries.get(usize::try_from(index).ok()?);
        let head = self.heads.get(place(hash, self.heads.len()));
        let first = head.and_then(|head| at(*head));
        let chain = std::iter::successors(first, move |entry| at(entry.next));
        chain
            .filter(move |entry| entry.hash == hash && self.text(entry) == Some(text))
            .map(|entry| (entry.directory, entry.effects))
    }

    fn text(&self, entry: &Entry) -> Option<&[u8]> {
        let length = usize::try_from(entry.length).ok()?;
        self.texts
            .get(entry.start..entry.start.checked_add(length)?)
    }

    fn head(&mut self, hash: u64) -> Option<&mut u32> {
        let place = place(hash, self.heads.len());
        self.heads.get_mut(place)
    }

    fn grow(&mut self) {
        let length = (self.heads.len() * 4).max(64);
        self.heads = vec![NONE; length];
        for (index, entry) in (0..).zip(&mut self.entries) {
            if let Some(head) = self.heads.get_mut(place(entry.hash, length)) {
                entry.next = std::mem::replace(head, index);
            }
        }
    }
}

/// Where the latest of the entries with a hash is noted, among a power of two of places.
fn place(hash: u64, places: usize) -> usize {
    let low = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0);
    low & places.saturating_sub(1)
}
