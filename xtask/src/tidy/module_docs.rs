//! Every Rust file says in its first lines what lives there.

use super::{Problem, sources::Source};

/// A file that does not begin with a module comment.
pub(crate) fn check(source: &Source<'_>) -> Option<Problem> {
    let first = source.text.content.lines().next().unwrap_or("");
    let says_something = first
        .strip_prefix("//!")
        .is_some_and(|text| !text.trim().is_empty());
    let text = "the file has to begin with `//!` and a sentence about what lives here";
    (!says_something).then(|| Problem::new(&source.text.path, 1, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sources::fixture::problems;

    #[test]
    fn the_first_line_has_to_be_a_module_comment() {
        assert!(problems("a.rs", "//! What lives here.\n", check).is_empty());
        for bad in [
            "",
            "\n//! Late.\n",
            "// No doc.\n",
            "//!\n//! Late.\n",
            "use std::fs;\n",
        ] {
            assert_eq!(problems("a.rs", bad, check).len(), 1, "{bad:?}");
        }
    }
}
