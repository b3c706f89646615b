//! How many refusals are told one by one. A command can be refused a hundred thousand times a second;
//! it must cost the host neither time nor memory.
//!
//! Within a second of the clock, what looks the same is told [`SAME`] times, and [`ALL`] in total. The
//! rest is counted: with its kind, if one of that kind was told, whose next one has the count or, if
//! none comes, [`Limiter::untold`]; and else with all others of which nobody knows more.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Untold, Violation};

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
    /// It was counted with its kind.
    Count,
    /// It is one of too many kinds, and not counted yet: [`Limiter::count_other`].
    Overflow,
    /// It is of a kind that nobody wants to hear of.
    Ignore,
}

#[derive(Debug)]
pub(super) struct Limiter {
    window: Instant,
    told: u32,
    kinds: HashMap<u64, Kind>,
    /// Those that were counted with no kind.
    others: u64,
}

#[derive(Clone, Debug, Default)]
struct Kind {
    told: u32,
    untold: u64,
    is_ignored: bool,
    last: Option<Arc<Violation>>,
}

impl Limiter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            window: now,
            told: 0,
            kinds: HashMap::new(),
            others: 0,
        }
    }

    /// Decides about a refusal of a kind.
    pub(super) fn admit(&mut self, kind: u64, now: Instant) -> Admission {
        if now.duration_since(self.window) >= WINDOW {
            self.open_window(now);
        }
        let is_known = self.kinds.contains_key(&kind);
        if self.told >= ALL && !is_known {
            return Admission::Overflow;
        }
        if self.kinds.len() >= KINDS && !is_known {
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

    fn open_window(&mut self, now: Instant) {
        self.window = now;
        self.told = 0;
        self.kinds
            .retain(|_, kind| kind.untold > 0 || kind.is_ignored);
        if self.kinds.len() > KINDS / 2 {
            let forgotten = self.kinds.drain().map(|(_, kind)| kind.untold);
            self.others += forgotten.sum::<u64>();
        }
        self.kinds.values_mut().for_each(|kind| kind.told = 0);
    }

    /// One of a kind was told.
    pub(super) fn told(&mut self, kind: u64, violation: &Arc<Violation>) {
        if let Some(entry) = self.kinds.get_mut(&kind) {
            entry.last = Some(Arc::clone(violation));
        }
    }

    /// One more that is counted with no kind.
    pub(super) fn count_other(&mut self) {
        self.others += 1;
    }

    /// What was counted until now and went with none that was told; the kinds in the order in which they
    /// were told last.
    pub(super) fn untold(&self) -> Untold {
        let mut untold = Untold {
            groups: Vec::new(),
            others: self.others,
        };
        let kinds = self.kinds.values().filter(|kind| kind.untold > 0);
        kinds.for_each(|kind| match &kind.last {
            None => untold.others += kind.untold,
            Some(last) => untold.groups.push(Violation {
                repeats: kind.untold - 1,
                ..Violation::clone(last)
            }),
        });
        untold.groups.sort_by_key(|violation| violation.time);
        untold
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

    fn is_told(admission: Admission) -> bool {
        matches!(admission, Admission::Tell { .. })
    }

    #[test]
    fn a_flood_of_kinds_is_bounded_in_number_and_memory() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        let told = (0..1_000_000).filter(|kind| is_told(limiter.admit(*kind, start)));
        assert_eq!(told.count(), 2000);
        assert!(limiter.kinds.len() <= KINDS);
        let told = (0..10_000).filter(|kind| is_told(limiter.admit(*kind, start + WINDOW)));
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
