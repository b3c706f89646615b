//! Refused names that were reported a moment ago. A program asks for each name several times (both
//! address families, retries), and one report says it all.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;

/// The latest reports.
#[derive(Debug)]
pub(super) struct Recent(Mutex<LruCache<String, Instant>>);

impl Recent {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }

    /// Whether this is news.
    pub(super) fn note(&self, name: &str) -> bool {
        let now = Instant::now();
        let mut reports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(then) = reports.get(name)
            && now.duration_since(*then) < QUIET_TIME
        {
            return false;
        }
        reports.put(name.to_owned(), now);
        true
    }
}

const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
/// Longer than a resolver's retries (resolv.conf(5): 5 s, twice).
const QUIET_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_news_once_and_others_are_not_held_back() {
        let recent = Recent::new();
        assert!(recent.note("a.test"));
        assert!(recent.note("b.test"));
        assert!(!recent.note("a.test"));
        for number in 0..CAPACITY.get() {
            assert!(recent.note(&format!("{number}.test")));
        }
        assert!(recent.note("a.test"));
    }
}
