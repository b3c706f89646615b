//! Who may depend on whom: the table, and its check against the manifests.
//!
//! The table is exact in both directions: a dependency that it does not name is an error, and so is an entry that no
//! manifest uses. Every external crate also has a line with its reason in the decision record.

use std::collections::BTreeSet;

use cargo_metadata::{Dependency, DependencyKind, Metadata};

use super::{Problem, sources::Text};

/// What one crate may use.
struct Row {
    name: &'static str,
    /// Crates of this workspace.
    workspace: &'static [&'static str],
    /// Other crates.
    external: &'static [&'static str],
    /// Other crates that only its tests use.
    tests: &'static [&'static str],
}

/// Arrows never go back, the binary sees the façade only, and what tests the product from outside links nothing but the
/// pure crates, which tell what generated cases have to expect.
const TABLE: &[Row] = &[
    Row {
        name: "sandbox-policy",
        workspace: &[],
        external: &["foldhash", "ipnet", "percent-encoding", "thiserror", "url"],
        tests: &["proptest", "regex"],
    },
    Row {
        name: "sandbox-settings",
        workspace: &["sandbox-policy"],
        external: &[
            "foldhash",
            "ipnet",
            "jsonc-parser",
            "memchr",
            "schemars",
            "serde",
            "serde_json",
            "sha2",
            "strsim",
            "thiserror",
        ],
        tests: &["insta", "tempfile"],
    },
    Row {
        name: "sandbox-proxy",
        workspace: &["sandbox-policy"],
        external: &[
            "bytes",
            "data-encoding",
            "hickory-proto",
            "http",
            "http-body-util",
            "hyper",
            "hyper-util",
            "lru",
            "quinn-udp",
            "rustix",
            "thiserror",
            "tokio",
            "tracing",
        ],
        tests: &["tokio"],
    },
    Row {
        name: "sandbox-linux",
        workspace: &["sandbox-policy"],
        external: &[
            "foldhash",
            "landlock",
            "libc",
            "rustix",
            "seccompiler",
            "thiserror",
        ],
        tests: &["tempfile"],
    },
    Row {
        name: "sandbox-macos",
        workspace: &["sandbox-policy"],
        external: &["thiserror"],
        tests: &["insta", "proptest", "regex"],
    },
    Row {
        name: "sandbox-core",
        workspace: &[
            "sandbox-linux",
            "sandbox-macos",
            "sandbox-policy",
            "sandbox-proxy",
            "sandbox-settings",
        ],
        external: &[
            "if-addrs",
            "rustix",
            "serde",
            "signal-hook",
            "thiserror",
            "tokio",
            "tracing",
        ],
        tests: &["tempfile", "tokio"],
    },
    Row {
        name: "sandbox-cli",
        workspace: &["sandbox-core"],
        external: &[
            "clap",
            "miette",
            "serde_json",
            "similar",
            "thiserror",
            "tokio",
            "tracing",
            "tracing-subscriber",
        ],
        tests: &[],
    },
    Row {
        name: "sandbox-tests",
        workspace: &["sandbox-policy", "sandbox-settings"],
        external: &["rustix", "serde_json", "tempfile"],
        tests: &[],
    },
    Row {
        name: "xtask",
        workspace: &[],
        external: &[
            "anyhow",
            "cargo_metadata",
            "clap",
            "proc-macro2",
            "syn",
            "tempfile",
            "walkdir",
        ],
        tests: &[],
    },
];

/// Compares the manifests with the table and with the decision record.
pub(crate) fn check(metadata: &Metadata, texts: &[Text]) -> Vec<Problem> {
    let packages: Vec<Package<'_>> = metadata
        .workspace_packages()
        .into_iter()
        .map(Package::of)
        .collect();
    let mut problems = compare(&packages, TABLE);
    match texts.iter().find(|text| text.path == RECORD) {
        Some(record) => problems.extend(compare_reasons(&packages, record)),
        None => problems.push(Problem::new(
            RECORD,
            0,
            "the record with the reasons is missing",
        )),
    }
    problems
}

const RECORD: &str = "docs/decisions/0002-dependencies.md";

/// What the manifest of one crate of the workspace names.
struct Package<'metadata> {
    name: &'metadata str,
    workspace: BTreeSet<&'metadata str>,
    external: BTreeSet<&'metadata str>,
    tests: BTreeSet<&'metadata str>,
}

impl<'metadata> Package<'metadata> {
    fn of(package: &'metadata cargo_metadata::Package) -> Self {
        let names = |wanted: &dyn Fn(&Dependency) -> bool| {
            package
                .dependencies
                .iter()
                .filter(|one| wanted(one))
                .map(|one| one.name.as_str())
                .collect()
        };
        let is_test = |one: &Dependency| one.kind == DependencyKind::Development;
        Self {
            name: package.name.as_str(),
            workspace: names(&|one| one.path.is_some()),
            external: names(&|one| one.path.is_none() && !is_test(one)),
            tests: names(&|one| one.path.is_none() && is_test(one)),
        }
    }
}

