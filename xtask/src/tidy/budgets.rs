//! Sizes of files and functions, test code aside.
//!
//! clippy counts functions too, but it can be told to expect a long one and does not see what is compiled for another
//! platform.

use syn::{Block, ImplItemFn, Item, ItemFn, TraitItemFn, spanned::Spanned as _, visit::Visit};

use super::{
    Problem,
    sources::{Source, is_test_item},
};

/// Files and functions that are too long.
pub(crate) fn check(source: &Source<'_>) -> Vec<Problem> {
    if source.is_test() {
        return Vec::new();
    }
    let mut functions = Functions {
        path: &source.text.path,
        lines: source.text.content.lines().collect(),
        problems: Vec::new(),
    };
    functions.visit_file(&source.file);
    let mut problems = functions.problems;
    let lines = source
        .text
        .content
        .lines()
        .count()
        .saturating_sub(source.test_lines());
    if lines > FILE_HARD {
        let text =
            format!("{lines} lines without tests, {FILE_HARD} are the limit: split by concept");
        problems.push(Problem::new(&source.text.path, 0, text));
    } else if lines > FILE_SOFT {
        let text =
            format!("{lines} lines without tests: over {FILE_SOFT}, is it still one concept?");
        problems.push(Problem::notice(&source.text.path, 0, text));
    }
    problems
}

const FILE_SOFT: usize = 300;
const FILE_HARD: usize = 500;
const FUNCTION_HARD: usize = 80;

struct Functions<'source> {
    path: &'source str,
    lines: Vec<&'source str>,
    problems: Vec<Problem>,
}

impl Functions<'_> {
    /// Counts lines of code between the braces, as clippy does: blank lines and comments are free.
    fn measure(&mut self, name: &syn::Ident, body: &Block) {
        let span = body.span();
        let between = self
            .lines
            .get(span.start().line..span.end().line.saturating_sub(1))
            .unwrap_or(&[]);
        let code = between
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty() && !line.starts_with("//"));
        let count = code.count();
        if count > FUNCTION_HARD {
            let text = format!("`{name}` has {count} lines of code, {FUNCTION_HARD} are the limit");
            self.problems
                .push(Problem::new(self.path, span.start().line, text));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_item(item) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.measure(&function.sig.ident, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.measure(&function.sig.ident, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.measure(&function.sig.ident, body);
        }
        syn::visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sources::fixture::problems;

    fn file(lines: usize) -> String {
        "const A: u8 = 0;\n".repeat(lines)
    }

    #[test]
    fn a_long_file_is_an_error_and_a_middling_one_a_notice() {
        let path = "crates/a/src/a.rs";
        assert!(problems(path, &file(300), check).is_empty());
        assert!(
            problems(path, &file(301), check)[0]
                .starts_with("notice: crates/a/src/a.rs: 301 lines")
        );
        assert!(problems(path, &file(500), check)[0].starts_with("notice"));
        assert!(
            problems(path, &file(501), check)[0].starts_with("error: crates/a/src/a.rs: 501 lines")
        );
    }

    #[test]
    fn tests_do_not_count() {
        let inline = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", file(290), file(300));
        assert!(problems("crates/a/src/a.rs", &inline, check).is_empty());
        let counted = format!("{}#[cfg(unix)]\nmod more {{\n{}}}\n", file(290), file(300));
        assert!(problems("crates/a/src/a.rs", &counted, check)[0].starts_with("error"));
        assert!(problems("crates/a/tests/it/main.rs", &file(900), check).is_empty());
        assert!(problems("tests/suites/cli/main.rs", &file(900), check).is_empty());
    }

    #[test]
    fn a_long_function_is_an_error_wherever_it_stands() {
        let body = |lines: usize| format!("{{\n{}\n// why\n\n}}\n", "    f();\n".repeat(lines));
        let path = "crates/a/src/a.rs";
        assert!(problems(path, &format!("fn f() {}", body(80)), check).is_empty());
        let expected = "error: crates/a/src/a.rs:1: `f` has 81 lines of code, 80 are the limit";
        assert_eq!(
            problems(path, &format!("fn f() {}", body(81)), check),
            [expected]
        );
        assert_eq!(
            problems(path, &format!("impl A {{ fn f() {} }}", body(81)), check),
            [expected]
        );
        assert_eq!(
            problems(path, &format!("trait A {{ fn f() {} }}", body(81)), check),
            [expected]
        );
        assert_eq!(
            problems(path, &format!("mod m {{ fn f() {} }}", body(81)), check),
            [expected]
        );
        assert!(
            problems(
                path,
                &format!("#[cfg(test)] mod m {{ fn f() {} }}", body(81)),
                check
            )
            .is_empty()
        );
    }
}
