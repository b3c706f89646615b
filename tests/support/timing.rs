//! Comparing durations on a machine that is busy with other things.

use std::time::{Duration, Instant};

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

/// Runs two actions in turn, so that both meet the same noise, and returns their times.
pub fn interleave(
    rounds: usize,
    mut first: impl FnMut(),
    mut second: impl FnMut(),
) -> (Vec<Duration>, Vec<Duration>) {
    let timed = |action: &mut dyn FnMut()| {
        let start = Instant::now();
        action();
        start.elapsed()
    };
    let mut times = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for round in 0..rounds {
        // Whoever comes second finds warmer caches: take turns at that, too.
        if round % 2 == 0 {
            times.0.push(timed(&mut first));
            times.1.push(timed(&mut second));
        } else {
            times.1.push(timed(&mut second));
            times.0.push(timed(&mut first));
        }
    }
    times
}