fn compare(packages: &[Package<'_>], table: &[Row]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |text: String| problems.push(Problem::new(TABLE_FILE, 0, text));
    for package in packages {
        let name = package.name;
        let Some(row) = table.iter().find(|row| row.name == name) else {
            report(format!("`{name}` is not in the table"));
            continue;
        };
        for (allowed, used, kind) in [
            (row.workspace, &package.workspace, "the workspace crate"),
            (row.external, &package.external, "the external crate"),
            (row.tests, &package.tests, "the test crate"),
        ] {
            let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
            for forbidden in used.difference(&allowed) {
                report(format!("`{name}` may not depend on {kind} `{forbidden}`"));
            }
            for unused in allowed.difference(used) {
                report(format!(
                    "stale: `{name}` does not depend on {kind} `{unused}`"
                ));
            }
        }
    }
    for row in table
        .iter()
        .filter(|row| !packages.iter().any(|package| package.name == row.name))
    {
        report(format!("stale: there is no crate `{}`", row.name));
    }
    problems
}

const TABLE_FILE: &str = "xtask/src/tidy/dependencies.rs";

/// Each external crate has one table line of the record, and each line its crate.
fn compare_reasons(packages: &[Package<'_>], record: &Text) -> Vec<Problem> {
    let used: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| package.external.union(&package.tests))
        .copied()
        .collect();
    let mut named = BTreeSet::new();
    let mut problems = Vec::new();
    for (index, line) in record.content.lines().enumerate() {
        let Some((name, rest)) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once('`'))
        else {
            continue;
        };
        let cells: Vec<&str> = rest
            .split('|')
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect();
        if cells.is_empty() {
            problems.push(Problem::new(
                RECORD,
                index + 1,
                format!("`{name}` has no reason"),
            ));
        }
        if !used.contains(name) {
            problems.push(Problem::new(
                RECORD,
                index + 1,
                format!("stale: nothing depends on `{name}`"),
            ));
        }
        named.insert(name);
    }
    let missing = used.difference(&named);
    problems.extend(
        missing.map(|name| Problem::new(RECORD, 0, format!("the reason for `{name}` is missing"))),
    );
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[Row] = &[Row {
        name: "a",
        workspace: &["b"],
        external: &["libc"],
        tests: &["tempfile"],
    }];

    fn package<'names>(
        workspace: &[&'names str],
        external: &[&'names str],
        tests: &[&'names str],
    ) -> Package<'names> {
        let set = |names: &[&'names str]| names.iter().copied().collect();
        Package {
            name: "a",
            workspace: set(workspace),
            external: set(external),
            tests: set(tests),
        }
    }

    fn messages(packages: &[Package<'_>]) -> Vec<String> {
        compare(packages, ROWS)
            .into_iter()
            .map(|problem| problem.text)
            .collect()
    }

    #[test]
    fn the_table_is_exact() {
        assert!(messages(&[package(&["b"], &["libc"], &["tempfile"])]).is_empty());
        assert_eq!(
            messages(&[package(&["b", "c"], &["libc"], &["tempfile"])]),
            ["`a` may not depend on the workspace crate `c`"]
        );
        assert_eq!(
            messages(&[package(&["b"], &["libc", "rand"], &["tempfile"])]),
            ["`a` may not depend on the external crate `rand`"]
        );
        assert_eq!(
            messages(&[package(&["b"], &["libc"], &["tempfile", "rand"])]),
            ["`a` may not depend on the test crate `rand`"]
        );
        assert_eq!(
            messages(&[package(&["b"], &[], &["tempfile"])]),
            ["stale: `a` does not depend on the external crate `libc`"]
        );
    }

    #[test]
    fn crates_and_rows_belong_together() {
        let other = Package {
            name: "z",
            ..package(&[], &[], &[])
        };
        assert_eq!(
            messages(&[other]),
            ["`z` is not in the table", "stale: there is no crate `a`"]
        );
    }

    #[test]
    fn every_external_crate_needs_a_reason() {
        let packages = [package(&[], &["libc"], &["tempfile"])];
        let texts = |content: &str| {
            let record = Text {
                path: RECORD.to_owned(),
                content: content.to_owned(),
            };
            let problems = compare_reasons(&packages, &record);
            problems
                .into_iter()
                .map(|problem| problem.text)
                .collect::<Vec<_>>()
        };
        assert!(texts("| `libc` | calls |\n| `tempfile` | tests |\n").is_empty());
        assert_eq!(
            texts("| `libc` | calls |\n"),
            ["the reason for `tempfile` is missing"]
        );
        assert_eq!(
            texts("| `libc` | |\n| `tempfile` | tests |\n"),
            ["`libc` has no reason"]
        );
        assert_eq!(
            texts("| `libc` | calls |\n| `rand` | luck |\n| `tempfile` | tests |\n"),
            ["stale: nothing depends on `rand`"]
        );
    }
}
