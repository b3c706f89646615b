//! Words that must not be committed: work without an issue, and paths of one machine.

use std::path::Path;

use super::{Problem, sources::Text};

/// Such words in a file.
pub(crate) fn check(text: &Text, machine_paths: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.content.lines().enumerate() {
        let mut report = |what: String| problems.push(Problem::new(&text.path, index + 1, what));
        if let Some(word) = UNFINISHED.iter().find(|word| has_word(line, word))
            && !names_issue(line)
        {
            report(format!(
                "`{word}` without the number of an issue, such as `{word}(#12)`"
            ));
        }
        if let Some(path) = machine_paths.iter().find(|path| has_path(line, path)) {
            report(format!("`{path}` is a path of one machine"));
        }
    }
    problems
}

/// What gives this machine away: where the checkout lies, where cargo keeps its things, home directories.
pub(crate) fn machine_paths(root: &Path, target: &Path) -> Vec<String> {
    let mut paths: Vec<String> = FIXED.iter().map(|path| (*path).to_owned()).collect();
    for path in [Some(root), Some(target), root.parent()]
        .into_iter()
        .flatten()
    {
        // One part alone, such as `/home` or `/src`, says nothing about a machine unless more follows.
        let shared = [
            "/", "/home", "/root", "/tmp", "/usr", "/usr/src", "/src", "/opt", "/var", "/Users",
        ];
        if let Some(path) = path.to_str()
            && !shared.contains(&path)
            && !is_home(path)
        {
            paths.push(format!("{path}/"));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// Home directories of invented people stand in tests and examples.
fn is_home(path: &str) -> bool {
    ["/home/", "/Users/"].iter().any(|start| {
        path.strip_prefix(start)
            .is_some_and(|rest| !rest.contains('/'))
    })
}

/// Written in two parts, or this file would break its own rules.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

const FIXED: &[&str] = &[
    concat!("/root/", ".cargo"),
    concat!("/root/", ".rustup"),
    concat!("/root/", ".cache"),
    concat!("file:", "///home/"),
];

fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    };
    line.match_indices(word).any(|(start, _)| {
        let (before, rest) = line.split_at(start);
        let after = rest
            .strip_prefix(word)
            .and_then(|after| after.chars().next());
        !part_of_word(before.chars().next_back()) && !part_of_word(after)
    })
}

/// Whether the absolute path stands in the line; the same words as the end of another path
/// are harmless.
fn has_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(start, _)| {
        let before = line.split_at(start).0.chars().next_back();
        before.is_none_or(|letter| letter.is_whitespace() || "\"'`=([<:,".contains(letter))
    })
}

/// `#` and a number.
fn names_issue(line: &str) -> bool {
    line.split('#')
        .skip(1)
        .any(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &str, paths: &[String]) -> usize {
        check(
            &Text {
                path: "a.md".to_owned(),
                content: content.to_owned(),
            },
            paths,
        )
        .len()
    }

    #[test]
    fn unfinished_work_has_to_name_an_issue() {
        for word in UNFINISHED {
            assert_eq!(found(&format!("// {word}: later"), &[]), 1, "{word}");
            assert_eq!(found(&format!("// {word}(#12): later"), &[]), 0);
            assert_eq!(
                found(&format!("mktemp a.{word}{word} my{word}s _{word}"), &[]),
                0
            );
        }
    }

    #[test]
    fn paths_of_this_machine_are_found() {
        let paths = machine_paths(
            Path::new("/data/src/checkout"),
            Path::new("/scratch/target"),
        );
        assert_eq!(found("see /data/src/checkout/README.md", &paths), 1);
        assert_eq!(found("see /data/src/notes.md", &paths), 1);
        assert_eq!(found("out: /scratch/target/debug", &paths), 1);
        assert_eq!(found(concat!("PATH=/root/", ".cargo/bin"), &paths), 1);
        assert_eq!(found("/usr/bin and /home/alice/project", &paths), 0);
        assert_eq!(found("{home}/data/src/a and ../data/src/a", &paths), 0);
    }

    #[test]
    fn a_checkout_in_a_home_directory_does_not_forbid_that_home() {
        let paths = machine_paths(
            Path::new("/home/alice/checkout"),
            Path::new("/home/alice/checkout/target"),
        );
        assert_eq!(found("/home/alice/.ssh", &paths), 0);
        assert_eq!(found("/home/alice/checkout/a", &paths), 1);
    }
}
