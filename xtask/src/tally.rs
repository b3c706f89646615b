//! Counts of test results, read from what libtest prints.

use std::{fmt, ops::AddAssign};

/// What a skip of a suite means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skips {
    /// It is counted.
    Count,
    /// It makes the test fail.
    Fail,
}

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that libtest calls passed.
    ok: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
    /// Tests that did not run: ignored, or they found that the machine lacks something.
    pub(crate) skipped: usize,
    /// Those of them that libtest counts as passed.
    skipped_in_words: usize,
    /// Test executables that came to their end.
    pub(crate) executables: usize,
    /// The names of the tests that failed.
    pub(crate) failures: Vec<String>,
    /// The list of failures that is being read; the last one before a result is the one with the names alone.
    listed: Option<Vec<String>>,
}

impl Tally {
    /// Takes one line of output in.
    ///
    /// A suite reports a skip in words, the last of them in brackets, while the test counts as passed for libtest: unless
    /// skips are failures, for then libtest counts it as one.
    pub(crate) fn read(&mut self, line: &str, skips: Skips) {
        if skips == Skips::Count && line.ends_with(" in this suite]") {
            self.skipped += 1;
            self.skipped_in_words += 1;
        }
        let Some((_, result)) = line.split_once("test result: ") else {
            self.read_list(line);
            return;
        };
        self.failures
            .extend(self.listed.take().into_iter().flatten());
        self.executables += 1;
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let Some(Ok(count)) = words.next().map(str::parse::<usize>) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.ok += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.skipped += count,
                _ => {}
            }
        }
    }

    /// The same with a word before each name, such as where the tests ran.
    pub(crate) fn labelled(mut self, label: &str) -> Self {
        for name in &mut self.failures {
            *name = format!("{label}: {name}");
        }
        self
    }

    fn read_list(&mut self, line: &str) {
        if line == "failures:" {
            self.listed = Some(Vec::new());
        } else if let Some(listed) = &mut self.listed
            && let Some(name) = line.strip_prefix("    ")
            && !name.contains(' ')
        {
            listed.push(name.to_owned());
        }
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.ok += other.ok;
        self.skipped_in_words += other.skipped_in_words;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.executables += other.executables;
        self.failures.extend(other.failures.iter().cloned());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.ok.saturating_sub(self.skipped_in_words);
        write!(
            out,
            "{passed} passed, {} failed, {} skipped",
            self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(skips: Skips, lines: &[&str]) -> String {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line, skips));
        format!("{tally} in {}", tally.executables)
    }

    #[test]
    fn sums_over_executables() {
        let lines = [
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ];
        assert_eq!(
            sum(Skips::Count, &lines),
            "8 passed, 2 failed, 1 skipped in 2"
        );
    }

    #[test]
    fn a_skip_is_no_pass() {
        let lines = [
            "test cc ... skipped: no `gcc` on this machine [cc, 1 in this suite]",
            "ok",
            "skipped: the control failed:",
            "Traceback [calls, 2 in this suite]",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ];
        assert_eq!(
            sum(Skips::Count, &lines),
            "1 passed, 0 failed, 2 skipped in 1"
        );
    }

    #[test]
    fn a_skip_that_fails_counts_once() {
        let lines = [
            "skipped: no `gcc` on this machine [cc, 1 in this suite]",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ];
        assert_eq!(
            sum(Skips::Fail, &lines),
            "1 passed, 1 failed, 0 skipped in 1"
        );
    }

    #[test]
    fn names_of_failures_come_from_the_last_list() {
        let mut tally = Tally::default();
        for line in [
            "failures:",
            "---- a::b stdout ----",
            "    indented output",
            "    lone",
            "failures:",
            "    a::b",
            "    c",
            "",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "    later",
        ] {
            tally.read(line, Skips::Count);
        }
        assert_eq!(tally.labelled("here").failures, ["here: a::b", "here: c"]);
    }

    #[test]
    fn other_lines_do_not_count() {
        let lines = [
            "running 5 tests",
            "5 passed",
            "the rule was skipped: no reason",
        ];
        assert_eq!(
            sum(Skips::Count, &lines),
            "0 passed, 0 failed, 0 skipped in 0"
        );
    }
}
