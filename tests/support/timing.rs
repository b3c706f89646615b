//! Comparing durations on a machine that is busy with other things.

use std::time::Duration;

/// The middle value.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    *times
        .get(times.len() / 2)
        .expect("at least one measurement")
}

/// Takes two measurements in turn, so that both meet the same noise, and returns them.
pub fn interleave(
    rounds: usize,
    mut first: impl FnMut() -> Duration,
    mut second: impl FnMut() -> Duration,
) -> (Vec<Duration>, Vec<Duration>) {
    let mut times = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for round in 0..rounds {
        // Whoever comes second finds warmer caches: take turns at that, too.
        if round % 2 == 0 {
            times.0.push(first());
            times.1.push(second());
        } else {
            times.1.push(second());
            times.0.push(first());
        }
    }
    times
}
