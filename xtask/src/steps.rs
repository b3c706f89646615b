//! A task as a row of titled, timed steps that ends at the first failure.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::{shell::say, tally::Tally};

/// The steps that ran so far and what they counted.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
    left_out: Vec<String>,
    tally: Tally,
}

impl Steps {
    /// Runs one step under its title.
    pub(crate) fn run(
        &mut self,
        title: &str,
        step: impl FnOnce(&mut Tally) -> Result<()>,
    ) -> Result<()> {
        say(format!("\n=== {title}"));
        let started = Instant::now();
        let mut found = Tally::default();
        let result = step(&mut found);
        self.tally += &found.labelled(title);
        let took = started.elapsed();
        let word = if result.is_ok() { "done" } else { "FAILED" };
        say(format!(
            "=== {title}: {word} after {:.1} s",
            took.as_secs_f64()
        ));
        self.done.push((title.to_owned(), took));
        result.with_context(|| format!("step `{title}` failed"))
    }

    /// Notes a step that is not run, with the reason; the summary repeats it.
    pub(crate) fn leave_out(&mut self, title: &str, reason: &str) {
        say(format!("\n=== {title}: LEFT OUT, {reason}"));
        self.left_out.push(format!("{title} ({reason})"));
    }

    /// Prints the times, what was left out and, as the last line, the sum of all tests.
    pub(crate) fn summarise(&self) {
        say("");
        for (title, took) in &self.done {
            say(format!("{:8.1} s  {title}", took.as_secs_f64()));
        }
        let total: Duration = self.done.iter().map(|(_, took)| *took).sum();
        say(format!("{:8.1} s  total", total.as_secs_f64()));
        for name in &self.tally.failures {
            say(format!("failed: {name}"));
        }
        for title in &self.left_out {
            say(format!("left out: {title}"));
        }
        say(format!("{} steps left out", self.left_out.len()));
        say(&self.tally);
    }
}
