//! `cargo xtask tidy`: the rules of CONTRIBUTING.md that no compiler checks, as code.
//!
//! Each rule is a function from sources (or cargo's metadata) to problems, so that its test can show it a bad example.

mod budgets;
mod dependencies;
mod lock_file;
mod module_docs;
mod sources;
mod spelling;
mod unsafe_code;

use std::fmt;

use anyhow::{Result, bail};

use self::sources::Source;
use crate::{shell::say, workspace};

/// Checks everything, prints every problem and fails when there is one.
pub(crate) fn run() -> Result<()> {
    let metadata = workspace::metadata()?;
    let root = metadata.workspace_root.as_std_path();
    let texts = sources::texts(root)?;
    let rust: Vec<Source<'_>> = texts
        .iter()
        .filter_map(|text| Source::parse(text).transpose())
        .collect::<Result<_>>()?;
    let mut problems = Vec::new();
    for source in &rust {
        problems.extend(budgets::check(source));
        problems.extend(module_docs::check(source));
        problems.extend(unsafe_code::check(source));
    }
    let machine_paths = spelling::machine_paths(root, metadata.target_directory.as_std_path());
    problems.extend(
        texts
            .iter()
            .flat_map(|text| spelling::check(text, &machine_paths)),
    );
    problems.extend(dependencies::check(&metadata, &texts));
    problems.extend(lock_file::check(&texts));
    problems.sort();
    let (notices, errors): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(|problem| problem.notice);
    notices.iter().for_each(say);
    errors.iter().for_each(say);
    say(format!(
        "tidy: {} Rust files, {} notices, {} problems",
        rust.len(),
        notices.len(),
        errors.len()
    ));
    if !errors.is_empty() {
        bail!("{} rules of CONTRIBUTING.md are broken", errors.len());
    }
    Ok(())
}

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    path: String,
    line: usize,
    text: String,
    notice: bool,
}

impl Problem {
    /// A broken rule; line 0 stands for the whole file.
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            text: text.into(),
            notice: false,
        }
    }

    /// Something to look at that breaks no rule.
    fn notice(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self {
            notice: true,
            ..Self::new(path, line, text)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.notice { "notice" } else { "error" };
        write!(out, "{kind}: {}", self.path)?;
        if self.line > 0 {
            write!(out, ":{}", self.line)?;
        }
        write!(out, ": {}", self.text)
    }
}
