//! The compiled rules against the plain ones.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use proptest::collection::vec;
use proptest::prelude::*;

use super::laws::{filesystem, path};
use super::{gitignore, path as clean, pattern};
use crate::{
    AbsolutePath, FileJudge, FilesystemPolicy, LayerId, Origin, PROTECTED_PATHS, PathRule, Policy,
    Protection, ReadAllow, ReadDeny,
};

/// Names of the protected paths, their beginnings and aliases, stores of packages, and others.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let rows: Vec<Vec<u8>> = PROTECTED_PATHS
        .iter()
        .flat_map(|row| row.path.split('/'))
        .filter(|name| !name.starts_with('*'))
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let few = [
        ".git",
        "hooks",
        "config",
        "modules",
        "worktrees",
        "commondir",
        "info",
        "attributes",
        "node_modules",
        ".cargo",
        "registry",
        "go",
        "pkg",
        "mod",
        ".config",
        "a",
        "b",
        ".env",
        "x.pem",
        ".Git",
        "HOOKS",
        ".g\u{ad}it",
        "hoo\u{212a}s",
        "\u{17f}",
        "con\u{fb01}g",
        "\u{e9}",
    ];
    let few: Vec<Vec<u8>> = few
        .into_iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    prop_oneof![
        8 => prop::sample::select(few),
        3 => prop::sample::select(rows),
        1 => vec(1_u8..=255, 1..4).prop_map(|bytes| bytes.into_iter().filter(|byte| *byte != b'/').chain(*b"_").collect::<Vec<_>>()),
    ]
}

fn odd_path() -> impl Strategy<Value = AbsolutePath> {
    vec(name(), 0..7).prop_map(|names| {
        let bytes: Vec<u8> = std::iter::once(&b""[..])
            .chain(names.iter().map(Vec::as_slice))
            .collect::<Vec<_>>()
            .join(&b'/');
        let bytes = if bytes.is_empty() {
            b"/".to_vec()
        } else {
            bytes
        };
        AbsolutePath::new(OsStr::from_bytes(&bytes)).unwrap()
    })
}

fn any_path() -> impl Strategy<Value = AbsolutePath> {
    prop_oneof![path(), odd_path()]
}

/// Write roots at few places, the shapes of globs that people write, and literal rules.
fn usual() -> impl Strategy<Value = FilesystemPolicy> {
    let globs = prop::sample::select(vec![
        "/**/.env",
        "/a/**/.env",
        "/a/*.pem",
        "/a/**/*.pem",
        "/**/*.pem",
        "/a/.git/**/x",
        "/a/b",
        "/a/b/.env",
        "/*",
        "/a/**/b/*",
        "/**/hooks/**",
        "/a/[ab]/?",
        "/a/[!ab]*",
        "/**/[^.]*.pem",
        "/\u{e9}/*\u{e9}",
        "/**",
        "/a**",
    ]);
    let rule = globs.prop_map(|text| PathRule {
        pattern: gitignore(text),
        origin: Origin::Program,
    });
    let roots = prop::sample::select(vec![
        "/",
        "/a",
        "/a/.git",
        "/a/node_modules",
        "/a/.config",
        "/b",
        "/a/b/.git/hooks",
    ]);
    let root = roots.prop_map(|text| PathRule {
        pattern: pattern(text),
        origin: Origin::Program,
    });
    let layer = || prop::sample::select(vec![LayerId(0), LayerId(1), LayerId::TEMPORARY]);
    let deny = (rule.clone(), layer()).prop_map(|(rule, layer)| ReadDeny {
        rule,
        firmness: crate::Firmness::Layer(layer),
    });
    let allow = (rule.clone(), layer()).prop_map(|(rule, layer)| ReadAllow { rule, layer });
    let write = (root, layer()).prop_map(|(rule, layer)| ReadAllow { rule, layer });
    (
        vec(deny, 0..2),
        vec(allow.clone(), 0..2),
        vec(write, 1..3),
        vec(allow, 0..2),
        vec(rule, 0..2),
        any::<bool>(),
    )
        .prop_map(
            |(deny_read, allow_read, mut allow_write, more, deny_write, scratch)| {
                allow_write.extend(more);
                let scratch = if scratch {
                    vec![PathRule {
                        pattern: pattern("/b"),
                        origin: Origin::Program,
                    }]
                } else {
                    Vec::new()
                };
                FilesystemPolicy {
                    deny_read: deny_read.into(),
                    allow_read,
                    allow_write,
                    deny_write: deny_write.into(),
                    scratch,
                    protected: Protection::all(),
                }
            },
        )
}

