//! Unsafe code has one place, and every other crate forbids it at its root.

use proc_macro2::{Span, TokenStream, TokenTree};

use super::{Problem, sources::Source};

/// Unsafe code outside its place, and crate roots that do not forbid it.
pub(crate) fn check(source: &Source<'_>) -> Vec<Problem> {
    let path = source.text.path.as_str();
    let mut problems = Vec::new();
    if !path.starts_with(HOME) {
        let mut spans = Vec::new();
        // Tokens and not the syntax tree: the arguments of macros are searched as well. Comments are no tokens, and
        // doc comments are string literals here.
        if let Ok(tokens) = source.text.content.parse() {
            collect(tokens, &mut spans);
        }
        let text = format!("unsafe code belongs in `{HOME}`");
        problems.extend(
            spans
                .iter()
                .map(|span| Problem::new(path, span.start().line, text.clone())),
        );
    }
    if is_crate_root(path) && !path.starts_with(CRATE_WITH_UNSAFE) && !forbids_unsafe(&source.file)
    {
        problems.push(Problem::new(
            path,
            1,
            "the crate root lacks `#![forbid(unsafe_code)]`",
        ));
    }
    problems
}

/// The system call wrappers, and the source of the image that becomes process 1 of the sandbox.
const HOME: &str = "crates/sandbox-linux/src/sys/";

const CRATE_WITH_UNSAFE: &str = "crates/sandbox-linux/src/";

/// `global_asm!` is unsafe without the keyword.
const WORDS: &[&str] = &["unsafe", "global_asm"];

fn collect(tokens: TokenStream, spans: &mut Vec<Span>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect(group.stream(), spans),
            TokenTree::Ident(ident) if WORDS.iter().any(|word| ident == word) => {
                spans.push(ident.span())
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Libraries and binaries. Integration tests are roots too, but the search above covers them.
fn is_crate_root(path: &str) -> bool {
    ["/src/lib.rs", "/src/main.rs", "/support/lib.rs"]
        .iter()
        .any(|end| path.ends_with(end))
}

fn forbids_unsafe(file: &syn::File) -> bool {
    file.attrs.iter().any(|attribute| {
        attribute.path().is_ident("forbid")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|lint| lint.is_ident("unsafe_code"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sources::fixture::problems;

    #[test]
    fn unsafe_code_is_found_outside_its_place() {
        for bad in [
            "fn f() { unsafe { g() } }",
            "unsafe fn f() {}",
            "unsafe impl Send for A {}",
            "#[unsafe(no_mangle)] fn f() {}",
            "unsafe extern \"C\" { fn f(); }",
            "fn f() { run!(x, unsafe { g() }); }",
            "core::arch::global_asm!(\"nop\");",
        ] {
            let found = problems("crates/sandbox-linux/src/stage/mod.rs", bad, check);
            assert_eq!(
                found,
                [
                    "error: crates/sandbox-linux/src/stage/mod.rs:1: unsafe code belongs in \
                 `crates/sandbox-linux/src/sys/`"
                ],
                "{bad}"
            );
            assert!(
                problems(
                    "crates/sandbox-linux/src/sys/init_image/main.rs",
                    bad,
                    check
                )
                .is_empty()
            );
        }
    }

    #[test]
    fn words_about_unsafe_code_are_harmless() {
        let harmless = "//! unsafe\n/// unsafe\nfn f() { /* unsafe */ g(\"unsafe\"); }";
        assert!(problems("crates/sandbox-core/src/run.rs", harmless, check).is_empty());
    }

    #[test]
    fn crate_roots_have_to_forbid_it() {
        for root in [
            "crates/sandbox-cli/src/main.rs",
            "crates/sandbox-core/src/lib.rs",
            "tests/support/lib.rs",
            "xtask/src/main.rs",
        ] {
            assert!(problems(root, "#![forbid(unsafe_code)]", check).is_empty());
            assert_eq!(
                problems(root, "#![deny(unsafe_code)]", check).len(),
                1,
                "{root}"
            );
        }
        assert!(problems("crates/sandbox-linux/src/lib.rs", "mod sys;", check).is_empty());
        assert!(problems("crates/sandbox-core/src/run.rs", "mod a;", check).is_empty());
    }
}
