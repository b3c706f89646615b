//! How many packages the lock file holds: each is code that somebody has to trust.

use super::{Problem, sources::Text};

/// Reports the count, and a count over the budget as an error.
pub(crate) fn check(texts: &[Text]) -> Option<Problem> {
    let lock = texts.iter().find(|text| text.path == "Cargo.lock")?;
    let count = lock
        .content
        .lines()
        .filter(|line| *line == "[[package]]")
        .count();
    Some(if count > BUDGET {
        Problem::new(
            &lock.path,
            0,
            format!("{count} packages, {BUDGET} are the budget"),
        )
    } else {
        Problem::notice(
            &lock.path,
            0,
            format!("{count} packages of a budget of {BUDGET}"),
        )
    })
}

/// Everything counts, tools for tests and tasks too.
const BUDGET: usize = 190;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(packages: usize) -> String {
        let content = "[[package]]\nname = \"a\"\n".repeat(packages);
        check(&[Text {
            path: "Cargo.lock".to_owned(),
            content,
        }])
        .unwrap()
        .to_string()
    }

    #[test]
    fn the_count_is_reported_and_limited() {
        assert_eq!(
            message(3),
            format!("notice: Cargo.lock: 3 packages of a budget of {BUDGET}")
        );
        let over = BUDGET + 1;
        assert_eq!(
            message(over),
            format!("error: Cargo.lock: {over} packages, {BUDGET} are the budget")
        );
    }
}