fn policy() -> impl Strategy<Value = FilesystemPolicy> {
    prop_oneof![usual(), filesystem()]
}

fn below(directory: &AbsolutePath, names: &AbsolutePath) -> AbsolutePath {
    let relative = names.as_path().strip_prefix("/").unwrap();
    AbsolutePath::resolve(directory, std::path::Path::new(".").join(relative)).unwrap()
}

fn verdicts(policy: &FilesystemPolicy, path: &AbsolutePath) -> [bool; 4] {
    [
        policy.judge_read(path).is_allowed(),
        policy.judge_write(path).is_allowed(),
        policy.judge_remove(path).is_allowed(),
        policy.judge_through(path).is_allowed(),
    ]
}

fn compiled(judge: &FileJudge, path: &AbsolutePath) -> [bool; 4] {
    let path = path.as_bytes();
    [
        judge.may_read(path),
        judge.may_write(path),
        judge.may_remove(path),
        judge.may_write_through(path),
    ]
}

/// Whether or not the spelling of a glob is looked up as a path of its own.
#[test]
fn what_a_glob_spells_is_judged_alike() {
    let globs = [
        "/**/n",
        "/a/**/n",
        "/**/*.e",
        "/a/**/*.e",
        "/a/**/*.[e]",
        "/a/[n]",
        "/a/?",
        "/a/**/b/n",
    ];
    let deny = |text: &str, layer| ReadDeny {
        rule: PathRule {
            pattern: pattern(text),
            origin: Origin::Program,
        },
        firmness: crate::Firmness::Layer(layer),
    };
    let allow = |text: &str, layer| ReadAllow {
        rule: PathRule {
            pattern: pattern(text),
            origin: Origin::Program,
        },
        layer,
    };
    for one in globs {
        for other in globs {
            let mut policy = Policy::restrictive().filesystem;
            policy.scratch.clear();
            let writable = [allow("/", LayerId(0)), allow("/a/**/n/w", LayerId(1))];
            for variant in 0..4 {
                policy.allow_write = writable.to_vec();
                policy.allow_read.clear();
                policy.deny_read = vec![deny(one, LayerId(0))].into();
                policy.deny_write = Vec::new().into();
                match variant {
                    0 => policy.deny_write = vec![deny(other, LayerId(0)).rule].into(),
                    1 => policy.allow_read.push(allow(other, LayerId(0))),
                    2 => policy.allow_write.push(allow(other, LayerId(0))),
                    _ => policy.deny_read.push(deny(other, LayerId(1))),
                }
                let judge = FileJudge::new(&policy);
                for spelling in [one, other] {
                    for end in ["", "/w", "/n", "/x.e/y", "x"] {
                        let path = clean(&format!("{spelling}{end}"));
                        let found = compiled(&judge, &path);
                        assert_eq!(found, verdicts(&policy, &path), "{one} {other} {path:?}");
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_compiled_rules_give_the_same_verdicts(policy in policy(), paths in vec(any_path(), 10)) {
        let judge = FileJudge::new(&policy);
        for path in &paths {
            prop_assert_eq!(compiled(&judge, path), verdicts(&policy, path), "{:?}", path);
        }
    }

    #[test]
    fn what_keeps_verdicts_keeps_them(
        policy in policy(),
        directories in vec(any_path(), 5),
        suffixes in vec(any_path(), 12),
    ) {
        let judge = FileJudge::new(&policy);
        for from in &directories {
            for to in &directories {
                if !judge.keeps_verdicts(from.as_bytes(), to.as_bytes()) {
                    continue;
                }
                for suffix in suffixes.iter().filter(|suffix| suffix.depth() > 0) {
                    let (from, to) = (below(from, suffix), below(to, suffix));
                    // Of links this matters where they could be moved at all, and then their names are judged.
                    let [before, after] = [&from, &to].map(|path| verdicts(&policy, path));
                    prop_assert_eq!(&before[..3], &after[..3], "{:?} {:?}", from, to);
                    prop_assert!(!before[1] || before[3] == after[3], "{:?} {:?}", from, to);
                }
            }
        }
    }
}

fn everyday() -> FileJudge {
    let mut files = Policy::restrictive()
        .allow_write("/w")
        .unwrap()
        .deny_write("/w/gen/fixed")
        .unwrap()
        .filesystem;
    for glob in ["/w/**/.env", "/w/*.pem", "/w/**/*.key"] {
        files.deny_write.push(PathRule {
            pattern: pattern(glob),
            origin: Origin::Program,
        });
    }
    FileJudge::new(&files)
}

#[test]
fn ordinary_directories_may_be_moved() {
    let judge = everyday();
    for (from, to) in [
        ("/w/src/a", "/w/src/b"),
        ("/w/src", "/w/lib/old/src"),
        ("/w/sub/repo", "/w/other"),
        ("/w/a/.git", "/w/b/.git"),
        ("/w/a/.git", "/w/.GIT/../b/c/.git"),
        ("/w/a/.git/refs", "/w/a/.git/other"),
        ("/w/node_modules/.x-1", "/w/node_modules/x"),
        ("/w/node_modules/a/.vscode", "/w/node_modules/a/code"),
        ("/w/x", "/w/x"),
        ("/tmp/a", "/tmp/.git"),
        ("/etc/a", "/usr/b"),
    ] {
        let to = clean(to);
        assert!(
            judge.keeps_verdicts(from.as_bytes(), to.as_bytes()),
            "{from} {to:?}"
        );
    }
}

#[test]
fn directories_that_change_what_holds_below_may_not_be_moved() {
    let judge = everyday();
    for (from, to) in [
        ("/w/.git", "/w/.g2"),
        ("/w/.g2", "/w/.git"),
        ("/w/x", "/w/.vscode"),
        ("/w/.config", "/w/c"),
        ("/w/c", "/w/.cargo"),
        ("/w/x", "/w/node_modules/x"),
        ("/w/node_modules/x", "/w/x"),
        ("/w/node_modules", "/w/modules"),
        ("/w/gen", "/w/gen2"),
        ("/w/x", "/w/gen"),
        ("/w/a/.git/hooks", "/w/a/.git/h"),
        ("/w/a/.git/h", "/w/a/.git/hooks"),
        ("/w/.git", "/w/a/.git"),
        ("/w", "/v"),
        ("/w/x", "/tmp/x"),
        ("/w/x", "/w/.env"),
        ("/w/x", "/w/a/x.key"),
        ("/w/x", "/etc/x"),
        ("/w/x", "/w/.g\u{ad}IT"),
        ("/w/x", "/w/y/../y"),
        ("/", "/w"),
    ] {
        assert!(
            !judge.keeps_verdicts(from.as_bytes(), to.as_bytes()),
            "{from} {to}"
        );
    }
}

#[test]
fn paths_that_are_not_clean_are_never_allowed() {
    let judge = FileJudge::new(&Policy::restrictive().allow_write("/").unwrap().filesystem);
    for path in [
        "", "w", "//", "/w/", "/w//x", "/w/.", "/./w", "/w/../x", "/w\0x",
    ] {
        let path = path.as_bytes();
        assert!(
            !judge.may_read(path) && !judge.may_write(path) && !judge.may_remove(path),
            "{path:?}"
        );
    }
    assert!(judge.may_write(b"/") && judge.may_write(b"/w") && judge.may_read(b"/"));
}

#[test]
fn policies_beyond_the_bounds_are_judged_all_the_same() {
    let mut files = Policy::restrictive().allow_write("/w").unwrap().filesystem;
    let long = format!("/w/*{}", "x".repeat(200));
    files.deny_write.push(PathRule {
        pattern: pattern(&long),
        origin: Origin::Program,
    });
    let judge = FileJudge::new(&files);
    assert!(judge.may_write(b"/w/x") && !judge.may_write(long.replace('*', "y").as_bytes()));
    assert!(!judge.may_write(b"/w/.bashrc") && !judge.may_write(b"/w/"));
    assert!(!judge.keeps_verdicts(b"/w/a", b"/w/b"));
}

#[test]
fn a_link_must_not_show_another_tree_where_a_name_is_closed() {
    let mut files = Policy::restrictive()
        .allow_write("/w")
        .and_then(|policy| policy.deny_write("/w/a/b/locked"))
        .unwrap()
        .filesystem;
    files.deny_write.push(PathRule {
        pattern: pattern("/w/**/keep/*"),
        origin: Origin::Program,
    });
    let judge = FileJudge::new(&files);
    for path in [
        "/w/x",
        "/w/latest",
        "/w/node_modules",
        "/w/p/node_modules",
        "/w/a/c",
    ] {
        assert!(judge.may_link(path.as_bytes()), "{path}");
    }
    for path in [
        "/w/.config",
        "/w/p/.cargo",
        "/w/.git",
        "/w/.github",
        "/w/keep",
        "/w/a",
        "/w/a/b",
        "/w/a/b/locked",
        "/w/.bashrc",
        "/elsewhere",
    ] {
        assert!(!judge.may_link(path.as_bytes()), "{path}");
    }
}

/// Where any name may stand in a rule, a link may show what the same rule closes there too, and nothing else that
/// can be written.
#[test]
fn a_link_must_not_show_what_a_pattern_would_close() {
    let mut files = Policy::restrictive()
        .allow_write("/w")
        .and_then(|policy| policy.allow_write("/x"))
        .unwrap()
        .filesystem;
    assert!(!FileJudge::new(&files).closes_by_patterns());
    for text in ["/w/a/*/secret", "/w/b/**/secret", "/w/**/name"] {
        files.deny_write.push(PathRule {
            pattern: pattern(text),
            origin: Origin::Program,
        });
    }
    let judge = FileJudge::new(&files);
    assert!(judge.closes_by_patterns());
    for (link, target, may) in [
        ("/w/a/x", "/w/mine", false),
        ("/w/a/x", "/w/a/y", true),
        ("/w/a/x", "/usr/lib", true),
        ("/w/b/x", "/w/mine", false),
        ("/w/b/x/y", "/w/b", true),
        ("/w/c", "/w/b", true),
        ("/w/c", "/w/d", true),
        // Names of `/w/**/name` would appear.
        ("/w/c", "/x/d", false),
        ("/x/c", "/w/d", true),
        ("/x/c", "/w", true),
        // Above a root, and above a pattern.
        ("/w/a/x", "/", false),
        ("/w/b", "/w/mine", false),
    ] {
        let shown = judge.may_show(link.as_bytes(), target.as_bytes());
        assert_eq!(shown, may, "{link} -> {target}");
    }
    // Rows of the table that go on with any name.
    assert!(!judge.may_link(b"/w/.ipython/profile_default"));
    assert!(judge.may_link(b"/w/.ipython/profile_default/log"));
}

#[test]
fn thousands_of_globs_are_told_apart() {
    let rule = |text: &str| PathRule {
        pattern: pattern(text),
        origin: Origin::Program,
    };
    let mut policy = Policy::restrictive().filesystem;
    policy.allow_write = vec![ReadAllow {
        rule: rule("/w"),
        layer: LayerId(1),
    }];
    let names = (0..2000).map(|number| format!("/w/d{}/**/n{}", number % 7, number / 2));
    let ends = (0..500).map(|number| format!("/w/d{}/**/*.e{number}", number % 5));
    policy.deny_write = names.chain(ends).map(|text| rule(&text)).collect();
    let judge = FileJudge::new(&policy);
    let (mut open, mut closed) = (0, 0);
    for number in 0..1200 {
        for path in [
            format!("/w/d{}/x/n{number}/y", number % 8),
            format!("/w/d{}/a.b.e{number}", number % 6),
            format!("/w/d/n{number}"),
        ] {
            let path = clean(&path);
            let expected = verdicts(&policy, &path);
            assert_eq!(compiled(&judge, &path), expected, "{path:?}");
            let [_, may_write, ..] = expected;
            open += usize::from(may_write);
            closed += usize::from(!may_write);
        }
    }
    assert!(open > 1000 && closed > 300, "{open} {closed}");
}
