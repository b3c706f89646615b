//! The files that tidy looks at, and Rust files parsed.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use syn::spanned::Spanned as _;
use walkdir::{DirEntry, WalkDir};

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct Text {
    /// Its path below the root, with `/` between the parts.
    pub(crate) path: String,
    /// What it says.
    pub(crate) content: String,
}

/// A Rust file of the repository.
pub(crate) struct Source<'text> {
    /// Path and content.
    pub(crate) text: &'text Text,
    /// The syntax tree.
    pub(crate) file: syn::File,
}

impl<'text> Source<'text> {
    /// Parses the text when it is Rust.
    pub(crate) fn parse(text: &'text Text) -> Result<Option<Self>> {
        if !text.path.ends_with(".rs") {
            return Ok(None);
        }
        let file = syn::parse_file(&text.content)
            .with_context(|| format!("cannot parse `{}`", text.path))?;
        Ok(Some(Self { text, file }))
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        let path = &self.text.path;
        path.starts_with("tests/")
            || path.contains("/tests/")
            || path.contains("/benches/")
            || path.ends_with("/tests.rs")
    }

    /// How many of its lines belong to `#[cfg(test)]` items.
    pub(crate) fn test_lines(&self) -> usize {
        let tests = self.file.items.iter().filter(|item| is_test_item(item));
        tests
            .map(|item| item.span())
            .map(|span| span.end().line + 1 - span.start().line)
            .sum()
    }
}

/// Whether an item is compiled for tests only.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only items that can hold functions matter; syn adds kinds freely"
)]
pub(crate) fn is_test_item(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

/// Every text file below `root`, build results and git's own files aside, in a fixed order.
pub(crate) fn texts(root: &Path) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    for entry in WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_ours)
    {
        let entry = entry?;
        if !entry.file_type().is_file() {
            continue;
        }
        let bytes = fs::read(entry.path())
            .with_context(|| format!("cannot read `{}`", entry.path().display()))?;
        // Binary fixtures have no lines to judge.
        let Ok(content) = String::from_utf8(bytes) else {
            continue;
        };
        let path = entry.path().strip_prefix(root)?;
        let path = path
            .to_str()
            .with_context(|| format!("the name of `{}` is no UTF-8", path.display()))?
            .to_owned();
        texts.push(Text { path, content });
    }
    Ok(texts)
}

fn is_ours(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name != ".git" && !(entry.depth() == 1 && name == "target") && name != "node_modules"
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Bad examples for the tests of the rules.

    use super::{Source, Text};
    use crate::tidy::Problem;

    /// What `check` says about a file.
    pub(crate) fn problems<Found>(
        path: &str,
        content: &str,
        check: impl Fn(&Source<'_>) -> Found,
    ) -> Vec<String>
    where
        Found: IntoIterator<Item = Problem>,
    {
        let text = Text {
            path: path.to_owned(),
            content: content.to_owned(),
        };
        let source = Source::parse(&text).unwrap().unwrap();
        check(&source)
            .into_iter()
            .map(|problem| problem.to_string())
            .collect()
    }
}
