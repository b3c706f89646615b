//! Counts of test results, read from what libtest prints.

use std::{fmt, ops::AddAssign};

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that ran and passed.
    pub(crate) passed: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
    /// Tests that did not run: ignored, or they found that the machine lacks something.
    pub(crate) skipped: usize,
    /// Test executables that came to their end.
    pub(crate) executables: usize,
}

impl Tally {
    /// Takes one line of output in.
    ///
    /// The suites report a skip as a line of their own while the test counts as passed for libtest; it may follow the
    /// test's name on the same line.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some((_, reason)) = line.split_once("skipped: ")
            && reason.ends_with(" in this suite]")
        {
            self.skipped += 1;
            self.passed = self.passed.wrapping_sub(1);
        }
        let Some((_, result)) = line.split_once("test result: ") else {
            return;
        };
        self.executables += 1;
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let Some(Ok(count)) = words.next().map(str::parse::<usize>) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed = self.passed.wrapping_add(count),
                Some("failed") => self.failed += count,
                Some("ignored") => self.skipped += count,
                _ => {}
            }
        }
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.passed = self.passed.wrapping_add(other.passed);
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.executables += other.executables;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn sums_over_executables() {
        let sum = tally(&[
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ]);
        assert_eq!(
            sum,
            Tally {
                passed: 8,
                failed: 2,
                skipped: 1,
                executables: 2
            }
        );
    }

    #[test]
    fn a_skip_is_no_pass() {
        let sum = tally(&[
            "test cc ... skipped: no `gcc` on this machine [cc, 1 in this suite]",
            "ok",
            "skipped: no `node` on this machine [node, 2 in this suite]",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ]);
        assert_eq!(
            sum,
            Tally {
                passed: 1,
                failed: 0,
                skipped: 2,
                executables: 1
            }
        );
    }

    #[test]
    fn other_lines_do_not_count() {
        assert_eq!(
            tally(&[
                "running 5 tests",
                "5 passed",
                "the rule was skipped: no reason"
            ]),
            Tally::default()
        );
    }
}
