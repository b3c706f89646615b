//! Comparing durations on a machine that is busy with other things.

use std::time::Duration;

use crate::subject::variable;

/// How long a race is run: `SRT_TEST_RACE` seconds.
///
/// # Panics
/// When the variable is no number.
#[must_use]
pub fn race_time() -> Duration {
    let seconds = variable("SRT_TEST_RACE").map_or(20.0, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("SRT_TEST_RACE is `{text}`: {error}"))
    });
    Duration::from_secs_f64(seconds)
}

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
