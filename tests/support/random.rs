//! Numbers that look random and are the same in every run, unless a run asks for others.

use crate::subject::variable;

/// A generator of numbers (splitmix64).
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// From `SRT_TEST_SEED`, or the same numbers always.
    ///
    /// # Panics
    /// When the variable is no number.
    #[must_use]
    pub fn new() -> Self {
        let state = variable("SRT_TEST_SEED").map_or(1, |text| {
            text.parse()
                .unwrap_or_else(|error| panic!("SRT_TEST_SEED is `{text}`: {error}"))
        });
        Self { state }
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// When the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a bound of 64 bits");
        usize::try_from(self.next_number() % bound).expect("it is below the bound")
    }

    /// One of some.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.below(from.len());
        from.get(index).expect("an index below the length")
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
