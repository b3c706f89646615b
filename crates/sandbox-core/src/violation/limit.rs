//! How many refusals are told one by one. A command can be refused a hundred thousand times a second;
//! it must cost the host neither time nor memory.
//!
//! Within a second of the clock, what looks the same is told [`SAME`] times, and [`ALL`] in total. The
//! rest is counted, and the count goes with the next one that is told.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Refusals that look the same and are told in one window.
pub(super) const SAME: u32 = 64;
/// Refusals that are told in one window.
pub(super) const ALL: u32 = 2000;
/// Kinds that are told apart in one window.
const KINDS: usize = 4096;
const WINDOW: Duration = Duration::from_secs(1);

/// What is done with a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is told, with the number of those that were not.
    Tell { repeats: u64 },
    /// It is counted.
    Count,
    /// It is of a kind that nobody wants to hear of.
    Ignore,
}

#[derive(Debug)]
pub(super) struct Limiter {
    window: Instant,
    told: u32,
    kinds: HashMap<u64, Kind>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    told: u32,
    untold: u64,
    is_ignored: bool,
}

impl Limiter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            window: now,
            told: 0,
            kinds: HashMap::new(),
        }
    }

    /// Decides about a refusal of a kind.
    pub(super) fn admit(&mut self, kind: u64, now: Instant) -> Admission {
        if now.duration_since(self.window) >= WINDOW {
            self.window = now;
            self.told = 0;
            self.kinds
                .retain(|_, kind| kind.untold > 0 || kind.is_ignored);
            if self.kinds.len() > KINDS / 2 {
                self.kinds.clear();
            }
            self.kinds.values_mut().for_each(|kind| kind.told = 0);
        }
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind) {
            if self.told >= ALL {
                return Admission::Count;
            }
            self.told += 1;
            return Admission::Tell { repeats: 0 };
        }
        let entry = self.kinds.entry(kind).or_default();
        if entry.is_ignored {
            return Admission::Ignore;
        }
        if entry.told >= SAME || self.told >= ALL {
            entry.untold += 1;
            return Admission::Count;
        }
        self.told += 1;
        entry.told += 1;
        let repeats = std::mem::take(&mut entry.untold);
        Admission::Tell { repeats }
    }

    /// Nobody wants to hear of this kind.
    pub(super) fn ignore(&mut self, kind: u64) {
        if let Some(entry) = self.kinds.get_mut(&kind) {
            entry.is_ignored = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_some_times_and_counted_then() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        let told = (0..1000).filter(|_| limiter.admit(7, start) != Admission::Count);
        assert_eq!(told.count(), 64);
        assert_eq!(limiter.admit(8, start), Admission::Tell { repeats: 0 });
        let later = start + WINDOW;
        assert_eq!(limiter.admit(7, later), Admission::Tell { repeats: 936 });
        assert_eq!(limiter.admit(7, later), Admission::Tell { repeats: 0 });
    }

    #[test]
    fn a_flood_of_kinds_is_bounded_in_number_and_memory() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        let told = (0..1_000_000).filter(|kind| limiter.admit(*kind, start) != Admission::Count);
        assert_eq!(told.count(), 2000);
        assert!(limiter.kinds.len() <= KINDS);
        let told =
            (0..10_000).filter(|kind| limiter.admit(*kind, start + WINDOW) != Admission::Count);
        assert_eq!(told.count(), 2000);
    }

    #[test]
    fn what_is_ignored_stays_so() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        assert_eq!(limiter.admit(7, start), Admission::Tell { repeats: 0 });
        limiter.ignore(7);
        assert_eq!(limiter.admit(7, start), Admission::Ignore);
        assert_eq!(limiter.admit(7, start + WINDOW), Admission::Ignore);
    }
}
