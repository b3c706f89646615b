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
    /// What entries do; neighbours mostly do the same.
    effects: Vec<Effects>,
    hasher: RandomState,
}

#[derive(Clone, Debug)]
struct Entry {
    hash: u32,
    start: u32,
    length: u32,
    /// The one before in the same place.
    next: u32,
    directory: u32,
    /// Which of the effects.
    effects: u32,
}

const NONE: u32 = u32::MAX;

/// The table is full: its texts have four thousand million bytes.
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
        let hash = self.hash(text);
        let number = |count: usize| u32::try_from(count).map_err(|_many| Full);
        let index = number(self.entries.len())?;
        let start = number(self.texts.len())?;
        let length = number(text.len())?;
        if index == NONE {
            return Err(Full);
        }
        if self.effects.last() != Some(&effects) {
            self.effects.push(effects);
        }
        let effects = number(self.effects.len() - 1)?;
        let head = self.head(hash).ok_or(Full)?;
        let next = std::mem::replace(head, index);
        self.entries.push(Entry {
            hash,
            start,
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
        let hash = self.hash(text);
        let at = |index: u32| self.entries.get(usize::try_from(index).ok()?);
        let effects = |index: u32| self.effects.get(usize::try_from(index).ok()?).copied();
        let head = self.heads.get(place(hash, self.heads.len()));
        let first = head.and_then(|head| at(*head));
        let chain = std::iter::successors(first, move |entry| at(entry.next));
        chain
            .filter(move |entry| entry.hash == hash && self.text(entry) == Some(text))
            .filter_map(move |entry| Some((entry.directory, effects(entry.effects)?)))
    }

    /// Half of a hash is enough: the texts are compared.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "which half of a hash is taken is the same to it"
    )]
    fn hash(&self, text: &[u8]) -> u32 {
        self.hasher.hash_one(text) as u32
    }

    fn text(&self, entry: &Entry) -> Option<&[u8]> {
        let start = usize::try_from(entry.start).ok()?;
        let length = usize::try_from(entry.length).ok()?;
        self.texts.get(start..start.checked_add(length)?)
    }

    fn head(&mut self, hash: u32) -> Option<&mut u32> {
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
fn place(hash: u32, places: usize) -> usize {
    let low = usize::try_from(hash).unwrap_or(0);
    low & places.saturating_sub(1)
}
